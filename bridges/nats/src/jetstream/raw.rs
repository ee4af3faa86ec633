//! Stored messages as they are, and whether the client library can read them.
//!
//! async-nats drops the connection over a message that it cannot read. The server stores such a message like any other, so
//! it is looked at through the server's answers, which are JSON.

use async_nats::{HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;

/// A stored message as the server shows it.
#[derive(Debug, Deserialize)]
pub(crate) struct Stored {
    pub(crate) subject: String,
    pub(crate) seq: u64,
    /// The header block in base64.
    #[serde(default)]
    pub(crate) hdrs: String,
    /// The payload in base64.
    #[serde(default)]
    pub(crate) data: String,
    /// When it was stored, as text.
    pub(crate) time: String,
}

impl Stored {
    /// Why the client library cannot read the message; `None` if it can.
    pub(crate) fn trouble(&self) -> Option<&'static str> {
        // Where the subject is not UTF-8, the server's JSON has this character. In the line before a message with headers,
        // every blank of Unicode is the end of the subject to the library.
        let ends_early = !self.hdrs.is_empty() && self.subject.contains(char::is_whitespace);
        if ends_early || self.subject.contains(char::REPLACEMENT_CHARACTER) {
            return Some("its subject cannot be read");
        }
        let readable = self.hdrs.is_empty() || from_base64(&self.hdrs).is_some_and(|headers| is_readable(&headers));
        (!readable).then_some("its headers cannot be read")
    }
}

/// Whether async-nats 0.51 can read a header block: the same steps as in its `Connection::try_read_op`.
fn is_readable(headers: &[u8]) -> bool {
    read(headers).is_some()
}

fn read(headers: &[u8]) -> Option<()> {
    let mut lines = std::str::from_utf8(headers).ok()?.lines().peekable();
    let version = lines.next()?.strip_prefix("NATS/1.0")?.trim();
    let status = version.split_once(' ').map_or(version, |(status, _)| status.trim());
    if !status.is_empty() {
        status.parse::<StatusCode>().ok()?;
    }
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let (name, value) = line.split_once(':')?;
        name.parse::<HeaderName>().ok()?;
        let mut value = value.trim_start().to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
            value.push_str(more);
        }
        // Over a carriage return in a value the library panics.
        value.trim_end().parse::<HeaderValue>().ok()?;
    }
    Some(())
}

/// Reads base64 of the standard alphabet with its padding.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in text[..text.len() - padding].chunks(4) {
        let bits = group
            .iter()
            .try_fold(0_u32, |bits, byte| Some(bits << 6 | sextet(*byte)?))?;
        let missing = 4 - group.len();
        let [_, whole @ ..] = (bits << (6 * missing)).to_be_bytes();
        bytes.extend_from_slice(&whole[..3 - missing]);
    }
    Some(bytes)
}

fn sextet(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_block_is_readable_where_the_library_reads_it() {
        let table: [(&[u8], bool); 19] = [
            (b"NATS/1.0\r\na: b\r\n\r\n", true),
            (b"NATS/1.0\r\n\r\n", true),
            (b"NATS/1.0\n\na:b\n", true),
            (b"NATS/1.0 503\r\n\r\n", true),
            (b"NATS/1.0 100 Idle Heartbeat\r\na:\r\n\r\n", true),
            (b"NATS/1.0\r\na: b\r\n  c\r\n\td\r\n\r\n", true),
            (b"NATS/1.0\r\na: \xc3\xbc:\r\n\r\n", true),
            (b"NATS/1.0\r\n: no name\r\n\r\n", true),
            (b"", false),
            (b"NATS/1.0\r\na: \xff\r\n\r\n", false),
            (b"nats/1.0\r\na: b\r\n\r\n", false),
            (b"\r\nNATS/1.0\r\n\r\n", false),
            (b"NATS/1.0 20x\r\n\r\n", false),
            (b"NATS/1.0 0503\r\n\r\n", false),
            (b"NATS/1.0 099 what\r\n\r\n", false),
            (b"NATS/1.0\r\nno colon\r\n\r\n", false),
            (b"NATS/1.0\r\na b: c\r\n\r\n", false),
            (b"NATS/1.0\r\n\xc3\xbc: c\r\n\r\n", false),
            (b"NATS/1.0\r\na: b\rc\r\n\r\n", false),
        ];
        for (headers, expected) in table {
            assert_eq!(is_readable(headers), expected, "{:?}", String::from_utf8_lossy(headers));
        }
    }

    #[test]
    fn a_subject_is_readable_where_the_library_finds_its_end() {
        let table = [
            ("ns.evt.a", "", true),
            ("ns.evt.\u{fffd}", "", false),
            ("ns.evt.a\u{a0}b", "", true),
            ("ns.evt.a\u{a0}b", "TkFUUy8xLjANCg0K", false),
            ("ns.evt.a", "TkFUUy8xLjANCg0K", true),
        ];
        for (subject, hdrs, expected) in table {
            let stored = Stored {
                subject: subject.to_owned(),
                seq: 1,
                hdrs: hdrs.to_owned(),
                data: String::new(),
                time: String::new(),
            };
            assert_eq!(stored.trouble().is_none(), expected, "{subject} {hdrs}");
        }
    }

    #[test]
    fn base64_is_read_and_nothing_else() {
        let table: [(&str, &[u8]); 6] = [
            ("", b""),
            ("Zg==", b"f"),
            ("Zm8=", b"fo"),
            ("Zm9v", b"foo"),
            ("Zm9vYmFy", b"foobar"),
            ("+/8A", b"\xfb\xff\x00"),
        ];
        for (text, bytes) in table {
            assert_eq!(from_base64(text).as_deref(), Some(bytes), "{text}");
        }
        for text in ["Z", "Zg", "Zg=", "Z===", "====", "Zm9*", "Zg==Zg=="] {
            assert_eq!(from_base64(text), None, "{text}");
        }
    }
}
