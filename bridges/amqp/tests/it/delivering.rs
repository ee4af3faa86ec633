//! What a subscriber gets, and what becomes of what it does not do.

use std::time::Duration;

use roadshow_bridges::{ErrorKind, Kind, Published, Subscription};
use roadshow_conformance::Proxy;
use tokio::time::{Instant, interval};

use super::harness::{Place, envelope, in_time, next, refused, url};

#[tokio::test]
async fn a_durable_group_collects_while_nobody_is_there() {
    let place = Place::new();
    let bridge = place.bridge("n1").await;
    let subject = place.event("order.paid");
    let subscription = Subscription::new(subject.clone()).durable("shop=1=loyalty");
    let deliveries = bridge.subscribe(subscription.clone()).await.expect("subscribes");
    deliveries.cancel();
    for number in 1..=100 {
        let published = bridge.publish(envelope(Kind::Event, &subject, number, b"{}")).await;
        assert_eq!(published.expect("told"), Published::Accepted);
    }
    bridge.close().await.expect("closed");
    let bridge = place.bridge("n2").await;
    let mut deliveries = bridge.subscribe(subscription).await.expect("subscribes");
    for number in 1..=100 {
        let mut delivery = next(&mut deliveries).await;
        assert_eq!(
            (delivery.envelope().identity.id.as_u128(), delivery.begin()),
            (number, 1)
        );
        delivery.ack();
    }
    bridge.close().await.expect("closed");
    place.remove(&["shop=1=loyalty", "dead.shop.1.loyalty"]).await;
}

#[tokio::test]
async fn what_was_begun_counts_and_what_was_given_back_does_not() {
    let place = Place::new();
    let bridge = place.bridge("n1").await;
    let subject = place.command("create");
    let subscription = Subscription::new(subject.clone()).group("cmd=user=1=create").window(1);
    let mut deliveries = bridge.subscribe(subscription).await.expect("subscribes");
    assert_eq!(
        bridge
            .publish(envelope(Kind::Command, &subject, 1, b"{}"))
            .await
            .expect("told"),
        Published::Accepted
    );
    drop(next(&mut deliveries).await);
    let mut delivery = next(&mut deliveries).await;
    assert_eq!(delivery.begin(), 1);
    drop(delivery);
    let mut delivery = next(&mut deliveries).await;
    assert_eq!((delivery.begin(), &delivery.envelope().subject), (2, &subject));
    delivery.give_back(Duration::from_millis(50));
    let mut delivery = next(&mut deliveries).await;
    assert_eq!(delivery.begin(), 2);
    let asked = Instant::now();
    delivery.nack(Duration::from_millis(300));
    let mut delivery = next(&mut deliveries).await;
    assert_eq!(delivery.begin(), 3);
    assert!(
        (290..1_300).contains(&asked.elapsed().as_millis()),
        "{:?}",
        asked.elapsed()
    );
    delivery.ack();
    drop(deliveries);
    bridge.close().await.expect("closed");
    place.remove(&[]).await;
}

#[tokio::test]
async fn a_rejected_message_is_a_dead_letter_that_says_why() {
    let place = Place::new();
    let bridge = place.bridge("n1").await;
    let dead = format!("{}.dead.shop.1.loyalty", place.namespace.as_str())
        .parse()
        .expect("a subject");
    let mut letters = bridge.subscribe(Subscription::new(dead)).await.expect("subscribes");
    let subject = place.event("order.paid");
    let subscription = Subscription::new(subject.clone()).durable("shop=1=loyalty");
    let mut deliveries = bridge.subscribe(subscription).await.expect("subscribes");
    let published = bridge.publish(envelope(Kind::Event, &subject, 9, b"not json")).await;
    assert_eq!(published.expect("told"), Published::Accepted);
    let mut delivery = next(&mut deliveries).await;
    delivery.begin();
    delivery.reject("it is not JSON");
    let letter = next(&mut letters).await;
    let got = letter.envelope();
    assert_eq!(
        (
            got.identity.id.as_u128(),
            got.payload.to_bytes().expect("bytes").as_ref()
        ),
        (9, &b"not json"[..])
    );
    assert_eq!(got.headers.get("rs-dead-reason"), Some("it is not JSON"));
    assert_eq!(got.headers.get("rs-dead-group"), Some("shop=1=loyalty"));
    assert_eq!(got.headers.get("rs-dead-subject"), Some(subject.as_str()));
    letter.ack();
    bridge.close().await.expect("closed");
    let stranger = place.stranger().await;
    let channel = stranger.create_channel().await.expect("a channel");
    let queue = format!("{}.dead.shop.1.loyalty", place.namespace.as_str());
    let kept = channel.basic_get(queue.as_str().into(), lapin::options::BasicGetOptions::default());
    assert!(kept.await.expect("an answer").is_some());
    drop(stranger);
    place.remove(&["shop=1=loyalty", "dead.shop.1.loyalty"]).await;
}

