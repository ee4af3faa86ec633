//! What a handler knows and can do: who asks, how long there is time, and calling and telling others.

use std::time::Duration;

use roadshow_actors::{CallContext, Request};
use roadshow_bridges::{Address, CorrelationId, Executed, Failure, Identity, MessageId, TraceContext};

use crate::command::Command;
use crate::dispatch;
use crate::event::Event;
use crate::measure::Measure;
use crate::stream::{Stream, StreamReader};

/// The context of one call or delivery.
///
/// Whatever a handler sends through it carries on the conversation: correlation, causation, trace, principal, tenant,
/// key, hops and the time budget that is left.
#[derive(Debug)]
pub struct Context(CallContext);

impl Context {
    pub(crate) fn new(call: CallContext) -> Self {
        Context(call)
    }

    pub(crate) fn call_context(&self) -> &CallContext {
        &self.0
    }

    /// Calls another service, in this process or elsewhere, within the time budget of this call.
    ///
    /// # Errors
    /// What the other side answered, or why it was not reached; `executed` says which.
    ///
    /// # Cancel safety
    /// Dropping the future stops the wait, not the other handler, which learns of it through [`Context::cancelled`].
    pub async fn call<C: Command>(&self, input: C) -> Result<C::Reply, Failure> {
        self.call_request(input, Request::nested(&self.0)).await
    }

    /// As [`Context::call`], with a shorter time budget. A longer one than this call has left is cut to that.
    ///
    /// # Errors
    /// As [`Context::call`].
    pub async fn call_within<C: Command>(&self, input: C, timeout: Duration) -> Result<C::Reply, Failure> {
        self.call_request(input, Request::nested(&self.0).with_timeout(timeout))
            .await
    }

    async fn call_request<C: Command>(&self, input: C, request: Request<'_>) -> Result<C::Reply, Failure> {
        self.check_declared(C::ADDRESS)?;
        dispatch::call(self.0.node(), input, request).await
    }

    /// Opens a stream of another service, in this process or elsewhere. The opening is bounded by the time budget of this
    /// call; the stream itself by nothing but its reader, which this handler drops when it ends.
    ///
    /// # Errors
    /// What the other side answered to the opening, or why it was not reached; `executed` says which.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the stream.
    pub async fn open<S: Stream>(&self, input: S) -> Result<StreamReader<S::Item>, Failure> {
        self.check_declared(S::ADDRESS)?;
        dispatch::open(self.0.node(), input, Request::nested(&self.0)).await
    }

    fn check_declared(&self, address: Address) -> Result<(), Failure> {
        let service = self.0.incarnation().service();
        if service.may_call(address) {
            return Ok(());
        }
        let text = format!("{} does not declare that it calls {address}", service.id());
        Err(Failure::forbidden(text).with_executed(Executed::No))
    }

    /// Publishes an event; resolves when the event bridge has it.
    ///
    /// # Errors
    /// `exhausted` or `unavailable` when the bridge did not take it (`executed` no), `unavailable` with `executed` unknown
    /// when no confirmation came; `exhausted` where the conversation has taken too many hops.
    pub async fn emit<E: Event>(&self, event: E) -> Result<(), Failure> {
        let identity = roadshow_actors::next_hop(self.0.node(), self.0.identity());
        dispatch::emit(self.0.node(), event, identity).await
    }

    /// The id of the message that is being handled. A redelivery has the same.
    #[must_use]
    pub fn message_id(&self) -> MessageId {
        self.identity().id
    }

    /// The conversation that it belongs to.
    #[must_use]
    pub fn correlation_id(&self) -> CorrelationId {
        self.identity().correlation
    }

    /// The message that caused this one.
    #[must_use]
    pub fn causation_id(&self) -> Option<MessageId> {
        self.identity().causation
    }

    /// The W3C trace context.
    #[must_use]
    pub fn trace(&self) -> TraceContext {
        self.identity().trace
    }

    /// Who acts, if somebody was authenticated.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        self.identity().principal()
    }

    /// For which tenant.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.identity().tenant()
    }

    /// The idempotency key that the caller sent.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.identity().key()
    }

    /// Which start of a handler on this message this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.identity().attempt
    }

    /// How many messages led to this one.
    #[must_use]
    pub fn hops(&self) -> u8 {
        self.identity().hops
    }

    /// All of the above.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        self.0.identity()
    }

    /// Which life of the service handles this, from 1.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.0.incarnation().number()
    }

    /// The node's id.
    #[must_use]
    pub fn node_id(&self) -> &str {
        self.0.node().node_id()
    }

    /// The time budget that is left; zero once the caller has been answered for us.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.0.remaining()
    }

    /// Whether the deadline has passed or the caller has gone: an answer would reach nobody.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Resolves when the deadline has passed or the caller has gone. A handler that goes on regardless is dropped
    /// `abandon_after` past its deadline.
    ///
    /// # Cancel safety
    /// May be dropped and asked for again at any time.
    pub async fn cancelled(&self) {
        self.0.cancelled().await;
    }

    /// Counters, gauges and histograms of your own, beside ours in `/metrics`.
    #[must_use]
    pub fn measure(&self) -> Measure {
        Measure::new(self.0.node().metrics().clone())
    }
}
