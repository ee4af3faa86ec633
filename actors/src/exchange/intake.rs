//! The intake of a service: the commands that others send, and what is called off again.
//!
//! It belongs to the service's supervisor, outlives the incarnations of the service, and moves over when its bridge is
//! replaced. How one delivery is served is in `serving`, how many at a time in `lane`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use roadshow_bridges::{Capability, Deliveries, Error, EventBridge, MessageId, ServiceId, Subject, Subscription};
use tokio::task::JoinSet;
use tracing::warn;

use super::finishing::Finishing;
use super::jobs::Jobs;
use super::lane::{Lane, LaneEnd};
use super::reply_policy::ReplyPolicy;
use super::resend::is_ours_to_resend;
use super::serving::Manners;
use crate::bridge::{is_lost, usable_bridge};
use crate::core::{NodeCore, Phase};
use crate::endpoint::{CommandEndpoint, EndpointCore};
use crate::metrics::{Outcome, Refusal, ShardedCounter};
use crate::owned_task::{OwnedTask, TaskPanic};
use crate::service::ServiceCore;
use crate::taking::TakeEnd;

/// How many answers may be on their way beside what is at work.
const ANSWERS_MAX: usize = 1024;
/// How many deliveries may be out of which nothing is known but that nobody serves them.
const REST_WINDOW: usize = 64;
/// How many deliveries a command that keeps order per key holds beyond those at work: they wait for their lane.
const AHEAD_MAX: usize = 256;
/// How often refused reply addresses are logged at most.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// What takes the commands of one service from the bridge.
pub struct Intake {
    service: Arc<ServiceCore>,
    commands: Vec<Arc<dyn CommandEndpoint>>,
    pub(super) jobs: Jobs,
    confirmed: AtomicBool,
    busy: AtomicBool,
    finishing: Finishing,
    without_reply: ShardedCounter,
    given_up: ShardedCounter,
    /// When a refused reply address was logged last, in nanoseconds of the node's clock; 0 for never.
    warned: AtomicU64,
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake")
            .field("service", &self.service.id())
            .finish_non_exhaustive()
    }
}

impl Intake {
    /// An intake that has not started.
    #[must_use]
    pub fn new(service: Arc<ServiceCore>, commands: Vec<Arc<dyn CommandEndpoint>>) -> Arc<Self> {
        let name = service.id().to_string();
        let counter = |of| service.node().metrics().counter(of, &[("service", name.as_str())]);
        Arc::new(Intake {
            without_reply: counter("roadshow_commands_without_reply_total"),
            given_up: counter("roadshow_commands_given_up_total"),
            service,
            commands,
            jobs: Jobs::default(),
            confirmed: AtomicBool::new(false),
            busy: AtomicBool::new(false),
            finishing: Finishing::default(),
            warned: AtomicU64::new(0),
        })
    }

    /// Whether the bridge has confirmed its subscriptions and commands are taken.
    #[must_use]
    pub fn is_subscribed(&self) -> bool {
        self.confirmed.load(Ordering::Acquire)
    }

    /// Whether nothing is at work for others, answers on their way included, and nothing is taken.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        !self.busy.load(Ordering::Acquire) && self.finishing.is_done()
    }

    pub(super) fn node(&self) -> &Arc<NodeCore> {
        self.service.node()
    }

    pub(super) fn service_id(&self) -> ServiceId {
        self.service.id()
    }

    pub(super) fn endpoint(&self, name: &str) -> Option<&Arc<dyn CommandEndpoint>> {
        self.commands
            .iter()
            .find(|endpoint| endpoint.address().command() == name)
    }

    /// Whether a reply address is the inbox of one of our own nodes.
    pub(super) fn is_ours(&self, reply_to: &Subject) -> bool {
        self.node().namespace().is_inbox(reply_to)
    }

    pub(super) fn count_unanswered(&self) {
        self.without_reply.increment();
    }

    /// Counts a command that ran, and runs no more although its caller may not have its answer.
    pub(super) fn count_given_up(&self, command: &str, id: MessageId) {
        self.given_up.increment();
        let service = self.service.text();
        warn!(service, command, %id, "a command is not started again although nobody confirmed its answer");
    }

    /// Counts a command that names a reply address which is not answered.
    pub(super) fn refuse_reply_address(&self, endpoint: Option<&Arc<dyn CommandEndpoint>>, reply_to: &Subject) {
        if let Some(endpoint) = endpoint {
            let metrics = endpoint.core().metrics();
            metrics.record_refused(Refusal::ReplyAddress, Outcome::Forbidden);
        }
        let now = self.node().clock.now().as_nanos().max(1);
        let last = self.warned.load(Ordering::Relaxed);
        let due = last == 0 || Duration::from_nanos(now.saturating_sub(last)) >= WARN_EVERY;
        let first = due
            && self
                .warned
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if first {
            let service = self.service.text();
            warn!(service, %reply_to, "a command names a reply address that is not answered: it is not run");
        }
    }

    async fn hear_cancels(&self, mut cancels: Deliveries) {
        while let Some(delivery) = cancels.next().await {
            self.jobs
                .call_off(delivery.envelope().identity.id, self.node().clock.now());
            delivery.ack();
        }
    }
}

