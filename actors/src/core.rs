//! What every part of a node shares: its clock, ids, wheel, routes, metrics and phase.
//!
//! There is one per node and it is passed by `Arc`; nothing here is process-wide, so two nodes of one process never
//! meet.

use std::cell::Cell;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use hashbrown::HashMap;
use ractor::{ActorRef, rpc::CallResult};
use roadshow_bridges::{
    AddressBuf, AddressKey, EventBridge, EventKey, EventNameBuf, Failure, IncarnationId, Namespace, NodeId, Subject,
};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::bridge::BridgeDrops;
use crate::cancel::Cancellations;
use crate::clock::Clock;
use crate::exchange::ExchangeHealth;
use crate::ids::Ids;
use crate::inbox::Inbox;
use crate::metrics::{NodeMetrics, ShardedCounter};
use crate::router::RouterMessage;
use crate::routes::{Route, Routes};
use crate::wheel::Wheel;

/// Where a node is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Parts are starting; outside calls wait at their gates.
    Starting = 0,
    /// Everything that must serve serves.
    Running = 1,
    /// Shutting down: outside calls are refused, what is in flight and what descends from it is finished.
    Draining = 2,
    /// The drain has ended: nothing is admitted.
    Stopped = 3,
}

/// The shared heart of one node.
#[derive(Debug)]
pub struct NodeCore {
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) wheel: Wheel,
    pub(crate) cancellations: Cancellations,
    pub(crate) routes: ArcSwap<Routes>,
    pub(crate) metrics: NodeMetrics,
    runtime: Handle,
    phase: AtomicU8,
    codec_always: bool,
    node_id: NodeId,
    incarnation: IncarnationId,
    pub(crate) inbox: Inbox,
    pub(crate) exchange: ExchangeHealth,
    pub(crate) call_timeout: Duration,
    pub(crate) reply_allow: Vec<String>,
    sender: Arc<str>,
    namespace: Namespace,
    bridge: ArcSwapOption<Arc<dyn EventBridge>>,
    /// Told whenever the bridge is set or cleared.
    pub(crate) bridge_changed: Notify,
    pub(crate) bridge_drops: Arc<BridgeDrops>,
    router: ArcSwapOption<ActorRef<RouterMessage>>,
    /// Subjects of the events emitted here. Bounded by [`SUBJECTS_MAX`].
    subjects: RwLock<HashMap<Box<str>, EventSubject>>,
    intake: CancellationToken,
    typed_fallbacks: ShardedCounter,
}

/// What an event is called, and where it is published.
#[derive(Clone, Debug)]
pub struct EventSubject {
    /// Its name.
    pub name: EventNameBuf,
    /// Its subject in the node's namespace.
    pub subject: Subject,
}

const LATE_REPLIES: &str = "roadshow_late_replies_total";
const TYPED_FALLBACKS: &str = "roadshow_typed_fallbacks_total";
/// How many event subjects a node remembers; more are made anew each time.
const SUBJECTS_MAX: usize = 1024;
/// How long the router may take for the slow path.
pub(crate) const RESOLVE_DEADLINE: Duration = Duration::from_secs(1);

/// What a node is called, and how it behaves.
#[derive(Debug)]
pub struct NodeSpec {
    /// Where its time comes from.
    pub clock: Clock,
    /// Where its ids come from.
    pub ids: Ids,
    /// Where its counts go.
    pub metrics: NodeMetrics,
    /// Where its handlers run.
    pub runtime: Handle,
    /// Its name in the namespace.
    pub node_id: NodeId,
    /// This life of the node; another one than that of every node with this name before.
    pub incarnation: IncarnationId,
    /// What its subjects begin with.
    pub namespace: Namespace,
    /// Whether every call is encoded and decoded, as if it crossed a wire.
    pub codec_always: bool,
    /// The time budget of a call to another node for which nobody chose one.
    pub call_timeout: Duration,
    /// Reply addresses of foreign clients that are answered beside those that the bridge names.
    pub reply_allow: Vec<String>,
}

thread_local! {
    /// The task and the runtime that this thread ran last. Only a cache: a task never changes its runtime, so one
    /// comparison of task ids saves cloning the runtime's handle on every call.
    static LAST_SEEN: Cell<Option<(tokio::task::Id, tokio::runtime::Id)>> = const { Cell::new(None) };
}

