//! The codecs: JSON for everybody, bincode for types that opt in.
//!
//! A decoding error names the field and what was expected there, because it is answered to whoever sent the bytes. An empty
//! body is JSON `null`. Which codec is used is announced by the content type, never guessed. A recursive type must not opt in to
//! the binary form: bincode bounds bytes, not depth.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::envelope::ContentType;
use crate::error::Error;
use crate::failure::{Executed, Failure};

/// The largest binary payload that is read or written, in bytes.
pub const BINARY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The longest path and the longest reason that an error repeats, in characters.
const TEXT_CHARS_MAX: usize = 256;

const fn layout() -> impl bincode::config::Config {
    bincode::config::legacy().with_limit::<BINARY_BYTES_MAX>()
}

/// Bytes that are not a value of the type that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeError {
    /// Where in the value, for example `items[2].price`; `.` is the value itself.
    pub path: String,
    /// What was expected there and what was found.
    pub reason: String,
}

impl DecodeError {
    fn new(path: &str, reason: &str) -> Self {
        let bounded = |text: &str| text.chars().take(TEXT_CHARS_MAX).collect();
        // serde tells of a missing field at its parent; who has to mend it looks for the field.
        let missing = reason
            .strip_prefix("missing field `")
            .and_then(|rest| rest.split('`').next());
        match missing {
            Some(name) if path == "." => Self {
                path: bounded(name),
                reason: "is missing".to_owned(),
            },
            Some(name) => Self {
                path: bounded(&format!("{path}.{name}")),
                reason: "is missing".to_owned(),
            },
            None => Self {
                path: bounded(path),
                reason: bounded(reason),
            },
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "." => write!(f, "cannot decode the value: {}", self.reason),
            path => write!(f, "cannot decode the field `{path}`: {}", self.reason),
        }
    }
}

impl std::error::Error for DecodeError {}

/// What the sender of the bytes is told: `invalid`, not executed, the field in the details as a broken rule's is.
impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        let failure = Self::invalid(error.to_string()).with_executed(Executed::No);
        if error.path == "." {
            return failure;
        }
        failure.with_details(serde_json::json!({ "fields": [{ "field": error.path, "problem": error.reason }] }))
    }
}

/// Encodes a value as JSON.
///
/// # Errors
///
/// `Rejected` if JSON cannot hold the value, for example a map whose keys are no strings.
pub fn encode_json<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, Error> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| Error::rejected("cannot encode a value as JSON").with_source(error))
}

/// Decodes JSON; an empty body is `null`. The depth is bounded at 128.
///
/// # Errors
///
/// The bytes are not JSON, or not of this type.
pub fn decode_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let body = if bytes.is_empty() { b"null" } else { bytes };
    // Keeping the path costs half as much again, and nearly everybody sends what can be read.
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let inner = error.inner();
        // What is no JSON at all is nobody's field.
        let is_json = !(inner.is_syntax() || inner.is_eof());
        let path = if is_json {
            error.path().to_string()
        } else {
            ".".to_owned()
        };
        DecodeError::new(&path, &inner.to_string())
    })?;
    deserializer
        .end()
        .map_err(|error| DecodeError::new(".", &error.to_string()))?;
    Ok(value)
}

/// Encodes a value of a type that opted in to the binary form.
///
/// # Errors
///
/// `Rejected` if bincode cannot hold the value or it is larger than [`BINARY_BYTES_MAX`].
pub fn encode_binary<T: Serialize>(value: &T) -> Result<Bytes, Error> {
    let bytes = bincode::serde::encode_to_vec(value, layout())
        .map_err(|error| Error::rejected("cannot encode a value as bincode").with_source(error))?;
    if bytes.len() > BINARY_BYTES_MAX {
        return Err(Error::rejected("cannot encode a value as bincode: it is too large").with("bytes", bytes.len()));
    }
    Ok(bytes.into())
}