#[tokio::test]
async fn a_group_shares_and_a_lost_member_leaves_its_share_to_the_others() {
    let place = Place::new();
    let (one, two) = (place.bridge("n1").await, place.bridge("n2").await);
    let subject = place.command("create");
    let subscription = Subscription::new(subject.clone()).group("cmd=user=1=create").window(3);
    let mut lost = one.subscribe(subscription.clone()).await.expect("subscribes");
    for number in 1..=6 {
        let published = one.publish(envelope(Kind::Command, &subject, number, b"{}")).await;
        assert_eq!(published.expect("told"), Published::Accepted);
    }
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(next(&mut lost).await);
    }
    assert!(lost.try_next().is_none(), "the window is three");
    let mut left = two.subscribe(subscription).await.expect("subscribes");
    drop(one);
    let mut numbers = Vec::new();
    for _ in 0..6 {
        let mut delivery = next(&mut left).await;
        numbers.push(delivery.envelope().identity.id.as_u128());
        assert_eq!(delivery.begin(), 1);
        delivery.ack();
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    drop(held);
    drop(left);
    two.close().await.expect("closed");
    place.remove(&[]).await;
}

#[tokio::test]
async fn a_full_group_refuses_and_one_alone_forgets_the_oldest() {
    let place = Place::new();
    let bridge = place.bridge("n1").await;
    let (tight, loose) = (place.event("tight"), place.event("loose"));
    let group = Subscription::new(tight.clone())
        .group("shop=1=tight")
        .window(1)
        .capacity(2);
    let refusing = bridge.subscribe(group).await.expect("subscribes");
    let mut told = Vec::new();
    for number in 1..=5 {
        told.push(bridge.publish(envelope(Kind::Event, &tight, number, b"{}")).await);
    }
    let told: Vec<_> = told
        .into_iter()
        .map(|told| told.expect("other groups may have it"))
        .collect();
    let refusals = told.iter().filter(|told| **told != Published::Accepted).copied();
    assert_eq!(refusals.collect::<Vec<_>>(), [Published::Indeterminate; 2]);
    let alone = Subscription::new(loose.clone()).window(1).capacity(2);
    let mut dropping = bridge.subscribe(alone).await.expect("subscribes");
    for number in 1..=10 {
        let published = bridge.publish(envelope(Kind::Event, &loose, number, b"{}")).await;
        assert_eq!(published.expect("told"), Published::Accepted);
    }
    let mut numbers = Vec::new();
    while numbers.last() != Some(&10) {
        let delivery = next(&mut dropping).await;
        numbers.push(delivery.envelope().identity.id.as_u128());
        delivery.ack();
    }
    assert_eq!(numbers, [1, 9, 10]);
    drop((refusing, dropping));
    bridge.close().await.expect("closed");
    in_time(async { drop(place.stranger().await) }).await;
    place.remove(&["shop=1=tight"]).await;
}

