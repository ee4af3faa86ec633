//! What the memory bridge promises, one behaviour a test. Time is paused wherever time matters.

use std::collections::HashSet;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use roadshow_bridges::memory::{
    MemoryBridgeSettings, MemoryBus, MemoryBusSettings, MemoryConnector, MemoryEventBridge, WhenFull,
};
use roadshow_bridges::{
    ConnectContext, Connectors, Deliveries, Envelope, ErrorKind, EventBridge, Health, Identity, IncarnationId, Kind,
    MessageId, Namespace, Payload, Published, Subject, Subscription, TryPublish,
};
use tokio::time::{Instant, timeout};

const DEADLINE: Duration = Duration::from_secs(20);

fn subject(text: &str) -> Subject {
    Subject::foreign(text).expect("a subject")
}

fn bridge() -> MemoryEventBridge {
    MemoryEventBridge::new(MemoryBus::default(), MemoryBridgeSettings::default())
}

fn waiting_bridge(longest: Duration) -> MemoryEventBridge {
    let mut settings = MemoryBridgeSettings::default();
    settings.when_full = WhenFull::Wait(longest);
    MemoryEventBridge::new(MemoryBus::default(), settings)
}

fn message(kind: Kind, to: &str, id: u128) -> Envelope {
    Envelope::new(
        kind,
        subject(to),
        Identity::root(MessageId::from_u128(id)),
        Bytes::from_static(b"{}"),
    )
}

async fn emit(bridge: &MemoryEventBridge, to: &str, id: u128) {
    assert_eq!(
        bridge.publish(message(Kind::Event, to, id)).await.expect("published"),
        Published::Accepted
    );
}

async fn subscribe(bridge: &MemoryEventBridge, subscription: Subscription) -> Deliveries {
    bridge.subscribe(subscription).await.expect("subscribed")
}

