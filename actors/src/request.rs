//! What a caller brings to an endpoint besides the input.

use std::time::Duration;

use roadshow_bridges::{Identity, MessageId, TraceContext, Who};

use crate::clock::Stamp;
use crate::context::CallContext;
use crate::core::NodeCore;

/// Who calls, until when, and from where.
///
/// The identity that the handler will see is made only once the call is admitted, right where the handler starts.
#[derive(Debug)]
pub struct Request<'a> {
    origin: Origin<'a>,
    timeout: Option<Duration>,
    until: Stamp,
    pub(crate) depth: u8,
}

/// Hears that the handler of a command that arrived over a bridge starts: from here on it was tried.
pub(crate) trait Start: Send + Sync + std::fmt::Debug {
    /// The handler starts now; which attempt this is.
    fn start(&self) -> u32;
}

#[derive(Debug)]
enum Origin<'a> {
    /// A conversation starts here.
    Root,
    /// From outside the node's handlers, with an identity of its own.
    Outside(Box<Identity>),
    /// A handler calls.
    Nested(&'a CallContext),
    /// An event or a job is delivered.
    Delivery { identity: &'a Identity, attempt: u32 },
    /// A command arrived over a bridge.
    Command {
        identity: &'a Identity,
        start: &'a dyn Start,
    },
}

impl<'a> Request<'a> {
    fn new(origin: Origin<'a>) -> Self {
        Request {
            origin,
            timeout: None,
            until: Stamp::MAX,
            depth: 0,
        }
    }

    /// A call that starts a conversation on this node. Refused while the node drains.
    #[must_use]
    pub fn root() -> Self {
        Request::new(Origin::Root)
    }

    /// A call from outside this node's handlers that brings an identity, made by [`root_identity`] or carried over HTTP
    /// or from a broker. Refused while the node drains.
    #[must_use]
    pub fn outside(identity: Identity) -> Self {
        let timeout = identity.budget;
        Request {
            timeout,
            ..Request::new(Origin::Outside(Box::new(identity)))
        }
    }

    /// A call that a handler makes: it inherits everything, one hop further, and cannot outlive its parent's budget.
    #[must_use]
    pub fn nested(parent: &'a CallContext) -> Self {
        Request {
            until: parent.deadline(),
            depth: parent.depth() + 1,
            ..Request::new(Origin::Nested(parent))
        }
    }

    /// A delivery of an event or a job. Admitted while the node drains, because its intake was cancelled before.
    #[must_use]
    pub fn delivery(identity: &'a Identity, attempt: u32) -> Self {
        Request::new(Origin::Delivery { identity, attempt })
    }

    /// A command from a bridge, with the time that is left of its sender's budget. Refused while the node drains.
    pub(crate) fn command(identity: &'a Identity, start: &'a dyn Start, left: Option<Duration>) -> Self {
        Request {
            timeout: left,
            ..Request::new(Origin::Command { identity, start })
        }
    }

    /// Sets the time budget, within what the parent has left.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Lets what is started by it run for `duration`, whatever is left of the time in which it had to start.
    #[must_use]
    pub(crate) fn lasting(self, duration: Duration) -> Self {
        Request {
            timeout: Some(duration),
            until: Stamp::MAX,
            ..self
        }
    }

    /// Whether it comes from outside this node's handlers.
    pub(crate) fn is_outside(&self) -> bool {
        matches!(self.origin, Origin::Root | Origin::Outside(_) | Origin::Command { .. })
    }

    /// How many messages will have led to it.
    pub(crate) fn hops(&self) -> u8 {
        match &self.origin {
            Origin::Root => 0,
            Origin::Outside(identity) => identity.hops,
            Origin::Nested(parent) => parent.identity().hops.saturating_add(1),
            Origin::Delivery { identity, .. } | Origin::Command { identity, .. } => identity.hops,
        }
    }

    /// On whose behalf it is made.
    pub(crate) fn who(&self) -> Option<&Who> {
        match &self.origin {
            Origin::Root => None,
            Origin::Outside(identity) => identity.who.as_deref(),
            Origin::Nested(parent) => parent.identity().who.as_deref(),
            Origin::Delivery { identity, .. } | Origin::Command { identity, .. } => identity.who.as_deref(),
        }
    }

    /// Whether its message may be handled somewhere else, or again, at the same time.
    pub(crate) fn shares_its_message(&self) -> bool {
        matches!(
            self.origin,
            Origin::Outside(_) | Origin::Delivery { .. } | Origin::Command { .. }
        )
    }

    /// The identity that the handler sees.
    #[must_use]
    pub fn into_identity(self, node: &NodeCore) -> Identity {
        match self.origin {
            Origin::Root => root_identity(node),
            Origin::Outside(identity) => *identity,
            Origin::Nested(parent) => next_hop(node, parent.identity()),
            Origin::Delivery { identity, attempt } => {
                let mut identity = identity.clone();
                identity.attempt = attempt;
                identity
            }
            Origin::Command { identity, start } => {
                let mut identity = identity.clone();
                identity.attempt = start.start();
                identity
            }
        }
    }

    /// When this call ends, if it starts at `now` and its endpoint gives it `budget` by default.
    #[must_use]
    pub fn deadline(&self, now: Stamp, budget: Duration) -> Stamp {
        (now + self.timeout.unwrap_or(budget)).min(self.until)
    }
}

/// The identity of a message that starts a conversation on this node.
#[must_use]
pub fn root_identity(node: &NodeCore) -> Identity {
    let id = node.ids().message();
    let mut identity = Identity::root(id);
    identity.correlation = node.ids().correlation();
    identity.trace = TraceContext {
        trace_id: identity.correlation.as_u128(),
        span_id: span_of(id),
        flags: 1,
    };
    identity
}

/// The identity of what a message causes: a fresh id in the same conversation and trace, one hop further.
#[must_use]
pub fn next_hop(node: &NodeCore, parent: &Identity) -> Identity {
    let id = node.ids().message();
    let mut identity = parent.child(id);
    identity.trace = parent.trace.with_span(span_of(id));
    identity.budget = None;
    identity
}

/// A span id that belongs to one message. Never zero, which W3C forbids.
fn span_of(id: MessageId) -> u64 {
    let bits = id.as_u128();
    ((bits >> 64) as u64 ^ (bits as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)) | 1
}