#[tokio::test]
async fn an_event_that_one_group_refuses_may_be_with_another_and_a_command_has_one_group() {
    let place = Place::new();
    let bridge = place.bridge("n1").await;
    let (event, command) = (place.event("paid"), place.command("create"));
    let group = |subject, name: &str| Subscription::new(subject).group(name).window(1).capacity(1);
    let full = bridge.subscribe(group(event.clone(), "shop=1=full")).await;
    let roomy = Subscription::new(event.clone()).group("shop=1=roomy");
    let mut roomy = bridge.subscribe(roomy).await.expect("subscribes");
    let callers = bridge.subscribe(group(command.clone(), "cmd=user=1=create")).await;
    let mut told = Vec::new();
    for number in 1..=3 {
        told.push(
            bridge
                .publish(envelope(Kind::Event, &event, number, b"{}"))
                .await
                .expect("told"),
        );
    }
    assert_eq!(
        told,
        [Published::Accepted, Published::Accepted, Published::Indeterminate]
    );
    for number in 1..=3 {
        let delivery = next(&mut roomy).await;
        assert_eq!(delivery.envelope().identity.id.as_u128(), number);
        delivery.ack();
    }
    for number in 1..=2 {
        let published = bridge.publish(envelope(Kind::Command, &command, number, b"{}")).await;
        assert_eq!(published.expect("told"), Published::Accepted);
    }
    let error = refused(bridge.publish(envelope(Kind::Command, &command, 3, b"{}")).await);
    assert_eq!(error.kind(), ErrorKind::Exhausted);
    drop((full, roomy, callers));
    bridge.close().await.expect("closed");
    place
        .remove(&["shop=1=full", "shop=1=roomy", "cmd=user=1=create"])
        .await;
}

#[tokio::test]
async fn a_group_that_exists_with_other_arguments_is_refused_with_the_difference() {
    let place = Place::new();
    let (one, two) = (place.bridge("n1").await, place.bridge("n2").await);
    let subscription = Subscription::new(place.event("a")).group("g").capacity(5);
    let deliveries = one.subscribe(subscription.clone()).await.expect("subscribes");
    let error = refused(two.subscribe(subscription.clone().capacity(6)).await);
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("x-max-length"), "{error}");
    assert!(two.health().is_ready(), "a refusal is no outage");
    let other = Subscription::new(place.event("b")).group("g").capacity(5);
    assert_eq!(refused(one.subscribe(other).await).kind(), ErrorKind::Config);
    drop(deliveries);
    one.close().await.expect("closed");
    two.close().await.expect("closed");
    place.remove(&[]).await;
}

#[tokio::test]
async fn the_rest_hears_what_has_no_subscription_of_its_own() {
    let place = Place::new();
    let bridge = place.bridge("n1").await;
    let root = place
        .namespace
        .command_root(roadshow_bridges::ServiceId::new("user", 1));
    let known = place.command("known");
    let mut own = bridge
        .subscribe(Subscription::new(known.clone()).group("cmd=user=1=known"))
        .await
        .expect("subscribes");
    let mut rest = bridge
        .subscribe(Subscription::rest(root).group("rest=user=1"))
        .await
        .expect("subscribes");
    for (number, subject) in [(1, &known), (2, &place.command("unknown"))] {
        let published = bridge.publish(envelope(Kind::Command, subject, number, b"{}")).await;
        assert_eq!(published.expect("told"), Published::Accepted);
    }
    let delivery = next(&mut own).await;
    assert_eq!(delivery.envelope().identity.id.as_u128(), 1);
    delivery.ack();
    let delivery = next(&mut rest).await;
    assert_eq!(delivery.envelope().subject, place.command("unknown"));
    delivery.ack();
    assert!(rest.try_next().is_none());
    drop((own, rest));
    bridge.close().await.expect("closed");
    place.remove(&[]).await;
}

