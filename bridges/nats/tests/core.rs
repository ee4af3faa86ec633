//! NATS core against the real server: commands, replies, groups, what comes back.

mod common;

use std::pin::pin;
use std::time::Duration;

use common::{command, connect, namespace, next, pause_until};
use futures_util::FutureExt;
use roadshow_bridges::{Delivery, Envelope, ErrorKind, Kind, Published, Subject, Subscription, TryPublish};

#[tokio::test]
async fn a_command_reaches_one_of_its_group_and_its_reply_the_caller() {
    let ns = namespace();
    let (one, two, caller) = (
        connect(&ns, "n1").await,
        connect(&ns, "n2").await,
        connect(&ns, "n3").await,
    );
    let root = ns.command_root(common::USER);
    let group = || Subscription::children(root.clone()).group("cmd=user=1");
    let mut first = one.subscribe(group()).await.expect("subscribes");
    let mut second = two.subscribe(group()).await.expect("subscribes");
    let inbox = common::inbox(&ns, "n3");
    let mut replies = caller
        .subscribe(Subscription::children(inbox.clone()))
        .await
        .expect("subscribes");
    for call in 0..20_u8 {
        let mut envelope = command(&ns, &[call]);
        envelope.reply_to = Some(common::child(&inbox, call));
        assert_eq!(caller.publish(envelope).await.expect("sent"), Published::Accepted);
    }
    let mut answered = [0_u32; 2];
    for _ in 0..20 {
        let (who, mut delivery, bridge) = tokio::select! {
            delivery = first.next() => (0, delivery.expect("open"), &one),
            delivery = second.next() => (1, delivery.expect("open"), &two),
        };
        answered[who] += 1;
        assert_eq!(delivery.begin(), 1);
        let request = delivery.envelope();
        assert_eq!(
            (request.kind, request.subject.as_str()),
            (Kind::Command, command(&ns, &[]).subject.as_str())
        );
        let to = request.reply_to.clone().expect("a reply address");
        let payload = request.payload.to_bytes().expect("bytes");
        let reply = Envelope::new(Kind::Reply, to, request.identity.clone(), payload);
        delivery.ack();
        assert!(matches!(
            bridge.try_publish(reply),
            TryPublish::Done(Ok(Published::Accepted))
        ));
    }
    assert!(
        answered.iter().all(|count| *count > 0),
        "one member got everything: {answered:?}"
    );
    for _ in 0..20 {
        let reply = next(&mut replies).await;
        assert_eq!(reply.envelope().kind, Kind::Reply);
        let call = reply.envelope().payload.to_bytes().expect("bytes")[0];
        assert_eq!(reply.envelope().subject, common::child(&inbox, call));
        reply.ack();
    }
}

#[tokio::test]
async fn a_command_that_nobody_hears_comes_back_at_once() {
    let ns = namespace();
    let caller = connect(&ns, "n1").await;
    let inbox = common::inbox(&ns, "n1");
    let mut replies = caller
        .subscribe(Subscription::children(inbox.clone()))
        .await
        .expect("subscribes");
    let mut envelope = command(&ns, b"{}");
    envelope.reply_to = Some(common::child(&inbox, 1));
    assert_eq!(caller.publish(envelope).await.expect("sent"), Published::Accepted);
    let back = next(&mut replies).await;
    assert!(back.is_returned());
    assert_eq!(back.envelope().subject, common::child(&inbox, 1));
    back.ack();
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_it_is() {
    let ns = namespace();
    let bridge = connect(&ns, "n1").await;
    let limit = bridge.capability().payload_bytes_max.expect("a limit");
    let error = bridge
        .publish(command(&ns, &vec![b'x'; limit + 1]))
        .await
        .expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains(&format!("limit: {limit}")), "{error}");
    for subject in ["$JS.API.STREAM.DELETE.X", "_INBOX.*", "a.>"] {
        let mut envelope = command(&ns, b"{}");
        envelope.subject = Subject::foreign(subject).expect("visible");
        let error = bridge.publish(envelope).await.expect_err(subject);
        assert_eq!(error.kind(), ErrorKind::Rejected);
    }
    assert!(bridge.health().is_ready());
    assert!(bridge.publish(command(&ns, &vec![b'x'; limit])).await.is_ok());
}

