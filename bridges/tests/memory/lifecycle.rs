//! Coming, leaving, coming back and closing; time; many at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use roadshow_bridges::memory::{MemoryBridgeSettings, MemoryBus, MemoryConnector, MemoryEventBridge};
use roadshow_bridges::{
    ConnectContext, Connectors, ErrorKind, EventBridge, Health, IncarnationId, Kind, Namespace, Subscription,
};
use tokio::time::Instant;

use crate::{DEADLINE, bridge, emit, message, soon, subject, subscribe, taken, waiting_bridge};

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
                tokio::time::sleep(Duration::from_secs(2)).await; // allow-sleep: the handler's own work, on paused time
                delivery.ack();
            } else {
                tokio::time::sleep(Duration::from_secs(60)).await; // allow-sleep: the handler's own work, on paused time
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
