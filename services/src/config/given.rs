//! A value as it was given, before it is known what it should be.
//!
//! A file has types, a variable and a flag have text only; the readers here accept both where both can mean the same.
//! Their messages say what was expected and of which type the value is, never what it is.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::units;

/// How many entries a list has at most.
const ENTRIES_MAX: usize = 1_024;

/// A value from a file, a variable or a flag.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Given {
    /// A string of a file, or the whole of a variable or a flag.
    Text(String),
    /// A boolean of a file.
    Bool(bool),
    /// An integer of a file.
    Integer(i64),
    /// An array of strings of a file.
    List(Vec<String>),
    /// Anything else of a file, by the name of its type.
    Other(&'static str),
}

impl Given {
    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::List(_) => "an array of strings",
            Self::Other(kind) => kind,
        }
    }

    fn expected(&self, what: &str) -> String {
        format!("expected {what}, found {}", self.kind())
    }

    pub(crate) fn text(&self) -> Result<&str, String> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(other.expected("a string")),
        }
    }

    /// Reads a text by its own rules; what the rules say of it is repeated, so not for secrets.
    pub(crate) fn parsed<T>(&self) -> Result<T, String>
    where
        T: FromStr<Err: Display>,
    {
        self.text()?.parse().map_err(|error: T::Err| error.to_string())
    }

    pub(crate) fn boolean(&self) -> Result<bool, String> {
        match self {
            Self::Bool(value) => Ok(*value),
            Self::Text(text) if text == "true" => Ok(true),
            Self::Text(text) if text == "false" => Ok(false),
            Self::Text(_) => Err("expected true or false".to_owned()),
            other => Err(other.expected("true or false")),
        }
    }

    pub(crate) fn duration(&self, allowed: RangeInclusive<Duration>) -> Result<Duration, String> {
        let Self::Text(text) = self else {
            return Err(self.expected("a string with a unit of time, as in \"5s\""));
        };
        let value = units::duration(text)?;
        if allowed.contains(&value) {
            return Ok(value);
        }
        let (least, most) = (
            units::show_duration(*allowed.start()),
            units::show_duration(*allowed.end()),
        );
        Err(format!("expected a duration from {least} to {most}"))
    }

    pub(crate) fn size(&self, allowed: RangeInclusive<u64>) -> Result<usize, String> {
        let Self::Text(text) = self else {
            return Err(self.expected("a string with a unit of size, as in \"1MiB\""));
        };
        let value = units::size(text)?;
        match usize::try_from(value) {
            Ok(bytes) if allowed.contains(&value) => Ok(bytes),
            _ => {
                let (least, most) = (units::show_size(*allowed.start()), units::show_size(*allowed.end()));
                Err(format!("expected a size from {least} to {most}"))
            }
        }
    }

    /// Reads a whole number.
    pub(crate) fn number(&self, allowed: RangeInclusive<usize>) -> Result<usize, String> {
        let (least, most) = (allowed.start(), allowed.end());
        let value = match self {
            Self::Integer(value) => usize::try_from(*value).ok(),
            Self::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            Self::Text(_) => None,
            other => return Err(other.expected("a whole number")),
        };
        value
            .filter(|value| allowed.contains(value))
            .ok_or_else(|| format!("expected a whole number from {least} to {most}"))
    }

    /// Reads a list: an array of a file, or entries separated by commas; the empty text is the empty list. An entry
    /// that stands there twice is taken once.
    pub(crate) fn list<T>(&self, entry: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String>
    where
        T: PartialEq,
    {
        let texts: Vec<&str> = match self {
            Self::List(entries) => entries.iter().map(String::as_str).collect(),
            Self::Text(text) if text.trim().is_empty() => Vec::new(),
            Self::Text(text) => text.split(',').map(str::trim).collect(),
            other => return Err(other.expected("an array of strings")),
        };
        if texts.len() > ENTRIES_MAX {
            return Err(format!("expected at most {ENTRIES_MAX} entries, found {}", texts.len()));
        }
        let mut list = Vec::new();
        for text in texts {
            let value = entry(text)?;
            if !list.contains(&value) {
                list.push(value);
            }
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Given {
        Given::Text(text.to_owned())
    }

    #[test]
    fn booleans_come_from_files_and_from_texts() {
        assert_eq!(Given::Bool(true).boolean(), Ok(true));
        assert_eq!(text("false").boolean(), Ok(false));
        assert_eq!(text("yes").boolean(), Err("expected true or false".to_owned()));
        assert_eq!(
            Given::Integer(1).boolean(),
            Err("expected true or false, found an integer".to_owned())
        );
    }

    #[test]
    fn durations_and_sizes_have_limits() {
        let allowed = Duration::from_millis(1)..=Duration::from_secs(60);
        assert_eq!(text("5s").duration(allowed.clone()), Ok(Duration::from_secs(5)));
        assert_eq!(
            text("2m").duration(allowed.clone()),
            Err("expected a duration from 1ms to 1m".to_owned())
        );
        assert!(Given::Integer(1).duration(allowed).is_err());
        assert_eq!(
            text("2MiB").size(1..=1 << 20),
            Err("expected a size from 1B to 1MiB".to_owned())
        );
    }

    #[test]
    fn numbers_are_whole_and_have_limits() {
        assert_eq!(text("7").number(1..=9), Ok(7));
        assert_eq!(Given::Integer(9).number(1..=9), Ok(9));
        for wrong in [
            text("0"),
            text("+7"),
            text("7.0"),
            text(""),
            Given::Integer(-1),
            Given::Integer(10),
        ] {
            assert_eq!(
                wrong.number(1..=9),
                Err("expected a whole number from 1 to 9".to_owned()),
                "{wrong:?}"
            );
        }
        assert!(Given::Bool(true).number(1..=9).is_err());
    }

    #[test]
    fn lists_come_from_arrays_and_from_commas() {
        let own = |entry: &str| Ok(entry.to_owned());
        assert_eq!(text("a, b,a").list(own), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(text(" ").list(own), Ok(Vec::new()));
        assert_eq!(
            Given::List(vec!["a,b".to_owned()]).list(own),
            Ok(vec!["a,b".to_owned()])
        );
        assert!(text(&"a,".repeat(2_000)).list(own).is_err());
        assert!(Given::Bool(true).list(own).is_err());
    }
}
