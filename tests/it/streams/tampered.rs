//! A memory bridge that loses or doubles what a test tells it to.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use roadshow::EventBridge;
use roadshow::bridges::memory::{MemoryBridgeSettings, MemoryBus, MemoryEventBridge};
use roadshow::bridges::{Capability, Deliveries, Envelope, Error, Health, Published, Subscription};

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Passes,
    IsLost,
    Twice,
}

type Tamper = Box<dyn Fn(&Envelope) -> Fate + Send + Sync>;

/// A bridge between a node and its bus.
pub(crate) struct Tampered {
    inner: MemoryEventBridge,
    tamper: Tamper,
    payload_bytes_max: Option<usize>,
}

impl fmt::Debug for Tampered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// A bridge on `bus` on which `tamper` decides what becomes of what the node publishes.
pub(crate) fn tampered(bus: &MemoryBus, tamper: impl Fn(&Envelope) -> Fate + Send + Sync + 'static) -> Arc<Tampered> {
    Arc::new(Tampered {
        inner: MemoryEventBridge::new(bus.clone(), MemoryBridgeSettings::default()),
        tamper: Box::new(tamper),
        payload_bytes_max: None,
    })
}

/// A bridge on `bus` that carries small payloads only.
pub(crate) fn narrow(bus: &MemoryBus, payload_bytes_max: usize) -> Arc<Tampered> {
    Arc::new(Tampered {
        inner: MemoryEventBridge::new(bus.clone(), MemoryBridgeSettings::default()),
        tamper: Box::new(|_| Fate::Passes),
        payload_bytes_max: Some(payload_bytes_max),
    })
}

impl EventBridge for Tampered {
    fn capability(&self) -> Capability {
        let mut capability = self.inner.capability();
        capability.payload_bytes_max = self.payload_bytes_max.or(capability.payload_bytes_max);
        capability
    }

    fn publish(&self, envelope: Envelope) -> BoxFuture<'_, Result<Published, Error>> {
        async move {
            match (self.tamper)(&envelope) {
                Fate::IsLost => return Ok(Published::Accepted),
                Fate::Twice => drop(self.inner.publish(envelope.clone()).await?),
                Fate::Passes => {}
            }
            self.inner.publish(envelope).await
        }
        .boxed()
    }

    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Deliveries, Error>> {
        self.inner.subscribe(subscription)
    }

    fn health(&self) -> Health {
        self.inner.health()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.inner.close()
    }
}
