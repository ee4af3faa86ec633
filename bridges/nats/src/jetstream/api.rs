//! Questions to the server's JetStream: requests and answers in JSON, over the bridge's own inbox.
//!
//! Only what every server since 2.9 knows is asked. async-nats' own types are not used here: they follow the newest server,
//! and an answer of an old one that lacks a field is an error to them.

use std::sync::Arc;
use std::time::Duration;

use async_nats::client::traits::Publisher;
use async_nats::message::OutboundMessage;
use async_nats::{Client, HeaderMap, Message, StatusCode};
use bytes::Bytes;
use roadshow_bridges::Error;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::replies::{IsAnswer, Replies};

/// How long one question may take.
pub(crate) const LONGEST: Duration = Duration::from_secs(5);

/// How long an answer of a stream may be.
const ANSWER_BYTES_MAX: usize = 4096;

/// Asks a server's JetStream.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: Client,
    replies: Arc<Replies>,
}

/// Why a question has no good answer.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// The server said no.
    Refused(Refusal),
    /// No answer came in time, or as long as the connection lived: it may have been done.
    Silent,
    /// Nobody answers such questions here, now.
    Nobody,
    /// The question could not be sent.
    Unsent(Error),
}

/// The server's "no".
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Refusal {
    #[serde(default)]
    pub(crate) code: u32,
    #[serde(default)]
    pub(crate) err_code: u32,
    #[serde(default)]
    pub(crate) description: String,
}

impl ApiError {
    /// Whether the server said that it does not exist.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == 404)
    }

    /// As an error for people; what the server refuses has to be corrected.
    pub(crate) fn explain(self, what: &'static str) -> Error {
        match self {
            Self::Refused(refusal) if refusal.code == 503 => {
                Error::unavailable(what).with("server", refusal.description)
            }
            Self::Refused(refusal) => Error::config(what)
                .with("server", refusal.description)
                .with("code", refusal.err_code),
            Self::Silent => Error::unavailable(what).with("because", "JetStream does not answer"),
            Self::Nobody => Error::unavailable(what).with("because", "JetStream is not there"),
            Self::Unsent(error) => error,
        }
    }
}

impl Api {
    pub(crate) fn new(client: Client, replies: Arc<Replies>) -> Self {
        Self { client, replies }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn replies(&self) -> &Arc<Replies> {
        &self.replies
    }

    /// Sends one message with a reply address of ours and waits for the answer, whatever it says.
    async fn ask(&self, message: OutboundMessage, longest: Duration) -> Result<Message, ApiError> {
        self.ask_for(message, longest, |_| true).await
    }

    /// Sends one message that a stream is to store, and waits for the stream's answer. Whoever hears the subject can answer
    /// too, before the stream or instead of it: what says nothing about a stream is passed over.
    pub(crate) async fn store(&self, message: OutboundMessage, longest: Duration) -> Result<Message, ApiError> {
        self.ask_for(message, longest, is_of_a_stream).await
    }

    async fn ask_for(
        &self,
        mut message: OutboundMessage,
        longest: Duration,
        is_answer: IsAnswer,
    ) -> Result<Message, ApiError> {
        let deadline = Instant::now() + longest;
        let (reply, answer) = self.replies.expect_if(is_answer);
        message.reply = Some(reply.into());
        match timeout(longest, self.client.publish_message(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(ApiError::Unsent(crate::bridge::cannot_send(&error))),
            Err(_elapsed) => {
                let why = "cannot publish: the NATS server does not read what we send";
                return Err(ApiError::Unsent(Error::unavailable(why)));
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = answer.within(left).await.ok_or(ApiError::Silent)?;
        if answer.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(ApiError::Nobody);
        }
        Ok(answer)
    }

    /// As [`Api::ask`], with a subject and a payload.
    pub(crate) async fn ask_at(&self, subject: String, payload: Bytes) -> Result<Message, ApiError> {
        self.ask(outbound(subject, None, payload), LONGEST).await
    }

    /// Asks one question of the JetStream API.
    pub(crate) async fn call(&self, question: &str, body: &Value) -> Result<Value, ApiError> {
        let payload = if body.is_null() {
            Bytes::new()
        } else {
            Bytes::from(body.to_string())
        };
        let answer = self.ask_at(format!("$JS.API.{question}"), payload).await?;
        let mut value: Value = serde_json::from_slice(&answer.payload).map_err(|_| {
            ApiError::Refused(Refusal {
                description: "the answer is not JSON".to_owned(),
                ..Refusal::default()
            })
        })?;
        match value.get_mut("error").map(Value::take) {
            Some(error) => Err(ApiError::Refused(serde_json::from_value(error).unwrap_or_default())),
            None => Ok(value),
        }
    }
}

/// Whether a message may be a stream's answer: that nobody is there, or JSON that names a stream or
/// the number of an error.
fn is_of_a_stream(message: &Message) -> bool {
    let names = |name: &[u8]| message.payload.windows(name.len()).any(|part| part == name);
    message.status.is_some()
        || message.payload.len() <= ANSWER_BYTES_MAX && (names(b"\"stream\"") || names(b"\"err_code\""))
}

/// A message of our own making.
pub(crate) fn outbound(subject: String, headers: Option<HeaderMap>, payload: Bytes) -> OutboundMessage {
    OutboundMessage {
        subject: subject.into(),
        reply: None,
        payload,
        headers,
    }
}

/// A time as JetStream writes it.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
