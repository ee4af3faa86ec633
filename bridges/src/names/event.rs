//! The name of an event: one to eight tokens joined by dots.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::error::{Flaw, NameError, NameRule};
use super::serde_as_text;
use super::token::check_token;

/// The most tokens that an event name has.
const TOKENS_MAX: usize = 8;

const fn check_event(text: &str) -> Result<(), Flaw> {
    let bytes = text.as_bytes();
    let (mut from, mut at, mut tokens) = (0, 0, 0);
    while at <= bytes.len() {
        if at == bytes.len() || bytes[at] == b'.' {
            if tokens == TOKENS_MAX {
                return Err(Flaw {
                    rule: NameRule::TooManyTokens,
                    at: from,
                });
            }
            if let Err(flaw) = check_token(bytes, from, at) {
                return Err(flaw);
            }
            tokens += 1;
            from = at + 1;
        }
        at += 1;
    }
    Ok(())
}

/// The name of an event, a constant of the program.
///
/// ```
/// use roadshow_bridges::EventName;
///
/// const CREATED: EventName = EventName::new("user.created");
/// assert_eq!(CREATED.as_str(), "user.created");
/// ```
///
/// ```compile_fail
/// use roadshow_bridges::EventName;
///
/// const BAD: EventName = EventName::new("user..created");
/// let _ = BAD;
/// ```
#[derive(Debug, Copy, Clone, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub struct EventName(&'static str);

impl EventName {
    /// Names an event.
    ///
    /// # Panics
    ///
    /// If `name` is not 1 to 8 tokens joined by dots. In a constant that is a compile error.
    pub const fn new(name: &'static str) -> Self {
        if let Err(flaw) = check_event(name) {
            flaw.refuse();
        }
        Self(name)
    }

    /// The name's text.
    pub const fn as_str(&self) -> &'static str {
        self.0
    }

    /// What a lookup or a subject needs of this name.
    pub const fn key(&self) -> EventKey<'static> {
        EventKey(self.0)
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The name of an event that is known at run time only. Cloning shares the text.
#[derive(Clone, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub struct EventNameBuf(Arc<str>);

impl EventNameBuf {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a lookup or a subject needs of this name.
    pub fn key(&self) -> EventKey<'_> {
        EventKey(&self.0)
    }
}

impl FromStr for EventNameBuf {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match check_event(text) {
            Ok(()) => Ok(Self(text.into())),
            Err(flaw) => Err(NameError::new("an event name", text, flaw)),
        }
    }
}

impl From<EventKey<'_>> for EventNameBuf {
    fn from(key: EventKey<'_>) -> Self {
        Self(key.as_str().into())
    }
}

impl From<EventName> for EventNameBuf {
    fn from(name: EventName) -> Self {
        Self(name.0.into())
    }
}

impl fmt::Display for EventNameBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EventNameBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventNameBuf({self})")
    }
}

serde_as_text!(EventNameBuf);

/// A checked event name, borrowed.
#[derive(Debug, Copy, Clone, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub struct EventKey<'a>(&'a str);

impl<'a> EventKey<'a> {
    /// The name's text.
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

impl From<EventName> for EventKey<'static> {
    fn from(name: EventName) -> Self {
        name.key()
    }
}

impl<'a> From<&'a EventNameBuf> for EventKey<'a> {
    fn from(name: &'a EventNameBuf) -> Self {
        name.key()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_eight_tokens_are_a_name() {
        for text in ["a", "user.created", "a.b.c.d.e.f.g.h"] {
            assert!(text.parse::<EventNameBuf>().is_ok(), "{text}");
        }
    }

    #[test]
    fn refusals_name_the_rule_and_the_character() {
        let table = [
            ("", NameRule::Empty, 0),
            (".", NameRule::Empty, 0),
            ("a.", NameRule::Empty, 2),
            ("a..b", NameRule::Empty, 2),
            ("a.1b", NameRule::FirstCharacter, 2),
            ("a.b*", NameRule::Character, 3),
            ("a.b.c.d.e.f.g.h.i", NameRule::TooManyTokens, 16),
        ];
        for (text, rule, at) in table {
            let error = text.parse::<EventNameBuf>().expect_err(text);
            assert_eq!((error.rule(), error.at()), (rule, at), "{text:?}");
        }
    }
}
