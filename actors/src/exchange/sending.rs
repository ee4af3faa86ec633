//! Sending: one message to the bridge, at once if that is possible.

use std::time::Duration;

use futures_util::future::BoxFuture;
use roadshow_bridges::{Envelope, Error, EventBridge, Published, TryPublish};
use tokio::time::timeout;

/// What came of the attempt to publish without waiting. The message is not in it: who waits stays small.
pub(super) enum Sending<'a> {
    /// It was settled at once.
    Done(Result<Published, Error>),
    /// This has to be waited for.
    Waits(BoxFuture<'a, Result<Published, Error>>),
}

/// Publishes a message, at once if that is possible.
pub(super) fn begin(bridge: &dyn EventBridge, envelope: Envelope) -> Sending<'_> {
    match bridge.try_publish(envelope) {
        TryPublish::Done(published) => Sending::Done(published),
        TryPublish::WouldWait(envelope) => Sending::Waits(bridge.publish(envelope)),
    }
}

impl Sending<'_> {
    /// Waits for the end.
    ///
    /// # Cancel safety
    /// Dropped midway it leaves open whether the message was sent.
    pub(super) async fn end(self) -> Result<Published, Error> {
        match self {
            Sending::Done(published) => published,
            Sending::Waits(publishing) => publishing.await,
        }
    }

    /// Waits for the end, not longer than `limit`: what is not confirmed by then is indeterminate.
    ///
    /// # Cancel safety
    /// As [`Sending::end`].
    pub(super) async fn end_within(self, limit: Duration) -> Result<Published, Error> {
        match self {
            Sending::Done(published) => published,
            Sending::Waits(publishing) => timeout(limit, publishing).await.unwrap_or(Ok(Published::Indeterminate)),
        }
    }
}