#[tokio::test]
async fn a_live_group_brings_a_message_again_and_counts_its_starts() {
    let ns = namespace();
    let bridge = connect(&ns, "n1").await;
    let subject = ns.cancel_subject(common::USER);
    let mut deliveries = bridge
        .subscribe(Subscription::new(subject.clone()).group("g"))
        .await
        .expect("subscribes");
    let mut envelope = command(&ns, b"{}");
    envelope.subject = subject;
    let _ = bridge.publish(envelope).await.expect("sent");
    let mut delivery = next(&mut deliveries).await;
    assert_eq!(delivery.begin(), 1);
    let since = tokio::time::Instant::now();
    delivery.nack(Duration::from_millis(60));
    drop(next(&mut deliveries).await);
    assert!(since.elapsed() >= Duration::from_millis(50));
    let mut delivery = next(&mut deliveries).await;
    assert_eq!(delivery.begin(), 2, "what was given back unbegun is not counted");
    delivery.ack();
}

#[tokio::test]
async fn a_burst_beyond_the_room_of_a_group_waits_and_comes_when_there_is_room_again() {
    const ROOM: usize = 4096;
    const MORE: usize = 200;
    let ns = namespace();
    let bridge = connect(&ns, "n1").await;
    let group = Subscription::children(ns.command_root(common::USER)).group("cmd=user=1");
    let mut deliveries = bridge.subscribe(group).await.expect("subscribes");
    for _ in 0..ROOM + MORE {
        let _ = bridge.publish(command(&ns, b"{}")).await.expect("sent");
    }
    let mut held = Vec::new();
    while held.len() < ROOM {
        held.push(next(&mut deliveries).await);
    }
    {
        let mut waiting = pin!(deliveries.next());
        assert!(
            (&mut waiting).now_or_never().is_none(),
            "more are out than there is room for"
        );
        let waits = async {
            let (delivery, ()) = tokio::join!(waiting, async { held.drain(..).for_each(Delivery::ack) });
            delivery.expect("the subscription lives").ack();
        };
        tokio::time::timeout(common::LONG, waits)
            .await
            .expect("it is told of the room");
    }
    for _ in 1..MORE {
        next(&mut deliveries).await.ack();
    }
}

#[tokio::test]
async fn commands_that_a_leaving_instance_has_not_started_go_to_another_one() {
    let ns = namespace();
    let (leaving, staying) = (connect(&ns, "n1").await, connect(&ns, "n2").await);
    let group = || Subscription::children(ns.command_root(common::USER)).group("cmd=user=1");
    let mut first = leaving.subscribe(group()).await.expect("subscribes");
    for at in 0..9_u8 {
        let _ = staying.publish(command(&ns, &[at])).await.expect("sent");
    }
    let started = next(&mut first).await;
    let mut second = staying.subscribe(group()).await.expect("subscribes");
    first.cancel();
    for _ in 0..8 {
        let mut delivery = next(&mut second).await;
        assert_eq!(delivery.begin(), 1);
        delivery.ack();
    }
    started.ack();
    leaving.close().await.expect("closes");
    assert!(second.try_next().is_none());
}

#[tokio::test]
async fn a_closed_bridge_ends_its_subscriptions_and_leaves_nothing_at_the_server() {
    let ns = namespace();
    let (closing, other) = (connect(&ns, "n1").await, connect(&ns, "n2").await);
    let subject = ns.command_root(common::USER);
    let mut deliveries = closing
        .subscribe(Subscription::children(subject).group("g"))
        .await
        .expect("subscribes");
    closing.close().await.expect("closes");
    closing.close().await.expect("closes again");
    assert!(deliveries.next().await.is_none());
    assert_eq!(
        closing.publish(command(&ns, b"1")).await.expect_err("closed").kind(),
        ErrorKind::Closed
    );
    let inbox = common::inbox(&ns, "n2");
    let mut replies = other
        .subscribe(Subscription::children(inbox.clone()))
        .await
        .expect("subscribes");
    pause_until(async || {
        let mut envelope = command(&ns, b"2");
        envelope.reply_to = Some(common::child(&inbox, 2));
        let _ = other.publish(envelope).await.expect("sent");
        next(&mut replies).await.is_returned()
    })
    .await;
}
