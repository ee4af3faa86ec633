//! Who gets which message, in which order.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use roadshow_bridges::{EventBridge, Kind, Payload, Published, Subscription};

use crate::{bridge, emit, message, soon, subject, subscribe, taken};

#[tokio::test]
async fn every_subscriber_without_group_gets_each_event_once() {
    let bridge = bridge();
    let mut subscribers = Vec::new();
    for _ in 0..5 {
        subscribers.push(subscribe(&bridge, Subscription::new(subject("t.e"))).await);
    }
    for id in 0..10 {
        emit(&bridge, "t.e", id).await;
    }
    for subscriber in &mut subscribers {
        assert_eq!(taken(subscriber), (0..10).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn members_of_a_group_share_the_events() {
    let bridge = bridge();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut members = Vec::new();
    for member in 0..5_usize {
        let mut deliveries = subscribe(&bridge, Subscription::new(subject("t.e")).group("g")).await;
        let seen = Arc::clone(&seen);
        members.push(tokio::spawn(async move {
            while let Some(delivery) = deliveries.next().await {
                let id = delivery.envelope().identity.id.as_u128();
                seen.lock().expect("no panic").push((member, id));
                delivery.ack();
            }
        }));
    }
    for id in 0..5_000 {
        emit(&bridge, "t.e", id).await;
    }
    soon(async {
        while seen.lock().expect("no panic").len() < 5_000 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    bridge.close().await.expect("closes");
    for member in members {
        soon(member).await.expect("ends");
    }
    let seen = seen.lock().expect("no panic");
    assert_eq!(seen.iter().map(|(_, id)| *id).collect::<HashSet<_>>().len(), 5_000);
    for member in 0..5 {
        let count = seen.iter().filter(|(who, _)| *who == member).count();
        assert!(count >= 250, "member {member} got {count} of 5000");
    }
}

#[tokio::test]
async fn one_publisher_and_one_subscriber_keep_their_order() {
    let bridge = bridge();
    let mut deliveries = subscribe(&bridge, Subscription::new(subject("t.e")).group("g").window(7)).await;
    for id in 0..10_000 {
        emit(&bridge, "t.e", id).await;
    }
    assert_eq!(taken(&mut deliveries), (0..10_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_command_without_subscriber_is_unroutable_and_an_event_is_not() {
    let bridge = bridge();
    for kind in [Kind::Command, Kind::Reply, Kind::Frame] {
        assert_eq!(
            bridge.publish(message(kind, "t.c", 1)).await.expect("answered"),
            Published::Unroutable
        );
    }
    emit(&bridge, "t.c", 2).await;
    let deliveries = subscribe(&bridge, Subscription::new(subject("t.c")).group("g")).await;
    assert_eq!(
        bridge
            .publish(message(Kind::Command, "t.c", 3))
            .await
            .expect("answered"),
        Published::Accepted
    );
    deliveries.cancel();
    assert_eq!(
        bridge
            .publish(message(Kind::Command, "t.c", 4))
            .await
            .expect("answered"),
        Published::Unroutable
    );
}

#[tokio::test]
async fn a_root_hears_its_children_and_nothing_else() {
    let bridge = bridge();
    let mut inbox = subscribe(&bridge, Subscription::children(subject("t.inbox.n1.i1"))).await;
    for (id, to) in (0..).zip([
        "t.inbox.n1.i1.c1",
        "t.inbox.n1.i1",
        "t.inbox.n1.i1.a.b",
        "t.inbox.n1.i10.c1",
        "t.inbox.n1.i1.c2",
    ]) {
        let _ = bridge.publish(message(Kind::Event, to, id)).await.expect("answered");
    }
    assert_eq!(taken(&mut inbox), [0, 4]);
}

#[tokio::test]
async fn a_shared_value_arrives_as_the_value_itself() {
    let bridge = bridge();
    let mut deliveries = subscribe(&bridge, Subscription::new(subject("t.e"))).await;
    let value = Arc::new(vec![1_u8, 2, 3]);
    let mut envelope = message(Kind::Event, "t.e", 1);
    envelope.payload = Payload::shared(Arc::clone(&value));
    let _ = bridge.publish(envelope).await.expect("published");
    let delivery = deliveries.try_next().expect("published");
    let got = delivery
        .envelope()
        .payload
        .downcast::<Vec<u8>>()
        .expect("the same type");
    assert!(Arc::ptr_eq(&got, &value));
    delivery.ack();
}
