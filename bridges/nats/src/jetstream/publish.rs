//! Publishing events: each is confirmed by the server, at most so many at the same time.

use std::time::Duration;

use async_nats::message::OutboundMessage;
use roadshow_bridges::{Envelope, Error, Published};
use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::api::{Api, ApiError, Refusal};
use crate::link::Link;

/// How many events wait for their confirmation at the same time; more wait here.
const IN_FLIGHT: usize = 256;
/// How long a confirmation is waited for at most.
const LONGEST: Duration = Duration::from_secs(5);

/// The server's error for a stream that is full, and for a server without room.
const STORE_FAILED: u32 = 10077;
const NO_RESOURCES: u32 = 10023;
/// The server's error for a message that is larger than the stream takes.
const MESSAGE_TOO_LARGE: u32 = 10054;

/// The server's answer to a published event.
#[derive(Debug, Deserialize)]
struct PubAck {
    #[serde(default)]
    error: Option<Refusal>,
    #[serde(default)]
    stream: String,
    #[serde(default)]
    seq: u64,
}

/// What an answer to a published message says.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It is stored.
    Stored,
    /// The server said no.
    Refused(Refusal),
    /// It is no word of our stream: whoever hears the subject can answer too, before the server or instead of it.
    Unclear,
}

impl Answer {
    /// Reads an answer to a message that the stream of this name is to store.
    pub(crate) fn read(payload: &[u8], stream: &str) -> Self {
        match serde_json::from_slice::<PubAck>(payload) {
            Ok(PubAck {
                error: Some(refusal), ..
            }) if refusal.code > 0 => Self::Refused(refusal),
            Ok(ack) if ack.stream == stream && ack.seq > 0 => Self::Stored,
            _ => Self::Unclear,
        }
    }

    /// For whoever must know that it is stored.
    pub(crate) fn stored(self, what: &'static str) -> Result<(), Error> {
        match self {
            Self::Stored => Ok(()),
            Self::Refused(refusal) => Err(ApiError::Refused(refusal).explain(what)),
            Self::Unclear => Err(Error::unavailable(what).with("because", "the answer is not a confirmation")),
        }
    }
}

/// Who may wait for a confirmation.
#[derive(Debug)]
pub(crate) struct Publishes(Semaphore);

impl Publishes {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(IN_FLIGHT))
    }

    /// Publishes a message and waits until it is stored, as long as the connection lives.
    pub(crate) async fn publish(
        &self,
        api: &Api,
        link: &Link,
        message: OutboundMessage,
        envelope: &Envelope,
        stream: &str,
    ) -> Result<Published, Error> {
        let deadline = Instant::now() + envelope.identity.budget.unwrap_or(LONGEST).min(LONGEST);
        let _permit = match self.0.try_acquire() {
            Ok(permit) => permit,
            Err(_) => self.permit(link, deadline).await?,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        match api.store(message, left).await {
            Ok(answer) => match Answer::read(&answer.payload, stream) {
                Answer::Stored => Ok(Published::Accepted),
                Answer::Refused(refusal) => Err(refused(envelope, &refusal)),
                Answer::Unclear => Ok(Published::Indeterminate),
            },
            Err(ApiError::Silent) => Ok(Published::Indeterminate),
            Err(error) => Err(error.explain("cannot publish an event")),
        }
    }

    /// Waits for a permit, and then for the connection: it may have gone meanwhile, and what is sent now would outlive it in
    /// the client.
    async fn permit(&self, link: &Link, deadline: Instant) -> Result<SemaphorePermit<'_>, Error> {
        let Ok(permit) = timeout_at(deadline, self.0.acquire()).await else {
            return Err(
                Error::exhausted("cannot publish: too many events wait for the server").with("waiting", IN_FLIGHT)
            );
        };
        let permit = permit.map_err(|_| Error::closed("cannot publish: the bridge was closed"))?;
        let left = deadline.saturating_duration_since(Instant::now());
        link.presence.ready(Some(left)).await?;
        Ok(permit)
    }
}

fn refused(envelope: &Envelope, refusal: &Refusal) -> Error {
    let what = format!("cannot publish to {}: the stream does not take it", envelope.subject);
    let error = match refusal.err_code {
        STORE_FAILED | NO_RESOURCES => Error::exhausted(what),
        MESSAGE_TOO_LARGE => Error::rejected(what),
        _ => Error::unavailable(what),
    };
    error.with("server", &refusal.description)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confirmation_and_a_refusal_are_told_apart() {
        let stored = br#"{"stream":"s","seq":7,"duplicate":true,"domain":"x"}"#;
        assert!(matches!(Answer::read(stored, "s"), Answer::Stored));
        let full =
            br#"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"s","seq":0}"#;
        let Answer::Refused(refusal) = Answer::read(full, "s") else {
            panic!("it is full")
        };
        assert_eq!((refusal.code, refusal.err_code), (503, STORE_FAILED));
    }

    #[test]
    fn what_our_stream_does_not_say_is_no_confirmation() {
        for answer in [
            "hello",
            "{}",
            r#"{"ok":true}"#,
            r#"{"error":{}}"#,
            r#"{"error":"no"}"#,
            r#"{"stream":"s"}"#,
            r#"{"stream":"s","seq":0}"#,
            r#"{"stream":"other","seq":7}"#,
            r#"{"seq":7}"#,
            "[]",
            "",
        ] {
            let read = Answer::read(answer.as_bytes(), "s");
            assert!(matches!(read, Answer::Unclear), "{answer}");
            assert!(read.stored("cannot write").is_err());
        }
    }
}
