//! The broker is away, slow or new: what a bridge does without its application's help.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use roadshow_bridges::{Deliveries, Delivery, Envelope, ErrorKind, Published, Subscription};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::case::{Case, Need, Where, case, fact};
use crate::memory::resident_bytes;
use crate::proxy::Direction;
use crate::stage::{Stage, number, ready, subscribe};
use crate::wait::{QUIET, SOON, let_pass, next, quiet, soon, until, within};

/// How long a bridge may call itself ready without its broker.
const UNREADY_MAX: Duration = Duration::from_secs(5);
/// How long a reconnect may take once the broker can be reached.
const BACK_MAX: Duration = Duration::from_secs(20);
/// How old a durable group is before its broker is killed: on RabbitMQ 3.10 a quorum queue that is younger than a second does
/// not survive that, whatever a client does.
const SETTLED: Duration = Duration::from_secs(2);

pub(super) const CASES: &[Case] = &[
    case!(
        "E14",
        what_the_broker_does_not_confirm_is_indeterminate,
        [Need::Server, fact!(confirm)],
        "given a broker whose answers do not come through, when an event with a budget of 1 s is published, then the result \
         is indeterminate within 10 s, never accepted"
    ),
    case!(
        "E15",
        publishing_without_a_broker_fails_and_keeps_nothing,
        [Need::Server],
        "given a broker that is gone, when 100,000 events are published by 200 tasks, then each attempt fails as \
         unavailable or exhausted (the first ones may be indeterminate) and memory grows by at most 32 MiB",
        limit: Duration::from_secs(110)
    ),
    case!(
        "E15b",
        a_publisher_waits_for_the_broker_as_long_as_its_budget,
        [Need::Server],
        "given a broker that is away, when one event with a budget of 300 ms and one of 20 s are published, then the first \
         fails as unavailable in 0.3 to 5 s and the second is accepted once the broker is back"
    ),
    case!(
        "E17",
        ready_means_that_every_subscription_works,
        [Need::Server],
        "given 20 subscriptions and a connection that is cut, then the bridge says so within 5 s; once it says ready again, \
         an event on each of them published at that moment arrives"
    ),
    case!(
        "E18",
        a_hundred_lost_connections_double_nothing,
        [Need::Server],
        "given a connection that is cut 100 times under load, when things have settled, then each further event comes exactly \
         once to each subscriber",
        limit: Duration::from_secs(110)
    ),
    case!(
        "E16",
        subscriptions_outlive_a_broker_that_was_killed,
        [Need::Server],
        "given subscriptions of every sort that are 2 s old, when the broker is killed (-9), then the bridge says so within 5 s; when it is \
         back, then within 20 s the bridge is ready and each of them works again, without a word from the application",
        at: Where::Own
    ),
    case!(
        "E24p",
        what_a_durable_subscription_collected_outlives_a_killed_broker,
        [Need::Server, fact!(durable), fact!(durable_process)],
        "given a durable subscription that is 2 s old and whose subscriber is away, when 100 events are accepted and the \
         broker is killed (-9) at once, then all 100 arrive when it is back",
        at: Where::Own
    ),
    case!(
        "E29",
        wrong_credentials_are_a_permanent_error,
        [Need::Server],
        "given a wrong password, then connecting fails within 5 s with an error of the settings that does not show it; the \
         right one is let in",
        at: Where::OwnWithUser("ada", "right")
    ),
    case!(
        "O01",
        a_paused_broker_costs_nothing_that_was_accepted,
        [Need::Server, fact!(durable)],
        "given a broker that stands still for 5 s, when events are published all the while, then each that was accepted \
         arrives after it goes on",
        at: Where::Own
    ),
];

