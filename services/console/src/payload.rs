//! The JSON argument of a command: in place, from stdin (`-`) or from a file (`@file`).
//!
//! It is checked before anything is sent, and sent as it was written: numbers and the order of keys are the caller's.

use std::fs::File;
use std::io::{self, Read};

use serde::de::IgnoredAny;

/// The most that is read, in bytes: the largest payload that a node can be set to accept.
const BYTES_MAX: u64 = 256 << 20;

/// Reads and checks the argument.
///
/// # Errors
///
/// What cannot be read, is too large or is no JSON.
pub(crate) async fn read(argument: String) -> Result<Vec<u8>, String> {
    // Stdin may take as long as whoever types.
    tokio::task::spawn_blocking(move || read_blocking(&argument))
        .await
        .unwrap_or_else(|error| Err(format!("cannot read the payload: {error}")))
}

fn read_blocking(argument: &str) -> Result<Vec<u8>, String> {
    let (source, bytes) = match argument.strip_prefix('@') {
        None if argument == "-" => ("stdin".to_owned(), bounded(io::stdin().lock())),
        None => ("the JSON argument".to_owned(), Ok(argument.as_bytes().to_vec())),
        Some(path) => (path.to_owned(), File::open(path).and_then(bounded)),
    };
    let bytes = bytes.map_err(|error| format!("cannot read {source}: {error}"))?;
    match serde_json::from_slice::<IgnoredAny>(&bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(format!("{source} is no JSON: {error}")),
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn json_comes_from_the_argument_or_a_file_as_it_is() {
        let text = r#"{ "b": 1.50, "a": [] }"#;
        assert_eq!(read(text.to_owned()).await.expect("JSON"), text.as_bytes());
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        let argument = format!("@{}", file.path().display());
        assert_eq!(read(argument).await.expect("JSON"), text.as_bytes());
    }

    #[tokio::test]
    async fn what_is_no_json_or_not_there_is_refused_in_words() {
        let table = [
            ("{\"a\":", "the JSON argument is no JSON: EOF"),
            ("Ada", "the JSON argument is no JSON: expected value"),
            ("", "the JSON argument is no JSON: EOF"),
            ("{} {}", "trailing characters"),
            ("@/no/such/file", "cannot read /no/such/file: "),
        ];
        for (argument, expected) in table {
            let problem = read(argument.to_owned()).await.expect_err(argument);
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
