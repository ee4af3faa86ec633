//! Durable groups over JetStream, against the real server.

mod common;

use std::collections::HashSet;
use std::time::Duration;

use common::{CREATED, clean, connect, connect_to, event, jetstream, namespace, next, pause_until, small};
use futures_util::StreamExt;
use roadshow_bridges::{ErrorKind, Namespace, Published, Subscription};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn loyalty(ns: &Namespace) -> Subscription {
    Subscription::new(ns.event_subject(CREATED)).durable("shop=1=loyalty")
}

#[tokio::test]
async fn a_group_gets_what_was_published_while_it_was_away_each_once() {
    let ns = namespace();
    let bridge = connect(&ns, "n1").await;
    let other = Subscription::new(ns.event_subject(CREATED)).durable("mail=1=welcome");
    drop(bridge.subscribe(loyalty(&ns)).await.expect("subscribes"));
    let mut others = bridge.subscribe(other).await.expect("subscribes");
    let mut plain = bridge
        .subscribe(Subscription::new(ns.event_subject(CREATED)))
        .await
        .expect("subscribes");
    let mut sent = HashSet::new();
    for at in 0..100_u8 {
        let envelope = event(&ns, &[at]);
        sent.insert(envelope.identity.id);
        assert_eq!(bridge.publish(envelope).await.expect("sent"), Published::Accepted);
    }
    let mut deliveries = bridge.subscribe(loyalty(&ns)).await.expect("subscribes");
    for deliveries in [&mut deliveries, &mut others, &mut plain] {
        let mut missing = sent.clone();
        for _ in 0..100 {
            let mut delivery = next(deliveries).await;
            assert_eq!(delivery.begin(), 1);
            assert!(missing.remove(&delivery.envelope().identity.id), "twice");
            assert!(delivery.envelope().reply_to.is_none());
            delivery.ack();
        }
        assert!(deliveries.try_next().is_none());
    }
    bridge.close().await.expect("closes");
    clean(&ns).await;
}

#[tokio::test]
async fn one_message_id_is_kept_once() {
    let ns = namespace();
    let bridge = connect(&ns, "n1").await;
    let mut deliveries = bridge.subscribe(loyalty(&ns)).await.expect("subscribes");
    let (twice, last) = (event(&ns, b"1"), event(&ns, b"2"));
    for envelope in [twice.clone(), twice.clone(), last.clone()] {
        assert_eq!(bridge.publish(envelope).await.expect("sent"), Published::Accepted);
    }
    for expected in [twice, last] {
        let delivery = next(&mut deliveries).await;
        assert_eq!(delivery.envelope().identity.id, expected.identity.id);
        delivery.ack();
    }
    clean(&ns).await;
}

#[tokio::test]
async fn failed_starts_are_counted_and_a_give_back_is_not_here_and_at_another_node() {
    let ns = namespace();
    let (one, two) = (connect(&ns, "n1").await, connect(&ns, "n2").await);
    let mut first = one.subscribe(loyalty(&ns)).await.expect("subscribes");
    let _ = one.publish(event(&ns, b"1")).await.expect("sent");
    let mut delivery = next(&mut first).await;
    assert_eq!(delivery.begin(), 1);
    let since = tokio::time::Instant::now();
    delivery.nack(Duration::from_millis(300));
    drop(next(&mut first).await);
    assert!(since.elapsed() > Duration::from_millis(250));
    let mut delivery = next(&mut first).await;
    assert_eq!(delivery.begin(), 2);
    drop(first);
    let mut second = two.subscribe(loyalty(&ns)).await.expect("subscribes");
    delivery.nack(Duration::ZERO);
    let mut delivery = next(&mut second).await;
    assert_eq!(delivery.begin(), 3, "another node knows of the starts");
    delivery.ack();
    clean(&ns).await;
}

