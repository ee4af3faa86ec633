//! Leaving: cancelled subscriptions, closed bridges, subscribers that were away.

use std::sync::Arc;
use std::time::Duration;

use roadshow_bridges::{ErrorKind, EventBridge, Health, ServiceId, Subscription};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::case::{Case, case, fact};
use crate::cases::unheard::nobody_hears;
use crate::stage::{Stage, number, subscribe};
use crate::wait::{SOON, next, quiet, soon, within};

pub(super) const CASES: &[Case] = &[
    case!(
        "E20",
        a_cancelled_subscription_gets_nothing_more,
        [],
        "given two members of a group, when one has cancelled, then the other gets every event of the next 100"
    ),
    case!(
        "E21",
        closing_waits_for_what_is_out_and_not_for_ever,
        [],
        "given a delivery that is out, when its bridge is closed, then closing waits for it and returns within 10 s, \
         acknowledged or not; afterwards the bridge says closed, publishes nothing, and closing again is no error"
    ),
    case!(
        "E22",
        many_come_and_go_at_once,
        [],
        "given 50 tasks that subscribe, publish, cancel and close at the same time, then all end within 30 s and a \
         subscription made afterwards works; a command to what they subscribed finds nobody",
        limit: Duration::from_secs(90)
    ),
    case!(
        "E24",
        a_durable_subscription_collects_while_its_subscriber_is_away,
        [fact!(durable)],
        "given a durable subscription, when its subscriber is away and 100 events are published, then it gets all 100 on \
         its return, each once"
    ),
];

async fn a_cancelled_subscription_gets_nothing_more(stage: Stage) {
    let (one, two, sender) = (stage.bridge().await, stage.bridge().await, stage.bridge().await);
    let group = || Subscription::new(stage.event("conf.leave")).group("conformance=1=leave");
    let leaving = subscribe(&*one, group()).await;
    let mut staying = subscribe(&*two, group()).await;
    leaving.cancel();
    // The cancelling reaches the broker in its own time; a new subscription of the same connection comes after it.
    let _marker = subscribe(&*one, Subscription::new(stage.event("conf.marker"))).await;
    let mut got = std::collections::HashSet::new();
    for place in 0..100 {
        stage.tell(&*sender, "conf.leave", place).await;
        let delivery = next(&mut staying).await;
        assert!(got.insert(number(delivery.envelope())));
        delivery.ack();
    }
    quiet(&mut staying).await;
}

async fn closing_waits_for_what_is_out_and_not_for_ever(stage: Stage) {
    for acknowledged in [true, false] {
        let (bridge, sender) = (stage.bridge().await, stage.bridge().await);
        let event = if acknowledged { "conf.done" } else { "conf.stuck" };
        let mut deliveries = subscribe(&*bridge, stage.kept_as(event, event)).await;
        stage.tell(&*sender, event, 1).await;
        let mut held = next(&mut deliveries).await;
        held.begin();
        let begun = Instant::now();
        let mut closing = JoinSet::new();
        closing.spawn({
            let bridge = Arc::clone(&bridge);
            async move { bridge.close().await }
        });
        assert!(soon("the end of the subscription", deliveries.next()).await.is_none());
        let stuck = if acknowledged {
            held.ack();
            None
        } else {
            Some(held)
        };
        let closed = within(SOON, "the end of closing", closing.join_next()).await;
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(10), "closing took {took:?}");
        assert!(matches!(closed, Some(Ok(_))), "{closed:?}");
        drop(stuck);
        assert_eq!(bridge.health(), Health::Closed);
        let error = soon("a refusal", bridge.publish(stage.news(event, "2"))).await;
        assert_eq!(error.expect_err("closed").kind(), ErrorKind::Closed);
        let again = soon("closing again", bridge.close()).await;
        assert!(again.is_ok(), "{again:?}");
    }
}

const CROWD: ServiceId = ServiceId::new("crowd", 1);

/// What one of many does: comes, speaks, hears and goes, three times.
async fn come_and_go(bridge: Arc<dyn EventBridge>, stage: Arc<Stage>, task: usize) {
    for round in 0..3 {
        let subscription = if task.is_multiple_of(2) {
            Subscription::new(stage.event("conf.crowd"))
        } else {
            Subscription::new(stage.command(CROWD.command("come"))).group("cmd=crowd=1=come")
        };
        let Ok(mut deliveries) = bridge.subscribe(subscription).await else {
            return;
        };
        let number = u64::try_from(task * 10 + round).expect("small");
        let _ = bridge.publish(stage.news("conf.crowd", number.to_string())).await;
        while let Some(delivery) = deliveries.try_next() {
            delivery.ack();
        }
        deliveries.cancel();
    }
    if task.is_multiple_of(10) {
        let _ = bridge.close().await;
    }
}

async fn many_come_and_go_at_once(stage: Stage) {
    let stage = Arc::new(stage);
    let mut bridges = Vec::new();
    for _ in 0..5 {
        bridges.push(stage.bridge().await);
    }
    let mut crowd = JoinSet::new();
    for task in 0..50 {
        let bridge = Arc::clone(&bridges[task / 10]);
        crowd.spawn(come_and_go(bridge, Arc::clone(&stage), task));
    }
    let ended = within(Duration::from_secs(30), "the end of 50 tasks", crowd.join_all()).await;
    assert_eq!(ended.len(), 50);
    let bridge = stage.bridge().await;
    if stage.capability().unroutable {
        nobody_hears(&stage, &*bridge, stage.command(CROWD.command("come"))).await;
    }
    let mut deliveries = subscribe(&*bridge, Subscription::new(stage.event("conf.later"))).await;
    stage.tell(&*bridge, "conf.later", 1).await;
    next(&mut deliveries).await.ack();
}

async fn a_durable_subscription_collects_while_its_subscriber_is_away(stage: Stage) {
    let (before, sender) = (stage.bridge().await, stage.bridge().await);
    subscribe(&*before, stage.kept("conf.away")).await.cancel();
    soon("the end", before.close()).await.expect("closed");
    for place in 0..100 {
        stage.tell(&*sender, "conf.away", place).await;
    }
    let after = stage.bridge().await;
    let mut deliveries = subscribe(&*after, stage.kept("conf.away")).await;
    let mut got = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let mut delivery = next(&mut deliveries).await;
        assert_eq!(delivery.begin(), 1);
        assert!(got.insert(number(delivery.envelope())), "an event came twice");
        delivery.ack();
    }
    assert_eq!(got, (0..100).collect());
    quiet(&mut deliveries).await;
}
