//! An endpoint: where the calls of one command, or the deliveries of one subscription, are admitted and run.
//!
//! It outlives the incarnations of its service, and everything a call needs hangs from it: permits and the queue before
//! them, limits, metrics, and the gate of the service.

use std::any::Any;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use roadshow_bridges::{Address, Executed, Failure, ServiceId, Who};

use crate::context::CallContext;
use crate::core::NodeCore;
use crate::metrics::{CallMetrics, Load};
use crate::permits::Permits;
use crate::request::Request;
use crate::service::ServiceCore;
use crate::stream::{HEARTBEAT, ItemReader};

/// How many lanes keep order per key; two keys may share a lane, which costs time and never order.
const LANES: usize = 64;

/// What an endpoint admits, and for how long.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Handlers at work at the same time. Default 256.
    pub concurrency: NonZeroU32,
    /// Callers that may wait for their turn. Default 1,024.
    pub waiting: u32,
    /// Time budget of a call that brings none of its own. Default 30 s.
    pub deadline: Duration,
    /// How long after its deadline a handler is dropped. Default 5 s.
    pub abandon_after: Duration,
    /// Whether every handler gets a task of its own at once: for handlers that block. Off.
    pub detached: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            concurrency: NonZeroU32::new(256).expect("256 is not zero"),
            waiting: 1024,
            deadline: Duration::from_secs(30),
            abandon_after: Duration::from_secs(5),
            detached: false,
        }
    }
}

/// Refuses calls that come too fast.
pub trait RateLimit: Send + Sync + 'static {
    /// Lets one call on behalf of `who` pass, or says why not.
    ///
    /// # Errors
    /// An `exhausted` failure that was not executed.
    fn check(&self, who: Option<&Who>) -> Result<(), Failure>;
}

/// The untyped half of an endpoint.
pub struct EndpointCore {
    pub(crate) name: &'static str,
    pub(crate) service: Arc<ServiceCore>,
    pub(crate) permits: Permits,
    pub(crate) lanes: Option<Lanes>,
    /// Calls that hold a permit and wait in front of the gate.
    pub(crate) at_gate: AtomicU32,
    pub(crate) limits: Limits,
    pub(crate) rate: Option<Box<dyn RateLimit>>,
    pub(crate) metrics: CallMetrics,
}

/// One permit per lane: what shares a lane runs in order of arrival.
#[derive(Debug)]
pub(crate) struct Lanes {
    lanes: Vec<Permits>,
    hasher: RandomState,
    /// Callers that wait in any of the lanes, of which there may be `waiting_max`.
    waiting: AtomicU32,
    waiting_max: u32,
}

/// A place among those who wait for a lane.
#[derive(Debug)]
pub(crate) struct LanePlace<'a>(&'a AtomicU32);

impl Drop for LanePlace<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lanes {
    fn new(waiting: u32) -> Self {
        let one = NonZeroU32::MIN;
        Lanes {
            lanes: (0..LANES).map(|_| Permits::new(one, waiting)).collect(),
            hasher: RandomState::new(),
            waiting: AtomicU32::new(0),
            waiting_max: waiting,
        }
    }

    /// A place to wait in, unless as many wait as may.
    pub(crate) fn place(&self) -> Option<LanePlace<'_>> {
        let place = LanePlace(&self.waiting);
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        (before < self.waiting_max).then_some(place)
    }

    pub(crate) fn of(&self, key: &str) -> usize {
        (self.hasher.hash_one(key) % LANES as u64) as usize
    }

    pub(crate) fn lane(&self, index: usize) -> &Permits {
        &self.lanes[index]
    }

    fn is_idle(&self) -> bool {
        self.lanes.iter().all(Permits::is_idle)
    }

    fn waiting(&self) -> u32 {
        self.lanes.iter().map(Permits::waiting).sum()
    }
}

impl fmt::Debug for EndpointCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointCore")
            .field("service", &self.service.id())
            .field("name", &self.name)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl EndpointCore {
    /// Command or subscription, without its service.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The service behind it.
    #[must_use]
    pub fn service(&self) -> &Arc<ServiceCore> {
        &self.service
    }

    /// The limits it was declared with.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What was counted here.
    #[must_use]
    pub fn metrics(&self) -> &CallMetrics {
        &self.metrics
    }

    /// Handlers at work: admitted and past the gate.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.permits
            .in_use()
            .saturating_sub(self.at_gate.load(Ordering::Relaxed))
    }

    /// Calls that wait: for a lane, for a permit, or in front of the gate.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        let lanes = self.lanes.as_ref().map_or(0, Lanes::waiting);
        self.permits.waiting() + lanes + self.at_gate.load(Ordering::Relaxed)
    }

    /// Whether nobody runs here and nobody waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        // A lane is given on before its next holder asks for a permit, so both are looked at.
        self.permits.is_idle() && self.lanes.as_ref().is_none_or(Lanes::is_idle)
    }

    pub(crate) fn node(&self) -> &Arc<NodeCore> {
        self.service.node()
    }

    pub(crate) fn service_id(&self) -> ServiceId {
        self.service.id()
    }
}

