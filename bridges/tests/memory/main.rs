//! What the memory bridge promises, one behaviour a test. Time is paused wherever time matters.

mod bounds;
mod delivering;
mod lifecycle;
mod rest;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use roadshow_bridges::memory::{MemoryBridgeSettings, MemoryBus, MemoryEventBridge, WhenFull};
use roadshow_bridges::{
    Deliveries, Envelope, EventBridge, Identity, Kind, MessageId, Published, Subject, Subscription,
};
use tokio::time::timeout;

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn subject(text: &str) -> Subject {
    Subject::foreign(text).expect("a subject")
}

pub(crate) fn bridge() -> MemoryEventBridge {
    MemoryEventBridge::new(MemoryBus::default(), MemoryBridgeSettings::default())
}

pub(crate) fn waiting_bridge(longest: Duration) -> MemoryEventBridge {
    let mut settings = MemoryBridgeSettings::default();
    settings.when_full = WhenFull::Wait(longest);
    MemoryEventBridge::new(MemoryBus::default(), settings)
}

pub(crate) fn message(kind: Kind, to: &str, id: u128) -> Envelope {
    Envelope::new(
        kind,
        subject(to),
        Identity::root(MessageId::from_u128(id)),
        Bytes::from_static(b"{}"),
    )
}

pub(crate) async fn emit(bridge: &MemoryEventBridge, to: &str, id: u128) {
    assert_eq!(
        bridge.publish(message(Kind::Event, to, id)).await.expect("published"),
        Published::Accepted
    );
}

pub(crate) async fn subscribe(bridge: &MemoryEventBridge, subscription: Subscription) -> Deliveries {
    bridge.subscribe(subscription).await.expect("subscribed")
}

pub(crate) fn taken(deliveries: &mut Deliveries) -> Vec<u128> {
    let mut ids = Vec::new();
    while let Some(delivery) = deliveries.try_next() {
        ids.push(delivery.envelope().identity.id.as_u128());
        delivery.ack();
    }
    ids
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("within the deadline")
}