#[tokio::test]
async fn neighbours_of_a_handler_whose_node_dies_keep_their_count_and_its_own_rises_from_then_on() {
    let ns = namespace();
    let url = small("&ack_wait=600ms");
    let waiting = loyalty(&ns).window(3);
    let mut poison = None;
    for life in 1..=4_u32 {
        let bridge = connect_to(&url, &ns, &format!("n{life}")).await;
        let mut deliveries = bridge.subscribe(waiting.clone()).await.expect("subscribes");
        if life == 1 {
            for payload in [b"p", b"a", b"b"] {
                let _ = bridge.publish(event(&ns, payload)).await.expect("sent");
            }
        }
        let poison = poison.get_or_insert_with(|| bytes::Bytes::from_static(b"p"));
        let mut delivery = loop {
            let delivery = next(&mut deliveries).await;
            if delivery.envelope().payload.to_bytes().expect("bytes") == *poison {
                break delivery;
            }
            drop(delivery);
        };
        // The first death is not counted, because nobody could write it down; all others are.
        assert_eq!(delivery.begin(), life.saturating_sub(1).max(1), "life {life}");
        if life == 4 {
            delivery.ack();
            for _ in 0..2 {
                let mut neighbour = next(&mut deliveries).await;
                assert_eq!(neighbour.begin(), 1, "a neighbour was counted");
                neighbour.ack();
            }
        } else {
            // The node dies: its tasks end at once, and nothing is said to the server.
            std::mem::forget(delivery);
            drop(bridge);
        }
    }
    clean(&ns).await;
}

#[tokio::test]
async fn a_handler_that_takes_longer_than_the_server_waits_keeps_its_message() {
    let ns = namespace();
    let bridge = connect_to(&small("&ack_wait=2s"), &ns, "n1").await;
    let (mut one, mut two) = (
        bridge.subscribe(loyalty(&ns)).await.expect("subscribes"),
        bridge.subscribe(loyalty(&ns)).await.expect("subscribes"),
    );
    let _ = bridge.publish(event(&ns, b"1")).await.expect("sent");
    let delivery = tokio::select! {
        delivery = next(&mut one) => delivery,
        delivery = next(&mut two) => delivery,
    };
    let again = tokio::time::timeout(Duration::from_secs(5), async {
        tokio::select! {
            delivery = next(&mut one) => delivery,
            delivery = next(&mut two) => delivery,
        }
    });
    assert!(again.await.is_err(), "it was delivered to another member");
    delivery.ack();
    clean(&ns).await;
}

#[tokio::test]
async fn what_can_never_be_done_is_kept_with_its_reason_and_comes_no_more() {
    let ns = namespace();
    let bridge = connect_to(&small("&ack_wait=500ms"), &ns, "n1").await;
    let mut deliveries = bridge.subscribe(loyalty(&ns)).await.expect("subscribes");
    let mut envelope = event(&ns, b"\xff\xfe");
    envelope.headers.push("x-own", "1");
    let _ = bridge.publish(envelope.clone()).await.expect("sent");
    let mut delivery = next(&mut deliveries).await;
    delivery.begin();
    delivery.reject("it is\nbroken");
    let stream = format!("{ns}_dead");
    pause_until(async || {
        jetstream()
            .await
            .get_stream(&stream)
            .await
            .is_ok_and(|s| s.cached_info().state.messages == 1)
    })
    .await;
    let stream = jetstream().await.get_stream(&stream).await.expect("the stream");
    let letter = stream.get_raw_message(1).await.expect("the letter");
    assert_eq!(letter.subject.as_str(), format!("{ns}.dead.shop.1.loyalty"));
    assert_eq!(letter.payload, &b"\xff\xfe"[..]);
    let header = |name: &str| letter.headers.get(name).map(ToString::to_string).unwrap_or_default();
    assert_eq!(header("rs-dead-reason"), "it is broken");
    assert_eq!(header("rs-dead-group"), "shop=1=loyalty");
    assert_eq!((header("x-own").as_str(), header("rs-attempt").as_str()), ("1", "1"));
    assert_eq!(header("ce-id"), envelope.identity.id.to_string());
    let again = tokio::time::timeout(Duration::from_millis(1500), deliveries.next()).await;
    assert!(again.is_err(), "it came again");
    clean(&ns).await;
}

