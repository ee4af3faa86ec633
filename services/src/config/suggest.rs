//! The known name that is nearest to an unknown one.

/// Names longer than this are no slip of the pen, and comparing them would take long.
const CHARS_MAX: usize = 64;

/// How alike two names must be, from 0 to 1.
const ALIKE: f64 = 0.5;

/// Returns the name most like `unknown`, if one is near enough.
#[must_use]
pub fn nearest(unknown: &str, known: impl Iterator<Item = String>) -> Option<String> {
    if unknown.len() > CHARS_MAX {
        return None;
    }
    let unknown = folded(unknown);
    let alike = |name: &str| strsim::normalized_damerau_levenshtein(&unknown, &folded(name));
    known
        .map(|name| (alike(&name), name))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_a_strange_name_is_not() {
        let known = || {
            ["event_bridge", "queue_bridge", "call.max_timeout"]
                .map(str::to_owned)
                .into_iter()
        };
        assert_eq!(nearest("evnet_bridge", known()).as_deref(), Some("event_bridge"));
        assert_eq!(nearest("Event-Bridge", known()).as_deref(), Some("event_bridge"));
        assert_eq!(nearest("max_timeout", known()).as_deref(), Some("call.max_timeout"));
        assert_eq!(nearest("zebra", known()), None);
        assert_eq!(nearest(&"event_bridge".repeat(100), known()), None);
    }
}
