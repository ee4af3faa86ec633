//! What happens at a bound: refused, waited for, dropped and counted, dead-lettered.

use std::sync::Arc;
use std::time::Duration;

use roadshow_bridges::memory::{MemoryBridgeSettings, MemoryBus, MemoryBusSettings, MemoryEventBridge};
use roadshow_bridges::{
    Deliveries, ErrorKind, EventBridge, Kind, MessageId, Payload, Published, Subscription, TryPublish,
};
use tokio::time::Instant;

use crate::{bridge, emit, message, soon, subject, subscribe, taken, waiting_bridge};

#[tokio::test]
async fn a_full_group_refuses_and_nobody_gets_the_message() {
    let bridge = bridge();
    let mut other = subscribe(&bridge, Subscription::new(subject("t.e"))).await;
    let mut full = subscribe(&bridge, Subscription::new(subject("t.e")).group("g").capacity(2)).await;
    emit(&bridge, "t.e", 0).await;
    emit(&bridge, "t.e", 1).await;
    let error = bridge.publish(message(Kind::Event, "t.e", 2)).await.expect_err("full");
    assert_eq!(error.kind(), ErrorKind::Exhausted);
    assert_eq!((taken(&mut other), taken(&mut full)), (vec![0, 1], vec![0, 1]));
}

#[tokio::test]
async fn a_stalled_subscriber_that_drops_the_oldest_counts_what_is_missing() {
    let bridge = bridge();
    let mut deliveries = subscribe(&bridge, Subscription::new(subject("t.e")).capacity(10)).await;
    for id in 0..100 {
        emit(&bridge, "t.e", id).await;
    }
    assert_eq!(bridge.bus().stats().dropped, 90);
    assert_eq!(taken(&mut deliveries), (90..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_publisher_waits_for_room_and_gives_up_at_its_deadline() {
    let bridge = Arc::new(waiting_bridge(Duration::from_secs(3)));
    let mut deliveries = subscribe(&bridge, Subscription::new(subject("t.e")).group("g").capacity(1)).await;
    emit(&bridge, "t.e", 0).await;
    assert!(matches!(
        bridge.try_publish(message(Kind::Event, "t.e", 1)),
        TryPublish::WouldWait(_)
    ));
    let started = Instant::now();
    let error = bridge
        .publish(message(Kind::Event, "t.e", 1))
        .await
        .expect_err("still full");
    assert_eq!((error.kind(), started.elapsed().as_secs()), (ErrorKind::Exhausted, 3));
    let waiting = Arc::clone(&bridge);
    let publisher = tokio::spawn(async move { waiting.publish(message(Kind::Event, "t.e", 2)).await });
    tokio::task::yield_now().await;
    deliveries.next().await.expect("the first one").ack();
    assert_eq!(
        soon(publisher).await.expect("no panic").expect("there is room"),
        Published::Accepted
    );
    assert_eq!(taken(&mut deliveries), [2]);
}

#[tokio::test]
async fn a_window_bounds_what_is_out_and_opens_when_something_is_settled() {
    let bridge = bridge();
    let mut deliveries = subscribe(&bridge, Subscription::new(subject("t.e")).group("g").window(2)).await;
    for id in 0..3 {
        emit(&bridge, "t.e", id).await;
    }
    let (one, two) = (deliveries.try_next().expect("one"), deliveries.try_next().expect("two"));
    assert!(deliveries.try_next().is_none());
    let third = tokio::spawn(async move { deliveries.next().await.map(|delivery| delivery.envelope().identity.id) });
    tokio::task::yield_now().await;
    assert!(!third.is_finished());
    two.ack();
    assert_eq!(soon(third).await.expect("no panic"), Some(MessageId::from_u128(2)));
    one.ack();
}

#[tokio::test]
async fn what_is_rejected_or_started_too_often_is_a_dead_letter() {
    let bridge = bridge();
    let subscription = Subscription::new(subject("t.e")).group("g").starts_max(3);
    let mut deliveries = subscribe(&bridge, subscription).await;
    let mut shared = message(Kind::Event, "t.e", 1);
    shared.payload = Payload::shared(Arc::new(["a", "b"]));
    let _ = bridge.publish(shared).await.expect("published");
    deliveries.try_next().expect("published").reject("no such order");
    emit(&bridge, "t.e", 2).await;
    for attempt in 1..=3 {
        let mut delivery = deliveries.try_next().expect("again");
        assert_eq!(delivery.begin(), attempt);
    }
    assert!(deliveries.try_next().is_none());
    let dead = bridge.bus().dead_letters();
    let read: Vec<_> = dead
        .iter()
        .map(|letter| (letter.id.as_u128(), letter.attempts, letter.reason.as_str()))
        .collect();
    assert_eq!(read, [(1, 0, "no such order"), (2, 3, "gave up after 3 starts")]);
    assert_eq!(
        (&dead[0].payload[..], dead[0].group.as_deref()),
        (&br#"["a","b"]"#[..], Some("g"))
    );
    assert_eq!(bridge.bus().purge_dead_letters(), 2);
}

#[tokio::test]
async fn a_payload_of_the_limit_is_accepted_and_one_byte_more_is_not() {
    let mut settings = MemoryBusSettings::default();
    settings.payload_bytes_max = 10;
    let bridge = MemoryEventBridge::new(MemoryBus::new(settings), MemoryBridgeSettings::default());
    let sized = |len: usize| {
        let mut envelope = message(Kind::Event, "t.e", 1);
        envelope.payload = Payload::Bytes(vec![0; len].into());
        envelope
    };
    assert!(bridge.publish(sized(10)).await.is_ok());
    assert_eq!(
        bridge.publish(sized(11)).await.expect_err("too large").kind(),
        ErrorKind::Rejected
    );
}

#[tokio::test]
async fn bounds_and_contradictions_are_refused_when_subscribing() {
    let mut settings = MemoryBusSettings::default();
    (settings.groups_max, settings.members_max, settings.window_max) = (2, 2, 256);
    let bridge = MemoryEventBridge::new(MemoryBus::new(settings), MemoryBridgeSettings::default());
    let group = || Subscription::new(subject("t.e")).group("g");
    let kind = |result: Result<Deliveries, roadshow_bridges::Error>| result.map(|_| ()).map_err(|error| error.kind());
    let _one = subscribe(&bridge, group()).await;
    let _two = subscribe(&bridge, group()).await;
    assert_eq!(kind(bridge.subscribe(group()).await), Err(ErrorKind::Exhausted));
    assert_eq!(
        kind(bridge.subscribe(group().capacity(5)).await),
        Err(ErrorKind::Config)
    );
    assert_eq!(
        kind(bridge.subscribe(group().window(257)).await),
        Err(ErrorKind::Unsupported)
    );
    let _own = subscribe(&bridge, Subscription::new(subject("t.e"))).await;
    assert_eq!(
        kind(bridge.subscribe(Subscription::new(subject("t.e"))).await),
        Err(ErrorKind::Exhausted)
    );
}

#[tokio::test]
async fn a_publisher_that_waits_hears_that_its_bridge_was_closed() {
    let bridge = Arc::new(waiting_bridge(Duration::from_secs(3_600)));
    let _full = subscribe(&bridge, Subscription::new(subject("t.e")).durable("g").capacity(1)).await;
    emit(&bridge, "t.e", 0).await;
    let waiting = Arc::clone(&bridge);
    let publisher = tokio::spawn(async move { waiting.publish(message(Kind::Event, "t.e", 1)).await });
    tokio::task::yield_now().await;
    bridge.close().await.expect("closes");
    let error = soon(publisher).await.expect("no panic").expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::Closed);
}
