//! What the tasks and the callers of one bridge share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use roadshow_bridges::{Envelope, Error, Health, Kind, MessageId, Namespace, Presence};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::group::{Group, Item};
use crate::lock;
use crate::marks::{self, GROUP};
use crate::outbox::{Outbox, Target};
use crate::outlet::Outlet;
use crate::packet;
use crate::recent::{Published, Recent};
use crate::records::{self, Records};
use crate::room::Room;
use crate::routes::{Route, Routes};
use crate::settings::Settings;
use crate::topic::Topics;
use crate::wire::{Counters, Load, Message, Receipt, Sent, Wire, properties_bytes};

mod topology;

pub(crate) use self::topology::{Asked, Joined};

/// How long the broker may take to answer.
pub(crate) const ANSWER: Duration = Duration::from_secs(5);
/// How many publishes of callers are with the client at a time.
const FLIGHTS: usize = 1024;
/// What a message counts beside its payload and its headers, in bytes.
const MESSAGE_BYTES: usize = 512;
/// The user property of a message that only says that everything before it has arrived.
const FENCE: &str = "fence";

/// What the tasks and the callers of one bridge share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) namespace: Namespace,
    pub(crate) topics: Topics,
    /// Names our outbox on the wire.
    pub(crate) outbox_id: u128,
    pub(crate) presence: Presence,
    pub(crate) routes: Routes,
    pub(crate) outlet: Arc<Outlet>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) outbox: Mutex<Outbox>,
    /// Where publishers wait when the outbox is full.
    pub(crate) room: Room,
    pub(crate) known: Mutex<Known>,
    pub(crate) flights: Semaphore,
    pub(crate) flights_waiting: AtomicUsize,
    /// Asks for a new connection.
    renew: Notify,
    pub(crate) closing: AtomicBool,
    wire: RwLock<Option<Arc<Wire>>>,
    /// Held while a filter is added or removed and the broker is told: the two must not overtake each other.
    topology: Mutex<()>,
    fences: Mutex<HashMap<u64, oneshot::Sender<()>>>,
    next_fence: AtomicU64,
}

/// What is known of durable groups, and what was published while a record may have been on its way.
#[derive(Debug, Default)]
pub(crate) struct Known {
    records: Records,
    recent: Recent,
}

impl Shared {
    pub(crate) fn new(settings: Settings, namespace: Namespace, outbox_id: u128) -> Self {
        let counters = Arc::<Counters>::default();
        let topics = Topics::new(&namespace);
        let routes = Routes::new();
        routes.add(&topics.records(), Route::Records);
        routes.add(&topics.acks(outbox_id), Route::Marks);
        Self {
            outbox: Mutex::new(Outbox::new(settings.outbox_messages_max, settings.outbox_bytes_max)),
            room: Room::new(),
            settings,
            namespace,
            topics,
            outbox_id,
            presence: Presence::new(),
            routes,
            outlet: Arc::new(Outlet::new(Arc::clone(&counters))),
            counters,
            known: Mutex::default(),
            flights: Semaphore::new(FLIGHTS),
            flights_waiting: AtomicUsize::new(0),
            renew: Notify::new(),
            closing: AtomicBool::new(false),
            wire: RwLock::new(None),
            topology: Mutex::new(()),
            fences: Mutex::default(),
            next_fence: AtomicU64::new(0),
        }
    }

