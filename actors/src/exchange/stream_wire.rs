//! The messages of a stream between two nodes: what each side sends to the other's inbox, and how sure it can be of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use roadshow_bridges::{Capability, Envelope, Error, ErrorKind, Executed, Failure, Identity, Kind, Published, Subject};
use tokio::time::timeout;

use super::answering::encode_failure;
use super::sending::begin;
use crate::core::NodeCore;
use crate::stream::pulse::SILENCE_MAX;

/// What became of a message of a stream.
#[derive(Debug)]
pub(super) enum Sent {
    /// It is on its way, or may be: the other side notices what is missing.
    Away,
    /// Nobody listens at the other side.
    Gone,
    /// It was surely not sent.
    Failed(Failure),
}

/// The other side of a stream, as far as sending to it goes.
#[derive(Debug)]
pub(super) struct Peer {
    node: Arc<NodeCore>,
    to: Subject,
    /// The transport's own correlation of the opening, which a foreign consumer may go by.
    correlation: Option<Bytes>,
}

impl Peer {
    pub(super) fn new(node: Arc<NodeCore>, to: Subject, correlation: Option<Bytes>) -> Self {
        Peer { node, to, correlation }
    }

    pub(super) fn subject(&self) -> &Subject {
        &self.to
    }

    /// Sends one message. `reply_to` is where the other side's own messages are to go.
    ///
    /// # Cancel safety
    /// Dropped midway it leaves open whether the message was sent.
    pub(super) async fn send(&self, kind: Kind, sequence: u64, payload: Bytes, reply_to: Option<Subject>) -> Sent {
        let bridge = match self.node.event_bridge() {
            Ok(bridge) => bridge,
            Err(failure) => return Sent::Failed(failure),
        };
        if let Err(failure) = fits(&payload, &bridge.capability()) {
            return Sent::Failed(failure);
        }
        // Beyond that the other side has given up anyway.
        let identity = Identity::root(self.node.ids().message()).with_budget(SILENCE_MAX);
        let mut envelope = Envelope::new(kind, self.to.clone(), identity, payload);
        envelope.sequence = sequence;
        envelope.reply_to = reply_to;
        envelope.transport_correlation.clone_from(&self.correlation);
        judge(begin(&*bridge, envelope).end_within(SILENCE_MAX).await)
    }

    /// Sends what may get lost, because it is said again or silence says it: not longer than `patience`.
    pub(super) async fn tell(&self, kind: Kind, sequence: u64, patience: Duration) -> bool {
        let sent = timeout(patience, self.send(kind, sequence, Bytes::new(), None)).await;
        !matches!(sent, Ok(Sent::Gone))
    }

    /// Ends a stream of `sent` frames. A word that gets lost is replaced by silence.
    pub(super) async fn end(&self, sent: u64, end: Result<(), Failure>) {
        let Ok(bridge) = self.node.event_bridge() else { return };
        let (kind, payload) = match end {
            Ok(()) => (Kind::End, Bytes::new()),
            Err(failure) => (Kind::Failure, encode_failure(&failure, &bridge.capability())),
        };
        let _ = self.send(kind, sent, payload, None).await;
    }
}

/// Whether a frame is one that the bridge carries.
fn fits(payload: &Bytes, capability: &Capability) -> Result<(), Failure> {
    let (bytes, limit) = (payload.len(), capability.payload_bytes_max.unwrap_or(usize::MAX));
    if bytes <= limit {
        return Ok(());
    }
    let sizes = serde_json::json!({ "bytes": bytes, "limit": limit });
    Err(Failure::internal("frame too large")
        .with_executed(Executed::Yes)
        .with_details(sizes))
}

fn judge(published: Result<Published, Error>) -> Sent {
    match published {
        Ok(Published::Accepted | Published::Indeterminate) => Sent::Away,
        Ok(Published::Unroutable) => Sent::Gone,
        Err(error) if error.kind() == ErrorKind::Rejected => {
            Sent::Failed(Failure::internal("frame too large").with_executed(Executed::Yes))
        }
        Err(error) => Sent::Failed(Failure::from(error).with_executed(Executed::Yes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_beyond_the_limit_is_not_sent_and_names_it() {
        let mut capability = Capability::none("test");
        capability.payload_bytes_max = Some(10);
        assert!(fits(&Bytes::from(vec![b'x'; 10]), &capability).is_ok());
        let failure = fits(&Bytes::from(vec![b'x'; 11]), &capability).unwrap_err();
        assert_eq!(failure.message, "frame too large");
        assert_eq!(
            *failure.details.unwrap(),
            serde_json::json!({ "bytes": 11, "limit": 10 })
        );
    }

    #[test]
    fn only_what_surely_was_not_sent_fails() {
        assert!(matches!(judge(Ok(Published::Accepted)), Sent::Away));
        assert!(matches!(judge(Ok(Published::Indeterminate)), Sent::Away));
        assert!(matches!(judge(Ok(Published::Unroutable)), Sent::Gone));
        let table = [
            (Error::rejected("too large"), "frame too large"),
            (Error::unavailable("away"), "the message could not be sent"),
        ];
        for (error, expected) in table {
            let Sent::Failed(failure) = judge(Err(error)) else {
                panic!("expected a failure")
            };
            assert!(failure.message.contains(expected), "{failure}");
        }
    }
}
