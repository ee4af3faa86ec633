//! What is wrong with a configuration: everything at once.

use std::error::Error;
use std::fmt;

use super::origin::Origin;

/// How many errors are kept; a file of a mebibyte can be wrong in many ways.
const ERRORS_MAX: usize = 100;

/// How many characters of a foreign name are repeated in a message.
const SHOWN_CHARS_MAX: usize = 80;

/// One thing that is wrong: correct it where [`Self::origin`] says. There is nothing to retry.
///
/// The text never repeats the value of a secret, nor any value of a service's section.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigError {
    origin: Origin,
    subject: String,
    message: String,
    suggestion: Option<String>,
}

impl ConfigError {
    pub(crate) fn new(origin: Origin, subject: &str, message: impl Into<String>) -> Self {
        Self {
            origin,
            subject: shown(subject),
            message: message.into(),
            suggestion: None,
        }
    }

    pub(crate) fn suggest(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }

    /// Returns where the wrong thing stands.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns the setting or the key that is wrong; for a file that cannot be read, the file.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns what was probably meant, where something known is near.
    #[must_use]
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use {}", self.subject)?;
        match &self.origin {
            Origin::Env { variable } if *variable == self.subject => {}
            Origin::Flag { name } if *name == self.subject => {}
            Origin::Default => {}
            origin => write!(f, " from {}", shown(&origin.to_string()))?,
        }
        write!(f, ": {}", self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean {suggestion}"),
            None => Ok(()),
        }
    }
}

impl Error for ConfigError {}

/// Everything that is wrong with a configuration, never empty; one line each.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConfigErrors {
    errors: Vec<ConfigError>,
    further: usize,
}

impl ConfigErrors {
    /// The exit code of a program that got a wrong configuration.
    pub const EXIT_CODE: u8 = 2;

    pub(crate) fn push(&mut self, error: ConfigError) {
        if self.is_full() {
            self.further += 1;
        } else {
            self.errors.push(error);
        }
    }

    /// Tells whether further errors are only counted, so that nobody need find words for them.
    pub(crate) fn is_full(&self) -> bool {
        self.errors.len() >= ERRORS_MAX
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.further += other.further;
        other.errors.into_iter().for_each(|error| self.push(error));
    }

    /// Succeeds with `value` if nothing is wrong.
    pub(crate) fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.errors.is_empty() { Ok(value) } else { Err(self) }
    }

    /// Returns the errors, at most a hundred.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.errors.iter()
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self {
            errors: vec![error],
            further: 0,
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.errors.iter().enumerate() {
            let line_end = if at == 0 { "" } else { "\n" };
            write!(f, "{line_end}{error}")?;
        }
        match self.further {
            0 => Ok(()),
            further => write!(f, "\nand {further} more"),
        }
    }
}

impl Error for ConfigErrors {}

/// Makes a name from outside fit for one line of a message.
pub(crate) fn shown(name: &str) -> String {
    let mut text: String = name
        .chars()
        .take(SHOWN_CHARS_MAX)
        .flat_map(char::escape_debug)
        .collect();
    if name.chars().nth(SHOWN_CHARS_MAX).is_some() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_listed_and_their_number_is_bounded() {
        let mut errors = ConfigErrors::default();
        for n in 0..105 {
            errors.push(ConfigError::new(Origin::Default, &format!("key{n}"), "it is wrong"));
        }
        let text = errors.to_string();
        assert!(
            text.starts_with("cannot use key0: it is wrong\ncannot use key1"),
            "{text}"
        );
        assert!(text.ends_with("\nand 5 more"), "{text}");
        assert_eq!(errors.iter().count(), 100);
    }

    #[test]
    fn a_name_from_outside_cannot_break_a_line_or_fill_the_screen() {
        let name = format!("a\nb\u{1b}[31m{}", "x".repeat(1_000));
        let error = ConfigError::new(Origin::Env { variable: "V".into() }, &name, "it is unknown");
        let text = error.to_string();
        assert!(text.len() < 200 && !text.contains(['\n', '\u{1b}']), "{text}");
    }
}
