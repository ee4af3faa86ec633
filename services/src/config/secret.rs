//! Text that must not be printed.

use std::fmt;

/// A secret; `Debug` hides it, there is no `Display`, and comparing takes the same time wherever a guess goes wrong.
#[derive(Clone, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Takes a text in.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the text, to be handed to who needs it and to nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Tells whether `guess` is this secret. Only the length of the guess changes how long that takes.
    #[must_use]
    pub fn is(&self, guess: &str) -> bool {
        let secret = self.0.as_bytes();
        let mut differs = u8::from(secret.len() != guess.len());
        for (at, byte) in guess.bytes().enumerate() {
            differs |= byte ^ secret.get(at).copied().unwrap_or(0);
        }
        std::hint::black_box(differs) == 0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_is_the_secret() {
        let secret = Secret::new("hunter2");
        assert!(secret.is("hunter2"));
        for guess in ["", "hunter", "hunter22", "Hunter2", "hunter2\0"] {
            assert!(!secret.is(guess), "{guess:?}");
        }
        assert!(!Secret::new("").is("\0"));
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2"))), "Some(***)");
    }
}
