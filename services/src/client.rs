//! Calls and events from outside any handler: from `main`, from a test, from the gateway.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use roadshow_actors::{CommandEndpoint, NodeCore, Request, Route};
use roadshow_bridges::{AddressBuf, EventNameBuf, Failure, Identity, TraceContext};

use crate::command::Command;
use crate::dispatch::{self, CommandRoute};
use crate::event::Event;
use crate::outgoing::Outgoing;
use crate::stream::{Stream, StreamReader};

/// Who calls from outside, and how long there is time.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
#[must_use]
pub struct CallOptions {
    /// The time budget; the endpoint's default where this is `None`.
    pub timeout: Option<Duration>,
    /// Who acts.
    pub principal: Option<Box<str>>,
    /// For which tenant.
    pub tenant: Option<Box<str>>,
    /// The idempotency key.
    pub key: Option<Box<str>>,
    /// The trace that the call continues.
    pub trace: Option<TraceContext>,
    /// The state of that trace, passed on as it came.
    pub tracestate: Option<Box<str>>,
}

impl CallOptions {
    /// Sets the time budget.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets who acts.
    pub fn principal(mut self, principal: impl Into<Box<str>>) -> Self {
        self.principal = Some(principal.into());
        self
    }

    /// Sets the tenant.
    pub fn tenant(mut self, tenant: impl Into<Box<str>>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Sets the idempotency key.
    pub fn key(mut self, key: impl Into<Box<str>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the trace that the call continues.
    pub fn trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(trace);
        self
    }

    fn request(self, node: &NodeCore) -> Request<'static> {
        let request = Request::outside(self.identity(node));
        match self.timeout {
            Some(timeout) => request.with_timeout(timeout),
            None => request,
        }
    }

    fn identity(&self, node: &NodeCore) -> Identity {
        let mut identity = roadshow_actors::root_identity(node);
        self.apply(&mut identity);
        identity
    }

    pub(crate) fn apply(&self, identity: &mut Identity) {
        if let Some(trace) = self.trace.filter(|trace| trace.is_present()) {
            let own = identity.trace.span_id;
            identity.trace = trace.with_span(own);
        }
        let mut with = identity.clone();
        if let Some(principal) = &self.principal {
            with = with.with_principal(principal.clone());
        }
        if let Some(tenant) = &self.tenant {
            with = with.with_tenant(tenant.clone());
        }
        if let Some(key) = &self.key {
            with = with.with_key(key.clone());
        }
        if let Some(tracestate) = &self.tracestate {
            with = with.with_tracestate(tracestate.clone());
        }
        *identity = with;
    }
}

/// Calls and emits from outside a handler. Every call and event starts a conversation; while the node drains they are
/// refused.
#[derive(Clone, Debug)]
pub struct Client {
    node: Arc<NodeCore>,
}

impl Client {
    pub(crate) fn new(node: Arc<NodeCore>) -> Self {
        Client { node }
    }

    /// Calls a command.
    ///
    /// # Errors
    /// What the handler answered, or why it was not reached; `executed` says which.
    ///
    /// # Cancel safety
    /// A handler that has started runs to its end when the future is dropped.
    pub async fn call<C: Command>(&self, input: C) -> Result<C::Reply, Failure> {
        dispatch::call(&self.node, input, Request::root()).await
    }

    /// As [`Client::call`], on somebody's behalf and with a time budget.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_with<C: Command>(&self, input: C, options: CallOptions) -> Result<C::Reply, Failure> {
        let request = options.request(&self.node);
        dispatch::call(&self.node, input, request).await
    }

    /// Calls whatever is at an address, JSON in and JSON out. An empty payload is `null`.
    ///
    /// # Errors
    /// As [`Client::call`]; `invalid` where the payload does not decode, with the field named.
    pub async fn call_json(
        &self,
        address: &AddressBuf,
        payload: Bytes,
        options: CallOptions,
    ) -> Result<Bytes, Failure> {
        self.outgoing(&options).call_json(address, payload).await
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// What the handler answered to the opening, or why it was not reached; `executed` says which.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the stream.
    pub async fn open<S: Stream>(&self, input: S) -> Result<StreamReader<S::Item>, Failure> {
        dispatch::open(&self.node, input, Request::root()).await
    }

    /// As [`Client::open`], on somebody's behalf and with a time budget for the opening.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub async fn open_with<S: Stream>(&self, input: S, options: CallOptions) -> Result<StreamReader<S::Item>, Failure> {
        let request = options.request(&self.node);
        dispatch::open(&self.node, input, request).await
    }

    /// Publishes an event; resolves when the event bridge has it.
    ///
    /// # Errors
    /// `exhausted` or `unavailable` when the bridge did not take it, and while the node drains.
    pub async fn emit<E: Event>(&self, event: E) -> Result<(), Failure> {
        dispatch::refuse_drain(&self.node)?;
        dispatch::emit(&self.node, event, roadshow_actors::root_identity(&self.node)).await
    }

    /// Publishes an event that is JSON already.
    ///
    /// # Errors
    /// `invalid` where the payload is no JSON, else as [`Client::emit`].
    pub async fn emit_json(&self, event: &EventNameBuf, payload: Bytes, options: CallOptions) -> Result<(), Failure> {
        self.outgoing(&options).emit_json(event, payload).await
    }

    /// A call or an event that is about to be made, with the identity that it will have.
    pub fn outgoing(&self, options: &CallOptions) -> Outgoing {
        let mut identity = options.identity(&self.node);
        identity.budget = options.timeout;
        Outgoing::new(Arc::clone(&self.node), identity)
    }

    /// A handle to a local command, with the address resolved once: the quickest way to call.
    ///
    /// # Errors
    /// `unavailable` or `not_found` where this node does not serve the command with these very types.
    pub fn handle<C: Command>(&self) -> Result<Handle<C>, Failure> {
        let Route::Local(endpoint) = self.node.routes().resolve(C::ADDRESS.key())? else {
            return Err(Failure::unavailable(format!(
                "{} is not served by this node",
                C::ADDRESS
            )));
        };
        match CommandEndpoint::into_any(endpoint).downcast::<CommandRoute<C, C::Reply>>() {
            Ok(route) => Ok(Handle {
                node: Arc::clone(&self.node),
                route,
            }),
            Err(_) => Err(Failure::unavailable(format!(
                "{} is served with other types here",
                C::ADDRESS
            ))),
        }
    }
}

/// A local command, resolved. It stays valid over restarts of the service; once the service is withdrawn its calls
/// answer `unavailable`.
#[derive(Debug)]
pub struct Handle<C: Command> {
    node: Arc<NodeCore>,
    route: Arc<CommandRoute<C, C::Reply>>,
}

impl<C: Command> Clone for Handle<C> {
    fn clone(&self) -> Self {
        Handle {
            node: Arc::clone(&self.node),
            route: Arc::clone(&self.route),
        }
    }
}

impl<C: Command> Handle<C> {
    /// Calls the command; see [`Client::call`].
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call(&self, input: C) -> Result<C::Reply, Failure> {
        self.route.endpoint.call(input, Request::root()).await
    }

    /// As [`Handle::call`], on somebody's behalf and with a time budget.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_with(&self, input: C, options: CallOptions) -> Result<C::Reply, Failure> {
        let request = options.request(&self.node);
        self.route.endpoint.call(input, request).await
    }
}
