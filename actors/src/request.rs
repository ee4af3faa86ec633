//! What a caller brings to an endpoint besides the input.

use std::time::Duration;

use roadshow_bridges::{Identity, MessageId, TraceContext};

use crate::clock::Stamp;
use crate::context::CallContext;
use crate::core::NodeCore;

/// Who calls, until when, and from where.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) identity: Identity,
    pub(crate) timeout: Option<Duration>,
    pub(crate) until: Option<Stamp>,
    pub(crate) depth: u8,
    pub(crate) outside: bool,
}

impl Request {
    /// A call that starts a conversation on this node. Refused while the node drains.
    #[must_use]
    pub fn root(node: &NodeCore) -> Self {
        let id = node.ids().message();
        let mut identity = Identity::root(id);
        identity.correlation = node.ids().correlation();
        identity.trace = TraceContext {
            trace_id: identity.correlation.as_u128(),
            span_id: span_of(id),
            flags: 1,
        };
        Request::outside(identity)
    }

    /// A call from outside this node's handlers that brings an identity: over HTTP, from a broker. Refused while the
    /// node drains.
    #[must_use]
    pub fn outside(identity: Identity) -> Self {
        let timeout = identity.budget;
        Request {
            identity,
            timeout,
            until: None,
            depth: 0,
            outside: true,
        }
    }

    /// A call that a handler makes: it inherits everything, one hop further, and cannot outlive its parent's budget.
    #[must_use]
    pub fn nested(parent: &CallContext) -> Self {
        Request {
            identity: next_hop(parent.node(), parent.identity()),
            timeout: None,
            until: Some(parent.deadline()),
            depth: parent.depth() + 1,
            outside: false,
        }
    }

    /// A delivery of an event or a job, on the identity that it carries. Admitted while the node drains, because its
    /// intake was cancelled before.
    #[must_use]
    pub fn delivery(identity: Identity) -> Self {
        Request {
            identity,
            timeout: None,
            until: None,
            depth: 0,
            outside: false,
        }
    }

    /// Sets the time budget, within what the parent has left.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The identity that the handler will see.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// For setting principal, tenant and key.
    #[must_use]
    pub fn identity_mut(&mut self) -> &mut Identity {
        &mut self.identity
    }

    /// When this call ends, if it starts at `now` and its endpoint gives it `budget` by default.
    pub(crate) fn deadline(&self, now: Stamp, budget: Duration) -> Stamp {
        let own = now + self.timeout.unwrap_or(budget);
        self.until.map_or(own, |until| own.min(until))
    }
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
