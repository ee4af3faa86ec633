//! Percent encoding of header values, by the rule of the CloudEvents bindings: space, quote, percent and everything that
//! is not visible ASCII is written as `%XX` of its UTF-8 bytes.

use std::borrow::Cow;
use std::fmt::Write;

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'"' && byte != b'%'
}

/// Makes any text safe for a header.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a string takes every write");
        }
    }
    out
}

/// Reads a value back. A stray percent sign stays as it is, for senders that do not encode; `None` if what comes out is
/// not UTF-8 or holds a control character.
pub(super) fn decode(text: &str) -> Option<Cow<'_, str>> {
    let decoded = if text.contains('%') {
        Cow::Owned(decode_bytes(text.as_bytes())?)
    } else {
        Cow::Borrowed(text)
    };
    (!decoded.chars().any(char::is_control)).then_some(decoded)
}

fn decode_bytes(text: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let escaped = (text[at] == b'%').then(|| Some((digit(*text.get(at + 1)?)?, digit(*text.get(at + 2)?)?)));
        if let Some(Some((high, low))) = escaped {
            out.push(high << 4 | low);
            at += 3;
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
    String::from_utf8(out).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_without_control_characters_survives() {
        for text in ["", "ada", "Ümit Ö", "100%", "a \"b\"", "%41", "日本"] {
            let encoded = encode(text);
            assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic()), "{encoded}");
            assert_eq!(decode(&encoded).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_not_encoded_right_is_kept_or_refused() {
        let table = [
            ("50% off", Some("50% off")),
            ("%", Some("%")),
            ("%4", Some("%4")),
            ("%ff", None),
            ("a%0d%0ab", None),
        ];
        for (text, expected) in table {
            assert_eq!(decode(text).as_deref(), expected, "{text:?}");
        }
    }
}
