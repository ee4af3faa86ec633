//! Hexadecimal digits by table, into a text of known length on the stack.
//!
//! Ids are written on every message: in a span, in headers, in an answer. The standard formatting of 128 bits divides
//! digit by digit and costs ten times as much.

use std::fmt;
use std::ops::Deref;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The value of every lower-case digit; what is none has [`NO_DIGIT`].
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < DIGITS.len() {
        values[DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
};
const NO_DIGIT: u8 = 0xf0;

/// A short ASCII text of `N` bytes: an id, or a `traceparent`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IdText<const N: usize>([u8; N]);

impl<const N: usize> IdText<N> {
    /// `N` dashes, to be written over.
    pub(crate) const fn dashes() -> Self {
        Self([b'-'; N])
    }

    /// Writes the lowest digits of `number`, `digits` of them, from position `at`.
    pub(crate) fn put(&mut self, at: usize, digits: usize, number: u128) {
        let mut rest = number;
        for place in self.0[at..at + digits].iter_mut().rev() {
            *place = DIGITS[usize::from(rest as u8 & 0xf)];
            rest >>= 4;
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits and dashes are ASCII")
    }
}

impl<const N: usize> Deref for IdText<N> {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl<const N: usize> fmt::Display for IdText<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for IdText<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The number of at most 16 lower-case digits.
pub(crate) fn parse_hex(digits: &[u8]) -> Option<u64> {
    let (mut number, mut seen) = (0_u64, 0);
    for digit in digits {
        let value = VALUES[usize::from(*digit)];
        seen |= value;
        number = number << 4 | u64::from(value & 0xf);
    }
    (seen & NO_DIGIT == 0).then_some(number)
}

/// A number of 128 bits as 32 digits.
pub(crate) fn hex128(number: u128) -> IdText<32> {
    let mut text = IdText::dashes();
    text.put(0, 32, number);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_standard_formatting() {
        for number in [
            0,
            1,
            0xdead_beef,
            u128::MAX,
            1 << 127,
            0x0123_4567_89ab_cdef_0123_4567_89ab_cdef,
        ] {
            assert_eq!(hex128(number).as_str(), format!("{number:032x}"));
        }
    }

    #[test]
    fn only_the_lowest_digits_are_written_where_told() {
        let mut text = IdText::<6>::dashes();
        text.put(1, 2, 0xabc);
        assert_eq!(text.as_str(), "-bc---");
    }
}