async fn what_the_broker_does_not_confirm_is_indeterminate(stage: Stage) {
    let (bridge, proxy) = stage.bridge_behind_proxy().await;
    let hearing = stage.bridge().await;
    let _heard = subscribe(&*hearing, stage.kept("conf.mute")).await;
    stage.tell(&*bridge, "conf.mute", 1).await;
    proxy.stall_one(Direction::Down);
    let mut envelope = stage.news("conf.mute", "2");
    envelope.identity = envelope.identity.with_budget(Duration::from_secs(1));
    let published = within(Duration::from_secs(10), "the outcome", bridge.publish(envelope)).await;
    assert!(matches!(published, Ok(Published::Indeterminate)), "{published:?}");
}

async fn publishing_without_a_broker_fails_and_keeps_nothing(stage: Stage) {
    const TASKS: u64 = 200;
    const EACH: u64 = 500;
    let stage = Arc::new(stage);
    let (bridge, proxy) = stage.bridge_behind_proxy().await;
    stage.tell(&*bridge, "conf.gone", 0).await;
    proxy.refuse();
    proxy.cut();
    until(UNREADY_MAX, "the bridge is not ready", || !bridge.health().is_ready()).await;
    let before = resident_bytes();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (bridge, stage) = (Arc::clone(&bridge), Arc::clone(&stage));
        tasks.spawn(async move {
            for _ in 0..EACH {
                let mut envelope = stage.news("conf.gone", vec![0; 1024]);
                envelope.identity = envelope.identity.with_budget(Duration::from_millis(5));
                let published = soon("the outcome", bridge.publish(envelope)).await;
                let kind = match published {
                    Ok(Published::Indeterminate) => continue,
                    Ok(published) => panic!("published without a broker: {published:?}"),
                    Err(error) => error.kind(),
                };
                assert!(
                    matches!(kind, ErrorKind::Unavailable | ErrorKind::Exhausted),
                    "{kind:?}"
                );
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("every attempt fails as it should");
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown <= 32 * 1024 * 1024, "memory grew by {grown} bytes");
}

async fn a_publisher_waits_for_the_broker_as_long_as_its_budget(stage: Stage) {
    let (bridge, proxy) = stage.bridge_behind_proxy().await;
    let hearing = stage.bridge().await;
    let mut deliveries = subscribe(&*hearing, Subscription::new(stage.event("conf.wait"))).await;
    proxy.refuse();
    proxy.cut();
    until(UNREADY_MAX, "the bridge is not ready", || !bridge.health().is_ready()).await;
    let with_budget = |ms, text: &'static str| {
        let mut envelope: Envelope = stage.news("conf.wait", text);
        envelope.identity = envelope.identity.with_budget(Duration::from_millis(ms));
        envelope
    };
    let begun = Instant::now();
    let refused = soon("the outcome", bridge.publish(with_budget(300, "1"))).await;
    let took = begun.elapsed();
    assert_eq!(refused.expect_err("no broker").kind(), ErrorKind::Unavailable);
    assert!(
        (Duration::from_millis(290)..UNREADY_MAX).contains(&took),
        "it waited {took:?}"
    );
    let mut waiting = JoinSet::new();
    waiting.spawn({
        let (bridge, envelope) = (Arc::clone(&bridge), with_budget(20_000, "2"));
        async move { bridge.publish(envelope).await }
    });
    assert!(timeout(QUIET, waiting.join_next()).await.is_err(), "it did not wait");
    proxy.accept();
    let published = within(BACK_MAX, "the outcome", waiting.join_next()).await;
    assert!(matches!(published, Some(Ok(Ok(Published::Accepted)))), "{published:?}");
    let delivery = next(&mut deliveries).await;
    assert_eq!(number(delivery.envelope()), 2);
    delivery.ack();
    quiet(&mut deliveries).await;
}

async fn ready_means_that_every_subscription_works(stage: Stage) {
    let (bridge, proxy) = stage.bridge_behind_proxy().await;
    let sender = stage.bridge().await;
    let mut all = Vec::new();
    for place in 0..20 {
        let event = format!("conf.all.e{place}");
        let subscription = match place % 2 {
            0 => Subscription::new(stage.event(&event)),
            _ => stage.kept_as(&event, &event),
        };
        all.push((event, subscribe(&*bridge, subscription).await));
    }
    for round in 0..3 {
        proxy.refuse();
        proxy.cut();
        until(UNREADY_MAX, "the bridge is not ready", || !bridge.health().is_ready()).await;
        proxy.accept();
        ready(&*bridge).await;
        for (event, _) in &mut all {
            stage.tell(&*sender, event, round).await;
        }
        for (event, deliveries) in &mut all {
            loop {
                let delivery = within(BACK_MAX, format!("an event on {event}"), deliveries.next()).await;
                let delivery = delivery.expect("the subscription lives");
                let got = number(delivery.envelope());
                delivery.ack();
                // What was acknowledged just before a cut may come again.
                if got >= round {
                    assert_eq!(got, round);
                    break;
                }
            }
        }
    }
}

/// Does what a delivery asks, and counts it by its number.
fn count(got: &mut BTreeMap<u64, usize>, mut delivery: Delivery) {
    delivery.begin();
    *got.entry(number(delivery.envelope())).or_insert(0) += 1;
    delivery.ack();
}

/// Takes what comes until it stays quiet, and counts it by number.
async fn drained(deliveries: &mut Deliveries) -> BTreeMap<u64, usize> {
    let mut got = BTreeMap::new();
    while let Ok(Some(delivery)) = timeout(2 * QUIET, deliveries.next()).await {
        count(&mut got, delivery);
    }
    got
}

async fn a_hundred_lost_connections_double_nothing(stage: Stage) {
    let (bridge, proxy) = stage.bridge_behind_proxy().await;
    let sender = stage.bridge().await;
    let mut plain = subscribe(&*bridge, Subscription::new(stage.event("conf.cut"))).await;
    let mut kept = subscribe(&*bridge, stage.kept_as("conf.cut", "cut")).await;
    for cut in 0..100_u64 {
        for place in 0..5 {
            stage.tell(&*sender, "conf.cut", cut * 5 + place).await;
        }
        let accepted = proxy.accepted();
        proxy.cut();
        until(BACK_MAX, "the bridge connects again", || proxy.accepted() > accepted).await;
        for deliveries in [&mut plain, &mut kept] {
            while let Some(delivery) = deliveries.try_next() {
                delivery.ack();
            }
        }
        // Each tenth connection is cut before it is good for anything.
        if cut % 10 != 9 {
            ready(&*bridge).await;
        }
    }
    ready(&*bridge).await;
    let before = drained(&mut plain).await.len() + drained(&mut kept).await.len();
    println!("{before} events of the time of the cuts came after it");
    for place in 1000..1050 {
        stage.tell(&*sender, "conf.cut", place).await;
    }
    let expected: BTreeMap<u64, usize> = (1000..1050).map(|place| (place, 1)).collect();
    for (name, deliveries) in [("the plain", &mut plain), ("the kept", &mut kept)] {
        let mut got = BTreeMap::new();
        // How long the first takes is not the matter here; what comes twice comes within QUIET.
        while got.len() < expected.len() {
            let Ok(delivery) = timeout(SOON, deliveries.next()).await else {
                break;
            };
            count(&mut got, delivery.expect("the subscription lives"));
            got.retain(|place, _| *place >= 1000);
        }
        for (place, times) in drained(deliveries).await {
            *got.entry(place).or_insert(0) += times;
        }
        got.retain(|place, _| *place >= 1000);
        assert_eq!(got, expected, "{name} subscription");
    }
}

async fn subscriptions_outlive_a_broker_that_was_killed(mut stage: Stage) {
    let (bridge, sender) = (stage.bridge().await, stage.bridge().await);
    let mut all = Vec::new();
    for (event, subscription) in [
        ("conf.plain", Subscription::new(stage.event("conf.plain"))),
        (
            "conf.group",
            Subscription::new(stage.event("conf.group")).group("conformance=1=group"),
        ),
        ("conf.kept", stage.kept("conf.kept")),
    ] {
        all.push((event, subscribe(&*bridge, subscription).await));
    }
    let_pass(SETTLED).await;
    stage.broker().kill();
    let both = || !bridge.health().is_ready() && !sender.health().is_ready();
    until(UNREADY_MAX, "the bridges are not ready", both).await;
    stage.broker().restart().await.expect("the broker starts again");
    let both = || bridge.health().is_ready() && sender.health().is_ready();
    let took = until(BACK_MAX, "the bridges are ready", both).await;
    println!("ready again {took:?} after the broker");
    for (event, deliveries) in &mut all {
        stage.tell(&*sender, event, 7).await;
        let delivery = next(deliveries).await;
        assert_eq!(number(delivery.envelope()), 7);
        delivery.ack();
        quiet(deliveries).await;
    }
}

async fn what_a_durable_subscription_collected_outlives_a_killed_broker(mut stage: Stage) {
    let sender = stage.bridge().await;
    let before = stage.bridge().await;
    let away = subscribe(&*before, stage.kept("conf.outlive")).await;
    let_pass(SETTLED).await;
    away.cancel();
    soon("closing", before.close()).await.expect("closed");
    for place in 0..100 {
        stage.tell(&*sender, "conf.outlive", place).await;
    }
    stage.broker().restart().await.expect("the broker starts again");
    let after = stage.bridge().await;
    let mut deliveries = subscribe(&*after, stage.kept("conf.outlive")).await;
    let mut missing: BTreeSet<u64> = (0..100).collect();
    while !missing.is_empty() {
        let Ok(delivery) = timeout(SOON, deliveries.next()).await else {
            panic!(
                "{} of 100 came, and no other within {SOON:?}: missing {missing:?}",
                100 - missing.len()
            );
        };
        let delivery = delivery.expect("the subscription lives");
        missing.remove(&number(delivery.envelope()));
        delivery.ack();
    }
}

async fn wrong_credentials_are_a_permanent_error(stage: Stage) {
    let wrong = stage.url.replace(":right@", ":hunter2@");
    assert_ne!(wrong, stage.url);
    let begun = Instant::now();
    let refused = within(UNREADY_MAX, "the refusal", stage.connect(&wrong)).await;
    let error = refused.expect_err("a wrong password is let in");
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("hunter2"), "the error shows the password");
    println!("refused after {:?}", begun.elapsed());
    stage.bridge().await;
}

