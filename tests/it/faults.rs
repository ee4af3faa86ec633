//! What must not be lost or stop silently: background tasks, deliveries that wait, connections that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use roadshow::prelude::*;
use roadshow::services::{FactoryError, RunningComponent};
use roadshow::{Budget, Clock, Component, MemoryBus, NodeBuilder, NodeView, Phase, SubscriptionOptions};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use tokio_util::sync::CancellationToken;

use super::lab::{Ledger, eventually, metric, stop};
use super::shaky_bridge::Shaky;

const NEWS: ServiceId = ServiceId::new("post", 1);

/// What the handler is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum Act {
    #[default]
    Ack,
    Pause,
    Hang,
    Hold,
    Echo,
}

fn no_thirteen<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    let id = u64::deserialize(input)?;
    assert_ne!(id, 13, "thirteen cannot be read");
    Ok(id)
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
struct Posted {
    #[serde(deserialize_with = "no_thirteen")]
    id: u64,
    act: Act,
    lane: String,
}

impl Event for Posted {
    const NAME: EventName = EventName::new("post.posted");
}

fn posted(id: u64, act: Act, lane: &str) -> Posted {
    let lane = lane.to_owned();
    Posted { id, act, lane }
}

struct Reader(Arc<Ledger>);

impl EventHandler<Posted> for Reader {
    async fn receive(&self, posted: &Posted, ctx: &Context) -> Outcome {
        self.0
            .note(posted.id, if ctx.attempt() == 1 { "first" } else { "again" });
        match posted.act {
            Act::Ack => {}
            Act::Pause if ctx.attempt() == 1 && self.0.count("end") == 0 => return Outcome::pause(Duration::MAX),
            Act::Pause => {}
            Act::Hang => std::future::pending().await,
            Act::Hold => self.0.held().await,
            Act::Echo => ctx.emit(posted.clone()).await.expect("the bridge takes it"),
        }
        self.0.note(posted.id, "end");
        Outcome::Ack
    }
}

type Options = SubscriptionOptions<Posted>;

fn reader(ledger: &Arc<Ledger>, options: impl FnOnce(Options) -> Options) -> Service<Reader> {
    let ledger = Arc::clone(ledger);
    Service::new(NEWS, move || {
        let ledger = Arc::clone(&ledger);
        async move { Ok::<_, std::convert::Infallible>(Reader(ledger)) }
    })
    .subscribe::<Posted>(options)
}

fn builder(bus: &MemoryBus) -> NodeBuilder {
    Node::builder().clock(Clock::tokio()).memory_bus(bus)
}

fn key_of(posted: &Posted) -> String {
    assert_ne!(posted.lane, "none", "there is no such lane");
    posted.lane.clone()
}

async fn emit(node: &Node, event: Posted) {
    node.client().emit(event).await.unwrap();
}

/// A component that panics in its first life.
#[derive(Debug, Default)]
struct Fragile(Arc<AtomicU32>);

struct FragileRun(u32);

impl Component for Fragile {
    fn name(&self) -> &'static str {
        "fragile"
    }

    fn start(&self, _node: NodeView) -> BoxFuture<'_, Result<Box<dyn RunningComponent>, FactoryError>> {
        let life = self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move { Ok(Box::new(FragileRun(life)) as Box<dyn RunningComponent>) })
    }
}

impl RunningComponent for FragileRun {
    fn location(&self) -> Option<String> {
        None
    }

