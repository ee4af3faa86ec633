//! Cancellation: how a handler learns that nobody waits for it any more.
//!
//! Most handlers never ask, so nothing is made per call. A handler that asks enters itself under its message id; the
//! one who knows (the task that drives the handler past its deadline, or sees its caller go) looks there. Bounded by the
//! calls in flight: whoever enters leaves when the call ends. The key is the id of one run, not of the message: two
//! subscriptions may handle the same event.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use roadshow_bridges::MessageId;
use tokio::sync::Notify;

use crate::sync::lock_std;

const SHARDS: usize = 16;

/// Whether one call was cancelled, and who waits to hear of it.
#[derive(Debug, Default)]
pub(crate) struct Cancellation {
    fired: AtomicBool,
    notify: Notify,
}

impl Cancellation {
    pub(crate) fn is_fired(&self) -> bool {
        self.fired.load(Ordering::Acquire)
    }

    fn fire(&self) {
        self.fired.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    /// Resolves when the call is cancelled, at once if it was.
    ///
    /// # Cancel safety
    /// May be dropped and made again at any time.
    pub(crate) async fn fired(&self) {
        let notified = self.notify.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        if !self.is_fired() {
            notified.await;
        }
    }
}

/// The cancellations of one node, by message id.
#[derive(Debug, Default)]
pub(crate) struct Cancellations {
    shards: [Mutex<HashMap<MessageId, Arc<Cancellation>>>; SHARDS],
}

impl Cancellations {
    fn shard(&self, id: MessageId) -> &Mutex<HashMap<MessageId, Arc<Cancellation>>> {
        &self.shards[(id.as_u128() % SHARDS as u128) as usize]
    }

    /// The cancellation of a call, made when it is first asked for.
    pub(crate) fn of(&self, id: MessageId) -> Arc<Cancellation> {
        Arc::clone(lock_std(self.shard(id)).entry(id).or_default())
    }

    /// Cancels a call. It may ask later and still be told, until it ends.
    pub(crate) fn fire(&self, id: MessageId) {
        self.of(id).fire();
    }

    /// Forgets a call that has ended.
    pub(crate) fn forget(&self, id: MessageId) {
        lock_std(self.shard(id)).remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn whoever_asks_after_the_cancellation_is_told_too() {
        let cancellations = Cancellations::default();
        let id = MessageId::from_u128(7);
        cancellations.fire(id);
        assert!(cancellations.of(id).fired().now_or_never().is_some());
        cancellations.forget(id);
        assert!(!cancellations.of(id).is_fired());
    }

    #[test]
    fn whoever_waits_is_woken() {
        let cancellations = Cancellations::default();
        let id = MessageId::from_u128(7);
        let cancellation = cancellations.of(id);
        let mut fired = Box::pin(cancellation.fired());
        assert!(fired.as_mut().now_or_never().is_none());
        cancellations.fire(id);
        assert!(fired.now_or_never().is_some());
    }
}