fn taken(deliveries: &mut Deliveries) -> Vec<u128> {
    let mut ids = Vec::new();
    while let Some(delivery) = deliveries.try_next() {
        ids.push(delivery.envelope().identity.id.as_u128());
        delivery.ack();
    }
    ids
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("within the deadline")
}

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
async fn a_durable_group_collects_while_its_subscribers_are_away() {
    let bridge = bridge();
    let subscription = Subscription::new(subject("t.e")).durable("shop=1=loyalty");
    subscribe(&bridge, subscription.clone()).await.cancel();
    for id in 0..100 {
        emit(&bridge, "t.e", id).await;
    }
    let mut back = subscribe(&bridge, subscription).await;
    assert_eq!(taken(&mut back), (0..100).collect::<Vec<_>>());
    assert!(bridge.bus().forget(&subject("t.e"), "shop=1=loyalty"));
    assert!(soon(back.next()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_delayed_message_comes_back_when_it_is_due_and_a_shorter_delay_first() {
    let bridge = bridge();
    let mut deliveries = subscribe(&bridge, Subscription::new(subject("t.e")).group("g")).await;
    emit(&bridge, "t.e", 6_000).await;
    emit(&bridge, "t.e", 300).await;
    let started = Instant::now();
    for _ in 0..2 {
        let mut delivery = deliveries.next().await.expect("published");
        let ms = u64::try_from(delivery.envelope().identity.id.as_u128()).expect("small");
        assert_eq!(delivery.begin(), 1);
        delivery.nack(Duration::from_millis(ms));
    }
    for ms in [300, 6_000] {
        let mut delivery = deliveries.next().await.expect("comes again");
        assert_eq!(delivery.envelope().identity.id.as_u128(), u128::from(ms));
        assert_eq!(delivery.begin(), 2);
        let late = started.elapsed() - Duration::from_millis(ms);
        assert!(late < Duration::from_millis(5), "{late:?}");
        delivery.ack();
    }
}

#[tokio::test]
async fn what_is_cancelled_unstarted_goes_back_in_order_and_uncounted() {
    let bridge = bridge();
    let mut first = subscribe(&bridge, Subscription::new(subject("t.e")).group("g")).await;
    for id in 0..10 {
        emit(&bridge, "t.e", id).await;
    }
    let held = first.try_next().expect("the first message");
    let mut second = subscribe(&bridge, Subscription::new(subject("t.e")).group("g")).await;
    first.cancel();
    drop(held);
    for id in 0..10 {
        let mut delivery = second.try_next().expect("given back");
        assert_eq!((delivery.envelope().identity.id.as_u128(), delivery.begin()), (id, 1));
        delivery.ack();
    }
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
async fn a_wake_up_is_passed_on_when_the_one_who_waited_stops() {
    let bridge = bridge();
    let group = || Subscription::new(subject("t.e")).group("g");
    let (mut first, mut second) = (subscribe(&bridge, group()).await, subscribe(&bridge, group()).await);
    let mut waits_first = Box::pin(first.next());
    assert!(futures_util::FutureExt::now_or_never(&mut waits_first).is_none());
    let waits_second = tokio::spawn(async move { second.next().await.map(|delivery| delivery.ack()) });
    tokio::task::yield_now().await;
    emit(&bridge, "t.e", 1).await;
    // The wake-up went to the first, who never asks again.
    drop(waits_first);
    assert!(soon(waits_second).await.expect("no panic").is_some());
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
async fn close_ends_this_bridge_and_no_other() {
    let bus = MemoryBus::default();
    let one = MemoryEventBridge::new(bus.clone(), MemoryBridgeSettings::default());
    let two = MemoryEventBridge::new(bus, MemoryBridgeSettings::default());
    let mut ended = subscribe(&one, Subscription::new(subject("t.e"))).await;
    let mut lives = subscribe(&two, Subscription::new(subject("t.e"))).await;
    let waits = tokio::spawn(async move { ended.next().await.is_none() });
    tokio::task::yield_now().await;
    assert_eq!(one.health(), Health::Ready);
    for _ in 0..2 {
        one.close().await.expect("closes, also twice");
    }
    assert!(soon(waits).await.expect("no panic"));
    assert_eq!(one.health(), Health::Closed);
    assert_eq!(
        one.publish(message(Kind::Event, "t.e", 1))
            .await
            .expect_err("closed")
            .kind(),
        ErrorKind::Closed
    );
    assert!(one.subscribe(Subscription::new(subject("t.e"))).await.is_err());
    emit(&two, "t.e", 2).await;
    assert_eq!(taken(&mut lives), [2]);
}

#[tokio::test(start_paused = true)]
async fn close_waits_for_what_is_out_but_not_for_ever() {
    for settles in [true, false] {
        let bridge = bridge();
        let mut deliveries = subscribe(&bridge, Subscription::new(subject("t.e")).group("g")).await;
        emit(&bridge, "t.e", 1).await;
        let delivery = deliveries.try_next().expect("published");
        let started = Instant::now();
        let close = bridge.close();
        let handler = async {
            if settles {
                tokio::time::sleep(Duration::from_secs(2)).await;
                delivery.ack();
            } else {
                tokio::time::sleep(Duration::from_secs(60)).await;
                drop(delivery);
            }
        };
        let closed = async {
            close.await.expect("closes");
            started.elapsed().as_secs()
        };
        let (seconds, ()) = tokio::join!(closed, handler);
        assert_eq!(seconds, if settles { 2 } else { 5 });
    }
}

#[tokio::test]
async fn a_subscriber_that_never_waits_lets_others_run() {
    let bridge = Arc::new(bridge());
    let mut deliveries = subscribe(&bridge, Subscription::new(subject("t.e")).group("g")).await;
    let turns = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&turns);
    let other = tokio::spawn(async move {
        loop {
            counting.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    for id in 0..2_000 {
        emit(&bridge, "t.e", id).await;
    }
    for _ in 0..2_000 {
        deliveries.next().await.expect("published").ack();
    }
    other.abort();
    assert!(turns.load(Ordering::Relaxed) >= 5);
}

#[tokio::test]
async fn nodes_that_share_a_connector_meet() {
    let connectors = Connectors::new().with(MemoryConnector::default());
    let node = "n1".parse().expect("a node");
    let context = ConnectContext::new(Namespace::default(), node, IncarnationId::from_u64(1));
    let one = connectors.event_bridge("memory:", &context).await.expect("connects");
    let two = connectors.event_bridge("memory://", &context).await.expect("connects");
    let mut deliveries = one
        .subscribe(Subscription::new(subject("t.e")))
        .await
        .expect("subscribed");
    let _ = two.publish(message(Kind::Event, "t.e", 1)).await.expect("published");
    assert_eq!(taken(&mut deliveries), [1]);
    let error = connectors
        .event_bridge("memory://host", &context)
        .await
        .expect_err("a host makes no sense");
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn subscribing_leaving_publishing_and_closing_at_once_neither_hangs_nor_leaks() {
    let bus = MemoryBus::default();
    let bridge = Arc::new(MemoryEventBridge::new(bus.clone(), MemoryBridgeSettings::default()));
    let mut tasks = Vec::new();
    for task in 0..50_u128 {
        let bridge = Arc::clone(&bridge);
        tasks.push(tokio::spawn(async move {
            for round in 0..40_u128 {
                let base = Subscription::new(subject(["t.a", "t.b"][usize::from(round % 2 == 0)]));
                let subscription = if task % 3 == 0 { base } else { base.group("g") };
                let Ok(mut deliveries) = bridge.subscribe(subscription).await else {
                    return;
                };
                let _ = bridge.publish(message(Kind::Event, "t.a", task * 100 + round)).await;
                if let Some(delivery) = deliveries.try_next() {
                    delivery.nack(Duration::from_millis(u64::from(round % 2 == 0)));
                }
                if task == 49 && round == 30 {
                    bridge.close().await.expect("closes");
                }
            }
        }));
    }
    for task in tasks {
        soon(task).await.expect("no panic");
    }
    assert!(bus.groups().is_empty(), "{:?}", bus.groups());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_message_is_acknowledged_once_however_often_it_is_given_back() {
    const PUBLISHERS: u128 = 4;
    const EACH: u128 = 5_000;
    let bridge = Arc::new(waiting_bridge(DEADLINE));
    let acked = Arc::new(Mutex::new(Vec::new()));
    let group = || {
        Subscription::new(subject("t.e"))
            .durable("g")
            .capacity(500)
            .window(16)
            .starts_max(1_000_000)
    };
    let mut consumers = Vec::new();
    for consumer in 0..3_u64 {
        let (bridge, acked) = (Arc::clone(&bridge), Arc::clone(&acked));
        consumers.push(tokio::spawn(async move {
            let mut turn = consumer;
            'subscribe: loop {
                let Ok(mut deliveries) = bridge.subscribe(group()).await else {
                    return;
                };
                while let Some(mut delivery) = deliveries.next().await {
                    turn = turn
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    match (turn >> 33) % 64 {
                        0 => drop(delivery),
                        1 => {
                            delivery.begin();
                            delivery.nack(Duration::from_millis(1));
                        }
                        2 => continue 'subscribe,
                        _ => {
                            acked
                                .lock()
                                .expect("no panic")
                                .push(delivery.envelope().identity.id.as_u128());
                            delivery.ack();
                        }
                    }
                }
                return;
            }
        }));
    }
    let publish = |publisher: u128| {
        let bridge = Arc::clone(&bridge);
        tokio::spawn(async move {
            for number in 0..EACH {
                emit(&bridge, "t.e", publisher * EACH + number).await;
            }
        })
    };
    // The group exists before the first message does.
    let first = subscribe(&bridge, group()).await;
    let publishers: Vec<_> = (0..PUBLISHERS).map(publish).collect();
    first.cancel();
    for publisher in publishers {
        soon(publisher).await.expect("publishes");
    }
    soon(async {
        while acked.lock().expect("no panic").len() < (PUBLISHERS * EACH) as usize {
            tokio::task::yield_now().await;
        }
    })
    .await;
    bridge.close().await.expect("closes");
    for consumer in consumers {
        soon(consumer).await.expect("ends");
    }
    let mut acked = acked.lock().expect("no panic").clone();
    acked.sort_unstable();
    assert_eq!(acked, (0..PUBLISHERS * EACH).collect::<Vec<_>>());
    let stats = bridge.bus().stats();
    assert_eq!((stats.ready, stats.delayed, stats.lost), (0, 0, 0));
}
