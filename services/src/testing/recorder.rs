//! An event bridge that remembers what was published, and passes it on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use roadshow_bridges::memory::MemoryBridgeSettings;
use roadshow_bridges::{
    Capability, Deliveries, Envelope, Error, EventBridge, Health, Identity, MemoryBus, MemoryEventBridge, Published,
    Subscription, TryPublish, codec,
};
use tokio::sync::Notify;

use crate::event::Event;

/// How many events a recorder keeps; the oldest go first.
const KEPT_MAX: usize = 10_000;

/// Records every event that a node emits. Give it to a builder with
/// [`NodeBuilder::event_bridge`](crate::NodeBuilder::event_bridge); what it records goes on to a memory bus.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bridge: MemoryEventBridge,
    published: Mutex<VecDeque<Envelope>>,
    news: Notify,
}

impl Default for Recorder {
    fn default() -> Self {
        Recorder::new(MemoryBus::default())
    }
}

impl Recorder {
    /// Records what goes to `bus`.
    #[must_use]
    pub fn new(bus: MemoryBus) -> Self {
        let bridge = MemoryEventBridge::new(bus, MemoryBridgeSettings::default());
        Recorder(Arc::new(Inner {
            bridge,
            published: Mutex::default(),
            news: Notify::new(),
        }))
    }

    /// The bridge to build a node on.
    #[must_use]
    pub fn bridge(&self) -> Arc<dyn EventBridge> {
        Arc::clone(&self.0) as Arc<dyn EventBridge>
    }

    /// The events of one type so far, with the identity each was emitted under.
    #[must_use]
    pub fn events<E: Event>(&self) -> Vec<(Arc<E>, Identity)> {
        let published = self.0.published.lock().unwrap_or_else(PoisonError::into_inner);
        published
            .iter()
            .filter_map(|envelope| Some((read::<E>(envelope)?, envelope.identity.clone())))
            .collect()
    }

    /// Waits until `count` events of one type were emitted.
    ///
    /// # Panics
    /// When `within` passes first.
    pub async fn wait_for<E: Event>(&self, count: usize, within: Duration) -> Vec<(Arc<E>, Identity)> {
        let waits = async {
            loop {
                let news = self.0.news.notified();
                let events = self.events::<E>();
                if events.len() >= count {
                    return events;
                }
                news.await;
            }
        };
        let waited = tokio::time::timeout(within, waits).await;
        waited.unwrap_or_else(|_| {
            panic!(
                "{} of {count} {} events within {within:?}",
                self.events::<E>().len(),
                E::NAME
            )
        })
    }
}

fn read<E: Event>(envelope: &Envelope) -> Option<Arc<E>> {
    if envelope.event.as_ref()?.as_str() != E::NAME.as_str() {
        return None;
    }
    if let Some(event) = envelope.payload.downcast::<E>() {
        return Some(event);
    }
    let bytes = envelope.payload.to_bytes().ok()?;
    codec::decode(&envelope.content_type, &bytes).ok().map(Arc::new)
}

impl Inner {
    fn note(&self, envelope: &Envelope) {
        {
            let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
            if published.len() == KEPT_MAX {
                published.pop_front();
            }
            published.push_back(envelope.clone());
        }
        self.news.notify_waiters();
    }
}

impl EventBridge for Inner {
    fn capability(&self) -> Capability {
        self.bridge.capability()
    }

    fn publish(&self, envelope: Envelope) -> BoxFuture<'_, Result<Published, Error>> {
        self.note(&envelope);
        self.bridge.publish(envelope)
    }

    fn try_publish(&self, envelope: Envelope) -> TryPublish {
        // Noted once, where it is published for certain.
        TryPublish::WouldWait(envelope)
    }

    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Deliveries, Error>> {
        self.bridge.subscribe(subscription)
    }

    fn health(&self) -> Health {
        self.bridge.health()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.bridge.close()
    }
}
