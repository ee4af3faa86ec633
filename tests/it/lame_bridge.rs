//! A memory bridge that cannot do everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::BoxFuture;
use roadshow::EventBridge;
use roadshow::bridges::memory::{MemoryBridgeSettings, MemoryBus, MemoryEventBridge};
use roadshow::bridges::{
    Capability, Deliveries, Envelope, Error, ErrorKind, Health, Published, Subscription, TryPublish,
};

/// A bridge whose facts are changed, and that may refuse subscriptions.
#[derive(Debug)]
pub(crate) struct LameBridge {
    pub(crate) inner: MemoryEventBridge,
    pub(crate) lacks: fn(&mut Capability),
    pub(crate) refuses: bool,
    pub(crate) asked: Arc<AtomicU32>,
}

impl Default for LameBridge {
    fn default() -> Self {
        LameBridge {
            inner: MemoryEventBridge::new(MemoryBus::default(), MemoryBridgeSettings::default()),
            lacks: |_| {},
            refuses: false,
            asked: Arc::default(),
        }
    }
}

impl EventBridge for LameBridge {
    fn capability(&self) -> Capability {
        let mut capability = self.inner.capability();
        (self.lacks)(&mut capability);
        capability
    }

    fn publish(&self, envelope: Envelope) -> BoxFuture<'_, Result<Published, Error>> {
        self.inner.publish(envelope)
    }

    fn try_publish(&self, envelope: Envelope) -> TryPublish {
        self.inner.try_publish(envelope)
    }

    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Deliveries, Error>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.refuses {
            let error = Error::new(ErrorKind::Unavailable, "the broker does not know us");
            return Box::pin(std::future::ready(Err(error)));
        }
        self.inner.subscribe(subscription)
    }

    fn health(&self) -> Health {
        self.inner.health()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.inner.close()
    }
}
