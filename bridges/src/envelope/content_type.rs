//! The content type: what says how a payload is encoded. It is announced, never guessed.

use std::fmt;
use std::sync::Arc;

/// What a message without content type has.
pub const JSON_CONTENT_TYPE: &str = "application/json";
/// Our binary payload, for types that opt in.
pub const BINARY_CONTENT_TYPE: &str = "application/vnd.roadshow.bincode;v=1";
/// The longest content type that is kept, in bytes.
pub(super) const CONTENT_TYPE_LEN_MAX: usize = 256;

/// How a payload is encoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ContentType {
    /// JSON, also when no content type is given.
    #[default]
    Json,
    /// Our binary form, see [`BINARY_CONTENT_TYPE`].
    Binary,
    /// Something that we carry and do not read.
    Other(Arc<str>),
}

impl ContentType {
    /// Reads a header's value. `None` if it is too long or not visible ASCII with spaces.
    ///
    /// `application/json`, `text/json` and any `+json` are JSON, whatever their parameters, but not
    /// `application/cloudevents+json`: that is an event inside JSON, and the payload is somewhere in it.
    pub fn parse(text: &str) -> Option<Self> {
        let clean = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if !clean || text.len() > CONTENT_TYPE_LEN_MAX {
            return None;
        }
        let compact: String = text
            .chars()
            .filter(|c| *c != ' ')
            .collect::<String>()
            .to_ascii_lowercase();
        if compact.is_empty() {
            return Some(Self::Json);
        }
        if compact == BINARY_CONTENT_TYPE {
            return Some(Self::Binary);
        }
        let essence = compact.split(';').next().unwrap_or_default();
        let json = matches!(essence, "application/json" | "text/json") || essence.ends_with("+json");
        if json && !essence.starts_with("application/cloudevents") {
            return Some(Self::Json);
        }
        Some(Self::Other(text.into()))
    }

    /// The header's value.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Json => JSON_CONTENT_TYPE,
            Self::Binary => BINARY_CONTENT_TYPE,
            Self::Other(text) => text,
        }
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_recognised() {
        let other = |text: &str| Some(ContentType::Other(text.into()));
        let table = [
            ("", Some(ContentType::Json)),
            ("application/json", Some(ContentType::Json)),
            ("Application/JSON; charset=utf-8", Some(ContentType::Json)),
            ("application/vnd.shop.order+json", Some(ContentType::Json)),
            ("application/vnd.roadshow.bincode; v=1", Some(ContentType::Binary)),
            (
                "application/vnd.roadshow.bincode; v=2",
                other("application/vnd.roadshow.bincode; v=2"),
            ),
            ("application/cloudevents+json", other("application/cloudevents+json")),
            ("text/plain", other("text/plain")),
            ("text/plain\r\nx: y", None),
        ];
        for (text, expected) in table {
            assert_eq!(ContentType::parse(text), expected, "{text:?}");
        }
    }
}
