//! What a member of a group gives back without having begun: it runs once, whatever is lost meanwhile.

use std::time::Duration;

use roadshow_bridges::{EventBridge, Kind, Published, ServiceId, Subject, Subscription};
use roadshow_conformance::{Direction, Proxy};
use tokio::time::timeout;

use super::harness::{Place, envelope, next, url};

/// Longer than a confirmation is waited for before a message is given back as it was.
const UNCONFIRMED: Duration = Duration::from_millis(6_500);

/// Longer than what waits is left for a successor before it is handed to the rest.
const LEFT: Duration = Duration::from_millis(1_500);

async fn publish(bridge: &dyn EventBridge, subject: &Subject) {
    let published = bridge.publish(envelope(Kind::Command, subject, 1, b"{}")).await;
    assert_eq!(published.expect("told"), Published::Accepted);
}

#[tokio::test]
async fn a_command_whose_copy_is_not_confirmed_has_no_second_copy() {
    let place = Place::new();
    let proxy = Proxy::start(url()).await.expect("a proxy");
    let leaving = place.bridge_at(&proxy.url(&url()), "n1").await;
    let other = place.bridge("n2").await;
    let subject = place.command("create");
    let subscription = Subscription::new(subject.clone()).group("cmd=user=1=create");
    let mut deliveries = leaving
        .subscribe(subscription.clone().window(1))
        .await
        .expect("subscribes");
    publish(&*other, &subject).await;
    let held = next(&mut deliveries).await;
    let mut elsewhere = other.subscribe(subscription.window(9)).await.expect("subscribes");
    proxy.stall_one(Direction::Down);
    drop(held);
    let copy = next(&mut elsewhere).await;
    assert!(!copy.may_have_begun());
    let original = match timeout(UNCONFIRMED, elsewhere.next()).await {
        Ok(delivery) => delivery.expect("the subscription lives"),
        Err(_elapsed) => {
            proxy.flow();
            next(&mut deliveries).await
        }
    };
    assert!(original.may_have_begun(), "it is no second copy");
    proxy.flow();
    copy.ack();
    original.ack();
    drop((deliveries, elsewhere));
    for bridge in [leaving, other] {
        bridge.close().await.expect("closed");
    }
    place.remove(&[]).await;
}

#[tokio::test]
async fn what_may_have_begun_is_given_back_with_that_mark() {
    let place = Place::new();
    let bridge = place.bridge("n1").await;
    let subject = place.command("create");
    let subscription = Subscription::new(subject.clone()).group("cmd=user=1=create").window(1);
    let mut deliveries = bridge.subscribe(subscription).await.expect("subscribes");
    publish(&*bridge, &subject).await;
    let held = next(&mut deliveries).await;
    assert!(!held.may_have_begun());
    bridge.renew();
    let marked = next(&mut deliveries).await;
    assert!(marked.may_have_begun());
    drop(marked);
    let again = next(&mut deliveries).await;
    assert!(again.may_have_begun());
    again.ack();
    drop((held, deliveries));
    bridge.close().await.expect("closed");
    place.remove(&[]).await;
}

#[tokio::test]
async fn what_may_have_begun_is_not_handed_to_the_rest_as_if_nobody_had() {
    let place = Place::new();
    let (leaving, other) = (place.bridge("n1").await, place.bridge("n2").await);
    let root = place.namespace.command_root(ServiceId::new("user", 1));
    let rest = Subscription::rest(root).group("rest=user=1");
    let mut rest = other.subscribe(rest).await.expect("subscribes");
    let subject = place.command("create");
    let subscription = Subscription::new(subject.clone()).group("cmd=user=1=create").window(1);
    let mut deliveries = leaving.subscribe(subscription.clone()).await.expect("subscribes");
    publish(&*other, &subject).await;
    let held = next(&mut deliveries).await;
    leaving.renew();
    let marked = next(&mut deliveries).await;
    assert!(marked.may_have_begun());
    drop((held, marked, deliveries));
    assert!(timeout(LEFT, rest.next()).await.is_err(), "it lost its mark");
    let mut deliveries = other.subscribe(subscription).await.expect("subscribes");
    let again = next(&mut deliveries).await;
    assert!(again.may_have_begun());
    again.ack();
    drop((rest, deliveries));
    for bridge in [leaving, other] {
        bridge.close().await.expect("closed");
    }
    place.remove(&[]).await;
}
