//! What a handler knows about the call it answers.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use roadshow_bridges::{Identity, MessageId};

use crate::cancel::Cancellation;
use crate::clock::Stamp;
use crate::core::NodeCore;
use crate::service::Incarnation;

/// How deep handlers may call each other in one stack before a call gets a task of its own.
pub(crate) const INLINE_DEPTH_MAX: u8 = 8;

/// The context of one call: who asks, until when, and on which incarnation of the service it runs.
#[derive(Debug)]
pub struct CallContext {
    identity: Identity,
    /// This run of a handler, and no other: a message may be handled by several subscriptions, and again.
    run: MessageId,
    deadline: Stamp,
    depth: u8,
    incarnation: Arc<Incarnation>,
    cancellation: OnceLock<Arc<Cancellation>>,
}

impl CallContext {
    /// The context of a call that was admitted.
    #[must_use]
    pub fn new(incarnation: Arc<Incarnation>, identity: Identity, deadline: Stamp, depth: u8) -> Self {
        let run = identity.id;
        CallContext {
            identity,
            run,
            deadline,
            depth,
            incarnation,
            cancellation: OnceLock::new(),
        }
    }

    /// Sets what tells this run from others on the same message.
    pub(crate) fn of_run(mut self, run: MessageId) -> Self {
        self.run = run;
        self
    }

    /// Ids, trace, principal, tenant, attempt, hops and key of this call.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The node that runs the call.
    #[must_use]
    pub fn node(&self) -> &Arc<NodeCore> {
        self.incarnation.node()
    }

    /// The incarnation of the service that runs the call.
    #[must_use]
    pub fn incarnation(&self) -> &Arc<Incarnation> {
        &self.incarnation
    }

    /// When the caller stops waiting.
    #[must_use]
    pub fn deadline(&self) -> Stamp {
        self.deadline
    }

    /// The time budget that is left; zero when the deadline has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.since(self.node().clock().now())
    }

    /// How many handlers are below this one in the same stack.
    #[must_use]
    pub fn depth(&self) -> u8 {
        self.depth
    }

    /// Whether the deadline has passed or the caller has gone.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancellation().is_fired() || self.remaining().is_zero()
    }

    /// Resolves when the deadline has passed or the caller has gone.
    ///
    /// # Cancel safety
    /// May be dropped and asked for again at any time.
    pub async fn cancelled(&self) {
        self.cancellation().fired().await;
    }

    fn cancellation(&self) -> &Arc<Cancellation> {
        self.cancellation.get_or_init(|| self.node().cancellations.of(self.run))
    }
}

impl Drop for CallContext {
    fn drop(&mut self) {
        if self.cancellation.get().is_some() {
            self.node().cancellations.forget(self.run);
        }
    }
}