/// Starts the handler on an admitted call. What the handler itself answers with `Err` must say that it was executed; what
/// stands before it (validation, guards) that it was not.
pub type Run<In, Out> = Box<dyn Fn(In, CallContext) -> BoxFuture<'static, Result<Out, Failure>> + Send + Sync>;

/// The key by which an endpoint keeps order.
pub type KeyOf<In> = Box<dyn Fn(&In) -> String + Send + Sync>;

/// An endpoint that takes an `In` and answers with an `Out`.
pub struct Endpoint<In, Out> {
    pub(crate) core: Arc<EndpointCore>,
    pub(crate) run: Run<In, Out>,
    pub(crate) key_of: Option<KeyOf<In>>,
}

impl<In, Out> fmt::Debug for Endpoint<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.fmt(f)
    }
}

/// What an endpoint is made of.
pub struct EndpointSpec<In, Out> {
    /// Command or subscription, without its service.
    pub name: &'static str,
    /// The service behind it.
    pub service: Arc<ServiceCore>,
    /// What it admits.
    pub limits: Limits,
    /// Its rate limits, if it has any.
    pub rate: Option<Box<dyn RateLimit>>,
    /// Where its calls are counted.
    pub metrics: CallMetrics,
    /// The handler.
    pub run: Run<In, Out>,
    /// The key by which it keeps order, if it does.
    pub key_of: Option<KeyOf<In>>,
}

impl<In, Out> fmt::Debug for EndpointSpec<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointSpec")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<In, Out> Endpoint<In, Out> {
    /// An endpoint as specified.
    #[must_use]
    pub fn new(spec: EndpointSpec<In, Out>) -> Self {
        let lanes = spec
            .key_of
            .as_ref()
            .map(|_| Lanes::new(spec.limits.waiting.max(spec.limits.concurrency.get())));
        let core = EndpointCore {
            name: spec.name,
            service: spec.service,
            permits: Permits::new(spec.limits.concurrency, spec.limits.waiting),
            lanes,
            at_gate: AtomicU32::new(0),
            limits: spec.limits,
            rate: spec.rate,
            metrics: spec.metrics,
        };
        Endpoint {
            core: Arc::new(core),
            run: spec.run,
            key_of: spec.key_of,
        }
    }

    /// The untyped half.
    #[must_use]
    pub fn core(&self) -> &Arc<EndpointCore> {
        &self.core
    }

    /// Shows calls at work and waiting in the node's metrics, as long as the endpoint lives.
    pub fn show_load(&self) {
        let (core, id) = (Arc::downgrade(&self.core), self.core.service.id());
        self.core
            .node()
            .metrics()
            .watch_load(id.name(), id.version(), self.core.name, move || {
                let core = core.upgrade()?;
                Some(Load {
                    in_flight: core.in_flight().into(),
                    waiting: core.waiting().into(),
                })
            });
    }
}

/// An endpoint as the routing table holds it: found by address, typed again by downcast.
pub trait CommandEndpoint: Send + Sync + fmt::Debug + 'static {
    /// What it answers to.
    fn address(&self) -> Address;
    /// The untyped half.
    fn core(&self) -> &Arc<EndpointCore>;
    /// For downcasting to the typed endpoint.
    fn as_any(&self) -> &dyn Any;
    /// For downcasting a shared endpoint.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
    /// Whether a second run with the same input changes nothing.
    fn is_idempotent(&self) -> bool {
        false
    }
    /// The same call on encoded values: JSON in, JSON out.
    fn call_encoded<'a>(&'a self, payload: Bytes, request: Request<'a>) -> BoxFuture<'a, Result<Bytes, Failure>>;
    /// Opens the stream at this address on encoded values, its handler at most `ahead` items ahead of its reader. Refused
    /// where there is a command.
    fn open_encoded<'a>(
        &'a self,
        payload: Bytes,
        ahead: usize,
        request: Request<'a>,
    ) -> BoxFuture<'a, Result<ItemReader<Bytes>, Failure>> {
        let _ = (payload, ahead, request);
        Box::pin(std::future::ready(Err(no_stream(&self.address()))))
    }
    /// How often the stream at this address says over a bridge that it lives, while it is quiet.
    fn heartbeat(&self) -> Duration {
        HEARTBEAT
    }
}

/// The answer to whoever opens what is a command.
pub(crate) fn no_stream(address: &dyn fmt::Display) -> Failure {
    Failure::invalid(format!("{address} is a command: call it")).with_executed(Executed::No)
}
