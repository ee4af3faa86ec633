//! From a typed message to where it goes: the typed value where both sides agree on the type, encoded otherwise.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use roadshow_actors::metrics::Outcome as CallOutcome;
use roadshow_actors::{
    CommandEndpoint, Endpoint, EndpointCore, EventSubject, ItemReader, NodeCore, Phase, Request, Route,
};
use roadshow_bridges::{
    Address, AddressKey, Envelope, EventKey, Executed, Failure, HOPS_MAX, Identity, Payload, Published, TryPublish,
    codec,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::error;

use crate::command::Command;
use crate::event::Event;
use crate::stream::{EncodedReader, Stream, StreamReader, StreamRoute};

/// A command's endpoint as the routing table holds it.
pub(crate) struct CommandRoute<In, Out> {
    pub(crate) address: Address,
    pub(crate) endpoint: Endpoint<In, Out>,
    pub(crate) idempotent: bool,
}

impl<In, Out> fmt::Debug for CommandRoute<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CommandRoute")
            .field(&format_args!("{}", self.address))
            .finish()
    }
}

impl<In, Out> CommandEndpoint for CommandRoute<In, Out>
where
    In: DeserializeOwned + Send + 'static,
    Out: Serialize + Send + 'static,
{
    fn address(&self) -> Address {
        self.address
    }

    fn core(&self) -> &Arc<EndpointCore> {
        self.endpoint.core()
    }

    fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn call_encoded<'a>(&'a self, payload: Bytes, request: Request<'a>) -> BoxFuture<'a, Result<Bytes, Failure>> {
        async move {
            let input = decode_input::<In>(&payload, &self.address, self.core())?;
            let reply = self.endpoint.call(input, request).await?;
            run_serde(|| codec::encode_json(&reply), "encode the reply", &self.address)
                .map_err(|failure| failure.with_executed(Executed::Yes))
        }
        .boxed()
    }
}

/// The input of a call or a stream; what does not decode is `invalid`, names the field, and counts at its endpoint.
pub(crate) fn decode_input<In: DeserializeOwned>(
    payload: &[u8],
    address: &Address,
    core: &EndpointCore,
) -> Result<In, Failure> {
    caught(|| codec::decode_json::<In>(payload))
        .map_err(|panic| internal("decode the input", address, &panic))
        .and_then(|decoded| decoded.map_err(Failure::from))
        .inspect_err(|_failure| core.metrics().record_outcome(CallOutcome::Invalid))
        .map_err(not_executed)
}

/// Calls wherever the command is served.
pub(crate) async fn call<C: Command>(
    node: &Arc<NodeCore>,
    input: C,
    request: Request<'_>,
) -> Result<C::Reply, Failure> {
    let route = node.resolve(C::ADDRESS.key()).await?;
    if let Route::Local(endpoint) = &route
        && !node.codec_always()
    {
        if let Some(typed) = endpoint.as_any().downcast_ref::<CommandRoute<C, C::Reply>>() {
            return typed.endpoint.call(input, request).await;
        }
        node.count_typed_fallback();
    }
    let payload = run_serde(|| codec::encode_json(&input), "encode the input", &C::ADDRESS).map_err(not_executed)?;
    let reply = call_route(&route, C::ADDRESS.key(), payload, request).await?;
    run_serde(|| codec::decode_json(&reply), "decode the reply", &C::ADDRESS)
        .map_err(|failure| failure.with_executed(Executed::Yes))
}

/// Calls with an encoded payload: over HTTP, from a shell, from a broker.
pub(crate) async fn call_json(
    node: &Arc<NodeCore>,
    address: AddressKey<'_>,
    payload: Bytes,
    request: Request<'_>,
) -> Result<Bytes, Failure> {
    let route = node.resolve(address).await?;
    call_route(&route, address, payload, request).await
}

async fn call_route(
    route: &Route,
    address: AddressKey<'_>,
    payload: Bytes,
    request: Request<'_>,
) -> Result<Bytes, Failure> {
    match route {
        Route::Local(endpoint) => endpoint.call_encoded(payload, request).await,
        Route::Remote(link) => link.call(address, payload, request).await,
    }
}

