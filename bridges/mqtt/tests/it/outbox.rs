//! Durable groups: what was accepted is settled by somebody, whoever goes away meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use roadshow_bridges::{Delivery, EventBridge};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::common::{self, Stage};

/// Longer than a lost message may take, and within what the design allows.
const RECOVERED: Duration = Duration::from_secs(10);

async fn next(deliveries: &mut roadshow_bridges::Deliveries) -> Delivery {
    let next = timeout(RECOVERED, deliveries.next()).await;
    next.expect("it comes in time").expect("the subscription lives")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_lost_member_held_goes_to_another() {
    let stage = Stage::new();
    let (lost, staying, sender) = (stage.bridge().await, stage.bridge().await, stage.bridge().await);
    let mut first = stage.durable(&lost, "gone").await;
    for number in 0..10 {
        stage.emit(&sender, number).await;
    }
    let mut held = vec![next(&mut first).await, next(&mut first).await];
    let mut second = stage.durable(&staying, "gone").await;
    held[0].begin();
    lost.abort();
    let mut got = BTreeMap::new();
    for _ in 0..10 {
        let mut delivery = next(&mut second).await;
        got.insert(common::number(delivery.envelope()), delivery.begin());
        delivery.ack();
    }
    assert_eq!(got, (0..10).map(|number| (number, 1)).collect());
    drop(held);
    common::until("the outbox is empty", || sender.counts().kept == 0).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_worked_on_is_not_sent_again() {
    let stage = Stage::new();
    let (worker, idle, sender) = (stage.bridge().await, stage.bridge().await, stage.bridge().await);
    let mut first = stage.durable(&worker, "slow").await;
    stage.emit(&sender, 1).await;
    let mut held = next(&mut first).await;
    held.begin();
    let mut second = stage.durable(&idle, "slow").await;
    // Longer than the patience of an outbox.
    assert!(timeout(Duration::from_secs(7), second.next()).await.is_err());
    assert_eq!(sender.counts().resent, 0);
    held.ack();
    common::until("the outbox is empty", || sender.counts().kept == 0).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_comes_twice_runs_once() {
    let stage = Stage::new();
    let (receiver, sender) = (stage.bridge().await, stage.bridge().await);
    let mut deliveries = stage.durable(&receiver, "twice").await;
    let envelope = stage.event(5);
    for _ in 0..3 {
        assert!(sender.publish(envelope.clone()).await.is_ok());
    }
    let mut delivery = next(&mut deliveries).await;
    delivery.begin();
    delivery.ack();
    common::until("the outbox is empty", || sender.counts().kept == 0).await;
    assert!(sender.publish(envelope).await.is_ok());
    assert!(timeout(Duration::from_millis(500), deliveries.next()).await.is_err());
    common::until("the outbox is empty", || sender.counts().kept == 0).await;
    assert_eq!(receiver.counts().duplicates, 3);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_group_gets_what_came_while_it_was_away() {
    let stage = Stage::new();
    let sender = stage.bridge().await;
    for group in ["one", "two"] {
        let bridge = stage.bridge().await;
        stage.durable(&bridge, group).await.cancel();
        bridge.close().await.expect("closed");
    }
    for number in 0..50 {
        stage.emit(&sender, number).await;
    }
    assert_eq!(sender.counts().kept, 50);
    let mut back = Vec::new();
    for group in ["one", "two"] {
        let bridge = stage.bridge().await;
        back.push(Arc::clone(&bridge));
        let mut deliveries = stage.durable(&bridge, group).await;
        let mut got = BTreeMap::new();
        for _ in 0..50 {
            let delivery = next(&mut deliveries).await;
            *got.entry(common::number(delivery.envelope())).or_insert(0) += 1;
            delivery.ack();
        }
        assert_eq!(got, (0..50).map(|number| (number, 1)).collect(), "{group}");
    }
    common::until("the outbox is empty", || sender.counts().kept == 0).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_outbox_refuses_in_the_end_and_an_old_message_is_given_up() {
    let stage = Stage::new();
    let url = format!("{}?outbox_messages_max=3&outbox_seconds_max=2", stage.url);
    let sender = stage.bridge_at(&url).await;
    let bridge = stage.bridge().await;
    stage.durable(&bridge, "away").await.cancel();
    bridge.close().await.expect("closed");
    for number in 0..3 {
        stage.emit(&sender, number).await;
    }
    let budget = Duration::from_millis(200);
    let mut late = stage.event(3);
    late.identity = late.identity.with_budget(budget);
    let asked = Instant::now();
    let error = sender.publish(late).await.expect_err("full");
    assert_eq!(error.kind(), roadshow_bridges::ErrorKind::Exhausted);
    assert!(asked.elapsed() >= budget, "it was refused at once");
    common::until("all were given up", || sender.counts().expired == 3).await;
    assert_eq!(sender.counts().kept, 0);
    stage.emit(&sender, 4).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_go_at_the_pace_of_a_slow_subscriber() {
    let stage = Stage::new();
    let url = format!("{}?outbox_messages_max=8", stage.url);
    let (sender, receiver) = (stage.bridge_at(&url).await, stage.bridge().await);
    let mut deliveries = stage.durable(&receiver, "slow").await;
    let mut emitters = JoinSet::new();
    for emitter in 0..64 {
        let (sender, events) = (Arc::clone(&sender), (0..10).map(|n| stage.event(emitter * 10 + n)));
        let events: Vec<_> = events.collect();
        emitters.spawn(async move {
            for event in events {
                let published = sender.publish(event).await.expect("it waits for room");
                assert_eq!(published, roadshow_bridges::Published::Accepted);
            }
        });
    }
    let mut got = BTreeMap::new();
    for _ in 0..640 {
        let mut delivery = next(&mut deliveries).await;
        assert!(sender.counts().kept <= 8);
        delivery.begin();
        *got.entry(common::number(delivery.envelope())).or_insert(0) += 1;
        delivery.ack();
    }
    emitters.join_all().await;
    assert_eq!(got, (0..640).map(|number| (number, 1)).collect());
    common::until("the outbox is empty", || sender.counts().kept == 0).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_waits_for_room_hears_the_end_of_the_bridge() {
    let stage = Stage::new();
    let url = format!("{}?outbox_messages_max=1", stage.url);
    let (sender, receiver) = (stage.bridge_at(&url).await, stage.bridge().await);
    let deliveries = stage.durable(&receiver, "held").await;
    stage.emit(&sender, 0).await;
    let (one, two) = (stage.event(1), stage.event(2));
    let (one, two, _) = tokio::join!(biased; sender.publish(one), sender.publish(two), sender.close());
    for refused in [one, two] {
        let error = refused.expect_err("the bridge was closed");
        assert_eq!(error.kind(), roadshow_bridges::ErrorKind::Closed, "{error:?}");
    }
    drop(deliveries);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyed_command_of_a_lost_instance_runs_elsewhere() {
    let stage = Stage::new();
    let (lost, staying, sender) = (stage.bridge().await, stage.bridge().await, stage.bridge().await);
    let mut first = stage.commands(&lost).await;
    let keyed = stage.command(1, Some("k1"));
    let plain = stage.command(2, None);
    for envelope in [keyed, plain] {
        let published = sender.publish(envelope).await.expect("published");
        assert_eq!(published, roadshow_bridges::Published::Accepted);
    }
    let held = [next(&mut first).await, next(&mut first).await];
    let mut second = stage.commands(&staying).await;
    lost.abort();
    let delivery = next(&mut second).await;
    assert_eq!(delivery.envelope().identity.key(), Some("k1"));
    assert!(delivery.envelope().identity.budget < Some(Duration::from_secs(30)));
    delivery.ack();
    common::until("the outbox is empty", || sender.counts().kept == 0).await;
    assert!(
        timeout(Duration::from_millis(500), second.next()).await.is_err(),
        "an unkeyed command ran twice"
    );
    drop(held);
    stage.end().await;
}