    /// The connection of now.
    pub(crate) fn wire(&self) -> Option<Arc<Wire>> {
        self.wire.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the bridge is being closed.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Whether the bridge has failed for good.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.presence.health(), Health::Failed { .. })
    }

    /// Asks for a new connection, if there is one now: what is being made already need not be asked for.
    pub(crate) fn renew(&self) {
        if self.presence.health().is_ready() {
            self.end_connection();
        }
    }

    /// Ends the connection of now, if there is one; a later one hears nothing of it.
    pub(crate) fn end_connection(&self) {
        self.renew.notify_waiters();
    }

    /// Waits until the connection that lives now has to end; from this call on, not from the first poll.
    pub(crate) fn renewed(&self) -> Notified<'_> {
        self.renew.notified()
    }

    /// Publishes a durable group's record.
    pub(crate) async fn announce(&self, wire: &Wire, record: &str) -> Sent {
        let payload = records::encode(unix_ms());
        self.take_record(record, &payload);
        let mut message = Message::plain(record.to_owned(), payload);
        message.retain = true;
        wire.send(message, Instant::now() + ANSWER).await
    }

    /// Waits until everything that the broker had for us before has arrived; `false` if that cannot be known.
    pub(crate) async fn fence(&self, wire: &Wire, until: Instant) -> bool {
        let number = self.next_fence.fetch_add(1, Ordering::Relaxed);
        let (here, arrives) = oneshot::channel();
        lock(&self.fences).insert(number, here);
        let mut message = Message::plain(self.topics.acks(self.outbox_id), Bytes::new());
        let property = (FENCE.to_owned(), number.to_string());
        message.properties.user_properties.push(property);
        let sent = matches!(wire.send(message, until).await, Sent::Routed);
        let arrived = sent && matches!(timeout_at(until, arrives).await, Ok(Ok(())));
        lock(&self.fences).remove(&number);
        arrived
    }

    /// Takes what the broker has sent us. Never waits.
    pub(crate) fn take(&self, wire: &Arc<Wire>, mut publish: rumqttc::Publish) {
        let properties = publish.properties.as_ref();
        let bytes = publish.payload.len() + properties.map_or(0, properties_bytes) + MESSAGE_BYTES;
        let load = Arc::new(Load::new(&self.counters, bytes));
        let receipt = Arc::new(Receipt::new(wire, &publish));
        let Ok(topic) = std::str::from_utf8(&publish.topic) else {
            Counters::count(&self.counters.unreadable);
            return;
        };
        let ids = properties.map(|properties| &*properties.subscription_identifiers);
        let routes = self.routes.find(ids.unwrap_or_default(), topic);
        if routes.is_empty() {
            Counters::count(&self.counters.unheard);
            tracing::debug!(topic, "a message came for a subscription that is gone");
            return;
        }
        let mut groups = Vec::with_capacity(routes.len());
        for route in routes {
            match route {
                Route::Group(group) => groups.push(group),
                Route::Records => self.take_record(topic, &publish.payload),
                Route::Marks => self.take_marks(&publish),
            }
        }
        let over = self.counters.inbound_bytes.load(Ordering::Relaxed) > self.settings.inbound_bytes_max;
        if groups.is_empty() {
            return;
        }
        if over {
            Counters::count(&self.counters.slow);
            tracing::debug!(topic, "too much waits for its subscribers, a message is dropped");
            return;
        }
        let original = self.topics.parse_again(topic).map_or(topic, |(_, original)| original);
        let Some(subject) = self.topics.subject(original) else {
            Counters::count(&self.counters.unreadable);
            return;
        };
        if publish.payload.is_empty() && self.topics.is_dead(topic) {
            // A dead letter was removed.
            return;
        }
        let fresh = MessageId::from_u128(rand::random());
        let payload = std::mem::take(&mut publish.payload);
        let incoming = packet::read(
            &self.namespace,
            &self.topics,
            subject,
            payload,
            publish.properties.take(),
            fresh,
        );
        let dropped = u64::from(incoming.received.dropped);
        if dropped > 0 {
            self.counters.headers_dropped.fetch_add(dropped, Ordering::Relaxed);
            tracing::debug!(dropped, "headers of a message could not be read");
        }
        self.hand_out(&groups, incoming, receipt, &load);
    }

    fn hand_out(&self, groups: &[Arc<Group>], incoming: packet::Incoming, receipt: Arc<Receipt>, load: &Arc<Load>) {
        let envelope = Arc::new(incoming.received.envelope);
        let since = Instant::now();
        let mut receipt = Some(receipt);
        for (place, group) in groups.iter().enumerate() {
            let last = place + 1 == groups.len();
            let receipt = if last { receipt.take() } else { receipt.clone() };
            group.deliver(Item {
                envelope: Arc::clone(&envelope),
                starts: 0,
                since,
                outbox: incoming.outbox,
                receipt,
                load: Some(Arc::clone(load)),
            });
        }
    }

    fn take_record(&self, topic: &str, payload: &[u8]) {
        let now = Instant::now();
        let mut known = lock(&self.known);
        let Some(applied) = known.records.apply(&self.topics, topic, payload, unix_ms()) else {
            return;
        };
        let event = self.topics.parse_record(topic).map_or("", |(event, _)| event);
        let missed = if applied.is_new {
            known.recent.on(event, now)
        } else {
            Vec::new()
        };
        drop(known);
        for published in missed {
            self.keep(published, vec![applied.target.clone()]);
        }
        lock(&self.outbox).joined(&applied.target.again, now);
        self.outlet.wake.notify_one();
    }

    /// Remembers an event that the broker has confirmed, and keeps it for groups whose record came meanwhile.
    pub(crate) fn confirmed(&self, published: Published, targets: &[Target]) {
        let mut known = lock(&self.known);
        let mut news = known.records.targets(&published.topic, unix_ms());
        known.recent.add(published.clone(), Instant::now());
        drop(known);
        news.retain(|target| !targets.contains(target));
        if !news.is_empty() {
            self.keep(published, news);
        }
    }

    /// Forgets events that no record can be on its way for any more.
    pub(crate) fn forget_old_events(&self, now: Instant) {
        lock(&self.known).recent.forget(now);
    }

    fn keep(&self, published: Published, targets: Vec<Target>) {
        let age_max = self.settings.outbox_age_max;
        let now = Instant::now();
        let kept = lock(&self.outbox).keep(published.envelope, published.bytes, targets, now, age_max);
        if kept.is_err() {
            Counters::count(&self.counters.expired);
            tracing::warn!("the outbox is full, an event is not kept for a new group");
        }
    }

    fn take_marks(&self, publish: &rumqttc::Publish) {
        let Some(properties) = &publish.properties else { return };
        let users = &properties.user_properties;
        let value = |name: &str| {
            let found = users.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        if let Some(number) = value(FENCE).and_then(|text| text.parse().ok())
            && let Some(here) = lock(&self.fences).remove(&number)
        {
            // Nobody may wait for it any more.
            let _ = here.send(());
        }
        let Some(group) = value(GROUP) else { return };
        let now = Instant::now();
        let mut given_back = false;
        let mut outbox = lock(&self.outbox);
        for mark in marks::decode(&publish.payload) {
            given_back |= mark.verdict == marks::Verdict::GivenBack;
            outbox.mark(group, mark, now);
        }
        drop(outbox);
        self.room.freed();
        if given_back {
            self.outlet.wake.notify_one();
        }
    }

    /// Who has to settle a message: each group on record for an event, anybody for a command with a key.
    pub(crate) fn targets(&self, envelope: &Envelope, topic: &str) -> Vec<Target> {
        match envelope.kind {
            Kind::Event => lock(&self.known).records.targets(topic, unix_ms()),
            Kind::Command if envelope.identity.key().is_some() => vec![Target {
                group: None,
                again: topic.into(),
            }],
            _ => Vec::new(),
        }
    }

    /// The error of a full outbox.
    pub(crate) fn outbox_full(&self, envelope: &Envelope) -> Error {
        Error::exhausted("cannot publish: the outbox is full of what is not settled yet")
            .with("subject", &envelope.subject)
            .with("messages", self.settings.outbox_messages_max)
            .with("bytes", self.settings.outbox_bytes_max)
    }
}

/// The machine's wall clock, in milliseconds of Unix time.
#[expect(
    clippy::disallowed_methods,
    reason = "a bridge has no node's clock, and records are believed for a day by all machines"
)]
pub(crate) fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
