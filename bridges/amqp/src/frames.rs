//! Frames of AMQP 0-9-1 that somebody else can make unreadable for lapin, mended before lapin reads them.
//!
//! RabbitMQ hands out a message's properties as they came, bytes that are no text and tables of any depth included. For
//! lapin the first are the end of the connection and the second the end of the process, and again with whoever gets
//! the message next. Therefore every frame that carries words of a stranger goes through [`mend`]. A length never changes.

use crate::fields::{Fields, fill_table};

/// The largest frame, its head and its end included: RabbitMQ's own default, and the most that we agree to.
pub(crate) const FRAME_MAX: u32 = 131_072;
/// The bytes before a frame's payload.
pub(crate) const HEAD_BYTES: usize = 7;
/// The bytes of a frame beside its payload: its head and its end.
const AROUND_BYTES: usize = HEAD_BYTES + 1;

/// What begins a header's properties: class, weight, size of the body.
const BEFORE_FLAGS: usize = 12;
/// The flags, one bit for each property.
const FLAGS_BYTES: usize = 2;
/// The flag of the headers.
const HEADERS: u16 = 1 << 13;
/// The flag of a property that nobody here reads.
const APP_ID: u16 = 1 << 3;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A method, some with texts of a stranger.
    Method,
    /// The properties of a message.
    Header,
    /// Anything else: a body, a heartbeat.
    Other,
}

/// The beginning of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    /// The bytes of the whole frame.
    pub(crate) frame_bytes: usize,
}

/// Reads the beginning of a frame; `None` if the frame is larger than any that we agreed to.
pub(crate) fn head([kind, _, _, size @ ..]: [u8; HEAD_BYTES]) -> Option<Head> {
    let size = u32::from_be_bytes(size);
    let frame_bytes = usize::try_from(size).ok()?.checked_add(AROUND_BYTES)?;
    let kind = match kind {
        1 => Kind::Method,
        2 => Kind::Header,
        _ => Kind::Other,
    };
    (frame_bytes <= FRAME_MAX as usize).then_some(Head { kind, frame_bytes })
}

/// Makes a frame's payload readable for lapin, and tells whether it had to be changed.
pub(crate) fn mend(kind: Kind, payload: &mut [u8]) -> bool {
    match kind {
        Kind::Method => mend_method(payload),
        Kind::Header => mend_header(payload),
        Kind::Other => false,
    }
}

/// One field of a method.
enum Field {
    Text,
    Skip(usize),
}

/// The fields of the methods in which a stranger's words may come.
fn fields_of(class: u16, method: u16) -> &'static [Field] {
    use Field::{Skip, Text};
    match (class, method) {
        // What is told of a closed connection or channel quotes what others declared.
        (10, 50) | (20, 40) => &[Skip(2), Text, Skip(4)],
        // A returned message: code, reason, exchange, routing key.
        (60, 50) => &[Skip(2), Text, Text, Text],
        // A delivery: consumer, tag and whether it comes again, exchange, routing key.
        (60, 60) => &[Text, Skip(9), Text, Text],
        // A message that was asked for: the same without consumer, and how many are left.
        (60, 71) => &[Skip(9), Text, Text, Skip(4)],
        _ => &[],
    }
}

fn mend_method(payload: &mut [u8]) -> bool {
    let mut fields = Fields::new(payload);
    let (Some(class), Some(method)) = (fields.short(), fields.short()) else {
        return false;
    };
    for field in fields_of(class, method) {
        let read = match field {
            Field::Text => fields.text(),
            Field::Skip(len) => fields.skip(*len),
        };
        // Only the broker writes methods: a broken one is no stranger's work, and lapin says what is wrong with it.
        if read.is_none() {
            break;
        }
    }
    fields.changed()
}

fn mend_header(payload: &mut [u8]) -> bool {
    if payload.len() < BEFORE_FLAGS + FLAGS_BYTES {
        return false;
    }
    let mut fields = Fields::new(&mut payload[BEFORE_FLAGS..]);
    match properties(&mut fields) {
        Some(()) if fields.is_empty() => fields.changed(),
        _ => {
            replace(&mut payload[BEFORE_FLAGS..]);
            true
        }
    }
}

