//! What the loss of a connection, or of a server's store, costs whoever publishes and whoever hears. Against the real server.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{CREATED, LONG, clean, connect_to, event, jetstream, namespace, next, pause_until, small};
use roadshow_bridges::{EventBridge, Namespace, Published, Subscription};
use roadshow_conformance::{Direction, Proxy};
use tokio::time::Instant;

/// A bridge whose connection can be broken.
async fn breakable(ns: &Namespace) -> (Proxy, Arc<dyn EventBridge>) {
    let at = common::url();
    let proxy = Proxy::start(at.trim_start_matches("nats://")).await.expect("a proxy");
    let bridge = connect_to(&proxy.url(&small("&ack_wait=1s")), ns, "n1").await;
    (proxy, bridge)
}

/// How many messages a stream of the namespace has; none if it is not there.
async fn count(ns: &Namespace, what: &str) -> u64 {
    let stream = jetstream().await.get_stream(format!("{ns}_{what}")).await;
    stream.map_or(0, |stream| stream.cached_info().state.messages)
}

/// Breaks the connection and waits until the bridge is ready on another one.
async fn reconnect(proxy: &Proxy, bridge: &dyn EventBridge) {
    let before = proxy.accepted();
    proxy.cut();
    pause_until(async || proxy.accepted() > before && bridge.health().is_ready()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_and_starts_are_kept_again_after_the_server_lost_its_store() {
    let ns = namespace();
    let (proxy, bridge) = breakable(&ns).await;
    let loyalty = Subscription::new(ns.event_subject(CREATED)).durable("shop=1=loyalty");
    let mut deliveries = bridge.subscribe(loyalty).await.expect("subscribes");
    for round in 0..2 {
        let _ = bridge.publish(event(&ns, b"1")).await.expect("stored");
        let mut delivery = next(&mut deliveries).await;
        delivery.begin();
        delivery.nack(Duration::ZERO);
        let mut delivery = next(&mut deliveries).await;
        assert_eq!(delivery.begin(), 2);
        delivery.reject("it is broken");
        pause_until(async || count(&ns, "dead").await == 1 && count(&ns, "starts").await == 1).await;
        if round == 0 {
            clean(&ns).await;
            reconnect(&proxy, &*bridge).await;
            let is_made = async |what: &str| jetstream().await.get_stream(format!("{ns}_{what}")).await.is_ok();
            pause_until(async || is_made("dead").await && is_made("starts").await).await;
        }
    }
    clean(&ns).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_stored_again_after_the_server_lost_its_store() {
    let ns = namespace();
    let (proxy, bridge) = breakable(&ns).await;
    clean(&ns).await;
    reconnect(&proxy, &*bridge).await;
    // Where nothing is durable the bridge is ready before the stream is there again.
    pause_until(async || matches!(bridge.publish(event(&ns, b"1")).await, Ok(Published::Accepted))).await;
    clean(&ns).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmation_is_not_waited_for_longer_than_its_connection_lives() {
    let ns = namespace();
    let (proxy, bridge) = breakable(&ns).await;
    let loyalty = Subscription::new(ns.event_subject(CREATED)).durable("shop=1=loyalty");
    drop(bridge.subscribe(loyalty).await.expect("subscribes"));
    let mut envelope = event(&ns, b"1");
    envelope.identity = envelope.identity.with_budget(LONG);
    proxy.stall_one(Direction::Down);
    let lose = async {
        pause_until(async || count(&ns, "evt").await == 1).await;
        let (before, lost) = (proxy.accepted(), Instant::now());
        proxy.cut();
        pause_until(async || proxy.accepted() > before).await;
        proxy.flow();
        lost
    };
    let (published, lost) = tokio::join!(bridge.publish(envelope.clone()), lose);
    assert_eq!(published.expect("it was sent"), Published::Indeterminate);
    assert!(lost.elapsed() < Duration::from_secs(2), "it was waited for");
    let again = bridge.publish(envelope).await;
    assert_eq!(again.expect("stored"), Published::Accepted);
    assert_eq!(count(&ns, "evt").await, 1, "it is stored twice");
    clean(&ns).await;
}
