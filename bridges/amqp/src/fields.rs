//! Fields of AMQP 0-9-1 as they lie in a frame: read one after another, and mended in place.
//!
//! What is read here is what lapin reads, with two differences: a short string that is not UTF-8 gets question marks
//! instead of failing, and tables nest a bounded number of times instead of as often as somebody else likes. No length ever
//! changes. Nothing here knows of frames or messages.

use std::str;

/// How deep tables and arrays may nest; the broker's own note on dead letters needs three.
const DEPTH_MAX: usize = 16;

/// Fields, read from the front.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    bytes: &'a mut [u8],
    at: usize,
    changed: bool,
}

impl<'a> Fields<'a> {
    /// All of these bytes, none of them read.
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            changed: false,
        }
    }

    /// Whether everything was read.
    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Whether something was mended.
    pub(crate) fn changed(&self) -> bool {
        self.changed
    }

    /// Passes over so many bytes; `None` if there are fewer, as everywhere here.
    pub(crate) fn skip(&mut self, len: usize) -> Option<()> {
        self.take(len).map(|_| ())
    }

    /// Two bytes.
    pub(crate) fn short(&mut self) -> Option<u16> {
        let bytes = &*self.take(2)?;
        bytes.try_into().ok().map(u16::from_be_bytes)
    }

    /// A short string, UTF-8 afterwards.
    pub(crate) fn text(&mut self) -> Option<()> {
        let len = self.octet()?;
        let changed = mend_text(self.take(len.into())?);
        self.changed |= changed;
        Some(())
    }

    /// A table. What cannot be read, or nests too deep, is another table of this length afterwards.
    pub(crate) fn table(&mut self) -> Option<()> {
        let len = self.long()?;
        let content = self.take(len)?;
        let mut inner = Fields::new(&mut *content);
        let changed = match inner.entries(1) {
            Some(()) => inner.changed,
            None => fill_table(content)?,
        };
        self.changed |= changed;
        Some(())
    }

    fn take(&mut self, len: usize) -> Option<&mut [u8]> {
        let end = self.at.checked_add(len)?;
        let part = self.bytes.get_mut(self.at..end)?;
        self.at = end;
        Some(part)
    }

    fn octet(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn long(&mut self) -> Option<usize> {
        let bytes = &*self.take(4)?;
        let number = bytes.try_into().ok().map(u32::from_be_bytes)?;
        usize::try_from(number).ok()
    }

    fn entries(&mut self, depth: usize) -> Option<()> {
        while !self.is_empty() {
            self.text()?;
            self.value(depth)?;
        }
        Some(())
    }

    fn values(&mut self, depth: usize) -> Option<()> {
        while !self.is_empty() {
            self.value(depth)?;
        }
        Some(())
    }

    /// A value in a table or array of this depth. The letters are RabbitMQ's, which differ from the specification.
    fn value(&mut self, depth: usize) -> Option<()> {
        match self.octet()? {
            b'V' => Some(()),
            b't' | b'b' | b'B' => self.skip(1),
            b's' | b'U' | b'u' => self.skip(2),
            b'I' | b'i' | b'f' => self.skip(4),
            b'D' => self.skip(5),
            b'l' | b'L' | b'd' | b'T' => self.skip(8),
            b'S' | b'x' => {
                let len = self.long()?;
                self.skip(len)
            }
            b'F' => self.nested(depth, |inner, depth| inner.entries(depth)),
            b'A' => self.nested(depth, |inner, depth| inner.values(depth)),
            _ => None,
        }
    }

    fn nested(&mut self, depth: usize, read: impl FnOnce(&mut Fields<'_>, usize) -> Option<()>) -> Option<()> {
        let len = self.long()?;
        if depth == DEPTH_MAX {
            return None;
        }
        let mut inner = Fields::new(self.take(len)?);
        read(&mut inner, depth + 1)?;
        let changed = inner.changed;
        self.changed |= changed;
        Some(())
    }
}

/// Puts a question mark for each byte that is not UTF-8, and tells whether there was one.
fn mend_text(text: &mut [u8]) -> bool {
    let mut from = 0;
    let mut changed = false;
    while let Err(error) = str::from_utf8(&text[from..]) {
        let bad = from + error.valid_up_to();
        let end = error.error_len().map_or(text.len(), |len| bad + len);
        text[bad..end].fill(b'?');
        from = end;
        changed = true;
    }
    changed
}

/// Makes a table of one entry of these bytes; `None` if they are too few for that.
///
/// Its value is no text, so that it counts as a header that could not be read and reaches no handler.
pub(crate) fn fill_table(content: &mut [u8]) -> Option<bool> {
    const HEAD: usize = 7;
    let len = content.len();
    if let Some(value_len) = len.checked_sub(HEAD) {
        let value_len = u32::try_from(value_len).ok()?;
        let (head, value) = content.split_at_mut(HEAD);
        head[..3].copy_from_slice(&[1, b'x', b'S']);
        head[3..].copy_from_slice(&value_len.to_be_bytes());
        value.fill(0xFF);
        return Some(true);
    }
    // A name of what is left, and nothing as value.
    let name_len = len.checked_sub(2)?;
    content.fill(b'?');
    content[0] = u8::try_from(name_len).ok()?;
    content[len - 1] = b'V';
    Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table: its length, then its entries.
    fn long(content: &[u8]) -> Vec<u8> {
        let len = u32::try_from(content.len()).expect("short");
        [&len.to_be_bytes(), content].concat()
    }

    /// So many tables in one another.
    fn nested(depth: usize) -> Vec<u8> {
        (1..depth).fold(long(b""), |inner, _| long(&[b"\x01aF", &*inner].concat()))
    }

    fn mended(bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
        let mut bytes = bytes.to_vec();
        let mut fields = Fields::new(&mut bytes);
        fields.table()?;
        assert!(fields.is_empty());
        let changed = fields.changed();
        Some((bytes, changed))
    }

    #[test]
    fn only_bytes_that_are_not_utf8_become_question_marks() {
        for (text, after) in [
            (&b""[..], &b""[..]),
            (b"plain", b"plain"),
            ("größe ☃".as_bytes(), "größe ☃".as_bytes()),
            (b"\xff\xfe", b"??"),
            (b"a\xc3(b\xff", b"a?(b?"),
            (b"cut \xe2\x98", b"cut ??"),
        ] {
            let mut bytes = text.to_vec();
            assert_eq!(mend_text(&mut bytes), text != after, "{text:?}");
            assert_eq!(bytes, after, "{text:?}");
        }
    }

    #[test]
    fn every_type_that_rabbitmq_writes_passes_unchanged() {
        let mut content = Vec::new();
        let fixed = [
            (&b"V"[..], 0),
            (b"tbB", 1),
            (b"sUu", 2),
            (b"Iif", 4),
            (b"D", 5),
            (b"lLdT", 8),
        ];
        for (kinds, len) in fixed {
            for kind in kinds {
                content.extend([&[1, b'k', *kind][..], &vec![0xFF; len]].concat());
            }
        }
        let array = long(b"VVt\x01");
        for (kind, value) in [
            (b'S', long(b"\xff")),
            (b'x', long(b"")),
            (b'A', array),
            (b'F', nested(3)),
        ] {
            content.extend([&[1, b'k', kind][..], &value].concat());
        }
        let table = long(&content);
        assert_eq!(mended(&table), Some((table, false)));
    }

    #[test]
    fn a_name_is_mended_and_the_rest_of_its_table_stays() {
        let table = long(b"\x02\xff\xfeS\x00\x00\x00\x01a\x01bV");
        let after = long(b"\x02??S\x00\x00\x00\x01a\x01bV");
        assert_eq!(mended(&table), Some((after, true)));
    }

    #[test]
    fn tables_nest_as_deep_as_the_bound() {
        let deepest = nested(DEPTH_MAX);
        assert_eq!(mended(&deepest), Some((deepest, false)));
        for depth in [DEPTH_MAX + 1, 15_000] {
            let table = nested(depth);
            let value = vec![0xFF; table.len() - 11];
            let after = long(&[b"\x01xS", &*long(&value)].concat());
            assert_eq!(mended(&table), Some((after, true)), "{depth}");
        }
    }

    #[test]
    fn what_is_no_table_becomes_one_of_the_same_length() {
        for (content, after) in [
            (&b"\x05a"[..], &b"\x00V"[..]),
            (b"\x01aZ", b"\x01?V"),
            (b"\x01aS\x00\x00\x00", b"\x04????V"),
            (b"\x01aZ\x00\x00\x00\x00", b"\x01xS\x00\x00\x00\x00"),
            (b"\x01aS\x00\x00\x00\x09b", b"\x01xS\x00\x00\x00\x01\xff"),
        ] {
            assert_eq!(mended(&long(content)), Some((long(after), true)), "{content:?}");
            assert_eq!(mended(&long(after)), Some((long(after), false)), "{after:?}");
        }
        assert_eq!(mended(&long(b"a")), None);
        assert_eq!(mended(b"\x00\x00\x00\x02a"), None);
        assert_eq!(mended(b"\x00\x00"), None);
    }
}
