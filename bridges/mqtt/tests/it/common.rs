//! A namespace of its own for each test, and removing what it has left on the broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use roadshow_bridges::{
    ConnectContext, Deliveries, Envelope, EventBridge, EventName, Identity, IncarnationId, Kind, MessageId, Namespace,
    Published, ServiceId, Subscription,
};
use roadshow_mqtt::{MqttConnector, MqttEventBridge};
use tokio::time::{Instant, interval};

/// A namespace of its own on a broker.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) url: String,
    pub(crate) namespace: Namespace,
    nodes: AtomicU64,
}

pub(crate) const WORK: ServiceId = ServiceId::new("work", 1);
const DONE: EventName = EventName::new("work.done");

impl Stage {
    pub(crate) fn new() -> Self {
        let url = std::env::var("TEST_MQTT_URL").unwrap_or_else(|_| "mqtt://127.0.0.1:1883".to_owned());
        Self::at(url)
    }

    pub(crate) fn at(url: String) -> Self {
        let namespace = format!("mq{:012x}", rand::random::<u64>() >> 16);
        Self {
            url,
            namespace: namespace.parse().expect("a namespace"),
            nodes: AtomicU64::new(0),
        }
    }

    pub(crate) async fn bridge(&self) -> Arc<MqttEventBridge> {
        self.bridge_at(&self.url).await
    }

    pub(crate) async fn bridge_at(&self, url: &str) -> Arc<MqttEventBridge> {
        let number = self.nodes.fetch_add(1, Ordering::Relaxed);
        let node = format!("n{number}").parse().expect("a node");
        let context = ConnectContext::new(self.namespace.clone(), node, IncarnationId::from_u64(1));
        let bridge = MqttConnector.connect(url, &context).await.expect("connected");
        until("the bridge is ready", || bridge.health().is_ready()).await;
        Arc::new(bridge)
    }

    pub(crate) async fn durable(&self, bridge: &MqttEventBridge, group: &str) -> Deliveries {
        let subject = self.namespace.event_subject(DONE);
        let subscription = Subscription::new(subject).durable(format!("work=1={group}"));
        bridge.subscribe(subscription).await.expect("subscribed")
    }

    pub(crate) async fn commands(&self, bridge: &MqttEventBridge) -> Deliveries {
        let root = self.namespace.command_root(WORK);
        let subscription = Subscription::children(root).group("cmd=work=1");
        bridge.subscribe(subscription).await.expect("subscribed")
    }

    pub(crate) fn event(&self, number: u64) -> Envelope {
        let identity = Identity::root(MessageId::from_u128(rand::random()));
        let subject = self.namespace.event_subject(DONE);
        Envelope::event(subject, DONE.into(), identity, Bytes::from(number.to_string()))
    }

    pub(crate) fn command(&self, number: u64, key: Option<&str>) -> Envelope {
        let mut identity = Identity::root(MessageId::from_u128(rand::random())).with_budget(Duration::from_secs(30));
        if let Some(key) = key {
            identity = identity.with_key(key);
        }
        let subject = self.namespace.command_subject(WORK.command("run"));
        Envelope::new(Kind::Command, subject, identity, Bytes::from(number.to_string()))
    }

    pub(crate) async fn emit(&self, bridge: &MqttEventBridge, number: u64) {
        let published = bridge.publish(self.event(number)).await;
        assert_eq!(published.expect("published"), Published::Accepted);
    }

    /// Leaves the broker as it was.
    pub(crate) async fn end(self) {
        crate::clear::clear_retained(&self.url, self.namespace.as_str()).await;
    }
}

/// The number in a payload.
pub(crate) fn number(envelope: &Envelope) -> u64 {
    let bytes = envelope.payload.to_bytes().expect("bytes");
    String::from_utf8_lossy(&bytes).parse().expect("a number")
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    let mut ticks = interval(Duration::from_millis(5));
    while !holds() {
        assert!(Instant::now() < limit, "it did not become true: {what}");
        ticks.tick().await;
    }
}
