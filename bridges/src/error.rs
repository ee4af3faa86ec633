//! The error of a bridge: this process could not do what was asked of it.
//!
//! The kind tells the caller what to do, nothing else; everything that helps a person is in the message, the context and
//! the source. An error stays in its process: as a [`Failure`] it keeps its kind and loses its text.

use std::borrow::Cow;
use std::fmt;

use crate::failure::Failure;

/// What the caller should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The settings are wrong: correct them.
    Config,
    /// The bridge cannot do this: choose another bridge, or ask for less.
    Unsupported,
    /// The other side cannot be reached: retry; the runtime does. Nothing was sent.
    Unavailable,
    /// A bound was reached: slow down, then retry. Nothing was sent.
    Exhausted,
    /// The message cannot be sent or read as it is (too large, malformed, not allowed): do not retry.
    Rejected,
    /// The bridge was closed: stop.
    Closed,
}

impl ErrorKind {
    /// The kind as one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Unsupported => "unsupported",
            Self::Unavailable => "unavailable",
            Self::Exhausted => "exhausted",
            Self::Rejected => "rejected",
            Self::Closed => "closed",
        }
    }

    /// Whether the same act may succeed later without a change.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::Exhausted)
    }
}

/// This process could not do what was asked of it.
///
/// The message says what was tried on what; context adds named values, the source adds the cause.
pub struct Error(Box<Parts>);

struct Parts {
    kind: ErrorKind,
    message: Cow<'static, str>,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this kind; `message` is lowercase, without full stop, and says what was tried on what.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts {
            kind,
            message: message.into(),
            context: Vec::new(),
            source: None,
        }))
    }

    /// The settings are wrong.
    pub fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// The bridge cannot do this.
    pub fn unsupported(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// The other side cannot be reached; nothing was sent.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// A bound was reached; nothing was sent.
    pub fn exhausted(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Exhausted, message)
    }

    /// The message cannot be sent or read as it is.
    pub fn rejected(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Rejected, message)
    }

    /// The bridge was closed.
    pub fn closed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Closed, message)
    }

    /// Adds a named value. Never a secret: it is logged.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((name, value.to_string()));
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was tried on what.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The named values, in the order in which they were added.
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (at, (name, value)) in self.0.context.iter().enumerate() {
            let separator = if at == 0 { " (" } else { ", " };
            write!(f, "{separator}{name}: {value}")?;
        }
        if self.0.context.is_empty() {
            Ok(())
        } else {
            f.write_str(")")
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} error: {self}", self.0.kind.as_str())?;
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            write!(f, ", because {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// Makes `?` work in a handler. The error's text stays in the process; only what the kind says crosses over.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Config => Self::internal("a bridge is not set up as it must be"),
            ErrorKind::Unsupported => Self::internal("the bridge cannot do this"),
            ErrorKind::Unavailable => Self::unavailable("the message could not be sent"),
            ErrorKind::Exhausted => Self::exhausted("a bound of the bridge was reached"),
            ErrorKind::Rejected => Self::invalid("the bridge refused the message").with_executed(crate::Executed::No),
            ErrorKind::Closed => Self::unavailable("the bridge was closed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, Executed};

    #[test]
    fn an_error_reads_as_one_line() {
        let error = Error::unavailable("cannot publish to roadshow.evt.a")
            .with("host", "b1")
            .with("port", 4222);
        assert_eq!(
            error.to_string(),
            "cannot publish to roadshow.evt.a (host: b1, port: 4222)"
        );
        let caused = error.with_source(std::io::Error::other("refused"));
        assert_eq!(
            format!("{caused:?}"),
            "unavailable error: cannot publish to roadshow.evt.a (host: b1, port: 4222), because refused"
        );
    }

    #[test]
    fn a_failure_keeps_the_kind_and_loses_the_text() {
        let failure = Failure::from(Error::exhausted("cannot publish to secret.place"));
        assert_eq!((failure.code, failure.executed), (Code::Exhausted, Executed::No));
        assert!(!failure.message.contains("secret"));
    }
}
