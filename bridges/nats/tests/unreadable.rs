//! Messages whose headers the client library cannot read: it drops the connection over each. Against the real server.

mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use common::{CREATED, LONG, clean, connect_to, event, jetstream, namespace, next, pause_until, small};
use roadshow_bridges::{Deliveries, EventBridge, Health, Namespace, Subject, Subscription};
use roadshow_conformance::Proxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Header blocks that cost the connection, one of each sort.
const POISONS: [&[u8]; 5] = [
    b"NATS/1.0\r\na: \xff\xfe\r\n\r\n",
    b"HTTP/1.1\r\na: b\r\n\r\n",
    b"NATS/1.0 20x\r\na: b\r\n\r\n",
    b"NATS/1.0\r\nno colon\r\n\r\n",
    b"NATS/1.0\r\na name: b\r\n\r\n",
];
/// The header block that ends the client library: a value with a carriage return in it.
const DEADLY: &[u8] = b"NATS/1.0\r\na: b\rc\r\n\r\n";
const GOOD: &[u8] = b"NATS/1.0\r\na: b\r\n\r\n";

/// A client that sends what no library would.
struct Stranger(TcpStream);

impl Stranger {
    async fn connect() -> Self {
        let url = common::url();
        let mut stream = TcpStream::connect(url.trim_start_matches("nats://"))
            .await
            .expect("connects");
        stream
            .write_all(b"CONNECT {\"verbose\":false,\"headers\":true}\r\n")
            .await
            .expect("writes");
        Self(stream)
    }

    /// Publishes an event and waits until the server has read it.
    async fn publish(&mut self, ns: &Namespace, headers: &[u8], payload: &[u8]) {
        let subject = ns.event_subject(CREATED);
        self.publish_to(subject.as_str().as_bytes(), headers, payload).await;
    }

    async fn publish_to(&mut self, subject: &[u8], headers: &[u8], payload: &[u8]) {
        let lengths = format!(" {} {}\r\n", headers.len(), headers.len() + payload.len());
        let frame = [b"HPUB ", subject, lengths.as_bytes(), headers, payload, b"\r\nPING\r\n"].concat();
        self.0.write_all(&frame).await.expect("writes");
        let mut heard = String::new();
        while !heard.contains("PONG") {
            let mut chunk = [0; 4096];
            let count = self.0.read(&mut chunk).await.expect("reads");
            assert!(count > 0, "closed after {heard}");
            heard.push_str(&String::from_utf8_lossy(&chunk[..count]));
        }
    }
}

/// A bridge whose connections are counted.
async fn counted(ns: &Namespace, node: &str) -> (Proxy, Arc<dyn EventBridge>) {
    let at = common::url();
    let proxy = Proxy::start(at.trim_start_matches("nats://")).await.expect("a proxy");
    let bridge = connect_to(&proxy.url(&small("&ack_wait=1s")), ns, node).await;
    (proxy, bridge)
}

/// Takes deliveries until all of these payloads have come.
async fn hear_all(deliveries: &mut Deliveries, payloads: &[&[u8]]) {
    let mut missing: HashSet<&[u8]> = payloads.iter().copied().collect();
    let all = async {
        while !missing.is_empty() {
            let delivery = next(deliveries).await;
            let payload = delivery.envelope().payload.to_bytes().expect("bytes");
            missing.remove(&payload[..]);
            delivery.ack();
        }
    };
    let in_time = tokio::time::timeout(LONG, all).await;
    assert!(in_time.is_ok(), "{missing:?} did not come");
}

