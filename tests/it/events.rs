//! Events: from a handler to whoever subscribed, with retries, dead letters and order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use roadshow::prelude::*;
use roadshow::{Budget, Clock, MemoryBus, NodeBuilder, SubscriptionOptions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lab::{LIMIT, Ledger, eventually, metric, stop};

pub(super) const NEWS: ServiceId = ServiceId::new("news", 1);

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Told {
    pub(super) id: u64,
    pub(super) panic: bool,
    pub(super) retries: u32,
    pub(super) refuse: bool,
    pub(super) pause: bool,
    /// Never returns at its first attempt.
    pub(super) hang: bool,
    pub(super) lane: String,
}

impl Event for Told {
    const NAME: EventName = EventName::new("news.told");
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) ledger: Ledger,
    tries: AtomicU32,
    identities: std::sync::Mutex<Vec<(String, String, u32)>>,
}

pub(super) struct Reader(Arc<Seen>);

impl EventHandler<Told> for Reader {
    async fn receive(&self, told: &Told, ctx: &Context) -> Outcome {
        self.0.ledger.note(told.id, "start");
        let trace = format!("{:032x}", ctx.trace().trace_id);
        self.0
            .identities
            .lock()
            .unwrap()
            .push((ctx.correlation_id().to_string(), trace, ctx.attempt()));
        assert!(!told.panic, "told to panic");
        if told.hang && ctx.attempt() == 1 {
            std::future::pending::<()>().await;
        }
        if told.pause && self.0.tries.fetch_add(1, Ordering::SeqCst) == 0 {
            return Outcome::pause(Duration::from_secs(3));
        }
        if told.refuse {
            return Outcome::dead_letter("not for me");
        }
        if ctx.attempt() <= told.retries {
            return Outcome::retry("not yet");
        }
        tokio::task::yield_now().await;
        self.0.ledger.note(told.id, "end");
        Outcome::Ack
    }
}

pub(super) type Options = SubscriptionOptions<Told>;

pub(super) fn reader(seen: &Arc<Seen>, options: impl FnOnce(Options) -> Options) -> Service<Reader> {
    let seen = Arc::clone(seen);
    Service::new(NEWS, move || {
        let seen = Arc::clone(&seen);
        async move { Ok::<_, std::convert::Infallible>(Reader(seen)) }
    })
    .subscribe::<Told>(options)
}

pub(super) fn builder(bus: &MemoryBus) -> NodeBuilder {
    Node::builder().clock(Clock::tokio()).memory_bus(bus)
}

pub(super) fn told(id: u64) -> Told {
    Told { id, ..Told::default() }
}

