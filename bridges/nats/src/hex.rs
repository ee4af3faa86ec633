//! Bytes as hexadecimal digits: what a header of NATS cannot hold as it is.

/// The hexadecimal digits of some bytes.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The bytes of hexadecimal digits; `None` if they are none.
pub(crate) fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let value = |digit: &u8| {
        char::from(*digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(value(high)? << 4 | value(low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_as_digits_and_nothing_else_is_read() {
        for bytes in [&b""[..], b"\x00\xff", b"az 09"] {
            assert_eq!(from_hex(&to_hex(bytes)).as_deref(), Some(bytes));
        }
        for text in ["0", "0g", "é"] {
            assert_eq!(from_hex(text), None, "{text}");
        }
    }
}