#[tokio::test]
async fn a_command_whose_acknowledgement_may_be_lost_says_so_and_one_that_was_given_back_does_not() {
    let place = Place::new();
    let (bridge, other) = (place.bridge("n1").await, place.bridge("n2").await);
    let subject = place.command("create");
    let subscription = Subscription::new(subject.clone()).group("cmd=user=1=create").window(1);
    let mut deliveries = bridge.subscribe(subscription.clone()).await.expect("subscribes");
    let published = bridge.publish(envelope(Kind::Command, &subject, 1, b"{}")).await;
    assert_eq!(published.expect("told"), Published::Accepted);
    drop(next(&mut deliveries).await);
    let mut begun = next(&mut deliveries).await;
    assert!(!begun.may_have_begun());
    begun.begin();
    let mut elsewhere = other.subscribe(subscription).await.expect("subscribes");
    bridge.renew();
    let again = tokio::select! {
        again = next(&mut elsewhere) => again,
        again = next(&mut deliveries) => again,
    };
    assert!(again.may_have_begun());
    again.ack();
    begun.ack();
    for bridge in [bridge, other] {
        bridge.close().await.expect("closed");
    }
    place.remove(&[]).await;
}

#[tokio::test]
async fn what_waited_on_a_lost_connection_is_left_to_who_has_it_now() {
    let place = Place::new();
    let proxy = Proxy::start(url()).await.expect("a proxy");
    let (lost, other) = (
        place.bridge_at(&proxy.url(&url()), "n1").await,
        place.bridge("n2").await,
    );
    let subject = place.command("create");
    let subscription = Subscription::new(subject.clone()).group("cmd=user=1=create").window(50);
    let mut waiting = lost.subscribe(subscription.clone()).await.expect("subscribes");
    for number in 1..=50 {
        let published = other.publish(envelope(Kind::Command, &subject, number, b"{}")).await;
        assert_eq!(published.expect("told"), Published::Accepted);
    }
    let mut held = Vec::new();
    for _ in 0..25 {
        held.push(next(&mut waiting).await);
    }
    let mut elsewhere = other.subscribe(subscription).await.expect("subscribes");
    proxy.refuse();
    proxy.cut();
    let mut ticks = interval(Duration::from_millis(5));
    let noticed = async {
        while !lost.health().to_string().contains("for consuming") {
            ticks.tick().await;
        }
    };
    in_time(noticed).await;
    assert!(
        waiting.try_next().is_none(),
        "the broker has given it to another member"
    );
    let mut numbers = Vec::new();
    for _ in 0..50 {
        let delivery = next(&mut elsewhere).await;
        numbers.push(delivery.envelope().identity.id.as_u128());
        delivery.ack();
    }
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(1..=50), "{numbers:?}");
    assert!(waiting.try_next().is_none());
    drop((held, waiting, elsewhere));
    for bridge in [lost, other] {
        bridge.close().await.expect("closed");
    }
    place.remove(&[]).await;
}

#[tokio::test]
async fn a_renewed_connection_hands_out_nothing_of_the_former_one() {
    let place = Place::new();
    let (bridge, sender) = (place.bridge("n1").await, place.bridge("n2").await);
    let subject = place.command("create");
    let subscription = Subscription::new(subject.clone()).group("cmd=user=1=create").window(50);
    let mut deliveries = bridge.subscribe(subscription).await.expect("subscribes");
    for number in 1..=50 {
        let published = sender.publish(envelope(Kind::Command, &subject, number, b"{}")).await;
        assert_eq!(published.expect("told"), Published::Accepted);
    }
    let held = next(&mut deliveries).await;
    assert!(!held.may_have_begun());
    bridge.renew();
    let mut ticks = interval(Duration::from_millis(1));
    let noticed = async {
        while bridge.health().is_ready() {
            ticks.tick().await;
        }
    };
    in_time(noticed).await;
    let mut numbers = Vec::new();
    for _ in 0..50 {
        let again = next(&mut deliveries).await;
        assert!(again.may_have_begun(), "it comes from the former connection");
        numbers.push(again.envelope().identity.id.as_u128());
        again.ack();
    }
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(1..=50), "{numbers:?}");
    assert!(deliveries.try_next().is_none(), "none was published anew");
    drop((held, deliveries));
    for bridge in [bridge, sender] {
        bridge.close().await.expect("closed");
    }
    place.remove(&[]).await;
}
