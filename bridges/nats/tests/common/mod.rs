//! What the tests against real servers share.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use roadshow_bridges::{
    ConnectContext, Connector, Deliveries, Delivery, Envelope, EventBridge, EventName, Identity, IncarnationId, Kind,
    MessageId, Namespace, ServiceId, Subject,
};
use roadshow_nats::NatsConnector;

/// The service of the tests.
pub(crate) const USER: ServiceId = ServiceId::new("user", 1);
/// The event of the tests.
pub(crate) const CREATED: EventName = EventName::new("user.created");
/// How long a test waits for anything.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// The server that is always there.
pub(crate) fn url() -> String {
    std::env::var("TEST_NATS_URL").unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned())
}

/// A namespace of one test alone.
pub(crate) fn namespace() -> Namespace {
    format!("t{:016x}", fresh() as u64).parse().expect("a namespace")
}

pub(crate) fn fresh() -> u128 {
    rand::random()
}

pub(crate) fn context(ns: &Namespace, node: &str) -> ConnectContext {
    ConnectContext::new(ns.clone(), node.parse().expect("a node"), IncarnationId::from_u64(1))
}

/// A bridge of one node to the server that is always there.
pub(crate) async fn connect(ns: &Namespace, node: &str) -> Arc<dyn EventBridge> {
    connect_to(&small(""), ns, node).await
}

pub(crate) async fn connect_to(url: &str, ns: &Namespace, node: &str) -> Arc<dyn EventBridge> {
    NatsConnector
        .event_bridge(url, &context(ns, node))
        .await
        .expect("connects")
}

pub(crate) fn inbox(ns: &Namespace, node: &str) -> Subject {
    ns.inbox_root(&node.parse().expect("a node"), IncarnationId::from_u64(1))
}

pub(crate) fn child(root: &Subject, call: u8) -> Subject {
    Subject::foreign(&format!("{root}.c{call:032x}")).expect("a subject")
}

pub(crate) fn command(ns: &Namespace, payload: &[u8]) -> Envelope {
    let identity = Identity::root(MessageId::from_u128(fresh()));
    let subject = ns.command_subject(USER.command("create_user"));
    Envelope::new(Kind::Command, subject, identity, Bytes::copy_from_slice(payload))
}

pub(crate) fn event(ns: &Namespace, payload: &[u8]) -> Envelope {
    let identity = Identity::root(MessageId::from_u128(fresh()));
    Envelope::event(
        ns.event_subject(CREATED),
        CREATED.into(),
        identity,
        Bytes::copy_from_slice(payload),
    )
}

/// The next delivery; the test fails if none comes.
pub(crate) async fn next(deliveries: &mut Deliveries) -> Delivery {
    tokio::time::timeout(LONG, deliveries.next())
        .await
        .expect("a delivery in time")
        .expect("the subscription lives")
}

/// Tries again until something holds, with a limit.
pub(crate) async fn pause_until(mut holds: impl AsyncFnMut() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let wait = async {
        loop {
            ticks.tick().await;
            if holds().await {
                break;
            }
        }
    };
    tokio::time::timeout(LONG, wait).await.expect("it holds in time");
}

/// The server's JetStream, beside the bridge, for looking at and for cleaning up.
pub(crate) async fn jetstream() -> async_nats::jetstream::Context {
    let client = async_nats::connect(url()).await.expect("a client of its own");
    async_nats::jetstream::new(client)
}

/// Removes what a namespace left at the server that is always there.
pub(crate) async fn clean(ns: &Namespace) {
    let jetstream = jetstream().await;
    for what in ["evt", "dead", "starts"] {
        // Not every test has every stream.
        drop(jetstream.delete_stream(format!("{ns}_{what}")).await);
    }
}

/// A URL of the server that is always there, with streams that are small.
pub(crate) fn small(parameters: &str) -> String {
    format!("{}?max_bytes=4MiB{parameters}", url())
}