/// How many messages a stream of the namespace has; none if it is not there.
async fn count(ns: &Namespace, what: &str) -> u64 {
    let stream = jetstream().await.get_stream(format!("{ns}_{what}")).await;
    stream.map_or(0, |stream| stream.cached_info().state.messages)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_cannot_be_read_is_kept_as_a_dead_letter_and_deafens_no_group() {
    let ns = namespace();
    let (one, two) = (counted(&ns, "n1").await, counted(&ns, "n2").await);
    let group = |name: &str| Subscription::new(ns.event_subject(CREATED)).durable(name);
    let mut members = [
        one.1.subscribe(group("shop=1=loyalty")).await.expect("subscribes"),
        two.1.subscribe(group("shop=1=loyalty")).await.expect("subscribes"),
        two.1.subscribe(group("mail=1=welcome")).await.expect("subscribes"),
    ];
    let mut stranger = Stranger::connect().await;
    stranger.publish(&ns, GOOD, b"first").await;
    for poison in POISONS {
        stranger.publish(&ns, poison, poison).await;
    }
    stranger.publish(&ns, GOOD, b"last").await;
    let [first, second, others] = &mut members;
    let (mut heard, goods) = (HashSet::new(), [&b"first"[..], b"last"]);
    let loyalty = async {
        while heard.len() < goods.len() {
            let delivery = tokio::select! {
                delivery = next(first) => delivery,
                delivery = next(second) => delivery,
            };
            heard.insert(delivery.envelope().payload.to_bytes().expect("bytes"));
            delivery.ack();
        }
    };
    tokio::join!(loyalty, hear_all(others, &goods));
    pause_until(async || count(&ns, "dead").await == POISONS.len() as u64).await;
    pause_until(async || count(&ns, "evt").await == 0).await;
    let dead = jetstream().await.get_stream(format!("{ns}_dead")).await.expect("it");
    let mut kept = HashSet::new();
    for at in 1..=POISONS.len() as u64 {
        let letter = dead.get_raw_message(at).await.expect("a letter");
        let header = |name: &str| letter.headers.get(name).map(ToString::to_string).unwrap_or_default();
        assert_eq!(header("rs-dead-reason"), "its headers cannot be read");
        assert_eq!(header("rs-dead-subject"), ns.event_subject(CREATED).as_str());
        assert!(!header("rs-dead-headers").is_empty());
        kept.insert(letter.payload);
    }
    assert!(POISONS.iter().all(|poison| kept.contains(*poison)), "{kept:?}");
    is_quiet(&ns, &[&one, &two], &mut members).await;
    clean(&ns).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_whose_subject_cannot_be_read_deafens_no_group() {
    let ns = namespace();
    let (proxy, bridge) = counted(&ns, "n1").await;
    let root = Subject::foreign(&format!("{ns}.evt.user")).expect("a subject");
    let all = Subscription::children(root).durable("shop=1=loyalty");
    let mut deliveries = bridge.subscribe(all).await.expect("subscribes");
    let mut stranger = Stranger::connect().await;
    for token in [&b"\xff"[..], b"a\xc2\xa0b"] {
        let subject = [format!("{ns}.evt.user.").as_bytes(), token].concat();
        stranger.publish_to(&subject, GOOD, b"poison").await;
    }
    stranger.publish(&ns, GOOD, b"good").await;
    hear_all(&mut deliveries, &[b"good"]).await;
    pause_until(async || count(&ns, "dead").await == 2 && count(&ns, "evt").await == 0).await;
    pause_until(async || bridge.health().is_ready()).await;
    let before = proxy.accepted();
    let quiet = tokio::time::timeout(Duration::from_secs(3), deliveries.next()).await;
    assert!(quiet.is_err() && proxy.accepted() == before, "connections are lost");
    clean(&ns).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_event_that_cannot_be_read_leaves_the_stream_and_its_beginning_is_kept() {
    let ns = namespace();
    let (_proxy, bridge) = counted(&ns, "n1").await;
    let loyalty = Subscription::new(ns.event_subject(CREATED)).durable("shop=1=loyalty");
    let mut deliveries = bridge.subscribe(loyalty).await.expect("subscribes");
    let mut stranger = Stranger::connect().await;
    let client = async_nats::connect(common::url()).await.expect("a client of its own");
    let largest = vec![b'x'; client.max_payload() - POISONS[0].len()];
    stranger.publish(&ns, POISONS[0], &largest).await;
    stranger.publish(&ns, GOOD, b"good").await;
    hear_all(&mut deliveries, &[b"good"]).await;
    pause_until(async || count(&ns, "dead").await == 1 && count(&ns, "evt").await == 0).await;
    let dead = jetstream().await.get_stream(format!("{ns}_dead")).await.expect("it");
    let kept = dead.get_raw_message(1).await.expect("a letter").payload.len();
    assert!(kept < largest.len() && kept > largest.len() - 1024, "{kept}");
    clean(&ns).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_event_that_is_given_up_leaves_the_stream_and_its_beginning_is_kept() {
    let ns = namespace();
    let (_proxy, bridge) = counted(&ns, "n1").await;
    let loyalty = Subscription::new(ns.event_subject(CREATED)).durable("shop=1=loyalty");
    let mut deliveries = bridge.subscribe(loyalty).await.expect("subscribes");
    let client = async_nats::connect(common::url()).await.expect("a client of its own");
    let bare = client.max_payload();
    let mut crowded = async_nats::HeaderMap::new();
    // A stream takes no more than 65,535 bytes of headers.
    crowded.insert("ce-x", "v".repeat(65_500));
    let subject = ns.event_subject(CREATED).as_str().to_owned();
    let (largest, small) = (vec![b'x'; bare].into(), "small".into());
    client.publish(subject.clone(), largest).await.expect("published");
    let sent = client.publish_with_headers(subject, crowded, small);
    sent.await.expect("published");
    for _ in 0..2 {
        next(&mut deliveries).await.reject("it does not decode");
    }
    pause_until(async || count(&ns, "dead").await == 2 && count(&ns, "evt").await == 0).await;
    let dead = jetstream().await.get_stream(format!("{ns}_dead")).await.expect("it");
    let kept = dead.get_raw_message(1).await.expect("a letter").payload.len();
    assert!(kept < bare && kept > bare - 2048, "{kept}");
    let kept = dead.get_raw_message(2).await.expect("a letter").payload;
    assert_eq!(kept, &b"small"[..]);
    clean(&ns).await;
}

/// Nothing is left that could cost a connection: the server waits for no acknowledgement, and three times `ack_wait` later
/// every connection is the one of before.
async fn is_quiet(ns: &Namespace, bridges: &[&(Proxy, Arc<dyn EventBridge>)], members: &mut [Deliveries]) {
    let settled = async || bridges.iter().all(|(_, bridge)| bridge.health().is_ready());
    pause_until(settled).await;
    let before: Vec<_> = bridges.iter().map(|(proxy, _)| proxy.accepted()).collect();
    let quiet = tokio::time::timeout(Duration::from_secs(3), members[0].next()).await;
    assert!(quiet.is_err(), "an event came that nobody sent");
    let after: Vec<_> = bridges.iter().map(|(proxy, _)| proxy.accepted()).collect();
    assert_eq!(before, after, "connections were lost");
    let sent = bridges[0].1.publish(event(ns, b"more")).await;
    let _ = sent.expect("it is stored");
    hear_all(&mut members[2], &[b"more"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_read_costs_a_live_subscription_one_connection() {
    let ns = namespace();
    let (proxy, bridge) = counted(&ns, "n1").await;
    let mut deliveries = bridge
        .subscribe(Subscription::new(ns.event_subject(CREATED)))
        .await
        .expect("subscribes");
    let mut stranger = Stranger::connect().await;
    for poison in POISONS {
        let before = proxy.accepted();
        stranger.publish(&ns, poison, b"poison").await;
        pause_until(async || proxy.accepted() > before && bridge.health().is_ready()).await;
        stranger.publish(&ns, GOOD, b"good").await;
        hear_all(&mut deliveries, &[b"good"]).await;
        assert_eq!(proxy.accepted(), before + 1, "it cost more than one connection");
    }
    assert_eq!(count(&ns, "dead").await, 0, "nobody lost an event that was to be kept");
    clean(&ns).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_ends_the_client_does_not_end_the_next_one_too() {
    let ns = namespace();
    let group = || Subscription::new(ns.event_subject(CREATED)).durable("shop=1=loyalty");
    let url = small("&ack_wait=1s");
    let first = connect_to(&url, &ns, "n1").await;
    let _deliveries = first.subscribe(group()).await.expect("subscribes");
    let mut stranger = Stranger::connect().await;
    stranger.publish(&ns, DEADLY, b"deadly").await;
    stranger.publish(&ns, GOOD, b"good").await;
    // async-nats 0.51 panics: this bridge is over, whatever it heard the event through.
    pause_until(async || matches!(first.health(), Health::Failed { .. })).await;
    let second = connect_to(&url, &ns, "n2").await;
    let mut deliveries = second.subscribe(group()).await.expect("subscribes");
    hear_all(&mut deliveries, &[b"good"]).await;
    assert!(second.health().is_ready());
    pause_until(async || count(&ns, "dead").await == 1).await;
    clean(&ns).await;
}