/// Reads the properties as lapin does, which knows one word of flags.
fn properties(fields: &mut Fields<'_>) -> Option<()> {
    let flags = fields.short()?;
    for bit in (2..16).rev().filter(|bit| flags & (1 << bit) != 0) {
        match bit {
            13 => fields.table()?,
            // How it is kept, and its priority.
            12 | 11 => fields.skip(1)?,
            // Its time.
            6 => fields.skip(8)?,
            _ => fields.text()?,
        }
    }
    Some(())
}

/// Puts properties that say nothing in the place of some that cannot be read.
fn replace(properties: &mut [u8]) {
    let (flags, rest) = properties.split_at_mut(FLAGS_BYTES);
    let told = match (rest.len().checked_sub(1).map(u8::try_from), u32::try_from(rest.len())) {
        (None, _) => 0,
        (Some(Ok(text_len)), _) => {
            rest.fill(b'?');
            rest[0] = text_len;
            APP_ID
        }
        (Some(Err(_)), Ok(len)) => {
            let (table_len, content) = rest.split_at_mut(4);
            table_len.copy_from_slice(&(len - 4).to_be_bytes());
            // So long a table has room for an entry.
            let _ = fill_table(content);
            HEADERS
        }
        // No frame is that long.
        (Some(Err(_)), Err(_)) => return,
    };
    flags.copy_from_slice(&told.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use lapin::protocol::basic::parse_properties;
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn header(flags: u16, properties: &[u8]) -> Vec<u8> {
        let head = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
        [&head[..], &flags.to_be_bytes(), properties].concat()
    }

    fn mended(kind: Kind, payload: &[u8]) -> (Vec<u8>, bool) {
        let mut payload = payload.to_vec();
        let changed = mend(kind, &mut payload);
        (payload, changed)
    }

    /// Whether lapin can read the properties of this header.
    fn is_readable(header: &[u8]) -> bool {
        parse_properties(&header[BEFORE_FLAGS..]).is_ok_and(|(rest, _)| rest.is_empty())
    }

    #[test]
    fn the_head_of_a_frame_tells_what_it_is_and_how_large() {
        let told = |kind, frame_bytes| Some(Head { kind, frame_bytes });
        assert_eq!(head([1, 0, 1, 0, 0, 0, 9]), told(Kind::Method, 17));
        assert_eq!(head([2, 0, 1, 0, 0, 1, 0]), told(Kind::Header, 264));
        assert_eq!(head([3, 0, 1, 0, 1, 0xFF, 0xF8]), told(Kind::Other, FRAME_MAX as usize));
        assert_eq!(head([8, 0, 0, 0, 0, 0, 0]), told(Kind::Other, 8));
        assert_eq!(head([3, 0, 1, 0, 1, 0xFF, 0xF9]), None);
        assert_eq!(head([2, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF]), None);
    }

    #[test]
    fn a_method_that_bears_words_of_a_stranger_is_mended() {
        let tag = [7; 9];
        for (words, after) in [(&b"\x03a\xffb"[..], &b"\x03a?b"[..]), (b"\x02ok", b"\x02ok")] {
            for (head, rest) in [
                (&[&[0, 60, 0, 60, 1, b'c'][..], &tag, &[0]].concat(), &[][..]),
                (&[&[0, 60, 0, 71][..], &tag, &[0]].concat(), &[0xFF; 4]),
                (&vec![0, 60, 0, 50, 1, 56, 0, 0], &[]),
                (&vec![0, 20, 0, 40, 1, 56], &[0xFF; 4]),
                (&vec![0, 10, 0, 50, 1, 56], &[0xFF; 4]),
            ] {
                let before = [head, words, rest].concat();
                let expected = [head, after, rest].concat();
                assert_eq!(mended(Kind::Method, &before), (expected, words != after), "{head:?}");
            }
        }
        for other in [&[0, 60, 0, 80, 0xFF, 0xFF][..], &[0, 60, 0, 60, 9, 0xFF], &[0], &[]] {
            assert_eq!(mended(Kind::Method, other), (other.to_vec(), false));
        }
    }

    #[test]
    fn a_header_keeps_all_but_what_cannot_be_read() {
        let table = b"\x00\x00\x00\x03\x01aV";
        let all = [
            b"\x01t\x01e",
            &table[..],
            b"\x02\x09\x01c\x01r\x01x\x01m",
            &[0xFF; 8],
            b"\x01k\x01u\x01a\x01l",
        ];
        let whole = header(0xFFFC, &all.concat());
        assert!(is_readable(&whole));
        assert_eq!(mended(Kind::Header, &whole), (whole, false));
        for (flags, properties, after_flags, after) in [
            (0, &b""[..], 0, &b""[..]),
            (1 << 10, b"\x02\xff\xfe", 1 << 10, b"\x02??"),
            (HEADERS, b"\x00\x00\x00\x03\x01aZ", HEADERS, b"\x00\x00\x00\x03\x01?V"),
            (1 << 15 | 1 << 8, b"\x01t\x01\xff", 1 << 15 | 1 << 8, b"\x01t\x01?"),
            // A table of one byte, a text that is cut, and something after the last property.
            (HEADERS, b"\x00\x00\x00\x01a", APP_ID, b"\x04????"),
            (1 << 10, b"\x05a", APP_ID, b"\x01?"),
            (0, b"\x00", APP_ID, b"\x00"),
            (1 << 10, b"", 0, b""),
        ] {
            let (before, expected) = (header(flags, properties), header(after_flags, after));
            assert!(is_readable(&expected), "{properties:?}");
            let changed = before != expected;
            assert_eq!(mended(Kind::Header, &before), (expected, changed), "{properties:?}");
        }
        let long = mended(Kind::Header, &header(0, &[0; 257]));
        assert!(long.1 && is_readable(&long.0));
        assert_eq!(mended(Kind::Header, &[0xFF; 13]), (vec![0xFF; 13], false));
        assert_eq!(mended(Kind::Other, &[0xFF; 20]), (vec![0xFF; 20], false));
    }

    proptest! {
        #[test]
        fn any_header_can_be_read_afterwards_and_one_that_could_is_left_alone(
            flags in any::<u16>(),
            bytes in vec(any::<u8>(), 0..600),
        ) {
            let before = header(flags, &bytes);
            let (after, changed) = mended(Kind::Header, &before);
            prop_assert_eq!(after.len(), before.len());
            prop_assert!(is_readable(&after));
            prop_assert_eq!(&after[..BEFORE_FLAGS], &before[..BEFORE_FLAGS]);
            prop_assert_eq!(changed, !is_readable(&before));
            prop_assert_eq!(changed, after != before);
        }

        #[test]
        fn any_table_can_be_read_afterwards(content in vec((0..4u8, any::<u8>(), vec(any::<u8>(), 0..12)), 0..40)) {
            let kinds = b"tbBsUuIilLfdDSATFxVZ";
            let entries = content.into_iter().flat_map(|(name_len, kind, value)| {
                let name = vec![b'n'; name_len.into()];
                [&[name_len][..], &name, &[kinds[usize::from(kind) % kinds.len()]], &value].concat()
            });
            let entries: Vec<u8> = entries.collect();
            let len = u32::try_from(entries.len()).expect("short");
            let before = header(HEADERS, &[&len.to_be_bytes()[..], &entries].concat());
            let (after, changed) = mended(Kind::Header, &before);
            prop_assert!(is_readable(&after));
            prop_assert_eq!((after.len(), changed), (before.len(), !is_readable(&before)));
        }

        #[test]
        fn any_method_keeps_its_length(
            method in proptest::sample::select(vec![(10u16, 50u16), (20, 40), (60, 50), (60, 60), (60, 71), (60, 80)]),
            bytes in vec(any::<u8>(), 0..300),
        ) {
            let before = [&method.0.to_be_bytes()[..], &method.1.to_be_bytes(), &bytes].concat();
            let (after, changed) = mended(Kind::Method, &before);
            prop_assert_eq!(after.len(), before.len());
            prop_assert_eq!(changed, after != before);
        }
    }
}
