//! The envelope: one message with everything that a bridge needs to move it.
//!
//! A bridge reads `subject`, `kind` and the payload's bytes and carries the rest unread. Three forms exist: this struct, the
//! headers of a broker's message ([`Envelope::to_headers`], [`Envelope::from_headers`]), and one binary block for links
//! ([`Envelope::encode_binary`], [`Envelope::decode_binary`]). `docs/WIRE.md` has the texts.

mod binary;
mod content_type;
mod foreign;
pub mod header;
mod payload;
mod percent;
mod read;
mod write;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use binary::{ENVELOPE_BYTES_MAX, FORMAT_VERSION};
pub use content_type::{BINARY_CONTENT_TYPE, ContentType, JSON_CONTENT_TYPE};
pub use foreign::{FOREIGN_BYTES_MAX, FOREIGN_COUNT_MAX, ForeignHeaders};
pub use payload::{Payload, SharedValue};
pub use read::{Arrival, Received};

use crate::identity::Identity;
use crate::names::{EventNameBuf, Subject};

/// The longest transport correlation that is echoed, in bytes.
pub const TRANSPORT_CORRELATION_LEN_MAX: usize = 512;

/// The oldest `rs-sent` that is believed.
const SENT_AGE_MAX: Duration = Duration::from_secs(3600);

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Asks one instance of a service to do something.
    Command,
    /// Tells every subscription that something happened.
    Event,
    /// Answers a command with its result.
    Reply,
    /// Answers a command with a "no".
    Failure,
    /// Says that a stream was opened.
    Accept,
    /// Says that the caller gave up.
    Cancel,
    /// Asks for a stream.
    Open,
    /// Carries one item of a stream.
    Frame,
    /// Allows a stream to send more.
    Credit,
    /// Says that a quiet stream lives.
    Heartbeat,
    /// Ends a stream.
    End,
    /// Carries a batch from node to node.
    Link,
}

impl Kind {
    /// Every kind; its place is its number in the binary form.
    pub const ALL: [Self; 12] = [
        Self::Command,
        Self::Event,
        Self::Reply,
        Self::Failure,
        Self::Accept,
        Self::Cancel,
        Self::Open,
        Self::Frame,
        Self::Credit,
        Self::Heartbeat,
        Self::End,
        Self::Link,
    ];

    /// The kind in the header `rs-type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Event => "event",
            Self::Reply => "reply",
            Self::Failure => "failure",
            Self::Accept => "accept",
            Self::Cancel => "cancel",
            Self::Open => "open",
            Self::Frame => "frame",
            Self::Credit => "credit",
            Self::Heartbeat => "heartbeat",
            Self::End => "end",
            Self::Link => "link",
        }
    }

    /// Whether a sender wants to hear that nobody listens; an event may have no subscriber.
    pub const fn needs_subscriber(self) -> bool {
        !matches!(self, Self::Event)
    }

    const fn number(self) -> u8 {
        self as u8
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text names no kind of message")]
#[non_exhaustive]
pub struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(UnknownKind)
    }
}

/// One message with everything that a bridge needs to move it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Envelope {
    /// What the message is for.
    pub kind: Kind,
    /// Where it is published.
    pub subject: Subject,
    /// Which message it is and on whose behalf it travels.
    pub identity: Identity,
    /// Who sent it, for people: a service or a node.
    pub from: Option<Arc<str>>,
    /// Where the sender waits for an answer. From outside it is any text: ask the exchange's policy before using it.
    pub reply_to: Option<Subject>,
    /// The transport's own correlation, echoed verbatim in the answer; at most [`TRANSPORT_CORRELATION_LEN_MAX`] bytes.
    pub transport_correlation: Option<Bytes>,
    /// How the payload is encoded.
    pub content_type: ContentType,
    /// The fingerprint of the payload's schema; binary payloads have one.
    pub schema: Option<u64>,
    /// The name of the event, if it is one.
    pub event: Option<EventNameBuf>,
    /// The place of a frame in its stream, or the number of frames that a credit allows; 0 elsewhere.
    pub sequence: u64,
    /// When it was sent, in milliseconds of Unix time by the sender's clock; see [`Envelope::believed_age`].
    pub sent_ms: Option<u64>,
    /// What is said.
    pub payload: Payload,
    /// Headers that are none of ours, bounded.
    pub headers: ForeignHeaders,
}

impl Envelope {
    /// An envelope without optional parts, payload in JSON.
    pub fn new(kind: Kind, subject: Subject, identity: Identity, payload: impl Into<Payload>) -> Self {
        Self {
            kind,
            subject,
            identity,
            from: None,
            reply_to: None,
            transport_correlation: None,
            content_type: ContentType::Json,
            schema: None,
            event: None,
            sequence: 0,
            sent_ms: None,
            payload: payload.into(),
            headers: ForeignHeaders::default(),
        }
    }

    /// An event, with the name that CloudEvents consumers read.
    pub fn event(subject: Subject, name: EventNameBuf, identity: Identity, payload: impl Into<Payload>) -> Self {
        Self {
            event: Some(name),
            ..Self::new(Kind::Event, subject, identity, payload)
        }
    }

    /// How old the message is by its `rs-sent`, for transports that do not say it themselves.
    ///
    /// Wall clocks differ: an age below zero or above one hour is not believed.
    pub fn believed_age(&self, now_ms: u64) -> Option<Duration> {
        let age = Duration::from_millis(now_ms.checked_sub(self.sent_ms?)?);
        (age <= SENT_AGE_MAX).then_some(age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MessageId, Namespace};

    #[test]
    fn every_kind_survives_its_text_and_number() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(Kind::from_number(kind.number()), Some(kind));
        }
        assert_eq!(Kind::from_number(12), None);
    }

    #[test]
    fn only_a_plausible_age_is_believed() {
        let subject = Namespace::default().members_subject();
        let mut envelope = Envelope::new(
            Kind::Link,
            subject,
            Identity::root(MessageId::from_u128(1)),
            Bytes::new(),
        );
        assert_eq!(envelope.believed_age(5_000), None);
        envelope.sent_ms = Some(10_000);
        let table = [
            (9_999, None),
            (10_000, Some(0)),
            (3_610_000, Some(3_600_000)),
            (3_610_001, None),
        ];
        for (now, age) in table {
            assert_eq!(envelope.believed_age(now), age.map(Duration::from_millis), "{now}");
        }
    }
}
