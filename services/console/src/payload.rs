//! The JSON of a message: in place, from a file (`@FILE`), or from stdin (`-`, or left out where stdin is no terminal).
//!
//! It is checked before anything is sent, and sent as it was written: numbers and the order of keys are the caller's.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;
use std::time::Duration;

use serde::de::IgnoredAny;
use tokio::time::sleep;

use crate::end;

/// The most that is read, in bytes: the largest payload that a node can be set to accept.
const BYTES_MAX: u64 = 256 << 20;
/// How long stdin may be silent before we say that we wait for it.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// How many characters around a mistake are shown.
const EXCERPT_CHARS: usize = 24;
/// What some editors write before a text in UTF-8. It is no part of the text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where JSON is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Argument(String),
    File(String),
    /// `is_asked` if somebody wrote `-`.
    Stdin {
        is_asked: bool,
    },
}

/// Reads and checks the JSON. `None`: it was left out, and stdin is empty.
///
/// # Errors
///
/// What cannot be read, is too large or is no JSON; and nothing at all, where stdin is a terminal.
pub(crate) async fn read(argument: Option<String>) -> Result<Option<Vec<u8>>, String> {
    let source = choose(argument, io::stdin().is_terminal())?;
    let is_stdin = matches!(source, Source::Stdin { .. });
    // Stdin may take as long as whoever types.
    let mut reading = tokio::task::spawn_blocking(move || read_blocking(&source));
    let read = tokio::select! {
        read = &mut reading => read,
        () = sleep(SILENCE_MAX), if is_stdin => {
            end::tell("reading JSON from stdin until it ends; ctrl-c gives up");
            reading.await
        }
    };
    read.unwrap_or_else(|error| Err(format!("cannot read the JSON: {error}")))
}

fn choose(argument: Option<String>, stdin_is_terminal: bool) -> Result<Source, String> {
    match argument {
        None if stdin_is_terminal => Err(
            "the JSON is missing: give it as the last argument, in single quotes, as in \
                                          '{\"name\":\"Ada\"}', or a file as @FILE; null says nothing"
                .to_owned(),
        ),
        None => Ok(Source::Stdin { is_asked: false }),
        Some(argument) if argument == "-" => Ok(Source::Stdin { is_asked: true }),
        Some(argument) => Ok(match argument.strip_prefix('@') {
            Some(path) => Source::File(path.to_owned()),
            None => Source::Argument(argument),
        }),
    }
}

fn read_blocking(source: &Source) -> Result<Option<Vec<u8>>, String> {
    let (name, bytes) = match source {
        Source::Argument(text) => ("the JSON argument", Ok(text.as_bytes().to_vec())),
        Source::File(path) => (path.as_str(), File::open(path).and_then(bounded)),
        Source::Stdin { .. } => ("stdin", bounded(io::stdin().lock())),
    };
    let mut bytes = bytes.map_err(|error| format!("cannot read {name}: {error}"))?;
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    if bytes.trim_ascii().is_empty() {
        return match source {
            Source::Stdin { is_asked: false } => Ok(None),
            _ => Err(format!(
                "{name} is no JSON: it is empty; null is the JSON that says nothing"
            )),
        };
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| format!("{name} is no JSON: byte {} is not UTF-8", error.valid_up_to() + 1))?;
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) => Err(format!(
            "{name} is no JSON: {error}{}{}",
            excerpt(text, &error),
            hint(source, text)
        )),
    }
}

fn bounded(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        let text = format!("it is larger than {BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

/// The text just before a mistake, and the mistake.
fn excerpt(text: &str, error: &serde_json::Error) -> String {
    let Some(line) = text.lines().nth(error.line().saturating_sub(1)) else {
        return String::new();
    };
    // Columns count bytes.
    let mut upto = error.column().min(line.len());
    while !line.is_char_boundary(upto) {
        upto += 1;
    }
    let before = &line[..upto];
    let skipped = before.chars().count().saturating_sub(EXCERPT_CHARS);
    let near: String = before
        .chars()
        .skip(skipped)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match near.trim() {
        "" => String::new(),
        near => format!(", at the end of `{near}`"),
    }
}

/// What was likely meant.
fn hint(source: &Source, text: &str) -> &'static str {
    let Source::Argument(_) = source else { return "" };
    if text.len() < 256 && Path::new(text).is_file() {
        return "; there is a file of this name: put @ before it";
    }
    if text.starts_with('\'') || text.contains("{'") || text.contains(":'") {
        return "; JSON has double quotes, and single quotes around the whole are for the shell";
    }
    let has_quotes = text.contains('"');
    if !has_quotes && text.chars().any(char::is_alphabetic) {
        return "; it has no double quotes: put single quotes around the whole, or the shell takes them";
    }
    ""
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn argument(text: &str) -> Result<Option<Vec<u8>>, String> {
        read_blocking(&choose(Some(text.to_owned()), false)?)
    }

    #[test]
    fn json_comes_from_the_argument_or_a_file_as_it_is() {
        let text = r#"{ "b": 1.50, "a": [] }"#;
        assert_eq!(argument(text).expect("JSON").as_deref(), Some(text.as_bytes()));
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(BYTE_ORDER_MARK).expect("written");
        file.write_all(text.as_bytes()).expect("written");
        let path = format!("@{}", file.path().display());
        assert_eq!(argument(&path).expect("JSON").as_deref(), Some(text.as_bytes()));
    }

    #[test]
    fn json_that_is_left_out_is_looked_for_on_stdin_unless_somebody_sits_there() {
        assert_eq!(choose(None, false), Ok(Source::Stdin { is_asked: false }));
        let asked = Source::Stdin { is_asked: true };
        assert_eq!(choose(Some("-".to_owned()), true), Ok(asked));
        let problem = choose(None, true).expect_err("a terminal");
        assert!(problem.contains("@FILE") && problem.contains("null"), "{problem}");
    }

    #[test]
    fn what_is_no_json_or_not_there_is_refused_in_words() {
        let mut latin = tempfile::NamedTempFile::new().expect("a file");
        latin.write_all(b"{\"name\":\"Zo\xeb\"}").expect("written");
        let mut broken = tempfile::NamedTempFile::new().expect("a file");
        broken.write_all(b"{\n  \"name\": Ada\n}").expect("written");
        let at = |file: &tempfile::NamedTempFile| file.path().display().to_string();
        let table: &[(&str, &[&str])] = &[
            ("{\"a\":", &["the JSON argument is no JSON: EOF", "line 1 column 5"]),
            ("Ada", &["expected value at line 1 column 1", "single quotes"]),
            (
                "{'name':'Ada'}",
                &["line 1 column 2", "at the end of `{'`", "double quotes"],
            ),
            ("{name:Ada}", &["line 1 column 2", "the shell takes them"]),
            ("", &["it is empty", "null"]),
            ("{} {}", &["trailing characters", "column 4"]),
            ("[1,2", &["line 1 column 4"]),
            ("@/no/such/file", &["cannot read /no/such/file: "]),
            ("@/", &["cannot read /: "]),
            (&format!("@{}", at(&latin)), &[&at(&latin), "byte 12 is not UTF-8"]),
            (&format!("@{}", at(&broken)), &[&at(&broken), "line 2 column 11"]),
            (&at(&broken), &["put @ before it"]),
        ];
        for (text, expected) in table {
            let problem = argument(text).expect_err(text);
            for part in *expected {
                assert!(problem.contains(part), "{part:?} in {problem}");
            }
        }
    }
}