#[tokio::test]
async fn no_more_are_in_hand_than_the_window_and_another_member_gets_the_rest() {
    let ns = namespace();
    let bridge = connect(&ns, "n1").await;
    let mut one = bridge.subscribe(loyalty(&ns).window(3)).await.expect("subscribes");
    for at in 0..10_u8 {
        let _ = bridge.publish(event(&ns, &[at])).await.expect("sent");
    }
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(next(&mut one).await);
    }
    let mut two = bridge.subscribe(loyalty(&ns).window(100)).await.expect("subscribes");
    for _ in 0..7 {
        next(&mut two).await.ack();
    }
    assert!(one.try_next().is_none() && two.try_next().is_none());
    clean(&ns).await;
}

#[tokio::test]
async fn a_full_stream_refuses_and_says_so() {
    let ns = namespace();
    let bridge = connect_to(&format!("{}?max_bytes=64KiB", common::url()), &ns, "n1").await;
    drop(bridge.subscribe(loyalty(&ns)).await.expect("subscribes"));
    let mut refused = None;
    for _ in 0..40 {
        if let Err(error) = bridge.publish(event(&ns, &[b'x'; 4000])).await {
            refused = Some(error);
            break;
        }
    }
    assert_eq!(refused.expect("it is full").kind(), ErrorKind::Exhausted);
    assert!(bridge.health().is_ready());
    clean(&ns).await;
}

#[tokio::test]
async fn what_the_stream_does_not_hold_is_refused() {
    let ns = namespace();
    let bridge = connect(&ns, "n1").await;
    let commands = Subscription::new(ns.command_subject(common::USER.command("x"))).durable("g");
    let error = bridge.subscribe(commands).await.expect_err("no events");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let rest = bridge
        .subscribe(Subscription::rest(ns.command_root(common::USER)))
        .await;
    assert_eq!(rest.expect_err("not here").kind(), ErrorKind::Unsupported);
    clean(&ns).await;
}

#[tokio::test]
async fn many_events_flow_through_several_members_each_once() {
    let ns = namespace();
    let bridge = connect(&ns, "n1").await;
    let mut members = Vec::new();
    for _ in 0..3 {
        members.push(bridge.subscribe(loyalty(&ns).window(16)).await.expect("subscribes"));
    }
    let publish = async {
        let sends = futures_util::stream::iter(0..2000_u32).map(|at| bridge.publish(event(&ns, &at.to_be_bytes())));
        sends
            .for_each_concurrent(64, async |sent| assert!(matches!(sent.await, Ok(Published::Accepted))))
            .await;
    };
    let [one, two, three] = &mut members[..] else {
        unreachable!("three members")
    };
    let receive = async {
        let mut seen = HashSet::new();
        while seen.len() < 2000 {
            let delivery = tokio::select! {
                delivery = next(one) => delivery,
                delivery = next(two) => delivery,
                delivery = next(three) => delivery,
            };
            assert!(seen.insert(delivery.envelope().identity.id), "twice");
            delivery.ack();
        }
    };
    let both = async { tokio::join!(publish, receive) };
    tokio::time::timeout(common::LONG, both)
        .await
        .expect("all arrive in time");
    clean(&ns).await;
}

/// A stranger who hears an event's subject and answers what it hears, until the test ends.
async fn stranger(ns: &Namespace, answer: &'static str) -> tokio::task::JoinSet<()> {
    let client = async_nats::connect(common::url()).await.expect("a client");
    let subject = ns.event_subject(CREATED).as_str().to_owned();
    let mut heard = client.subscribe(subject).await.expect("subscribes");
    // The client's flush does not wait for the server; its answer does come after the subscription.
    let answered = client.request("$JS.API.INFO", "".into()).await;
    answered.expect("the server has read the subscription");
    let mut task = tokio::task::JoinSet::new();
    task.spawn(async move {
        while let Some(message) = heard.next().await {
            let reply = message.reply.expect("a reply address");
            client.publish(reply, answer.into()).await.expect("answers");
        }
    });
    task
}

