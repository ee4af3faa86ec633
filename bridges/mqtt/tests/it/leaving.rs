//! Members that come at once and leave while messages are on their way to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::select_all;
use roadshow_bridges::{Deliveries, Delivery, EventBridge, Published, Subscription};
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

use crate::common::{self, Stage};

const SOON: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_millis(500);
const GROUPS: usize = 20;

/// The next delivery of any of these.
async fn any(members: &mut [Deliveries]) -> Option<Delivery> {
    let next = members.iter_mut().map(|deliveries| Box::pin(deliveries.next()));
    select_all(next).await.0
}

/// Acknowledges what comes until nothing has come for a while; how often each number came.
async fn work(deliveries: &mut Deliveries, enough: usize) -> BTreeMap<u64, usize> {
    let mut got = BTreeMap::new();
    let mut count = 0;
    while count < enough
        && let Ok(Some(mut delivery)) = timeout(SOON, deliveries.next()).await
    {
        delivery.begin();
        *got.entry(common::number(delivery.envelope())).or_insert(0) += 1;
        delivery.ack();
        count += 1;
    }
    got
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_its_way_to_a_member_that_leaves_goes_to_another() {
    let stage = Stage::new();
    let narrow = format!("{}?receive_maximum=5", stage.url);
    let leaving = stage.bridge_at(&narrow).await;
    let (staying, sender) = (stage.bridge().await, stage.bridge().await);
    let mut first = stage.commands(&leaving).await;
    for number in 0..40 {
        let published = sender.publish(stage.command(number, None)).await;
        assert_eq!(published.expect("published"), Published::Accepted);
    }
    let held = timeout(SOON, first.next()).await.expect("in time").expect("one");
    let mut second = stage.commands(&staying).await;
    first.cancel();
    let mut got = work(&mut second, 39).await;
    *got.entry(common::number(held.envelope())).or_insert(0) += 1;
    held.ack();
    assert_eq!(got, (0..40).map(|number| (number, 1)).collect());
    assert_eq!(leaving.counts().messages_dropped, 0);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_that_come_at_once_are_one_group() {
    let stage = Stage::new();
    let (receiver, sender) = (stage.bridge().await, stage.bridge().await);
    let mut members = Vec::new();
    for group in 0..GROUPS {
        let here = Arc::new(AtomicUsize::new(0));
        let mut subscribing = JoinSet::new();
        for _ in 0..2 {
            let (receiver, here) = (Arc::clone(&receiver), Arc::clone(&here));
            let root = stage.namespace.command_root(common::WORK);
            subscribing.spawn(async move {
                here.fetch_add(1, Ordering::SeqCst);
                while here.load(Ordering::SeqCst) < 2 {
                    yield_now().await;
                }
                let subscription = Subscription::children(root).group(format!("cmd=work=g{group}"));
                receiver.subscribe(subscription).await.expect("subscribed")
            });
        }
        members.extend(subscribing.join_all().await);
    }
    let published = sender.publish(stage.command(1, None)).await;
    assert_eq!(published.expect("published"), Published::Accepted);
    for _ in 0..GROUPS {
        let taken = timeout(SOON, any(&mut members)).await.expect("each group takes it");
        taken.expect("a delivery").ack();
    }
    let more = timeout(QUIET, any(&mut members)).await;
    assert!(more.is_err(), "a group takes it twice");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_worked_on_after_its_subscription_has_ended_is_not_sent_again() {
    let stage = Stage::new();
    let (worker, idle, sender) = (stage.bridge().await, stage.bridge().await, stage.bridge().await);
    let mut first = stage.durable(&worker, "slow").await;
    stage.emit(&sender, 1).await;
    let mut held = timeout(SOON, first.next()).await.expect("in time").expect("an event");
    held.begin();
    first.cancel();
    let mut second = stage.durable(&idle, "slow").await;
    // Longer than the patience of an outbox.
    assert!(timeout(Duration::from_secs(7), second.next()).await.is_err());
    held.ack();
    common::until("the outbox is empty", || sender.counts().kept == 0).await;
    stage.end().await;
}
