//! A queue that somebody replaced by one of his own while a group used it.

use std::time::Duration;

use lapin::Channel;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use roadshow_bridges::{EventBridge, Kind, Published, Subscription};
use tokio::time::interval;

use super::harness::{Place, envelope, in_time, next};

/// Waits until a bridge is ready, or is not any more.
async fn ready_is(bridge: &dyn EventBridge, wanted: bool) {
    let mut ticks = interval(Duration::from_millis(5));
    let waiting = async {
        while bridge.health().is_ready() != wanted {
            ticks.tick().await;
        }
    };
    in_time(waiting).await;
}

async fn remove(channel: &Channel, queue: &str) {
    let removed = channel.queue_delete(queue.into(), QueueDeleteOptions::default());
    removed.await.expect("removed");
}

#[tokio::test]
async fn a_group_whose_queue_was_replaced_is_served_again_when_the_other_is_gone() {
    let place = Place::new();
    let bridge = place.bridge("n1").await;
    let subject = place.command("create");
    let subscription = Subscription::new(subject.clone()).group("cmd=user=1=create");
    let mut deliveries = bridge.subscribe(subscription).await.expect("subscribes");
    let stranger = place.stranger().await;
    let queue = format!("{}.cmd=user=1=create", place.namespace.as_str());
    let replacing = async {
        loop {
            let channel = stranger.create_channel().await.expect("a channel");
            remove(&channel, &queue).await;
            // The bridge may be faster.
            let declared = channel.queue_declare(
                queue.as_str().into(),
                QueueDeclareOptions::default(),
                FieldTable::default(),
            );
            if declared.await.is_ok() {
                return channel;
            }
        }
    };
    let channel = in_time(replacing).await;
    ready_is(&*bridge, false).await;
    remove(&channel, &queue).await;
    ready_is(&*bridge, true).await;
    let published = bridge.publish(envelope(Kind::Command, &subject, 1, b"{}")).await;
    assert_eq!(published.expect("told"), Published::Accepted);
    next(&mut deliveries).await.ack();
    drop(deliveries);
    bridge.close().await.expect("closed");
    place.remove(&[]).await;
}
