//! The failure: a "no" that goes back to the caller, over the wire if need be.
//!
//! Nine codes and no more: a caller decides by code, a person reads the message, a program may read the details. What
//! happened inside a process is an [`Error`](crate::Error); its text does not cross over.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What kind of "no" a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// The input breaks a rule: correct it.
    Invalid,
    /// The caller did not say who it is: authenticate.
    Unauthenticated,
    /// The caller may not do this: do not repeat it.
    Forbidden,
    /// What the input names does not exist.
    NotFound,
    /// The state does not allow it now: read it again, then decide.
    Conflict,
    /// A limit was reached: slow down, then repeat.
    Exhausted,
    /// No answer came in time: look before you repeat, unless `executed` is no.
    Timeout,
    /// Nobody can do it at the moment: repeat later.
    Unavailable,
    /// The service is broken: tell its owner.
    Internal,
}

impl Code {
    /// Every code, in the order of the wire page.
    pub const ALL: [Self; 9] = [
        Self::Invalid,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::Exhausted,
        Self::Timeout,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Exhausted => "exhausted",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// Whether the same message may succeed later without a change.
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::Exhausted | Self::Timeout | Self::Unavailable => true,
            Self::Invalid
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::NotFound
            | Self::Conflict
            | Self::Internal => false,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names none of the nine codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a failure code is one of invalid, unauthenticated, forbidden, not_found, conflict, exhausted, timeout, unavailable, internal"
)]
#[non_exhaustive]
pub struct UnknownCode;

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL
            .into_iter()
            .find(|code| code.as_str() == text)
            .ok_or(UnknownCode)
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether the work that was asked for may have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Executed {
    /// It did not start: repeating it is safe.
    No,
    /// The handler ran and answered.
    Yes,
    /// Nobody can tell: repeat only with an idempotency key.
    Unknown,
}

impl Executed {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Yes => "yes",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Executed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A "no" that goes back to the caller.
///
/// ```
/// use roadshow_bridges::{Code, Failure};
///
/// let failure = Failure::not_found("no user with this id").with_details([("id", 7)]);
/// assert_eq!(failure.code, Code::NotFound);
/// assert_eq!(
///     serde_json::to_string(&failure)?,
///     r#"{"code":"not_found","message":"no user with this id","details":[["id",7]],"executed":"yes"}"#,
/// );
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "WireFailure")]
#[non_exhaustive]
pub struct Failure {
    /// What kind of "no" this is.
    pub code: Code,
    /// One sentence for a person; it leaves the node, so it holds nothing internal.
    pub message: Cow<'static, str>,
    /// What a program may need to know, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<serde_json::Value>>,
    /// Whether the work may have happened. The runtime stamps it; see the constructors for what they assume.
    pub executed: Executed,
}

/// What we accept: a failure of a later version, or of a foreign service, that lacks fields or knows other words.
#[derive(Deserialize)]
struct WireFailure {
    #[serde(default)]
    code: Cow<'static, str>,
    #[serde(default)]
    message: Cow<'static, str>,
    #[serde(default)]
    details: Option<Box<serde_json::Value>>,
    #[serde(default)]
    executed: Cow<'static, str>,
}

impl From<WireFailure> for Failure {
    fn from(wire: WireFailure) -> Self {
        let code = wire.code.parse().unwrap_or(Code::Internal);
        let executed = match &*wire.executed {
            "no" => Executed::No,
            "yes" => Executed::Yes,
            _ => Executed::Unknown,
        };
        Self {
            code,
            message: wire.message,
            details: wire.details,
            executed,
        }
    }
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $code:ident, $executed:ident;)*) => {
        $(
            $(#[$doc])*
            #[doc = concat!("`executed` is [`Executed::", stringify!($executed), "`].")]
            pub fn $name(message: impl Into<Cow<'static, str>>) -> Self {
                Self { code: Code::$code, message: message.into(), details: None, executed: Executed::$executed }
            }
        )*
    };
}

impl Failure {
    /// A failure with this code, and `executed` as the constructor of that code assumes it.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        match code {
            Code::Invalid => Self::invalid(message),
            Code::Unauthenticated => Self::unauthenticated(message),
            Code::Forbidden => Self::forbidden(message),
            Code::NotFound => Self::not_found(message),
            Code::Conflict => Self::conflict(message),
            Code::Exhausted => Self::exhausted(message),
            Code::Timeout => Self::timeout(message),
            Code::Unavailable => Self::unavailable(message),
            Code::Internal => Self::internal(message),
        }
    }

    constructors! {
        /// The input breaks a rule.
        invalid => Invalid, Yes;
        /// The caller did not say who it is.
        unauthenticated => Unauthenticated, Yes;
        /// The caller may not do this.
        forbidden => Forbidden, Yes;
        /// What the input names does not exist.
        not_found => NotFound, Yes;
        /// The state does not allow it now.
        conflict => Conflict, Yes;
        /// A limit was reached.
        exhausted => Exhausted, No;
        /// No answer came in time.
        timeout => Timeout, Unknown;
        /// Nobody can do it at the moment.
        unavailable => Unavailable, No;
        /// The service is broken.
        internal => Internal, Unknown;
    }

    /// Adds what a program may need to know. A value that JSON cannot hold is left out.
    #[must_use]
    pub fn with_details(mut self, details: impl Serialize) -> Self {
        self.details = serde_json::to_value(details).ok().map(Box::new);
        self
    }

    /// Says whether the work may have happened.
    #[must_use]
    pub fn with_executed(mut self, executed: Executed) -> Self {
        self.executed = executed;
        self
    }

    /// Whether the runtime may repeat the message by itself: it did not run, and may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.executed == Executed::No && self.code.is_retryable()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_its_text() {
        for code in Code::ALL {
            assert_eq!(code.as_str().parse(), Ok(code));
            assert_eq!(Failure::new(code, "x").code, code);
        }
        assert_eq!("gone".parse::<Code>(), Err(UnknownCode));
    }

    #[test]
    fn only_what_did_not_run_is_repeated() {
        let table = [
            (Failure::exhausted("full"), true),
            (Failure::unavailable("draining"), true),
            (Failure::timeout("no answer"), false),
            (
                Failure::timeout("expired in the queue").with_executed(Executed::No),
                true,
            ),
            (
                Failure::unavailable("node lost").with_executed(Executed::Unknown),
                false,
            ),
            (Failure::invalid("no name").with_executed(Executed::No), false),
            (Failure::internal("panicked"), false),
        ];
        for (failure, expected) in table {
            assert_eq!(failure.is_retryable(), expected, "{failure}");
        }
    }

    #[test]
    fn a_failure_survives_the_wire() {
        let failure = Failure::conflict("taken").with_details("x").with_executed(Executed::No);
        let text = serde_json::to_string(&failure).expect("serialises");
        assert_eq!(serde_json::from_str::<Failure>(&text).expect("parses"), failure);
    }

    #[test]
    fn a_strangers_failure_is_read_as_far_as_it_goes() {
        let read = |text| serde_json::from_str::<Failure>(text).expect("an object");
        assert_eq!(read("{}"), Failure::internal(""));
        let later = read(r#"{"code":"teapot","message":"no","executed":"perhaps","more":1}"#);
        assert_eq!(later, Failure::internal("no"));
    }
}
