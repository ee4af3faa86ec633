//! Message and correlation ids: 128 bits, written as 32 lower-case hexadecimal digits.

use std::fmt;
use std::str::FromStr;

use super::hex::{IdText, hex128, parse_hex};

/// A text that is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 32 hexadecimal digits")]
#[non_exhaustive]
pub struct IdError;

/// Reads exactly 32 lower-case hexadecimal digits.
pub(crate) fn parse_hex128(text: &str) -> Option<u128> {
    let (high, low) = text.as_bytes().split_at_checked(16)?;
    let halves = (low.len() == 16).then_some((parse_hex(high)?, parse_hex(low)?));
    halves.map(|(high, low)| u128::from(high) << 64 | u128::from(low))
}

/// Gives a foreign id (any text) a number that is the same whenever that id comes again from the same source: its own
/// number if it is a UUID or 32 digits, else a 128-bit FNV-1a hash.
pub(crate) fn hash_foreign_id(source: &str, id: &str) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let bare: String = id.chars().filter(|character| *character != '-').take(33).collect();
    if let Some(number) = parse_hex128(&bare.to_ascii_lowercase()) {
        return number;
    }
    let bytes = source.bytes().chain([0]).chain(id.bytes());
    bytes.fold(OFFSET, |state, byte| (state ^ u128::from(byte)).wrapping_mul(PRIME))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, PartialEq, Hash, PartialOrd, Ord)]
        pub struct $name(u128);

        impl $name {
            /// The id with this number.
            pub const fn from_u128(number: u128) -> Self {
                Self(number)
            }

            /// The id's number.
            pub const fn as_u128(self) -> u128 {
                self.0
            }

            /// The id's 32 digits, without an allocation.
            #[must_use]
            pub fn to_text(self) -> IdText<32> {
                hex128(self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hex128(text).map(Self).ok_or(IdError)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_text())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        crate::names::serde_as_text!($name);
    };
}

id! {
    /// Names one message; a retry and a redelivery keep it.
    MessageId
}

id! {
    /// Names a conversation: everything that one request from outside set off.
    CorrelationId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        for number in [0, 1, u128::MAX] {
            let id = MessageId::from_u128(number);
            assert_eq!(id.to_string().len(), 32);
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn an_id_has_one_spelling() {
        let upper = "A".repeat(32);
        for text in ["", "0", "+0000000000000000000000000000001", upper.as_str()] {
            assert_eq!(text.parse::<MessageId>(), Err(IdError), "{text:?}");
        }
    }

    #[test]
    fn a_foreign_id_always_gets_the_same_number() {
        assert_eq!(hash_foreign_id("s", "order-1"), hash_foreign_id("s", "order-1"));
        assert_ne!(hash_foreign_id("s", "order-1"), hash_foreign_id("t", "order-1"));
        assert_eq!(hash_foreign_id("s", "00000000-0000-0000-0000-0000000000FF"), 255);
    }
}
