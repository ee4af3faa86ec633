//! Our side of events: a node with one subscriber on the memory bridge.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use roadshow::bridges::memory::{MemoryBridgeSettings, MemoryBus, MemoryBusSettings, MemoryEventBridge, WhenFull};
use roadshow::{Client, Context, EventHandler, Node, Outcome, Service};
use tokio::sync::Notify;

use super::messages::{BENCH, Told};

/// Events that may wait, here and in the baseline.
pub(crate) const WAITING_MAX: usize = 1024;

/// Takes events, and tells of the last of a row.
#[derive(Debug)]
struct Taker(Arc<Notify>);

impl EventHandler<Told> for Taker {
    async fn receive(&self, event: &Told, _ctx: &Context) -> Outcome {
        if std::hint::black_box(event).is_last() {
            self.0.notify_one();
        }
        Outcome::Ack
    }
}

/// Emits rows of events.
#[derive(Debug)]
pub(crate) struct Emitter {
    /// Keeps its subscriber.
    pub(crate) node: Node,
    client: Client,
    last: Arc<Notify>,
}

impl Emitter {
    /// Starts a node with one subscriber, on a bridge whose emitters wait for room.
    pub(crate) async fn start() -> Self {
        let last = Arc::new(Notify::new());
        let taker = Arc::clone(&last);
        let service = Service::new(BENCH, move || {
            let taker = Arc::clone(&taker);
            async move { Ok::<_, Infallible>(Taker(taker)) }
        })
        .subscribe::<Told>(|told| told);
        let mut bus = MemoryBusSettings::default();
        bus.queue_messages_max = WAITING_MAX;
        let mut manners = MemoryBridgeSettings::default();
        manners.when_full = WhenFull::Wait(Duration::from_secs(10));
        let bridge = MemoryEventBridge::new(MemoryBus::new(bus), manners);
        let node = Node::builder()
            .event_bridge(Arc::new(bridge))
            .service(service)
            .start()
            .await
            .expect("the node starts");
        Emitter {
            client: node.client(),
            node,
            last,
        }
    }

    /// Something that emits: a row of `events`, of which the last was taken when it resolves.
    pub(crate) fn row(&self, events: u64) -> impl Future<Output = ()> + Send + 'static {
        let (client, last) = (self.client.clone(), Arc::clone(&self.last));
        async move {
            for _ in 1..events {
                client.emit(Told::default()).await.expect("room within ten seconds");
            }
            client.emit(Told::last()).await.expect("room within ten seconds");
            last.notified().await;
        }
    }
}
