//! Identity: which message this is, what it belongs to, and on whose behalf it travels.
//!
//! An [`Identity`] crosses every hop: call, event, stream, reply, retry. Cloning it copies numbers and one reference
//! count, because a node clones it for every message; what few messages have sits behind one shared [`Who`].
//!
//! Deliberately not here: making ids (a node owns its own source of them), clocks, and cancellation.

mod hex;
mod ids;
mod trace;
mod who;

use std::sync::Arc;
use std::time::Duration;

pub use hex::IdText;
pub(crate) use hex::hex128;
pub use ids::{CorrelationId, IdError, MessageId};
pub(crate) use ids::{hash_foreign_id, parse_hex128};
pub use trace::{TraceContext, TraceError};
pub use who::{KEY_LEN_MAX, PRINCIPAL_LEN_MAX, TENANT_LEN_MAX, TRACESTATE_LEN_MAX, Who};

/// The most hops that a message makes before it is refused, so that a loop of services ends.
pub const HOPS_MAX: u8 = 32;

/// Which message this is, what it belongs to, and on whose behalf it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// This message. A retry and a redelivery keep it.
    pub id: MessageId,
    /// The conversation: the same for everything that one request from outside set off.
    pub correlation: CorrelationId,
    /// The message whose handler sent this one.
    pub causation: Option<MessageId>,
    /// The position in a distributed trace; absent if its trace id is 0.
    pub trace: TraceContext,
    /// How much time the sender left for the whole work when it sent this; `None` is the endpoint's default.
    pub budget: Option<Duration>,
    /// Which start of the handler this is, counted from 1.
    pub attempt: u32,
    /// How many services passed this conversation on before; see [`HOPS_MAX`].
    pub hops: u8,
    /// Principal, tenant, idempotency key and trace state, if there is any.
    pub who: Option<Arc<Who>>,
}

impl Identity {
    /// The identity of a message that starts a conversation: nobody caused it, first attempt, no hop.
    pub fn root(id: MessageId) -> Self {
        Self {
            id,
            correlation: CorrelationId::from_u128(id.as_u128()),
            causation: None,
            trace: TraceContext::NONE,
            budget: None,
            attempt: 1,
            hops: 0,
            who: None,
        }
    }

    /// The identity of a message that the handler of this one sends: same conversation, trace, principal, tenant and key,
    /// one hop further, attempt 1.
    ///
    /// The budget is copied; whoever knows the clock replaces it by what is left.
    #[must_use]
    pub fn child(&self, id: MessageId) -> Self {
        Self {
            id,
            causation: Some(self.id),
            attempt: 1,
            hops: self.hops.saturating_add(1),
            ..self.clone()
        }
    }

    /// On whose behalf the message travels, as the gateway or the first caller established it.
    pub fn principal(&self) -> Option<&str> {
        self.who.as_deref()?.principal.as_deref()
    }

    /// The tenant that the message belongs to.
    pub fn tenant(&self) -> Option<&str> {
        self.who.as_deref()?.tenant.as_deref()
    }

    /// The idempotency key: two messages with one key are one piece of work.
    pub fn key(&self) -> Option<&str> {
        self.who.as_deref()?.key.as_deref()
    }

    /// The vendor part of the trace context, passed on untouched.
    pub fn tracestate(&self) -> Option<&str> {
        self.who.as_deref()?.tracestate.as_deref()
    }

    /// Sets the principal.
    #[must_use]
    pub fn with_principal(self, principal: impl Into<Box<str>>) -> Self {
        self.change(|who| who.principal = Some(principal.into()))
    }

    /// Sets the tenant.
    #[must_use]
    pub fn with_tenant(self, tenant: impl Into<Box<str>>) -> Self {
        self.change(|who| who.tenant = Some(tenant.into()))
    }

    /// Sets the idempotency key.
    #[must_use]
    pub fn with_key(self, key: impl Into<Box<str>>) -> Self {
        self.change(|who| who.key = Some(key.into()))
    }

    /// Sets the vendor part of the trace context.
    #[must_use]
    pub fn with_tracestate(self, tracestate: impl Into<Box<str>>) -> Self {
        self.change(|who| who.tracestate = Some(tracestate.into()))
    }

    /// Sets the position in a distributed trace.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceContext) -> Self {
        self.trace = trace;
        self
    }

    /// Sets the remaining time.
    #[must_use]
    pub fn with_budget(mut self, budget: Duration) -> Self {
        self.budget = Some(budget);
        self
    }

    fn change(mut self, set: impl FnOnce(&mut Who)) -> Self {
        set(Arc::make_mut(self.who.get_or_insert_default()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_keeps_the_conversation_and_names_its_cause() {
        let root = Identity::root(MessageId::from_u128(7))
            .with_principal("ada")
            .with_tenant("t1")
            .with_key("k");
        let child = root.child(MessageId::from_u128(8));
        assert_eq!(child.correlation, root.correlation);
        assert_eq!(child.causation, Some(root.id));
        assert_eq!((child.attempt, child.hops), (1, 1));
        assert_eq!(
            (child.principal(), child.tenant(), child.key()),
            (Some("ada"), Some("t1"), Some("k"))
        );
    }

    #[test]
    fn a_clone_shares_the_rare_fields() {
        let identity = Identity::root(MessageId::from_u128(7)).with_principal("ada");
        let clone = identity.clone();
        let (Some(one), Some(two)) = (&identity.who, &clone.who) else {
            panic!("both have a principal")
        };
        assert!(Arc::ptr_eq(one, two));
    }

    #[test]
    fn changing_a_clone_leaves_the_original_alone() {
        let identity = Identity::root(MessageId::from_u128(7)).with_principal("ada");
        let other = identity.clone().with_principal("bob");
        assert_eq!((identity.principal(), other.principal()), (Some("ada"), Some("bob")));
    }
}
