//! Our events: emitted, through the memory bridge, to one subscriber.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use roadshow_bridges::memory::{MemoryBridgeSettings, MemoryBus, MemoryBusSettings, MemoryEventBridge, WhenFull};
use roadshow_services::{Client, Context, EventBridge, EventHandler, Outcome, Service};
use tokio::sync::Notify;

use super::contender::{Caller, nanoseconds};
use super::error::Error;
use super::messages::{BENCH, Told};
use super::stage::Stage;

/// Events that may wait, here and in the baseline.
pub(super) const WAITING_MAX: usize = 1024;

/// How long an emitter waits for room.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the taker tells the teller.
#[derive(Debug)]
pub(super) struct Taken {
    since: Instant,
    latest_ns: AtomicU64,
    stamped: Notify,
}

impl Taken {
    /// Nothing yet.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Taken {
            since: Instant::now(),
            latest_ns: AtomicU64::new(0),
            stamped: Notify::new(),
        })
    }

    /// News with the time on it.
    pub(super) fn stamp(&self) -> Told {
        Told::at(nanoseconds(self.since.elapsed()).max(1))
    }

    /// Takes news, and answers them if they have a time on them.
    pub(super) fn take(&self, told: &Told) {
        if std::hint::black_box(told).sent_ns != 0 {
            let latency = nanoseconds(self.since.elapsed()).saturating_sub(told.sent_ns);
            self.latest_ns.store(latency, Ordering::Relaxed);
            self.stamped.notify_one();
        }
    }

    /// Waits until stamped news were taken: how long they took, in nanoseconds.
    pub(super) async fn latency(&self) -> u64 {
        self.stamped.notified().await;
        self.latest_ns.load(Ordering::Relaxed)
    }
}

/// Takes events.
#[derive(Debug)]
struct Taker(Arc<Taken>);

impl EventHandler<Told> for Taker {
    async fn receive(&self, event: &Told, _ctx: &Context) -> Outcome {
        self.0.take(event);
        Outcome::Ack
    }
}

/// Emits events.
#[derive(Clone, Debug)]
pub(super) struct Emitter {
    client: Client,
    taken: Arc<Taken>,
}

impl Emitter {
    /// A node with one subscriber, on a bridge whose emitters wait for room.
    pub(super) async fn start() -> Result<Stage<Self>, Error> {
        let taken = Taken::new();
        let state = Arc::clone(&taken);
        let service = Service::new(BENCH, move || {
            let state = Arc::clone(&state);
            async move { Ok::<_, Infallible>(Taker(state)) }
        })
        .subscribe::<Told>(|told| told);
        Stage::start(service, Some(bridge()), |node| {
            Ok(Emitter {
                client: node.client(),
                taken,
            })
        })
        .await
    }

    async fn emit(&self, event: Told) -> Result<(), Error> {
        let emitted = self.client.emit(event).await;
        emitted.map_err(|failure| Error::new("emitting an event", failure))
    }
}

fn bridge() -> Arc<dyn EventBridge> {
    let mut bus = MemoryBusSettings::default();
    bus.queue_messages_max = WAITING_MAX;
    let mut manners = MemoryBridgeSettings::default();
    manners.when_full = WhenFull::Wait(PATIENCE);
    Arc::new(MemoryEventBridge::new(MemoryBus::new(bus), manners))
}

impl Caller for Emitter {
    async fn call(&mut self) -> Result<(), Error> {
        self.emit(Told::default()).await
    }

    async fn timed(&mut self) -> Result<u64, Error> {
        self.emit(self.taken.stamp()).await?;
        Ok(self.taken.latency().await)
    }

    /// Events of one emitter are taken in order: once the last was taken, all were.
    async fn settled(mut self) -> Result<(), Error> {
        self.timed().await.map(drop)
    }
}
