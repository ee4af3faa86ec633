//! A memory bridge that cannot do everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use roadshow::EventBridge;
use roadshow::bridges::memory::{MemoryBridgeSettings, MemoryBus, MemoryEventBridge};
use roadshow::bridges::{
    Capability, Deliveries, Envelope, Error, ErrorKind, Health, Kind, Published, Subscription, TryPublish,
};

/// A bridge whose facts are changed, and that may refuse subscriptions to events.
#[derive(Debug)]
pub(crate) struct LameBridge {
    pub(crate) inner: MemoryEventBridge,
    pub(crate) lacks: fn(&mut Capability),
    pub(crate) refuses: bool,
    /// Whether what the node sends to itself gets lost.
    pub(crate) swallows: Arc<AtomicBool>,
    /// Whether the confirmation of a failure gets lost.
    pub(crate) unsure: Arc<AtomicBool>,
    /// Whether the confirmation of a failure never comes, and nothing says so.
    pub(crate) confirms_no_failure: Arc<AtomicBool>,
    /// Whether its broker is away: what is published meanwhile waits a little, and gets there.
    pub(crate) away: Arc<AtomicBool>,
    /// How often it was asked for a new connection.
    pub(crate) renewed: Arc<AtomicU32>,
    pub(crate) asked: Arc<AtomicU32>,
}

impl Default for LameBridge {
    fn default() -> Self {
        LameBridge {
            inner: MemoryEventBridge::new(MemoryBus::default(), MemoryBridgeSettings::default()),
            lacks: |_| {},
            refuses: false,
            swallows: Arc::default(),
            unsure: Arc::default(),
            confirms_no_failure: Arc::default(),
            away: Arc::default(),
            renewed: Arc::default(),
            asked: Arc::default(),
        }
    }
}

impl LameBridge {
    /// A connection to `bus` that only pushes, as NATS core and MQTT do: nothing waits with the broker, and what a dead node
    /// had is lost with it.
    pub(crate) fn pushing(bus: &MemoryBus) -> Self {
        LameBridge {
            inner: MemoryEventBridge::new(bus.clone(), MemoryBridgeSettings::default()),
            lacks: |capability| {
                capability.holds_backlog = false;
                capability.redelivery_to_other = false;
                capability.rest = false;
            },
            ..LameBridge::default()
        }
    }

    fn never_confirms(&self, envelope: &Envelope) -> bool {
        envelope.kind == Kind::Failure && self.confirms_no_failure.load(Ordering::SeqCst)
    }

    fn loses(&self, envelope: &Envelope) -> bool {
        envelope.kind == Kind::Heartbeat && self.swallows.load(Ordering::SeqCst)
    }
}

impl EventBridge for LameBridge {
    fn capability(&self) -> Capability {
        let mut capability = self.inner.capability();
        (self.lacks)(&mut capability);
        capability
    }

    fn publish(&self, envelope: Envelope) -> BoxFuture<'_, Result<Published, Error>> {
        if self.loses(&envelope) {
            return Box::pin(std::future::ready(Ok(Published::Accepted)));
        }
        let confirmed = !self.never_confirms(&envelope);
        let away = self.away.load(Ordering::SeqCst);
        Box::pin(async move {
            if away {
                let never = std::future::pending::<()>();
                let _ = tokio::time::timeout(Duration::from_millis(1), never).await;
            }
            let published = self.inner.publish(envelope).await;
            match confirmed {
                true => published,
                false => std::future::pending().await,
            }
        })
    }

    fn try_publish(&self, envelope: Envelope) -> TryPublish {
        if self.loses(&envelope) {
            return TryPublish::Done(Ok(Published::Accepted));
        }
        if self.never_confirms(&envelope) || self.away.load(Ordering::SeqCst) {
            return TryPublish::WouldWait(envelope);
        }
        let unsure = envelope.kind == Kind::Failure && self.unsure.load(Ordering::SeqCst);
        match self.inner.try_publish(envelope) {
            TryPublish::Done(Ok(Published::Accepted)) if unsure => TryPublish::Done(Ok(Published::Indeterminate)),
            published => published,
        }
    }

    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Deliveries, Error>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.refuses && subscription.subject.as_str().contains(".evt.") {
            let error = Error::new(ErrorKind::Unavailable, "the broker does not know us");
            return Box::pin(std::future::ready(Err(error)));
        }
        self.inner.subscribe(subscription)
    }

    fn renew(&self) {
        self.renewed.fetch_add(1, Ordering::SeqCst);
    }

    fn health(&self) -> Health {
        if self.away.load(Ordering::SeqCst) {
            let reason = "the broker is away".into();
            return Health::Reconnecting { reason };
        }
        self.inner.health()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.inner.close()
    }
}
