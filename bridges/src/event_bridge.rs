//! The event bridge: the narrow waist between the runtime and a broker.
//!
//! Five acts: say what you can, publish, subscribe, say how you are, close. Whatever would be the same on every broker
//! (replies, deadlines, retries, idempotency, streams, tracing) is written once, above, and not here.

use std::fmt;

use futures_util::future::BoxFuture;

use crate::capability::Capability;
use crate::deliveries::Deliveries;
use crate::drop_reason::DropReason;
use crate::envelope::Envelope;
use crate::error::Error;
use crate::health::Health;
use crate::subscription::Subscription;

/// What became of a published message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a message may have reached nobody"]
pub enum Published {
    /// The broker has it.
    Accepted,
    /// Nobody listens, and the broker keeps it for nobody: it is gone, surely not executed.
    Unroutable,
    /// No confirmation came: it may have arrived. Sending it again keeps the message id.
    Indeterminate,
}

/// The answer of [`EventBridge::try_publish`].
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "an envelope that is given back is moved once, boxing would cost more"
)]
pub enum TryPublish {
    /// It was settled at once.
    Done(Result<Published, Error>),
    /// It would have to wait: here is the envelope back, for [`EventBridge::publish`].
    WouldWait(Envelope),
}

/// Moves envelopes from publishers to subscribers over one broker. Shared as `Arc<dyn EventBridge>`.
///
/// # Behavior
///
/// - An outage is not an error of a subscription: the bridge reconnects and subscribes again for ever, with backoff, while
///   `health` says so. Deliveries of a former connection may be settled; that has no effect.
/// - `publish` fails with an error only if the message was surely not sent. Every wait in it is bounded.
/// - `close` may be called twice, and while others publish or wait for deliveries.
pub trait EventBridge: Send + Sync + fmt::Debug + 'static {
    /// What this bridge can do. Does not change while it lives.
    fn capability(&self) -> Capability;

    /// Publishes a message; resolves when the broker has it.
    ///
    /// # Errors
    ///
    /// `Unavailable` (not connected), `Exhausted` (full), `Rejected` (too large, not allowed), `Closed`. In each case the
    /// message was not sent.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it resolves leaves open whether the message was sent.
    fn publish(&self, envelope: Envelope) -> BoxFuture<'_, Result<Published, Error>>;

    /// Publishes without a future if that needs no waiting; a bridge that always waits gives the envelope back.
    fn try_publish(&self, envelope: Envelope) -> TryPublish {
        TryPublish::WouldWait(envelope)
    }

    /// Subscribes; resolves when the broker has confirmed it, so that whatever is published afterwards arrives.
    ///
    /// # Errors
    ///
    /// `Unsupported` (the bridge lacks what is asked for), `Config` (it contradicts an existing group), `Exhausted`,
    /// `Unavailable`, `Closed`.
    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Deliveries, Error>>;

    /// What the reply addresses of foreign clients begin with on this bridge. Nothing else is answered but the inboxes of our
    /// own nodes and what the settings allow.
    fn reply_prefixes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Hears that nothing has come back for too long: an adapter with a connection drops it and makes a new one.
    fn renew(&self) {}

    /// How the bridge is now. Cheap: it is asked often.
    fn health(&self) -> Health;

    /// What was dropped since the bridge was connected, by reason: each reason that this bridge knows once, with 0 too. No
    /// count ever falls. Must not block: it is asked whenever the node's metrics are read.
    fn dropped(&self) -> Vec<(DropReason, u64)> {
        Vec::new()
    }

    /// Ends every subscription of this bridge, waits a bounded time for deliveries that are out, then disconnects.
    ///
    /// # Errors
    ///
    /// What was sent could not be flushed.
    fn close(&self) -> BoxFuture<'_, Result<(), Error>>;
}
