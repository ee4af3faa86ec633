//! Taking deliveries: lanes, pauses and refusing gates.

use std::future::Future;
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use roadshow_bridges::memory::{MemoryBridgeSettings, MemoryBus, MemoryEventBridge};
use roadshow_bridges::{
    Envelope, EventBridge, EventName, Identity, Kind, MessageId, Retry, ServiceId, Subject, Subscription,
};

use super::*;
use crate::core::NodeCore;
use crate::endpoint::{Endpoint, EndpointSpec, Limits};
use crate::gate::Refused;
use crate::service::{Incarnation, ServiceCore};
use crate::subscription::SubscriberSpec;
use crate::test_node::test_node;

const SHOP: ServiceId = ServiceId::new("shop", 1);
const SOLD: EventName = EventName::new("shop.sold");

/// A subscription on a bus, whose handler takes everything at once.
struct Stand {
    node: Arc<NodeCore>,
    service: Arc<ServiceCore>,
    bus: MemoryBus,
    bridge: MemoryEventBridge,
    subject: Subject,
}

impl Stand {
    fn set_up() -> Self {
        let node = test_node();
        let bus = MemoryBus::default();
        Stand {
            service: ServiceCore::new(SHOP, Arc::clone(&node), None),
            bridge: MemoryEventBridge::new(bus.clone(), MemoryBridgeSettings::default()),
            subject: node.namespace().event_subject(SOLD),
            node,
            bus,
        }
    }

    fn subscriber(&self, ordered: bool, concurrency: u32) -> Arc<Subscriber<String>> {
        let limits = Limits {
            concurrency: NonZeroU32::new(concurrency).unwrap(),
            ..Limits::default()
        };
        let endpoint = Endpoint::new(EndpointSpec {
            name: "sold",
            service: Arc::clone(&self.service),
            limits,
            rate: None,
            metrics: self.node.metrics().endpoint("shop", 1, "sold"),
            run: Box::new(|_event: Arc<String>, _call| Box::pin(async { Ok(Outcome::Ack) })),
            key_of: ordered.then(|| Box::new(|event: &Arc<String>| event.to_string()) as _),
        });
        Subscriber::new(SubscriberSpec {
            endpoint,
            read: |envelope| {
                let bytes = envelope.payload.to_bytes()?;
                Ok(Arc::new(String::from_utf8_lossy(&bytes).into_owned()))
            },
            retry: Retry::never(),
            subscription: Subscription::new(self.subject.clone())
                .durable("stand")
                .window(concurrency as usize),
        })
    }

    async fn publish(&self, id: u128, key: &'static str) {
        let identity = Identity::root(MessageId::from_u128(id));
        let payload = Bytes::from_static(key.as_bytes());
        let envelope = Envelope::new(Kind::Event, self.subject.clone(), identity, payload);
        let _ = self.bridge.publish(envelope).await.unwrap();
    }

    async fn deliveries(&self, subscriber: &Subscriber<String>) -> Deliveries {
        self.bridge.subscribe(subscriber.subscription.clone()).await.unwrap()
    }

    fn open(&self) {
        let incarnation = Incarnation::new(1, Arc::clone(&self.service), Box::new(()));
        self.service.gate().open(incarnation);
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_service_that_refuses_ends_the_taking() {
    for ordered in [false, true] {
        let stand = Stand::set_up();
        let subscriber = stand.subscriber(ordered, 4);
        let deliveries = stand.deliveries(&subscriber).await;
        stand.publish(1, "a").await;
        stand.service.gate().refuse(Refused::Failed);
        assert_eq!(within(subscriber.take(deliveries)).await, TakeEnd::Refused);
        assert!(stand.bus.dead_letters().is_empty());
        assert!(subscriber.endpoint.core().is_idle());
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_refuses_later_ends_the_turns_that_wait_for_it() {
    let stand = Stand::set_up();
    let subscriber = stand.subscriber(true, 4);
    let deliveries = stand.deliveries(&subscriber).await;
    for id in 0..3 {
        stand.publish(id, "a").await;
    }
    let refuses = async {
        while stand.service.gate().waiting() == 0 {
            tokio::task::yield_now().await;
        }
        stand.service.gate().refuse(Refused::Stopped);
    };
    let (end, ()) = within(async { tokio::join!(subscriber.take(deliveries), refuses) }).await;
    assert_eq!(end, TakeEnd::Refused);
    assert!(subscriber.endpoint.core().is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_intake_gives_back_what_waits_at_the_gate() {
    let stand = Stand::set_up();
    let subscriber = stand.subscriber(true, 4);
    let deliveries = stand.deliveries(&subscriber).await;
    stand.publish(1, "a").await;
    let cancels = async {
        while stand.service.gate().waiting() == 0 {
            tokio::task::yield_now().await;
        }
        stand.node.intake().cancel();
    };
    let (end, ()) = within(async { tokio::join!(subscriber.take(deliveries), cancels) }).await;
    assert_eq!(end, TakeEnd::Cancelled);
    assert!(subscriber.endpoint.core().is_idle());
    let mut again = stand.deliveries(&subscriber).await;
    assert_eq!(within(again.next()).await.unwrap().begin(), 1);
}

#[tokio::test(start_paused = true)]
async fn deliveries_run_one_by_one_until_the_bridge_ends_them() {
    let stand = Stand::set_up();
    stand.open();
    let subscriber = stand.subscriber(false, 1);
    let deliveries = stand.deliveries(&subscriber).await;
    for id in 0..10 {
        stand.publish(id, "a").await;
    }
    let closes = async {
        while subscriber.endpoint.core().metrics().calls(crate::metrics::Outcome::Ok) < 10 {
            tokio::task::yield_now().await;
        }
        assert!(subscriber.endpoint.core().is_idle());
        stand.bridge.close().await.unwrap();
    };
    let (end, ()) = within(async { tokio::join!(subscriber.take(deliveries), closes) }).await;
    assert_eq!(end, TakeEnd::Ended);
}
