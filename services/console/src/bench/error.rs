//! Why something could not be measured.

use std::fmt;

/// What was tried, and what came in its way. Only printed, so it is a text.
#[derive(Debug)]
pub(super) struct Error {
    tried: &'static str,
    cause: Box<str>,
}

impl Error {
    /// `tried` failed because of `cause`.
    pub(super) fn new(tried: &'static str, cause: impl fmt::Display) -> Self {
        Error {
            tried,
            cause: cause.to_string().into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.tried, self.cause)
    }
}

impl std::error::Error for Error {}
