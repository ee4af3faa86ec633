//! Leaving a group: what the server has on its way to a member that leaves comes to others at once.
//!
//! Of a durable group, the server waits for the acknowledgement of what it believes to be in somebody's hand, 30 s if nothing
//! else is said. Of commands it knows nothing any more.

mod common;

use std::collections::HashSet;
use std::time::Duration;

use common::{CREATED, clean, command, connect, connect_to, event, namespace, next, small};
use futures_util::StreamExt;
use roadshow_bridges::{EventBridge, Namespace, Published, Subscription};
use tokio::time::Instant;

/// How often a race is run.
const ROUNDS: u32 = 20;

fn loyalty(ns: &Namespace) -> Subscription {
    Subscription::new(ns.event_subject(CREATED)).durable("shop=1=loyalty")
}

async fn tell(bridge: &dyn EventBridge, ns: &Namespace, payload: &[u8]) {
    let published = bridge.publish(event(ns, payload)).await;
    assert!(matches!(published, Ok(Published::Accepted)), "{published:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_that_was_closed_gets_nothing_more_from_the_server() {
    let ns = namespace();
    let sender = connect(&ns, "n0").await;
    for round in 1..=ROUNDS {
        let bridge = connect(&ns, &format!("n{round}")).await;
        let mut deliveries = bridge.subscribe(loyalty(&ns)).await.expect("subscribes");
        // One that arrives shows that the server has a pull of this member, which holds for more.
        tell(&*sender, &ns, b"1").await;
        next(&mut deliveries).await.ack();
        deliveries.cancel();
        bridge.close().await.expect("closes");
        tell(&*sender, &ns, b"2").await;
        let bridge = connect(&ns, &format!("m{round}")).await;
        let mut deliveries = bridge.subscribe(loyalty(&ns)).await.expect("subscribes");
        let mut delivery = next(&mut deliveries).await;
        assert_eq!(delivery.envelope().payload.to_bytes().expect("bytes"), &b"2"[..]);
        assert_eq!(delivery.begin(), 1);
        delivery.ack();
        bridge.close().await.expect("closes");
    }
    clean(&ns).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_its_way_to_a_member_that_leaves_comes_to_another_at_once() {
    const EACH: usize = 200;
    /// A server of 2.9 loses sight of the message that it has in its own hands at that moment, until `ack_wait`.
    const LATE_MAX: usize = 2;
    let ns = namespace();
    let url = small("&ack_wait=6s");
    let bridge = connect_to(&url, &ns, "n1").await;
    for _ in 0..5 {
        let mut leaving = bridge.subscribe(loyalty(&ns).window(256)).await.expect("subscribes");
        let publish = futures_util::stream::iter(0..EACH)
            .for_each_concurrent(64, async |at| tell(&*bridge, &ns, &at.to_be_bytes()).await);
        let leave = async {
            let mut done = HashSet::new();
            for _ in 0..10 {
                let delivery = next(&mut leaving).await;
                done.insert(delivery.envelope().identity.id);
                delivery.ack();
            }
            leaving.cancel();
            done
        };
        let ((), mut done) = tokio::join!(publish, leave);
        let mut staying = bridge.subscribe(loyalty(&ns)).await.expect("subscribes");
        let mut late = None;
        while done.len() < EACH {
            let begun = Instant::now();
            let delivery = next(&mut staying).await;
            if begun.elapsed() > Duration::from_secs(3) {
                late.get_or_insert(EACH - done.len());
            }
            done.insert(delivery.envelope().identity.id);
            delivery.ack();
        }
        assert!(late.unwrap_or_default() <= LATE_MAX, "{late:?} of {EACH} came late");
    }
    clean(&ns).await;
}

fn commands(ns: &Namespace) -> Subscription {
    Subscription::children(ns.command_root(common::USER)).group("cmd=user=1")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_on_their_way_to_an_instance_that_leaves_come_to_another() {
    const EACH: usize = 2000;
    let ns = namespace();
    let (caller, one, two) = (
        connect(&ns, "n0").await,
        connect(&ns, "n1").await,
        connect(&ns, "n2").await,
    );
    let mut staying = two.subscribe(commands(&ns)).await.expect("subscribes");
    for _ in 0..5 {
        let mut leaving = one.subscribe(commands(&ns)).await.expect("subscribes");
        let publish = async {
            for _ in 0..EACH {
                let _ = caller.publish(command(&ns, b"{}")).await.expect("sent");
            }
        };
        let leave = async {
            for _ in 0..10 {
                next(&mut leaving).await.ack();
            }
            leaving.cancel();
        };
        tokio::join!(publish, leave);
        for _ in 10..EACH {
            next(&mut staying).await.ack();
        }
    }
    assert!(staying.try_next().is_none(), "a command came twice");
    clean(&ns).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_nobody_has_started_when_a_bridge_is_closed_come_to_another() {
    const EACH: usize = 1000;
    let ns = namespace();
    let (caller, staying) = (connect(&ns, "n0").await, connect(&ns, "n1").await);
    let leaving = connect(&ns, "n2").await;
    let mut first = leaving.subscribe(commands(&ns)).await.expect("subscribes");
    for _ in 0..EACH {
        let _ = caller.publish(command(&ns, b"{}")).await.expect("sent");
    }
    next(&mut first).await.ack();
    let mut second = staying.subscribe(commands(&ns)).await.expect("subscribes");
    leaving.close().await.expect("closes");
    for _ in 1..EACH {
        next(&mut second).await.ack();
    }
    clean(&ns).await;
}
