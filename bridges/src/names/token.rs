//! The token: the one rule that every name is made of.
//!
//! `[A-Za-z][A-Za-z0-9_-]{0,63}`: no separator or wildcard of any broker, no character that a broker, a file name or a
//! metric label would change. The check is a `const fn`, so that the same code runs at compile time and at run time.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::error::{Flaw, NameError, NameRule};
use super::serde_as_text;

/// The longest token, in characters.
pub(crate) const TOKEN_LEN_MAX: usize = 64;

/// Checks `text[from..to]` against the token rule.
pub(crate) const fn check_token(text: &[u8], from: usize, to: usize) -> Result<(), Flaw> {
    if from >= to {
        return Err(Flaw {
            rule: NameRule::Empty,
            at: from,
        });
    }
    if !text[from].is_ascii_alphabetic() {
        return Err(Flaw {
            rule: NameRule::FirstCharacter,
            at: from,
        });
    }
    let mut at = from;
    while at < to {
        if at - from == TOKEN_LEN_MAX {
            return Err(Flaw {
                rule: NameRule::TooLong,
                at,
            });
        }
        let byte = text[at];
        if !(byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
            return Err(Flaw {
                rule: NameRule::Character,
                at,
            });
        }
        at += 1;
    }
    Ok(())
}

/// Checks that the whole of `text` is one token.
pub(crate) const fn check_whole(text: &str) -> Result<(), Flaw> {
    check_token(text.as_bytes(), 0, text.len())
}

/// The nearest accepted token, if anything of the text can be kept.
pub(crate) fn suggest_token(text: &str) -> Option<String> {
    let mut near = String::new();
    for character in text.chars().take(4 * TOKEN_LEN_MAX) {
        if near.is_empty() && !character.is_ascii_alphabetic() {
            if character.is_ascii_digit() {
                near.push('n');
            } else {
                continue;
            }
        }
        let keep = character.is_ascii_alphanumeric() || character == '-' || character == '_';
        near.push(if keep { character } else { '-' });
    }
    near.truncate(TOKEN_LEN_MAX);
    let near = near.trim_end_matches('-');
    (!near.is_empty()).then(|| near.to_owned())
}

/// One checked token that is known at run time only, for example the name of a subscription.
///
/// Cloning shares the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(Arc<str>);

impl Token {
    /// The token's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Token {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match check_whole(text) {
            Ok(()) => Ok(Self(text.into())),
            Err(flaw) => Err(NameError::new("a name", text, flaw).suggest(suggest_token(text))),
        }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.0)
    }
}

serde_as_text!(Token);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_rule_allows() {
        let longest = "a".repeat(64);
        for text in ["a", "Z9", "user", "create_user", "a-b-c", longest.as_str()] {
            assert!(text.parse::<Token>().is_ok(), "{text}");
        }
    }

    #[test]
    fn names_the_rule_and_the_character() {
        let long = "a".repeat(65);
        let table: [(&str, NameRule, usize); 12] = [
            ("", NameRule::Empty, 0),
            ("1a", NameRule::FirstCharacter, 0),
            ("_a", NameRule::FirstCharacter, 0),
            ("a b", NameRule::Character, 1),
            ("a.b", NameRule::Character, 1),
            ("ab*", NameRule::Character, 2),
            ("ab>", NameRule::Character, 2),
            ("ab#", NameRule::Character, 2),
            ("a/b", NameRule::Character, 1),
            ("a\r\n", NameRule::Character, 1),
            ("a\0", NameRule::Character, 1),
            (long.as_str(), NameRule::TooLong, 64),
        ];
        for (text, rule, at) in table {
            let error = text.parse::<Token>().expect_err(text);
            assert_eq!((error.rule(), error.at()), (rule, at), "{text:?}");
        }
    }

    #[test]
    fn every_suggestion_is_accepted() {
        for text in [
            "a b",
            "1st",
            "ip-10-0-0-1.eu",
            "häuser",
            "...",
            "-",
            "a.",
            &"x.".repeat(100),
        ] {
            if let Some(near) = suggest_token(text) {
                assert!(near.parse::<Token>().is_ok(), "{text:?} -> {near:?}");
            }
        }
        assert_eq!(suggest_token("..."), None);
        assert_eq!(suggest_token("web.example.org").as_deref(), Some("web-example-org"));
    }
}
