//! Prints how many events a second the memory bridge moves from a publisher to one subscriber, acknowledged.
//!
//! Run it with `cargo run --release -p roadshow-bridges --example memory_throughput`. Rows: who waits for whom, and whether
//! the payload is a shared value or bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use roadshow_bridges::memory::{MemoryBridgeSettings, MemoryBus, MemoryEventBridge, WhenFull};
use roadshow_bridges::{
    Deliveries, Envelope, EventBridge, EventName, EventNameBuf, Identity, Kind, MessageId, Namespace, Payload, Subject,
    Subscription, TryPublish,
};

const EVENTS: u64 = 4_000_000;
const ROUNDS: usize = 3;
const NAME: EventName = EventName::new("bench.event");

struct Bench {
    bridge: Arc<MemoryEventBridge>,
    subject: Subject,
    name: EventNameBuf,
    payload: Payload,
}

impl Bench {
    fn new(payload: Payload) -> Self {
        let mut settings = MemoryBridgeSettings::default();
        settings.when_full = WhenFull::Wait(Duration::from_secs(10));
        let bridge = Arc::new(MemoryEventBridge::new(MemoryBus::default(), settings));
        Self {
            bridge,
            subject: Namespace::default().event_subject(NAME),
            name: NAME.into(),
            payload,
        }
    }

    async fn subscribe(&self) -> Deliveries {
        let subscription = Subscription::new(self.subject.clone()).group("bench");
        self.bridge.subscribe(subscription).await.expect("the bus is empty")
    }

    async fn publish(&self, number: u64) {
        let identity = Identity::root(MessageId::from_u128(u128::from(number)));
        let mut envelope = Envelope::new(Kind::Event, self.subject.clone(), identity, self.payload.clone());
        envelope.event = Some(self.name.clone());
        if let TryPublish::WouldWait(envelope) = self.bridge.try_publish(envelope) {
            let _ = self.bridge.publish(envelope).await.expect("the subscriber takes them");
        }
    }
}

async fn receive(mut deliveries: Deliveries, count: u64) {
    for _ in 0..count {
        let mut delivery = deliveries.next().await.expect("the subscription lives");
        delivery.begin();
        delivery.ack();
    }
}

/// Publisher and subscriber on threads of their own.
fn two_threads(payload: Payload) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let bench = Arc::new(Bench::new(payload));
        let consumer = tokio::spawn(receive(bench.subscribe().await, EVENTS));
        let started = Instant::now();
        // The bridge outlives its publisher: dropping it would end the subscription.
        let publishing = Arc::clone(&bench);
        let publisher = tokio::spawn(async move {
            for number in 0..EVENTS {
                publishing.publish(number).await;
            }
        });
        publisher.await.expect("publishes");
        consumer.await.expect("receives");
        EVENTS as f64 / started.elapsed().as_secs_f64()
    })
}

/// One thread: publish, receive, acknowledge, again.
fn one_thread(payload: Payload) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let bench = Bench::new(payload);
        let mut deliveries = bench.subscribe().await;
        let started = Instant::now();
        for number in 0..EVENTS {
            bench.publish(number).await;
            let mut delivery = deliveries.next().await.expect("the subscription lives");
            delivery.begin();
            delivery.ack();
        }
        EVENTS as f64 / started.elapsed().as_secs_f64()
    })
}

fn best(run: impl Fn() -> f64) -> f64 {
    (0..ROUNDS).map(|_| run()).fold(0.0, f64::max)
}

fn main() {
    let shared = || Payload::shared(Arc::new(String::from("an event that is never encoded")));
    let encoded = || Payload::Bytes(Bytes::from_static(b"{\"id\":7,\"email\":\"ada@example.org\"}"));
    println!("memory bridge, events/s from publish to acknowledged, best of {ROUNDS} x {EVENTS}");
    println!("two threads, shared value: {:>12.0}", best(|| two_threads(shared())));
    println!("two threads, bytes:        {:>12.0}", best(|| two_threads(encoded())));
    println!("one thread,  shared value: {:>12.0}", best(|| one_thread(shared())));
    println!("size of an envelope: {} bytes", size_of::<Envelope>());
}
