//! One node's connection to a memory bus.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout_at};

use super::bus::{MemoryBus, MemoryStats, Offer};
use super::group::Group;
use super::lock;
use super::seat::{DELAY_MAX, Seat};
use super::settings::{MemoryBridgeSettings, WhenFull};
use super::source::Source;
use crate::capability::Capability;
use crate::deliveries::Deliveries;
use crate::drop_reason::DropReason;
use crate::envelope::Envelope;
use crate::error::Error;
use crate::event_bridge::{EventBridge, Published, TryPublish};
use crate::health::Health;
use crate::subscription::Subscription;

/// One node's connection to a [`MemoryBus`]; closing it ends this node's subscriptions only.
///
/// ```
/// use bytes::Bytes;
/// use roadshow_bridges::memory::{MemoryBridgeSettings, MemoryBus, MemoryEventBridge};
/// use roadshow_bridges::{Envelope, EventBridge, EventName, Identity, Kind, MessageId, Namespace, Published, Subscription};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), roadshow_bridges::Error> {
/// let bridge = MemoryEventBridge::new(MemoryBus::default(), MemoryBridgeSettings::default());
/// let subject = Namespace::default().event_subject(EventName::new("user.created"));
/// let mut deliveries = bridge.subscribe(Subscription::new(subject.clone())).await?;
///
/// let identity = Identity::root(MessageId::from_u128(1));
/// let published = bridge.publish(Envelope::new(Kind::Event, subject, identity, Bytes::from_static(b"{}"))).await?;
/// assert_eq!(published, Published::Accepted);
///
/// let mut delivery = deliveries.next().await.expect("the subscription lives");
/// assert_eq!(delivery.begin(), 1);
/// delivery.ack();
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct MemoryEventBridge {
    bus: MemoryBus,
    /// What the bus held when this bridge was connected to it.
    before: MemoryStats,
    settings: MemoryBridgeSettings,
    closed: AtomicBool,
    /// The seats of this bridge that may still live; swept whenever one is added.
    seats: Mutex<Vec<Weak<Seat>>>,
}

impl MemoryEventBridge {
    /// Connects to a bus.
    pub fn new(bus: MemoryBus, settings: MemoryBridgeSettings) -> Self {
        Self {
            before: bus.stats(),
            bus,
            settings,
            closed: AtomicBool::new(false),
            seats: Mutex::default(),
        }
    }

    /// The bus that this bridge is connected to.
    pub fn bus(&self) -> &MemoryBus {
        &self.bus
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    fn check(&self, envelope: &Envelope) -> Result<(), Error> {
        if self.is_closed() {
            return Err(cannot_publish(envelope, Error::closed, "the bridge is closed"));
        }
        let (len, len_max) = (
            envelope.payload.encoded_len().unwrap_or(0),
            self.bus.0.settings.payload_bytes_max,
        );
        if len > len_max {
            let error = cannot_publish(envelope, Error::rejected, "the payload is too large");
            return Err(error.with("bytes", len).with("limit", len_max));
        }
        Ok(())
    }

    /// Publishes as soon as there is room, or fails at the deadline.
    async fn publish_waiting(&self, envelope: Envelope, longest: Duration) -> Result<Published, Error> {
        let deadline = Instant::now() + longest.min(DELAY_MAX);
        let mut envelope = Arc::new(envelope);
        loop {
            let (full, again) = match self.bus.0.offer(envelope) {
                Offer::Done(published) => return Ok(published),
                Offer::Full(full, again) => (full, again),
            };
            let _waits = full.publisher_waits();
            let mut room = pin!(full.room.notified());
            room.as_mut().enable();
            // Room, or the end, may have come before we began to listen.
            self.check(&again)?;
            match self.bus.0.offer(again) {
                Offer::Done(published) => return Ok(published),
                Offer::Full(_, again) => envelope = again,
            }
            if timeout_at(deadline, room).await.is_err() {
                return Err(is_full(&envelope, &full));
            }
        }
    }

    fn join(&self, subscription: &Subscription) -> Result<Deliveries, Error> {
        let mut seats = lock(&self.seats);
        if self.is_closed() {
            return Err(Error::closed("cannot subscribe: the bridge is closed").with("subject", &subscription.subject));
        }
        let seat = self.bus.0.join(subscription)?;
        seats.retain(|seat| seat.strong_count() > 0);
        seats.push(Arc::downgrade(&seat));
        Ok(Deliveries::new(Source::new(Arc::clone(&self.bus.0), seat)))
    }
}

fn cannot_publish(envelope: &Envelope, kind: fn(String) -> Error, why: &str) -> Error {
    kind(format!("cannot publish to {}: {why}", envelope.subject))
}

fn is_full(envelope: &Envelope, group: &Group) -> Error {
    let error = cannot_publish(envelope, Error::exhausted, "a group is full");
    error
        .with("group", group.key.name.as_deref().unwrap_or("none"))
        .with("capacity", group.rules.capacity)
}

impl EventBridge for MemoryEventBridge {
    fn capability(&self) -> Capability {
        Capability {
            confirm: true,
            unroutable: true,
            durable: true,
            redelivery: true,
            redelivery_to_other: true,
            delay: true,
            dead_letters: true,
            ordered: true,
            holds_backlog: true,
            overflow_visible: true,
            depth: true,
            rest: true,
            shared_values: true,
            payload_bytes_max: Some(self.bus.0.settings.payload_bytes_max),
            window_max: Some(self.bus.0.settings.window_max),
            delay_ms_max: u64::try_from(DELAY_MAX.as_millis()).ok(),
            ..Capability::none("memory")
        }
    }

