//! Texts of the protocol: a short one has at most 255 bytes, and lapin panics at a longer one, so each is checked here.

use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use roadshow_bridges::Error;

/// The longest name and routing key, in bytes.
pub(crate) const SHORT_LEN_MAX: usize = 255;

/// A short text of the protocol.
///
/// # Errors
///
/// `Rejected` if it is longer than 255 bytes.
pub(crate) fn short(what: &'static str, text: &str) -> Result<ShortString, Error> {
    ShortString::try_new(text).map_err(|_| {
        Error::rejected("cannot use a name on RabbitMQ: it is too long")
            .with("what", what)
            .with("bytes", text.len())
            .with("limit", SHORT_LEN_MAX)
    })
}

/// A short text that is known to be short.
pub(crate) fn fixed(text: &'static str) -> ShortString {
    ShortString::from(text)
}

/// A text as a value of a table.
pub(crate) fn long(text: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text.as_bytes()))
}

/// A table of arguments or headers; a name that is too long is left out.
pub(crate) fn table<'a>(entries: impl IntoIterator<Item = (&'a str, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        if let Ok(name) = ShortString::try_new(name) {
            table.insert(name, value);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_beyond_the_limit_is_refused_with_the_limit() {
        assert!(short("a queue", &"q".repeat(255)).is_ok());
        let error = short("a queue", &"q".repeat(256)).expect_err("too long");
        assert!(error.to_string().contains("limit: 255"), "{error}");
    }
}
