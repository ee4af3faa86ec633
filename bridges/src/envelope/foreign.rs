//! Headers that are none of ours: carried along, bounded, never interpreted.

/// The most foreign headers that one message carries.
pub const FOREIGN_COUNT_MAX: usize = 64;
/// The most bytes of foreign header names and values that one message carries.
pub const FOREIGN_BYTES_MAX: usize = 16 * 1024;
const NAME_LEN_MAX: usize = 128;

/// The foreign headers of a message, in the order in which they came. An empty one allocates nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForeignHeaders(Option<Box<List>>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct List {
    bytes: usize,
    entries: Vec<(Box<str>, Box<str>)>,
}

impl ForeignHeaders {
    /// Adds a header and says whether it was taken.
    ///
    /// Refused are: more than [`FOREIGN_COUNT_MAX`] headers or [`FOREIGN_BYTES_MAX`] bytes, a name that is not 1 to 128
    /// visible ASCII characters without colon, and a value with a control character.
    pub fn push(&mut self, name: &str, value: &str) -> bool {
        let name_ok = (1..=NAME_LEN_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        let size = name.len() + value.len();
        let (count, bytes) = self.0.as_ref().map_or((0, 0), |list| (list.entries.len(), list.bytes));
        if !name_ok
            || value.chars().any(char::is_control)
            || count == FOREIGN_COUNT_MAX
            || bytes.saturating_add(size) > FOREIGN_BYTES_MAX
        {
            return false;
        }
        let list = self.0.get_or_insert_default();
        list.bytes += size;
        list.entries.push((name.into(), value.into()));
        true
    }

    /// The first value of a header; the name's case does not matter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Every header, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .flat_map(|list| list.entries.iter().map(|(name, value)| (&**name, &**value)))
    }

    /// How many headers there are.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |list| list.entries.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_kept_in_order_and_found_in_any_case() {
        let mut headers = ForeignHeaders::default();
        assert!(headers.push("X-A", "1") && headers.push("x-b", "ü"));
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("X-A", "1"), ("x-b", "ü")]);
        assert_eq!(headers.get("x-a"), Some("1"));
    }

    #[test]
    fn what_could_break_a_transport_is_refused() {
        let mut headers = ForeignHeaders::default();
        let long = "n".repeat(129);
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a:", "x"),
            ("a", "x\r\ny"),
            ("a", "\0"),
            (&long, "x"),
        ] {
            assert!(!headers.push(name, value), "{name:?} {value:?}");
        }
    }

    #[test]
    fn count_and_bytes_are_bounded() {
        let mut headers = ForeignHeaders::default();
        let taken = (0..100).filter(|_| headers.push("n", "v")).count();
        assert_eq!(taken, FOREIGN_COUNT_MAX);
        assert!(!ForeignHeaders::default().push("n", &"v".repeat(FOREIGN_BYTES_MAX)));
    }
}
