//! Answers: from what came of a command to a message at its reply address, and what that says about the delivery.

use std::time::Duration;

use bytes::Bytes;
use roadshow_bridges::{Capability, Envelope, Error, ErrorKind, Executed, Failure, Identity, Kind, Published, Subject};

use super::sending::begin;
use crate::core::NodeCore;

/// How long an answer may take to be sent, an outage of the broker included.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long a delivery rests whose answer could not be sent.
pub(super) const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What a message back to the caller says.
#[derive(Debug)]
pub(super) enum Answer {
    /// The reply.
    Reply(Bytes),
    /// A "no".
    Failure(Failure),
    /// The command is at work.
    Accept,
    /// It still is.
    Heartbeat,
}

impl From<Result<Bytes, Failure>> for Answer {
    fn from(answer: Result<Bytes, Failure>) -> Self {
        match answer {
            Ok(reply) => Answer::Reply(reply),
            Err(failure) => Answer::Failure(failure),
        }
    }
}

/// What an answer's fate says about the delivery that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The caller has its answer, or nobody is there to have it.
    Done,
    /// It may not have arrived.
    Unsure,
}

/// Sends an answer to `reply_to`, which the policy has admitted.
///
/// # Cancel safety
/// Dropped midway it leaves open whether the answer was sent.
pub(super) async fn answer(node: &NodeCore, command: &Envelope, reply_to: &Subject, answer: Answer) -> Told {
    let Ok(bridge) = node.event_bridge() else {
        return Told::Unsure;
    };
    let envelope = {
        let (kind, payload) = encode(answer, &bridge.capability());
        envelope_of(node, command, reply_to, kind, payload)
    };
    judge(&begin(&*bridge, envelope).end_within(ANSWER_MAX).await)
}

fn envelope_of(node: &NodeCore, command: &Envelope, reply_to: &Subject, kind: Kind, payload: Bytes) -> Envelope {
    let mut identity = Identity::root(command.identity.id).with_budget(ANSWER_MAX);
    identity.correlation = command.identity.correlation;
    let mut envelope = Envelope::new(kind, reply_to.clone(), identity, payload);
    envelope
        .transport_correlation
        .clone_from(&command.transport_correlation);
    envelope.from = Some(node.sender());
    envelope
}

/// The answer in bytes; what the bridge cannot carry becomes a failure that it can.
fn encode(answer: Answer, capability: &Capability) -> (Kind, Bytes) {
    let limit = capability.payload_bytes_max.unwrap_or(usize::MAX);
    match answer {
        Answer::Reply(reply) if reply.len() > limit => {
            let sizes = serde_json::json!({ "bytes": reply.len(), "limit": limit });
            let failure = Failure::internal("reply too large")
                .with_executed(Executed::Yes)
                .with_details(sizes);
            (Kind::Failure, encode_failure(&failure, capability))
        }
        Answer::Reply(reply) => (Kind::Reply, reply),
        Answer::Failure(failure) => (Kind::Failure, encode_failure(&failure, capability)),
        Answer::Accept => (Kind::Accept, Bytes::new()),
        Answer::Heartbeat => (Kind::Heartbeat, Bytes::new()),
    }
}

/// A failure in bytes; what the bridge cannot carry of it is left out.
pub(super) fn encode_failure(failure: &Failure, capability: &Capability) -> Bytes {
    let encode = |failure: &Failure| -> Bytes {
        let encoded = serde_json::to_vec(failure);
        encoded.expect("a failure is text and JSON, and JSON holds both").into()
    };
    let encoded = encode(failure);
    if encoded.len() <= capability.payload_bytes_max.unwrap_or(usize::MAX) {
        return encoded;
    }
    encode(&Failure::new(failure.code, "failure too large").with_executed(failure.executed))
}

fn judge(published: &Result<Published, Error>) -> Told {
    match published {
        Ok(Published::Accepted | Published::Unroutable) => Told::Done,
        Ok(Published::Indeterminate) => Told::Unsure,
        Err(error) => match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Exhausted | ErrorKind::Closed => Told::Unsure,
            // Sending it again would end the same way.
            _ => Told::Done,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capability(limit: usize) -> Capability {
        let mut capability = Capability::none("test");
        capability.payload_bytes_max = Some(limit);
        capability
    }

    fn read(bytes: &Bytes) -> Failure {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn a_delivery_is_done_when_its_answer_has_arrived_or_never_can() {
        let table = [
            (Ok(Published::Accepted), Told::Done),
            (Ok(Published::Unroutable), Told::Done),
            (Ok(Published::Indeterminate), Told::Unsure),
            (Err(Error::unavailable("away")), Told::Unsure),
            (Err(Error::exhausted("full")), Told::Unsure),
            (Err(Error::closed("closed")), Told::Unsure),
            (Err(Error::rejected("not allowed")), Told::Done),
            (Err(Error::unsupported("no")), Told::Done),
        ];
        for (published, expected) in table {
            assert_eq!(judge(&published), expected, "{published:?}");
        }
    }

    #[test]
    fn what_does_not_fit_becomes_a_failure_that_names_the_limit() {
        let fits = encode(Answer::Reply("0123456789".into()), &capability(10));
        assert_eq!(fits, (Kind::Reply, "0123456789".into()));
        let (kind, bytes) = encode(Answer::Reply(Bytes::from(vec![b'x'; 500])), &capability(200));
        let failure = read(&bytes);
        assert_eq!((kind, failure.executed), (Kind::Failure, Executed::Yes));
        assert_eq!(failure.message, "reply too large");
        assert_eq!(
            *failure.details.unwrap(),
            serde_json::json!({ "bytes": 500, "limit": 200 })
        );
        let long = Failure::conflict("x".repeat(500)).with_details("y".repeat(500));
        let (_, bytes) = encode(Answer::Failure(long), &capability(200));
        assert!(bytes.len() <= 200);
        assert_eq!(read(&bytes).code, roadshow_bridges::Code::Conflict);
    }
}