impl NodeCore {
    /// The heart of a node.
    #[must_use]
    pub fn new(spec: NodeSpec) -> Arc<Self> {
        let typed_fallbacks = spec.metrics.counter(TYPED_FALLBACKS, &[]);
        let late = spec.metrics.counter(LATE_REPLIES, &[]);
        Arc::new(NodeCore {
            clock: spec.clock,
            ids: spec.ids,
            wheel: Wheel::default(),
            cancellations: Cancellations::default(),
            routes: ArcSwap::from_pointee(Routes::default()),
            metrics: spec.metrics,
            runtime: spec.runtime,
            phase: AtomicU8::new(Phase::Starting as u8),
            codec_always: spec.codec_always,
            sender: spec.node_id.as_str().into(),
            inbox: Inbox::new(late),
            exchange: ExchangeHealth::default(),
            call_timeout: spec.call_timeout,
            reply_allow: spec.reply_allow,
            incarnation: spec.incarnation,
            node_id: spec.node_id,
            namespace: spec.namespace,
            bridge: ArcSwapOption::empty(),
            bridge_changed: Notify::new(),
            bridge_drops: Arc::default(),
            router: ArcSwapOption::empty(),
            subjects: RwLock::default(),
            intake: CancellationToken::new(),
            typed_fallbacks,
        })
    }

    /// The node's id.
    #[must_use]
    pub fn node_id(&self) -> &str {
        self.node_id.as_str()
    }

    /// This life of the node.
    #[must_use]
    pub fn incarnation(&self) -> IncarnationId {
        self.incarnation
    }

    /// Where replies and frames for this node arrive.
    #[must_use]
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// Where the parts of one call or stream of this node's are to be sent.
    #[must_use]
    pub fn inbox_subject(&self, call: u128) -> Subject {
        self.namespace.inbox_subject(&self.node_id, self.incarnation, call)
    }

    /// The parent of all of them: what the node subscribes to, with its children.
    #[must_use]
    pub fn inbox_root(&self) -> Subject {
        self.namespace.inbox_root(&self.node_id, self.incarnation)
    }

    /// Whether calls to other nodes can be answered: what the exchange last heard of itself.
    #[must_use]
    pub fn exchange_state(&self) -> crate::exchange::ExchangeState {
        self.exchange.state(self.clock.now())
    }

    /// Waits until the bridge has confirmed the node's inbox.
    ///
    /// # Cancel safety
    /// Dropping the future only stops the waiting.
    pub async fn exchange_confirmed(&self) {
        self.exchange.confirmed().await;
    }

    /// What the node's messages say they come from.
    #[must_use]
    pub fn sender(&self) -> Arc<str> {
        Arc::clone(&self.sender)
    }

    /// What the node's subjects begin with.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The event bridge, once it is connected.
    ///
    /// # Errors
    /// `unavailable` before that, and after it was closed.
    pub fn event_bridge(&self) -> Result<Arc<dyn EventBridge>, Failure> {
        let bridge = self.bridge.load();
        bridge
            .as_deref()
            .map(Arc::clone)
            .ok_or_else(|| Failure::unavailable("the event bridge is not connected"))
    }

    /// Publishes and subscribes through `bridge` from now on. On a running node only its bridge actor does this.
    pub fn set_event_bridge(&self, bridge: Option<Arc<dyn EventBridge>>) {
        self.bridge.store(bridge.map(Arc::new));
        self.bridge_changed.notify_waiters();
    }

    /// Publishes and subscribes through `bridge` no more. Another one that has taken its place meanwhile stays.
    pub fn clear_event_bridge(&self, bridge: &Arc<dyn EventBridge>) {
        let current = self.bridge.load();
        if current.as_deref().is_some_and(|current| Arc::ptr_eq(current, bridge)) {
            self.bridge.compare_and_swap(&current, None);
            self.bridge_changed.notify_waiters();
        }
    }

    pub(crate) fn set_router(&self, router: ActorRef<RouterMessage>) {
        self.router.store(Some(Arc::new(router)));
    }

    pub(crate) fn router(&self) -> Option<Arc<ActorRef<RouterMessage>>> {
        self.router.load_full()
    }

    /// Cancelled when the node takes no deliveries any more.
    #[must_use]
    pub fn intake(&self) -> &CancellationToken {
        &self.intake
    }

