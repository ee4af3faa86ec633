//! The id of a node and of one life of it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::error::{Flaw, NameError, NameRule};
use super::serde_as_text;
use super::token::{check_whole, suggest_token};

/// The id of a node: one token, unique in its namespace. Cloning shares the text.
///
/// A host name with dots is refused, because it would change the shape of a subject; the error proposes a near token.
///
/// ```
/// use roadshow_bridges::NodeId;
///
/// let error = "web.example.org".parse::<NodeId>().unwrap_err();
/// assert_eq!(error.suggestion(), Some("web-example-org"));
/// ```
#[derive(Clone, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match check_whole(text) {
            Ok(()) => Ok(Self(text.into())),
            Err(flaw) => Err(NameError::new("a node id", text, flaw).suggest(suggest_token(text))),
        }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

serde_as_text!(NodeId);

/// One life of a node: `i` and a number in lower-case base 36, without leading zeros.
///
/// A node that starts again has a new incarnation, so that replies to its former life reach nobody.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub struct IncarnationId(u64);

impl IncarnationId {
    /// The incarnation with this number.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// The incarnation's number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl FromStr for IncarnationId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        parse_incarnation(text).map(Self).map_err(|at| {
            NameError::new(
                "an incarnation",
                text,
                Flaw {
                    rule: NameRule::Incarnation,
                    at,
                },
            )
        })
    }
}

/// Reads the number, or says which character is wrong.
fn parse_incarnation(text: &str) -> Result<u64, usize> {
    let digits = text.strip_prefix('i').ok_or(0_usize)?;
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return Err(1);
    }
    let mut number: u64 = 0;
    for (at, byte) in digits.bytes().enumerate() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'z' => byte - b'a' + 10,
            _ => return Err(at + 1),
        };
        let shifted = number.checked_mul(36).ok_or(at + 1)?;
        number = shifted.checked_add(u64::from(digit)).ok_or(at + 1)?;
    }
    Ok(number)
}

impl fmt::Display for IncarnationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        // 13 digits hold any u64 in base 36.
        let mut text = [0_u8; 14];
        let (mut at, mut rest) = (text.len(), self.0);
        loop {
            at -= 1;
            text[at] = DIGITS[(rest % 36) as usize];
            rest /= 36;
            if rest == 0 {
                break;
            }
        }
        at -= 1;
        text[at] = b'i';
        f.write_str(std::str::from_utf8(&text[at..]).expect("base 36 digits are ASCII"))
    }
}

impl fmt::Debug for IncarnationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IncarnationId({self})")
    }
}

serde_as_text!(IncarnationId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incarnation_survives_its_text() {
        for number in [0, 1, 35, 36, 1_795_000_000_000, u64::MAX] {
            let id = IncarnationId::from_u64(number);
            assert_eq!(id.to_string().parse::<IncarnationId>().expect("its own text"), id);
        }
        assert_eq!(IncarnationId::from_u64(u64::MAX).to_string(), "i3w5e11264sgsf");
    }

    #[test]
    fn an_incarnation_has_one_spelling() {
        for text in [
            "",
            "i",
            "0",
            "i00",
            "i01",
            "iA",
            "i-1",
            "i3w5e11264sgsg",
            "i99999999999999999999",
        ] {
            assert!(text.parse::<IncarnationId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_refused_node_id_says_what_would_do() {
        let error = "10.0.0.7".parse::<NodeId>().expect_err("digits and dots");
        assert_eq!(
            error.to_string(),
            "cannot use \"10.0.0.7\" as a node id: character 1 must be an ASCII letter; try \"n10-0-0-7\""
        );
    }
}