/// One subscription of an intake: what to ask for, whose permits to wait for, and how much may be at work.
struct Plan {
    subscription: Subscription,
    permits: Option<Arc<EndpointCore>>,
    running_max: usize,
}

/// What an intake subscribes to on a bridge with this capability.
fn plans(intake: &Intake, capability: &Capability) -> Vec<Plan> {
    let (namespace, service) = (intake.node().namespace(), intake.service_id());
    let id = format!("{}={}", service.name(), service.version());
    let window = |wanted: usize| wanted.min(capability.window_max.unwrap_or(usize::MAX));
    let root = namespace.command_root(service);
    if !capability.holds_backlog {
        let room = intake.commands.iter().map(|endpoint| room(endpoint.core())).sum();
        let subscription = Subscription::children(root).group(format!("cmd={id}"));
        return vec![Plan {
            subscription: subscription.window(window(room)),
            permits: None,
            running_max: room + ANSWERS_MAX,
        }];
    }
    let commands = intake.commands.iter().map(|endpoint| {
        let core = endpoint.core();
        let ahead = core.lanes.as_ref().map_or(0, |_| AHEAD_MAX);
        let at_once = core.limits().concurrency.get() as usize + ahead;
        let subscription = Subscription::new(namespace.command_subject(endpoint.address()));
        Plan {
            subscription: subscription
                .group(format!("cmd={id}={}", core.name()))
                .window(window(at_once)),
            permits: Some(Arc::clone(core)),
            running_max: room(core) + ANSWERS_MAX,
        }
    });
    let rest = capability.rest.then(|| Plan {
        subscription: Subscription::rest(root)
            .group(format!("rest={id}"))
            .window(window(REST_WINDOW)),
        permits: None,
        running_max: ANSWERS_MAX,
    });
    commands.chain(rest).collect()
}

/// How many calls an endpoint has room for.
fn room(core: &EndpointCore) -> usize {
    core.limits().concurrency.get() as usize + core.limits().waiting as usize
}

/// An intake whose subscriptions are confirmed, and the bridge that they are on.
pub(super) struct Bound {
    bridge: Arc<dyn EventBridge>,
    lanes: Vec<Lane>,
    cancels: Deliveries,
}