/// Opens a stream wherever it is served.
pub(crate) async fn open<S: Stream>(
    node: &Arc<NodeCore>,
    input: S,
    request: Request<'_>,
) -> Result<StreamReader<S::Item>, Failure> {
    let route = node.resolve(S::ADDRESS.key()).await?;
    if let Route::Local(endpoint) = &route
        && !node.codec_always()
    {
        if let Some(typed) = endpoint.as_any().downcast_ref::<StreamRoute<S, S::Item>>() {
            let reader = typed.open(input, request).await?;
            return Ok(StreamReader::typed(S::ADDRESS, reader));
        }
        node.count_typed_fallback();
    }
    let payload = run_serde(|| codec::encode_json(&input), "encode the input", &S::ADDRESS).map_err(not_executed)?;
    let reader = open_route(&route, S::ADDRESS.key(), payload, request).await?;
    Ok(StreamReader::encoded(S::ADDRESS, reader))
}

/// Opens a stream with an encoded payload, and reads encoded items.
pub(crate) async fn open_json(
    node: &Arc<NodeCore>,
    address: AddressKey<'_>,
    payload: Bytes,
    request: Request<'_>,
) -> Result<EncodedReader, Failure> {
    let route = node.resolve(address).await?;
    let reader = open_route(&route, address, payload, request).await?;
    Ok(EncodedReader::new(reader))
}

async fn open_route(
    route: &Route,
    address: AddressKey<'_>,
    payload: Bytes,
    request: Request<'_>,
) -> Result<ItemReader<Bytes>, Failure> {
    match route {
        // As far ahead as the stream itself allows.
        Route::Local(endpoint) => endpoint.open_encoded(payload, usize::MAX, request).await,
        Route::Remote(link) => link.open(address, payload, request).await,
    }
}

/// Publishes an event on the node's event bridge.
pub(crate) async fn emit<E: Event>(node: &Arc<NodeCore>, event: E, identity: Identity) -> Result<(), Failure> {
    let payload = if node.codec_always() {
        Payload::Bytes(run_serde(|| codec::encode_json(&event), "encode the event", &E::NAME).map_err(not_executed)?)
    } else {
        Payload::shared(Arc::new(event))
    };
    publish(node, E::NAME.key(), payload, identity).await
}

/// Publishes an event, encoded or not.
pub(crate) async fn publish(
    node: &Arc<NodeCore>,
    event: EventKey<'_>,
    payload: Payload,
    identity: Identity,
) -> Result<(), Failure> {
    roadshow_actors::spend_budget().await;
    if identity.hops >= HOPS_MAX {
        let text = format!("the conversation has taken {HOPS_MAX} hops: is it a loop?");
        return Err(not_executed(Failure::exhausted(text)));
    }
    let bridge = node.event_bridge()?;
    let EventSubject { name, subject } = node.event_subject(event);
    let mut envelope = Envelope::event(subject, name, identity, payload);
    envelope.from = Some(node.sender());
    let published = match bridge.try_publish(envelope) {
        TryPublish::Done(published) => published,
        TryPublish::WouldWait(envelope) => bridge.publish(envelope).await,
    };
    match published.map_err(roadshow_actors::not_sent)? {
        // An event that nobody listens to is still an event.
        Published::Accepted | Published::Unroutable => Ok(()),
        Published::Indeterminate => {
            let text = format!("no confirmation came for the event {}", event.as_str());
            Err(Failure::unavailable(text).with_executed(Executed::Unknown))
        }
    }
}

/// Refuses what starts a conversation while the node drains.
pub(crate) fn refuse_drain(node: &NodeCore) -> Result<(), Failure> {
    if node.phase() >= Phase::Draining {
        return Err(not_executed(Failure::unavailable("this node is shutting down")));
    }
    Ok(())
}

/// Runs the author's serde code. Whatever goes wrong in it stays in this node's log; others learn only that it did.
pub(crate) fn run_serde<T, E: fmt::Display>(
    run: impl FnOnce() -> Result<T, E>,
    what: &str,
    message: &dyn fmt::Display,
) -> Result<T, Failure> {
    match caught(run) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(internal(what, message, &error)),
        Err(panic) => Err(internal(what, message, &panic)),
    }
}

/// Runs code that may panic; the error is what the panic said.
fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        format!("panicked: {}", text.as_deref().unwrap_or("no text"))
    })
}

fn internal(what: &str, message: &dyn fmt::Display, cause: &dyn fmt::Display) -> Failure {
    error!(%message, %cause, "cannot {what}");
    Failure::internal(format!("cannot {what} of {message}"))
}

fn not_executed(failure: Failure) -> Failure {
    failure.with_executed(Executed::No)
}
