//! Why a name was refused: the rule, the place, and what would be accepted.

use std::fmt;

use super::token::TOKEN_LEN_MAX;

/// How much of a refused text an error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 80;

/// The rule that a refused name breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameRule {
    /// There is nothing where a token must be.
    Empty,
    /// A token has at most 64 characters.
    TooLong,
    /// A token starts with an ASCII letter.
    FirstCharacter,
    /// A token holds ASCII letters, digits, `-` and `_` only.
    Character,
    /// An event name has at most eight tokens.
    TooManyTokens,
    /// An address is written `service.version.command`.
    AddressShape,
    /// A version is a number from 1 to 65535, without sign or leading zeros.
    Version,
    /// An incarnation is `i` and a number in lower-case base 36.
    Incarnation,
    /// A subject is 1 to 640 visible ASCII characters.
    Subject,
}

/// Where a text breaks which rule; the index counts characters from 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flaw {
    pub(crate) rule: NameRule,
    pub(crate) at: usize,
}

impl Flaw {
    /// Ends the compilation of a constant with the rule that its name breaks.
    ///
    /// # Panics
    ///
    /// Always: that is how a `const fn` refuses.
    pub(crate) const fn refuse(self) -> ! {
        match self.rule {
            NameRule::Empty => panic!("a name must not be empty, nor have an empty token"),
            NameRule::TooLong => panic!("a name's token must not be longer than 64 characters"),
            NameRule::FirstCharacter => panic!("a name's token must start with an ASCII letter"),
            NameRule::TooManyTokens => panic!("an event name must not have more than eight tokens"),
            NameRule::Version => panic!("a service's version must not be 0"),
            _ => panic!("a name may hold ASCII letters, digits, '-' and '_' only"),
        }
    }
}

/// A name that was refused.
///
/// Its text says which rule failed at which character, and proposes a name where one is near. Correct the name; there
/// is nothing to retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameError {
    what: &'static str,
    given: Box<str>,
    rule: NameRule,
    at: usize,
    suggestion: Option<Box<str>>,
}

impl NameError {
    pub(crate) fn new(what: &'static str, given: &str, flaw: Flaw) -> Self {
        let given = given.chars().take(SHOWN_CHARS_MAX).collect::<String>().into();
        Self {
            what,
            given,
            rule: flaw.rule,
            at: flaw.at,
            suggestion: None,
        }
    }

    pub(crate) fn suggest(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion.map(Into::into);
        self
    }

    /// The rule that the name breaks.
    pub fn rule(&self) -> NameRule {
        self.rule
    }

    /// The index of the first character that breaks the rule, counted from 0.
    pub fn at(&self) -> usize {
        self.at
    }

    /// A name that would be accepted and is near the refused one.
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use {:?} as {}: ", self.given, self.what)?;
        let place = self.at + 1;
        match self.rule {
            NameRule::Empty => write!(f, "a token is missing at character {place}"),
            NameRule::TooLong => write!(
                f,
                "a token is longer than {TOKEN_LEN_MAX} characters at character {place}"
            ),
            NameRule::FirstCharacter => write!(f, "character {place} must be an ASCII letter"),
            NameRule::Character => write!(f, "character {place} is not an ASCII letter, a digit, '-' or '_'"),
            NameRule::TooManyTokens => write!(f, "a ninth token starts at character {place}, eight are allowed"),
            NameRule::AddressShape => write!(f, "an address is written service.version.command"),
            NameRule::Version => write!(f, "the version at character {place} is not a number from 1 to 65535"),
            NameRule::Incarnation => write!(f, "character {place} does not belong to 'i' and a base 36 number"),
            NameRule::Subject => write!(
                f,
                "character {place} breaks the rule of 1 to 640 visible ASCII characters"
            ),
        }?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; try {suggestion:?}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for NameError {}