    fn run(self: Box<Self>, stop: CancellationToken) -> BoxFuture<'static, Result<(), FactoryError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            assert_ne!(self.0, 0, "the first life is short");
            stop.cancelled().await;
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_component_whose_task_panics_is_started_again_and_the_panic_is_its_cause() {
    let lives = Arc::<AtomicU32>::default();
    let component = Fragile(Arc::clone(&lives));
    let node = builder(&MemoryBus::default())
        .component(component)
        .start()
        .await
        .unwrap();
    eventually("it lives again", || lives.load(Ordering::SeqCst) == 2).await;
    let failures = node.view().failures();
    assert!(
        format!("{failures:?}").contains("the first life is short"),
        "{failures:?}"
    );
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_reading_panics_goes_to_the_dead_letters_and_disturbs_nobody() {
    let (ledger, bus) = (Arc::<Ledger>::default(), MemoryBus::default());
    let service = reader(&ledger, |s| s.durable("diary").ordered_by(key_of));
    let node = builder(&bus).codec_always(true).service(service).start().await.unwrap();
    for (id, lane) in [(13, "a"), (1, "none"), (2, "a")] {
        emit(&node, posted(id, Act::Ack, lane)).await;
    }
    ledger.wait_for("end", 1).await;
    eventually("two dead letters", || bus.dead_letters().len() == 2).await;
    let reasons: Vec<_> = bus.dead_letters().into_iter().map(|letter| letter.reason).collect();
    assert!(reasons[0].contains("thirteen cannot be read"), "{reasons:?}");
    assert!(reasons[1].contains("there is no such lane"), "{reasons:?}");
    assert!(node.readiness().ready);
    assert!(node.view().failures().is_empty());
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_without_end_lasts_a_day() {
    let (ledger, bus) = (Arc::<Ledger>::default(), MemoryBus::default());
    let service = reader(&ledger, |s| s.durable("diary").concurrency(1));
    let node = builder(&bus).service(service).start().await.unwrap();
    emit(&node, posted(1, Act::Pause, "")).await;
    ledger.wait_for("first", 1).await;
    emit(&node, posted(2, Act::Ack, "")).await;
    eventually("the delivery was given back", || in_flight(&node) == 0.0).await;
    assert_eq!(ledger.count("end"), 0);
    tokio::time::advance(Duration::from_secs(25 * 3600)).await;
    ledger.wait_for("end", 1).await;
    assert!(bus.dead_letters().is_empty());
    stop(node).await;
}

fn in_flight(node: &Node) -> f64 {
    metric(node, "roadshow_in_flight{")
}

#[tokio::test(start_paused = true)]
async fn a_serial_subscription_with_nothing_to_do_shows_nothing_at_work() {
    let (ledger, bus) = (Arc::<Ledger>::default(), MemoryBus::default());
    let service = reader(&ledger, |s| s.concurrency(1));
    let node = builder(&bus).service(service).start().await.unwrap();
    emit(&node, posted(1, Act::Hold, "")).await;
    ledger.wait_for("first", 1).await;
    eventually("it shows the one at work", || in_flight(&node) == 1.0).await;
    ledger.release();
    ledger.wait_for("end", 1).await;
    eventually("nothing is at work", || in_flight(&node) == 0.0).await;
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_causes_itself_is_stopped_and_says_why() {
    let (ledger, bus) = (Arc::<Ledger>::default(), MemoryBus::default());
    let service = reader(&ledger, |s| s.durable("diary"));
    let node = builder(&bus).service(service).start().await.unwrap();
    emit(&node, posted(1, Act::Echo, "")).await;
    eventually("the loop ends", || !bus.dead_letters().is_empty()).await;
    assert!(
        bus.dead_letters()[0].reason.contains("hops"),
        "{:?}",
        bus.dead_letters()
    );
    assert!(ledger.count("end") <= 33, "{}", ledger.count("end"));
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_a_shutdown_cuts_off_is_not_an_attempt() {
    let (ledger, bus) = (Arc::<Ledger>::default(), MemoryBus::default());
    let options = |s: Options| s.durable("diary").retry(Retry::never());
    let node = builder(&bus).service(reader(&ledger, options)).start().await.unwrap();
    emit(&node, posted(1, Act::Hang, "")).await;
    ledger.wait_for("first", 1).await;
    let drained = node.shutdown(Duration::from_secs(2)).await;
    assert_eq!(drained.abandoned, 1);
    assert!(bus.dead_letters().is_empty(), "{:?}", bus.dead_letters());
    let next = builder(&bus).service(reader(&ledger, options)).start().await.unwrap();
    ledger.wait_for("first", 2).await;
    assert_eq!(ledger.count("again"), 0);
    let _ = next.shutdown(Duration::from_secs(2)).await;
}

/// Events with a key each, and how many of them surely do not share the lane of the one that is held: keys share 64 lanes
/// by chance.
const FREE: std::ops::Range<u64> = 100..140;
const MOST: usize = 28;

async fn emit_free(node: &Node) {
    for id in FREE {
        emit(node, posted(id, Act::Ack, &format!("free {id}"))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn deliveries_that_wait_for_their_lane_leave_the_permits_to_other_lanes() {
    let (ledger, bus) = (Arc::<Ledger>::default(), MemoryBus::default());
    let service = reader(&ledger, |s| s.durable("diary").concurrency(2).ordered_by(key_of));
    let node = builder(&bus).service(service).start().await.unwrap();
    for id in 0..5 {
        emit(&node, posted(id, Act::Hold, "busy")).await;
    }
    emit_free(&node).await;
    ledger.wait_for("end", MOST).await;
    let begun: Vec<_> = ledger.lines().into_iter().filter(|line| line.0 < FREE.start).collect();
    assert_eq!(begun, [(0, "first")]);
    ledger.release();
    ledger.wait_for("end", 5 + FREE.count()).await;
    let ends = ledger
        .lines()
        .into_iter()
        .filter(|line| line.1 == "end")
        .map(|line| line.0);
    assert_eq!(ends.filter(|id| *id < FREE.start).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn deliveries_that_wait_for_their_lane_are_given_back_when_the_node_drains() {
    let (ledger, bus) = (Arc::<Ledger>::default(), MemoryBus::default());
    let options = |s: Options| s.durable("diary").concurrency(2).ordered_by(key_of);
    let node = builder(&bus).service(reader(&ledger, options)).start().await.unwrap();
    let view = node.view();
    for id in 0..3 {
        emit(&node, posted(id, Act::Hold, "busy")).await;
    }
    emit_free(&node).await;
    ledger.wait_for("end", MOST).await;
    let shutdown = tokio::spawn(node.shutdown(Duration::from_secs(10)));
    eventually("the node drains", || view.phase() == Phase::Draining).await;
    ledger.release();
    assert!(shutdown.await.unwrap().is_clean());
    let begun: Vec<_> = ledger.lines().into_iter().filter(|line| line.0 < FREE.start).collect();
    assert_eq!(begun, [(0, "first"), (0, "end")]);
    assert_eq!(ledger.count("first"), ledger.count("end"));
    let next = builder(&bus).service(reader(&ledger, options)).start().await.unwrap();
    let all = 3 + FREE.count();
    ledger.wait_for("end", all).await;
    assert_eq!((ledger.count("first"), ledger.count("again")), (all, 0));
    stop(next).await;
}

#[tokio::test(start_paused = true)]
async fn a_bridge_that_is_replaced_costs_its_subscriptions_nothing() {
    let (ledger, shaky) = (Arc::<Ledger>::default(), Shaky::default());
    let service =
        reader(&ledger, |s| s.durable("diary")).exit_budget(Budget::exits().window(0, Duration::from_secs(600)));
    let node = Node::builder()
        .clock(Clock::tokio())
        .connector(shaky.clone())
        .service(service)
        .start()
        .await
        .unwrap();
    emit(&node, posted(1, Act::Ack, "")).await;
    ledger.wait_for("end", 1).await;
    shaky.fails.store(true, Ordering::SeqCst);
    eventually("the bridge is replaced", || shaky.made.load(Ordering::SeqCst) == 2).await;
    eventually("the failed one is closed", || shaky.closed.load(Ordering::SeqCst) == 1).await;
    eventually("the node is ready again", || node.readiness().ready).await;
    let tree = node.tree();
    let subscription = tree.find("services/post.1/on diary").unwrap();
    assert_eq!(subscription.restarts, 0);
    emit(&node, posted(2, Act::Ack, "")).await;
    ledger.wait_for("end", 2).await;
    stop(node).await;
}