#[tokio::test]
async fn an_event_reaches_its_subscriber_shared_and_encoded() {
    for codec_always in [false, true] {
        let (seen, bus) = (Arc::<Seen>::default(), MemoryBus::default());
        let node = builder(&bus)
            .codec_always(codec_always)
            .service(reader(&seen, |s| s))
            .start()
            .await
            .unwrap();
        for id in 0..100 {
            node.client().emit(told(id)).await.unwrap();
        }
        seen.ledger.wait_for("end", 100).await;
        let correlations: std::collections::HashSet<_> = seen
            .identities
            .lock()
            .unwrap()
            .iter()
            .map(|identity| identity.0.clone())
            .collect();
        assert_eq!(correlations.len(), 100);
        stop(node).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_delivery_is_tried_again_on_the_same_identity() {
    let (seen, bus) = (Arc::<Seen>::default(), MemoryBus::default());
    let node = builder(&bus)
        .service(reader(&seen, |s| s.durable("diary")))
        .start()
        .await
        .unwrap();
    node.client().emit(Told { retries: 2, ..told(1) }).await.unwrap();
    seen.ledger.wait_for("end", 1).await;
    let identities = seen.identities.lock().unwrap().clone();
    assert_eq!(
        identities.iter().map(|identity| identity.2).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert!(
        identities
            .iter()
            .all(|identity| identity.0 == identities[0].0 && identity.1 == identities[0].1)
    );
    assert_eq!(metric(&node, "roadshow_delivery_retries_total{"), 2.0);
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_never_succeeds_ends_in_the_dead_letters_with_its_reason() {
    let (seen, bus) = (Arc::<Seen>::default(), MemoryBus::default());
    let options = |s: Options| s.durable("diary").retry(Retry::exponential(3));
    let node = builder(&bus).service(reader(&seen, options)).start().await.unwrap();
    node.client().emit(Told { retries: 99, ..told(1) }).await.unwrap();
    node.client()
        .emit(Told {
            refuse: true,
            ..told(2)
        })
        .await
        .unwrap();
    node.client().emit(told(3)).await.unwrap();
    seen.ledger.wait_for("end", 1).await;
    eventually("both are dead letters", || bus.dead_letters().len() == 2).await;
    let mut reasons: Vec<_> = bus.dead_letters().into_iter().map(|letter| letter.reason).collect();
    reasons.sort();
    assert!(reasons[0].contains("gave up after 3 attempts: not yet"), "{reasons:?}");
    assert_eq!(reasons[1], "not for me");
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn a_poisonous_delivery_is_dead_lettered_after_three_crashes_and_uses_no_budget() {
    let (seen, bus) = (Arc::<Seen>::default(), MemoryBus::default());
    let budget = Budget::panics().window(2, Duration::from_secs(600));
    let service = reader(&seen, |s| s.durable("diary").retry(Retry::exponential(50))).panic_budget(budget);
    let node = builder(&bus).service(service).start().await.unwrap();
    for id in 0..5 {
        node.client()
            .emit(Told {
                panic: true,
                ..told(id)
            })
            .await
            .unwrap();
    }
    node.client().emit(told(9)).await.unwrap();
    tokio::time::timeout(LIMIT * 10, async {
        eventually("all five are dead letters", || bus.dead_letters().len() == 5).await;
    })
    .await
    .unwrap();
    seen.ledger.wait_for("end", 1).await;
    assert_eq!(seen.ledger.count("start"), 5 * 3 + 1);
    assert!(
        bus.dead_letters()
            .iter()
            .all(|letter| letter.reason.contains("told to panic, 3 times"))
    );
    eventually("the service is ready again", || node.readiness().ready).await;
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_event_go_to_the_dead_letters_at_first_sight() {
    let (seen, bus) = (Arc::<Seen>::default(), MemoryBus::default());
    let node = builder(&bus)
        .service(reader(&seen, |s| s.durable("diary")))
        .start()
        .await
        .unwrap();
    let name = Told::NAME.as_str().parse().unwrap();
    let options = roadshow::CallOptions::default;
    node.client()
        .emit_json(&name, r#"{"id":"seven"}"#.into(), options())
        .await
        .unwrap();
    node.client()
        .emit_json(&name, r#"{"id":7}"#.into(), options())
        .await
        .unwrap();
    assert!(node.client().emit_json(&name, "{".into(), options()).await.is_err());
    seen.ledger.wait_for("end", 1).await;
    eventually("one dead letter", || bus.dead_letters().len() == 1).await;
    assert!(bus.dead_letters()[0].reason.contains("id"), "{:?}", bus.dead_letters());
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_gives_the_delivery_back_uncounted_and_rests() {
    let (seen, bus) = (Arc::<Seen>::default(), MemoryBus::default());
    let node = builder(&bus)
        .service(reader(&seen, |s| s.durable("diary").retry(Retry::exponential(1))))
        .start()
        .await
        .unwrap();
    let started = tokio::time::Instant::now();
    node.client().emit(Told { pause: true, ..told(1) }).await.unwrap();
    seen.ledger.wait_for("end", 1).await;
    assert!(started.elapsed() >= Duration::from_secs(3));
    let attempts: Vec<_> = seen
        .identities
        .lock()
        .unwrap()
        .iter()
        .map(|identity| identity.2)
        .collect();
    assert_eq!(attempts, [1, 1]);
    assert!(bus.dead_letters().is_empty());
    stop(node).await;
}

#[tokio::test]
async fn a_group_shares_deliveries_and_every_instance_gets_its_own() {
    let bus = MemoryBus::default();
    let (one, two, all_one, all_two) = (Arc::<Seen>::default(), Arc::default(), Arc::default(), Arc::default());
    let nodes = [
        builder(&bus)
            .node_id("a")
            .service(reader(&one, |s| s.concurrency(1)))
            .start()
            .await
            .unwrap(),
        builder(&bus)
            .node_id("b")
            .service(reader(&two, |s| s.concurrency(1)))
            .start()
            .await
            .unwrap(),
        builder(&bus)
            .node_id("c")
            .service(reader(&all_one, Options::every_instance))
            .start()
            .await
            .unwrap(),
        builder(&bus)
            .node_id("d")
            .service(reader(&all_two, Options::every_instance))
            .start()
            .await
            .unwrap(),
    ];
    for id in 0..200 {
        nodes[0].client().emit(told(id)).await.unwrap();
    }
    all_one.ledger.wait_for("end", 200).await;
    all_two.ledger.wait_for("end", 200).await;
    eventually("the group has had all", || {
        one.ledger.count("end") + two.ledger.count("end") == 200
    })
    .await;
    assert!(one.ledger.count("end") > 0 && two.ledger.count("end") > 0);
    for node in nodes {
        stop(node).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_with_one_key_are_handled_one_after_the_other_in_order() {
    let (seen, bus) = (Arc::<Seen>::default(), MemoryBus::default());
    let node = builder(&bus)
        .service(reader(&seen, |s| s.ordered_by(|told| told.lane.clone())))
        .start()
        .await
        .unwrap();
    for id in 0..300 {
        node.client()
            .emit(Told {
                lane: format!("lane {}", id % 3),
                ..told(id)
            })
            .await
            .unwrap();
    }
    seen.ledger.wait_for("end", 300).await;
    for lane in 0..3 {
        let lines = seen.ledger.lines();
        let mine: Vec<_> = lines.into_iter().filter(|(id, _)| id % 3 == lane).collect();
        let expected: Vec<_> = (0..300)
            .filter(|id| id % 3 == lane)
            .flat_map(|id| [(id, "start"), (id, "end")])
            .collect();
        assert_eq!(mine, expected);
    }
    stop(node).await;
}

#[tokio::test]
async fn events_emitted_while_a_durable_subscriber_is_away_arrive_when_it_returns() {
    let bus = MemoryBus::default();
    let seen = Arc::<Seen>::default();
    let first = builder(&bus)
        .service(reader(&seen, |s| s.durable("diary")))
        .start()
        .await
        .unwrap();
    stop(first).await;
    let other = builder(&bus).node_id("other").start().await.unwrap();
    for id in 0..10 {
        other.client().emit(told(id)).await.unwrap();
    }
    assert_eq!(seen.ledger.count("start"), 0);
    let back = builder(&bus)
        .service(reader(&seen, |s| s.durable("diary")))
        .start()
        .await
        .unwrap();
    seen.ledger.wait_for("end", 10).await;
    stop(back).await;
    stop(other).await;
}