/// Decodes a value of a type that opted in to the binary form. Allocates no more than a small multiple of the limit.
///
/// # Errors
///
/// The bytes are not one whole value of this type, or more than [`BINARY_BYTES_MAX`].
pub fn decode_binary<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() > BINARY_BYTES_MAX {
        return Err(DecodeError::new(".", "the value is too large"));
    }
    let (value, read) = bincode::serde::decode_from_slice(bytes, layout())
        .map_err(|error| DecodeError::new(".", &error.to_string()))?;
    if read != bytes.len() {
        return Err(DecodeError::new(".", "bytes follow the value"));
    }
    Ok(value)
}

/// Decodes a payload as its content type says.
///
/// # Errors
///
/// As the codec's own, and for a content type that we carry but do not read.
pub fn decode<T: DeserializeOwned>(content_type: &ContentType, bytes: &[u8]) -> Result<T, DecodeError> {
    match content_type {
        ContentType::Json => decode_json(bytes),
        ContentType::Binary => decode_binary(bytes),
        ContentType::Other(name) => Err(DecodeError::new(".", &format!("content type {name} is not known"))),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Item {
        price: f64,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Order {
        items: Vec<Item>,
    }

    #[test]
    fn a_decoding_error_names_the_field_and_what_was_expected() {
        let error = decode_json::<Order>(br#"{"items":[{"price":1},{"price":"two"}]}"#).expect_err("a string");
        assert_eq!(error.path, "items[1].price");
        assert!(error.reason.contains("expected f64"), "{error}");
        let failure = Failure::from(error);
        assert_eq!((failure.code, failure.executed), (crate::Code::Invalid, Executed::No));
        let details = failure.details.expect("the field");
        assert_eq!(details["fields"][0]["field"], "items[1].price");
    }

    #[test]
    fn a_missing_field_is_named_where_it_is_missing() {
        let table = [(r#"{"items":[{}]}"#, "items[0].price"), ("{}", "items")];
        for (json, path) in table {
            let error = decode_json::<Order>(json.as_bytes()).expect_err("something is missing");
            assert_eq!((error.path.as_str(), error.reason.as_str()), (path, "is missing"));
        }
        let error = decode_json::<Order>(b"7").expect_err("a number");
        assert!(
            error.to_string().starts_with("cannot decode the value: invalid type"),
            "{error}"
        );
        assert_eq!(Failure::from(error).details, None);
        let error = decode_json::<Order>(br#"{"items":[{"price""#).expect_err("no JSON");
        assert!(error.to_string().starts_with("cannot decode the value: EOF"), "{error}");
    }

    #[test]
    fn an_empty_body_is_null() {
        assert_eq!(decode_json::<Option<u8>>(b""), Ok(None));
        assert_eq!(decode_json::<()>(b""), Ok(()));
        assert!(decode_json::<Order>(b"").is_err());
    }

    #[test]
    fn bytes_after_the_value_are_refused() {
        assert!(decode_json::<u8>(b"1 2").is_err());
        assert!(decode_binary::<u8>(&[1, 2]).is_err());
    }

    #[test]
    fn both_codecs_round_trip() {
        let order = Order {
            items: vec![Item { price: 1.5 }],
        };
        for (content_type, bytes) in [
            (ContentType::Json, encode_json(&order).expect("encodes")),
            (ContentType::Binary, encode_binary(&order).expect("encodes")),
        ] {
            assert_eq!(decode::<Order>(&content_type, &bytes).as_ref(), Ok(&order));
        }
        assert!(decode::<Order>(&ContentType::Other("text/plain".into()), b"{}").is_err());
    }

    #[test]
    fn a_length_that_lies_is_refused_within_the_limit() {
        for length in [u64::MAX, 1 << 40, 17 * 1024 * 1024] {
            assert!(decode_binary::<String>(&length.to_le_bytes()).is_err());
            assert!(decode_binary::<Vec<u64>>(&length.to_le_bytes()).is_err());
        }
    }
}