    /// Name and subject of an event that is emitted here. Remembered, because making them allocates.
    #[must_use]
    pub fn event_subject(&self, event: EventKey<'_>) -> EventSubject {
        let known = self
            .subjects
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(event.as_str())
            .cloned();
        if let Some(known) = known {
            return known;
        }
        let made = EventSubject {
            name: EventNameBuf::from(event),
            subject: self.namespace.event_subject(event),
        };
        let mut subjects = self.subjects.write().unwrap_or_else(PoisonError::into_inner);
        if subjects.len() < SUBJECTS_MAX {
            subjects.insert(event.as_str().into(), made.clone());
        }
        made
    }

    /// Where a call to `key` goes: the published routes answer at once, and where they do not know, the router does.
    ///
    /// # Errors
    /// As [`Routes::resolve`].
    pub async fn resolve(&self, key: AddressKey<'_>) -> Result<Route, Failure> {
        match self.routes.load().local(key) {
            Some(endpoint) => Ok(Route::Local(Arc::clone(endpoint))),
            None => self.resolve_slowly(key).await,
        }
    }

    async fn resolve_slowly(&self, key: AddressKey<'_>) -> Result<Route, Failure> {
        let known = self.routes().resolve(key);
        // Only while routes are still being added can the router know more; later, strangers must not fill its mailbox.
        let asks = known.is_err() && self.phase() == Phase::Starting;
        let Some(router) = asks.then(|| self.router.load_full()).flatten() else {
            return known;
        };
        let Ok(address) = key.to_string().parse::<AddressBuf>() else {
            return known;
        };
        let asked = router
            .call(|reply| RouterMessage::Resolve(address, reply), Some(RESOLVE_DEADLINE))
            .await;
        match asked {
            Ok(CallResult::Success(route)) => route,
            _ => known,
        }
    }

    /// Counts a call inside this node that had to be encoded because the two sides use different types.
    pub fn count_typed_fallback(&self) {
        self.typed_fallbacks.increment();
    }

    /// The node's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The source of the node's ids.
    #[must_use]
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// The node's metrics.
    #[must_use]
    pub fn metrics(&self) -> &NodeMetrics {
        &self.metrics
    }

    /// The routes as the router published them last.
    #[must_use]
    pub fn routes(&self) -> Arc<Routes> {
        self.routes.load_full()
    }

    /// Publishes a changed routing table. On a running node only the router does this: there is one writer.
    pub fn change_routes(&self, change: impl FnOnce(&mut Routes)) {
        let mut routes = Routes::clone(&self.routes());
        change(&mut routes);
        self.routes.store(Arc::new(routes));
    }

    /// The runtime on which handlers run.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Whether every call is encoded and decoded, local ones too.
    #[must_use]
    pub fn codec_always(&self) -> bool {
        self.codec_always
    }

    /// Lets go of everything that holds the node in turn: routes, router and bridge. For a node that has stopped.
    pub fn close(&self) {
        self.routes.store(Arc::new(Routes::default()));
        self.router.store(None);
        self.bridge.store(None);
    }

    /// Where the node is in its life.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Running,
            2 => Phase::Draining,
            _ => Phase::Stopped,
        }
    }

    /// Moves on to `phase`; a node never goes back.
    pub fn enter_phase(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
    }

    /// Handlers whose first poll was not their last and which have not ended.
    #[must_use]
    pub fn pending_handlers(&self) -> usize {
        self.wheel.len()
    }

    /// Calls to other nodes, and streams, that wait for their answers.
    #[must_use]
    pub fn waits_elsewhere(&self) -> usize {
        self.inbox.len()
    }

    /// Ends every pending handler now, and every later one at once: their futures are dropped. Whoever waits for another
    /// node is told that there will be no answer.
    pub fn abandon_all(&self) {
        self.inbox.close();
        self.wheel.end_all();
    }

    /// Whether the calling thread is polling a task of the node's own runtime.
    pub(crate) fn on_runtime(&self) -> bool {
        let Some(task) = tokio::task::try_id() else {
            return Handle::try_current().is_ok_and(|handle| handle.id() == self.runtime.id());
        };
        LAST_SEEN.with(|seen| match seen.get() {
            Some((seen_task, runtime)) if seen_task == task => runtime == self.runtime.id(),
            _ => {
                let Ok(handle) = Handle::try_current() else {
                    return false;
                };
                seen.set(Some((task, handle.id())));
                handle.id() == self.runtime.id()
            }
        })
    }
}