impl Intake {
    /// Subscribes at the node's bridge, as soon as there is one that can be used.
    async fn join(self: &Arc<Self>) -> Result<Bound, Error> {
        loop {
            let bridge = usable_bridge(self.node()).await;
            match self.bind(&bridge).await {
                Ok(bound) => return Ok(bound),
                // Lost meanwhile: its successor is waited for.
                Err(_) if is_lost(&*bridge) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Subscribes to everything; cancels first, so that none is missed of what is taken.
    async fn bind(self: &Arc<Self>, bridge: &Arc<dyn EventBridge>) -> Result<Bound, Error> {
        let (node, capability) = (self.node(), bridge.capability());
        let cancels = Subscription::new(node.namespace().cancel_subject(self.service_id()));
        let cancels = bridge.subscribe(cancels).await?;
        let policy = ReplyPolicy::new(
            node.namespace().clone(),
            bridge.reply_prefixes(),
            node.reply_allow.clone(),
        );
        let manners = Arc::new(Manners {
            holds_backlog: capability.holds_backlog,
            wants_signs: is_ours_to_resend(&capability),
            policy,
        });
        let mut lanes = Vec::new();
        for plan in plans(self, &capability) {
            lanes.push(Lane {
                intake: Arc::clone(self),
                manners: Arc::clone(&manners),
                deliveries: bridge.subscribe(plan.subscription).await?,
                permits: plan.permits,
                running: FuturesUnordered::new(),
                running_max: plan.running_max,
            });
        }
        Ok(Bound {
            bridge: Arc::clone(bridge),
            lanes,
            cancels,
        })
    }

    /// Takes commands, from one bridge after the other.
    async fn keep_taking(self: Arc<Self>, mut bound: Bound, mut confirmed: Confirmed) -> Result<TakeEnd, Error> {
        let _busy = Busy::mark(&self);
        loop {
            let bridge = Arc::clone(&bound.bridge);
            let end = self.take(bound).await;
            drop(confirmed);
            // While the node starts, somebody waits to see this actor ready: only a restart shows that.
            let moves = end == TakeEnd::Ended && is_lost(&*bridge) && self.node().phase() != Phase::Starting;
            if !moves {
                return Ok(end);
            }
            bound = tokio::select! {
                () = self.node().intake().cancelled() => return Ok(TakeEnd::Cancelled),
                joined = self.join() => joined?,
            };
            confirmed = Confirmed::mark(&self);
        }
    }

    /// Takes commands from one bridge, until the first of its lanes ends. What is at work then is finished.
    async fn take(self: &Arc<Self>, bound: Bound) -> TakeEnd {
        let runtime = self.node().runtime();
        let (mut lanes, mut hearing) = (JoinSet::new(), JoinSet::new());
        let this = Arc::clone(self);
        hearing.spawn_on(async move { this.hear_cancels(bound.cancels).await }, runtime);
        let over = self.node().intake().child_token();
        for lane in bound.lanes {
            lanes.spawn_on(lane.run(over.clone()), runtime);
        }
        let mut end = TakeEnd::Cancelled;
        while let Some(ended) = lanes.join_next().await {
            match ended {
                Ok(LaneEnd::Drained) => continue,
                Ok(LaneEnd::Ended(running)) => self.finishing.take(running, runtime),
                // A panic here is ours: the actor fails with it, and starts anew.
                Err(_panic) => {}
            }
            end = TakeEnd::Ended;
            over.cancel();
        }
        end
    }
}

/// Subscriptions that are confirmed, until this is dropped.
struct Confirmed(Arc<Intake>);

impl Confirmed {
    fn mark(intake: &Arc<Intake>) -> Self {
        intake.confirmed.store(true, Ordering::Release);
        Confirmed(Arc::clone(intake))
    }
}

impl Drop for Confirmed {
    fn drop(&mut self) {
        self.0.confirmed.store(false, Ordering::Release);
    }
}

/// An intake at work, until this is dropped.
struct Busy(Arc<Intake>);

impl Busy {
    fn mark(intake: &Arc<Intake>) -> Self {
        intake.busy.store(true, Ordering::Release);
        Busy(Arc::clone(intake))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}

/// The actor that owns the intake of one service.
#[derive(Clone, Copy, Debug, Default)]
pub struct IntakeActor;

/// What an intake's actor is told, by its own task only.
#[derive(Debug)]
pub struct IntakeEnded(Result<Result<TakeEnd, Error>, TaskPanic>);

impl Actor for IntakeActor {
    type Msg = IntakeEnded;
    type State = OwnedTask;
    type Arguments = Arc<Intake>;

    /// Subscribes, once there is a bridge; the bridge has confirmed everything when the actor has started. How long that
    /// may take is the start deadline of the child.
    async fn pre_start(
        &self,
        myself: ActorRef<IntakeEnded>,
        intake: Arc<Intake>,
    ) -> Result<OwnedTask, ActorProcessingErr> {
        let bound = intake.join().await?;
        let runtime = intake.node().runtime().clone();
        // At once, so that the node sees it when the actor has started.
        let confirmed = Confirmed::mark(&intake);
        let taking = intake.keep_taking(bound, confirmed);
        Ok(OwnedTask::spawn(&runtime, myself, taking, IntakeEnded))
    }

    async fn handle(
        &self,
        _myself: ActorRef<IntakeEnded>,
        IntakeEnded(ended): IntakeEnded,
        _taking: &mut OwnedTask,
    ) -> Result<(), ActorProcessingErr> {
        match ended?? {
            // Stays in the tree until it is stopped in its turn.
            TakeEnd::Cancelled | TakeEnd::Refused => Ok(()),
            TakeEnd::Ended => Err("the event bridge ended the intake of commands".into()),
        }
    }
}