#[tokio::test]
async fn a_stranger_who_answers_an_event_does_not_confirm_it() {
    let ns = namespace();
    let bridge = connect(&ns, "n1").await;
    drop(jetstream().await.delete_stream(format!("{ns}_evt")).await);
    let _answers = stranger(&ns, "{}").await;
    let mut envelope = event(&ns, b"1");
    envelope.identity = envelope.identity.with_budget(Duration::from_secs(1));
    let published = bridge.publish(envelope).await;
    assert_eq!(published.expect("nobody said no"), Published::Indeterminate);
    clean(&ns).await;
}

#[tokio::test]
async fn a_stranger_who_answers_an_event_does_not_hide_that_it_is_stored() {
    let ns = namespace();
    let bridge = connect(&ns, "n1").await;
    drop(bridge.subscribe(loyalty(&ns)).await.expect("subscribes"));
    let _answers = stranger(&ns, r#"{"error":{}}"#).await;
    let _others = stranger(&ns, "hello").await;
    for at in 0..50_u8 {
        let published = bridge.publish(event(&ns, &[at])).await;
        assert_eq!(published.expect("it is stored"), Published::Accepted);
    }
    clean(&ns).await;
}

/// Sends what no client library would: an event with a status line.
async fn publish_with_status(subject: &str, status: u16) {
    let url = common::url();
    let at = url.trim_start_matches("nats://");
    let mut stream = tokio::net::TcpStream::connect(at).await.expect("connects");
    let headers = format!("NATS/1.0 {status}\r\n\r\n");
    let frame = format!(
        "CONNECT {{\"verbose\":false,\"headers\":true}}\r\nHPUB {subject} {} {}\r\n{headers}s\r\nPING\r\n",
        headers.len(),
        headers.len() + 1
    );
    stream.write_all(frame.as_bytes()).await.expect("writes");
    let mut heard = String::new();
    while !heard.contains("PONG") {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await.expect("reads");
        assert!(count > 0, "closed after {heard}");
        heard.push_str(&String::from_utf8_lossy(&chunk[..count]));
    }
}

#[tokio::test]
async fn an_event_with_a_status_line_is_an_event_and_comes_once() {
    let ns = namespace();
    let bridge = connect_to(&small("&ack_wait=500ms"), &ns, "n1").await;
    let mut deliveries = bridge.subscribe(loyalty(&ns)).await.expect("subscribes");
    for status in [503, 408, 409, 100] {
        publish_with_status(ns.event_subject(CREATED).as_str(), status).await;
        let mut delivery = next(&mut deliveries).await;
        assert_eq!(delivery.begin(), 1);
        assert!(!delivery.is_returned());
        assert_eq!(delivery.envelope().payload.to_bytes().expect("bytes"), &b"s"[..]);
        delivery.ack();
    }
    let stream = jetstream()
        .await
        .get_stream(format!("{ns}_evt"))
        .await
        .expect("a stream");
    pause_until(async || stream.get_info().await.expect("its state").state.messages == 0).await;
    clean(&ns).await;
}

#[tokio::test]
async fn an_event_of_a_stream_made_anew_is_not_taken_for_one_that_is_done() {
    let ns = namespace();
    let one = connect(&ns, "n1").await;
    let mut first = one.subscribe(loyalty(&ns)).await.expect("subscribes");
    let _ = one.publish(event(&ns, b"old")).await.expect("sent");
    next(&mut first).await.ack();
    jetstream()
        .await
        .delete_stream(format!("{ns}_evt"))
        .await
        .expect("deletes");
    let two = connect(&ns, "n2").await;
    let mut second = two.subscribe(loyalty(&ns)).await.expect("subscribes");
    let _ = two.publish(event(&ns, b"new")).await.expect("sent");
    let delivery = loop {
        tokio::select! {
            delivery = next(&mut first) => drop(delivery),
            delivery = next(&mut second) => break delivery,
        }
    };
    drop(second);
    delivery.nack(Duration::ZERO);
    let mut delivery = next(&mut first).await;
    assert_eq!(delivery.envelope().payload.to_bytes().expect("bytes"), &b"new"[..]);
    assert_eq!(delivery.begin(), 1, "starts of another event are counted");
    delivery.ack();
    clean(&ns).await;
}
