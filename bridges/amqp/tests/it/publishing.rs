//! What a publisher is told.

use std::time::Duration;

use roadshow_amqp::AmqpConnector;
use roadshow_bridges::{Connector, ErrorKind, Kind, Published, Subject, Subscription};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::harness::{Place, envelope, in_time, next, refused, url};

#[tokio::test]
async fn an_event_reaches_every_subscriber_and_comes_back_unchanged() {
    let place = Place::new();
    let bridge = place.bridge("n1").await;
    let subject = place.event("user.created");
    let mut one = bridge
        .subscribe(Subscription::new(subject.clone()))
        .await
        .expect("subscribes");
    let mut two = bridge
        .subscribe(Subscription::new(subject.clone()))
        .await
        .expect("subscribes");
    let mut sent = envelope(Kind::Event, &subject, 7, b"{\"name\":\"Ada\"}");
    sent.event = Some("user.created".parse().expect("a name"));
    sent.identity = sent.identity.with_tenant("t 1").with_budget(Duration::from_secs(3));
    sent.headers.push("x-foreign", "kept");
    assert_eq!(
        in_time(bridge.publish(sent.clone())).await.expect("published"),
        Published::Accepted
    );
    for deliveries in [&mut one, &mut two] {
        let mut delivery = next(deliveries).await;
        let got = delivery.envelope();
        assert_eq!(
            (got.kind, &got.identity, &got.event),
            (Kind::Event, &sent.identity, &sent.event)
        );
        assert_eq!(got.payload.to_bytes().expect("bytes"), "{\"name\":\"Ada\"}");
        assert_eq!(got.headers.get("x-foreign"), Some("kept"));
        assert_eq!(delivery.begin(), 1);
        delivery.ack();
    }
    bridge.close().await.expect("closed");
    place.remove(&[]).await;
}

#[tokio::test]
async fn a_command_for_nobody_is_unroutable_and_an_event_is_not() {
    let place = Place::new();
    let bridge = place.bridge("n1").await;
    let command = envelope(Kind::Command, &place.command("create"), 1, b"{}");
    let began = Instant::now();
    assert_eq!(
        bridge.publish(command.clone()).await.expect("told"),
        Published::Unroutable
    );
    assert!(began.elapsed() < Duration::from_secs(2));
    let event = envelope(Kind::Event, &place.event("nobody.hears"), 2, b"{}");
    assert_eq!(bridge.publish(event).await.expect("told"), Published::Accepted);
    let deliveries = bridge.subscribe(Subscription::new(command.subject.clone()).group("cmd=user=1=create"));
    drop(deliveries.await.expect("subscribes"));
    // The last one to leave takes the empty queue along.
    in_time(place.gone("cmd=user=1=create")).await;
    assert_eq!(bridge.publish(command).await.expect("told"), Published::Unroutable);
    bridge.close().await.expect("closed");
    place.remove(&[]).await;
}

#[tokio::test]
async fn each_of_many_publishers_is_told_its_own_fate() {
    let place = Place::new();
    let bridge = place.bridge("n1").await;
    let served = place.command("served");
    let mut deliveries = bridge
        .subscribe(Subscription::new(served.clone()).group("cmd=user=1=served"))
        .await
        .expect("subscribes");
    let mut publishing = JoinSet::new();
    for number in 0..2_000_u128 {
        let bridge = bridge.clone();
        let wanted = number % 3 == 0;
        let subject = if wanted {
            served.clone()
        } else {
            place.command("unserved")
        };
        publishing.spawn(async move {
            let told = bridge
                .publish(envelope(Kind::Command, &subject, number + 1, b"{}"))
                .await;
            (wanted, told)
        });
    }
    let mut accepted = 0;
    while let Some(told) = publishing.join_next().await {
        let (wanted, told) = told.expect("no panic");
        let expected = if wanted {
            Published::Accepted
        } else {
            Published::Unroutable
        };
        assert_eq!(told.expect("told"), expected);
        accepted += usize::from(wanted);
    }
    for _ in 0..accepted {
        next(&mut deliveries).await.ack();
    }
    drop(deliveries);
    bridge.close().await.expect("closed");
    place.remove(&[]).await;
}

#[tokio::test]
async fn what_is_too_large_or_too_long_is_refused_before_it_is_sent() {
    let place = Place::at(format!("{}/?max_message_size=10", url()));
    let bridge = place.bridge("n1").await;
    assert_eq!(bridge.capability().payload_bytes_max, Some(10));
    let subject = place.event("a");
    let fits = bridge.publish(envelope(Kind::Event, &subject, 1, b"0123456789")).await;
    assert_eq!(fits.expect("told"), Published::Accepted);
    let error = refused(bridge.publish(envelope(Kind::Event, &subject, 2, b"0123456789a")).await);
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("limit: 10"), "{error}");
    let long = Subject::foreign(&"s".repeat(256)).expect("visible");
    let error = refused(bridge.publish(envelope(Kind::Event, &long, 3, b"1")).await);
    assert_eq!(error.kind(), ErrorKind::Rejected);
    bridge.close().await.expect("closed");
    let error = refused(bridge.publish(envelope(Kind::Event, &subject, 4, b"1")).await);
    assert_eq!(error.kind(), ErrorKind::Closed);
    place.remove(&[]).await;
}

#[tokio::test]
async fn wrong_credentials_are_a_permanent_error_and_an_absent_broker_is_not() {
    let place = Place::new();
    let context = place.context("n1");
    let (_, host) = url()
        .rsplit_once('@')
        .map(|(_, host)| ((), host.to_owned()))
        .expect("the url has a user");
    let table = [
        (format!("amqp://guest:hunter2@{host}"), ErrorKind::Config),
        (format!("amqp://guest:guest@{host}/no-such-vhost"), ErrorKind::Config),
        ("amqp://127.0.0.1:1".to_owned(), ErrorKind::Unavailable),
    ];
    for (url, kind) in table {
        let error = timeout(Duration::from_secs(5), AmqpConnector.event_bridge(&url, &context)).await;
        let error = refused(error.expect("told within five seconds"));
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}