    fn publish(&self, envelope: Envelope) -> BoxFuture<'_, Result<Published, Error>> {
        Box::pin(async move {
            match (self.try_publish(envelope), self.settings.when_full) {
                (TryPublish::Done(result), _) => result,
                (TryPublish::WouldWait(envelope), WhenFull::Wait(longest)) => {
                    self.publish_waiting(envelope, longest).await
                }
                (TryPublish::WouldWait(envelope), WhenFull::Refuse) => {
                    Err(cannot_publish(&envelope, Error::exhausted, "a group is full"))
                }
            }
        })
    }

    fn try_publish(&self, envelope: Envelope) -> TryPublish {
        if let Err(error) = self.check(&envelope) {
            return TryPublish::Done(Err(error));
        }
        match (self.bus.0.offer(Arc::new(envelope)), self.settings.when_full) {
            (Offer::Done(published), _) => TryPublish::Done(Ok(published)),
            (Offer::Full(group, envelope), WhenFull::Refuse) => TryPublish::Done(Err(is_full(&envelope, &group))),
            (Offer::Full(_, envelope), WhenFull::Wait(_)) => TryPublish::WouldWait(Arc::unwrap_or_clone(envelope)),
        }
    }

    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Deliveries, Error>> {
        Box::pin(async move { self.join(&subscription) })
    }

    fn health(&self) -> Health {
        if self.is_closed() {
            Health::Closed
        } else {
            Health::Ready
        }
    }

    /// What the bus dropped, whichever of its bridges it was for.
    fn dropped(&self) -> Vec<(DropReason, u64)> {
        let (now, before) = (self.bus.stats(), &self.before);
        vec![
            (DropReason::Slow, now.dropped.saturating_sub(before.dropped)),
            (DropReason::Unheard, now.lost.saturating_sub(before.lost)),
            (
                DropReason::NoDeadLetter,
                now.dead_dropped.saturating_sub(before.dead_dropped),
            ),
        ]
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let seats: Vec<_> = {
                let mut seats = lock(&self.seats);
                self.closed.store(true, Ordering::SeqCst);
                self.bus.0.wake_publishers();
                seats.drain(..).filter_map(|seat| seat.upgrade()).collect()
            };
            for seat in &seats {
                seat.close();
                self.bus.0.leave(seat);
            }
            let deadline = Instant::now() + self.settings.close_grace.min(DELAY_MAX);
            for seat in &seats {
                if timeout_at(deadline, seat.wait_drained()).await.is_err() {
                    tracing::warn!("the memory bridge was closed while deliveries were out");
                    break;
                }
            }
            Ok(())
        })
    }
}

impl Drop for MemoryEventBridge {
    fn drop(&mut self) {
        for seat in lock(&self.seats).drain(..).filter_map(|seat| seat.upgrade()) {
            seat.close();
            self.bus.0.leave(&seat);
        }
    }
}