async fn a_paused_broker_costs_nothing_that_was_accepted(mut stage: Stage) {
    let (bridge, sender) = (stage.bridge().await, stage.bridge().await);
    let mut deliveries = subscribe(&*bridge, stage.kept("conf.pause")).await;
    stage.broker().pause().expect("paused");
    let mut publishing = JoinSet::new();
    for place in 0..50_u64 {
        let mut envelope = stage.news("conf.pause", place.to_string());
        envelope.identity = envelope.identity.with_budget(Duration::from_secs(20));
        let sender = Arc::clone(&sender);
        publishing.spawn(async move { (place, sender.publish(envelope).await) });
    }
    let_pass(Duration::from_secs(5)).await;
    stage.broker().resume().expect("resumed");
    let ended = within(Duration::from_secs(30), "the outcomes", publishing.join_all()).await;
    let accepted = ended
        .into_iter()
        .filter(|(_, published)| matches!(published, Ok(Published::Accepted)));
    let accepted: BTreeSet<u64> = accepted.map(|(place, _)| place).collect();
    let mut got = BTreeSet::new();
    while !got.is_superset(&accepted) {
        let delivery = next(&mut deliveries).await;
        got.insert(number(delivery.envelope()));
        delivery.ack();
    }
    println!("{} of 50 were accepted", accepted.len());
}
