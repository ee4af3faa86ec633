//! One node's connection to an MQTT broker.

use std::fmt;
use std::future::ready;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use roadshow_bridges::{
    Capability, ConnectContext, Deliveries, DropReason, Envelope, Error, EventBridge, Health, Published, Subscription,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::connect::{Door, Opened, PACKET_REST};
use crate::group::{DELAY_MAX, Group};
use crate::publishing::{self, Outgoing};
use crate::pump::{self, Refusal};
use crate::settings::{PAYLOAD_BYTES_MAX, Settings};
use crate::shared::{ANSWER, Asked, Joined, Shared};
use crate::topic::{Filters, TOPIC_LEN_MAX};
use crate::wire::{Sent, Wire};
use crate::{keeper, lock};

/// How long `close` waits for deliveries that are out.
const CLOSE_GRACE: Duration = Duration::from_secs(4);
/// How long `close` waits for the outbox, and then for the connection's end.
const FLUSH: Duration = Duration::from_secs(2);
/// How long a subscription waits for a lost connection to be known as lost.
const RETRY_AFTER: Duration = Duration::from_millis(20);
/// How often `close` looks whether everything is told.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How often something happened on a bridge that should be rare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MqttCounts {
    /// Acknowledgements that came after their connection.
    pub acks_stale: u64,
    /// Headers that could not be read.
    pub headers_dropped: u64,
    /// Messages that nobody could take, or that came beyond a bound.
    pub messages_dropped: u64,
    /// Messages that came a second time and were not handed out again.
    pub duplicates: u64,
    /// Messages that the outbox sent again.
    pub resent: u64,
    /// Messages that the outbox gave up.
    pub expired: u64,
    /// Messages that the outbox keeps now.
    pub kept: u64,
}

/// One node's connection to an MQTT broker.
pub struct MqttEventBridge {
    shared: Arc<Shared>,
    capability: Capability,
    /// The connection's task and the keeper's; they end with the bridge.
    tasks: Mutex<JoinSet<()>>,
}

impl MqttEventBridge {
    pub(crate) fn new(
        settings: Settings,
        context: &ConnectContext,
        outbox_id: u128,
        door: Door,
        opened: Opened,
    ) -> Self {
        let room = opened.packet_bytes_max.saturating_sub(PACKET_REST);
        let mut capability = declared();
        capability.payload_bytes_max = Some(settings.payload_bytes_max.min(room));
        capability.window_max = Some(usize::from(settings.receive_maximum));
        let shared = Arc::new(Shared::new(settings, context.namespace.clone(), outbox_id));
        let mut tasks = JoinSet::new();
        tasks.spawn(pump::run(Arc::clone(&shared), door, opened));
        tasks.spawn(keeper::run(Arc::clone(&shared)));
        Self {
            shared,
            capability,
            tasks: Mutex::new(tasks),
        }
    }

    /// How often something happened that should be rare.
    pub fn counts(&self) -> MqttCounts {
        let counters = &self.shared.counters;
        MqttCounts {
            acks_stale: counters.acks_stale.load(Ordering::Relaxed),
            headers_dropped: counters.headers_dropped.load(Ordering::Relaxed),
            messages_dropped: counters.messages_dropped(),
            duplicates: counters.duplicates.load(Ordering::Relaxed),
            resent: counters.resent.load(Ordering::Relaxed),
            expired: counters.expired.load(Ordering::Relaxed),
            kept: lock(&self.shared.outbox).len() as u64,
        }
    }

    /// Ends the bridge as a crash does: the connection is closed, and nobody is told anything. For tests of what others
    /// make of it.
    pub fn abort(&self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        lock(&self.tasks).abort_all();
        self.shared.presence.set(Health::Closed);
        self.shared.outlet.shut();
    }

    async fn join(&self, subscription: Subscription) -> Result<Deliveries, Error> {
        subscription.check()?;
        let filters = self.shared.topics.filters(&subscription)?;
        let until = Instant::now() + ANSWER * 2;
        let mut joined = self.enter(&subscription, &filters, until).await?;
        self.confirm(&filters.main, &joined.group, &mut joined.open, until)
            .await?;
        Ok(Deliveries::new(joined.source))
    }

    async fn enter(&self, subscription: &Subscription, filters: &Filters, until: Instant) -> Result<Joined, Error> {
        let mut departures = self.shared.outlet.departures();
        loop {
            if let Some(joined) = self.shared.enter(subscription, filters)? {
                return Ok(joined);
            }
            if self.shared.has_failed() {
                self.shared.presence.ready(None).await?;
            }
            // A filter that is on its way out must not end the one that comes.
            if !matches!(timeout_at(until, departures.changed()).await, Ok(Ok(()))) {
                let why = "cannot subscribe: the broker does not end what was subscribed before";
                return Err(Error::unavailable(why).with("filter", &filters.main));
            }
        }
    }

    /// Sees to it that the broker has confirmed a group's filters, and that its record stands, on the connection of now.
    async fn confirm(&self, main: &str, group: &Group, open: &mut [Asked], until: Instant) -> Result<(), Error> {
        let shared = &self.shared;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            shared.presence.ready(Some(left)).await?;
            if let Some(wire) = shared.wire()
                && self.confirm_on(&wire, open, until).await?
                && self.announce(&wire, group).await?
            {
                return Ok(());
            }
            if shared.is_closing() {
                return Err(Error::closed("cannot subscribe: the bridge is closed").with("filter", main));
            }
            if Instant::now() >= until {
                return Err(Error::unavailable("cannot subscribe: the broker does not answer").with("filter", main));
            }
            // The connection was lost just now, and is about to be known as such.
            sleep(RETRY_AFTER).await;
        }
    }

    async fn confirm_on(&self, wire: &Wire, open: &mut [Asked], until: Instant) -> Result<bool, Error> {
        let shared = &self.shared;
        for asked in open {
            if shared.routes.is_confirmed(asked.id, wire.epoch) {
                continue;
            }
            let notice = asked.notice.take().or_else(|| shared.ask_again(asked.id, &asked.text));
            match pump::confirmed(notice, until).await {
                Ok(()) => shared.routes.confirm(asked.id, wire.epoch),
                Err(Refusal::Lost) => return Ok(false),
                Err(Refusal::Refused(code)) => {
                    return Err(Error::config("cannot subscribe: the broker refused it")
                        .with("filter", &asked.text)
                        .with("reason", format_args!("{code:?}")));
                }
            }
        }
        Ok(true)
    }

    async fn announce(&self, wire: &Wire, group: &Group) -> Result<bool, Error> {
        let Some(record) = &group.record else {
            return Ok(true);
        };
        match self.shared.announce(wire, record).await {
            Sent::Routed | Sent::Unrouted => Ok(true),
            Sent::Unknown | Sent::Unsent => Ok(false),
            Sent::Refused(error) => Err(error.with("record", record)),
        }
    }

    async fn shut(&self) -> Result<(), Error> {
        let shared = &self.shared;
        if shared.closing.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        shared.room.freed();
        let groups = shared.groups();
        groups.iter().for_each(Group::close);
        let grace = Instant::now() + CLOSE_GRACE;
        while groups.iter().any(|group| group.outstanding() > 0) {
            if timeout_at(grace, shared.outlet.drained.notified()).await.is_err() {
                tracing::warn!("the bridge was closed while deliveries were out");
                break;
            }
        }
        let flushed = Instant::now() + FLUSH;
        let is_told = || shared.outlet.is_idle() && lock(&shared.outbox).open() == 0;
        shared.outlet.wake.notify_one();
        while !is_told() && Instant::now() < flushed {
            sleep(LOOK_EVERY).await;
        }
        let kept = lock(&shared.outbox).len();
        if let Some(wire) = shared.wire() {
            wire.send_acks();
            let _ = wire.client().disconnect_with_timeout(FLUSH / 2).await;
            let mut tasks = std::mem::take(&mut *lock(&self.tasks));
            let _ = timeout(FLUSH, tasks.join_next()).await;
        }
        shared.presence.set(Health::Closed);
        lock(&self.tasks).abort_all();
        shared.outlet.shut();
        if kept > 0 {
            tracing::warn!(kept, "the bridge was closed while groups had not settled everything");
        }
        Ok(())
    }
}

/// What every bridge of this adapter can do; the limits are those of a URL that names none.
pub(crate) fn declared() -> Capability {
    let mut capability = Capability::none("mqtt");
    capability.confirm = true;
    capability.unroutable = true;
    capability.durable = true;
    capability.durable_process = true;
    capability.redelivery = true;
    capability.redelivery_to_other = true;
    capability.delay = true;
    capability.dead_letters = true;
    capability.ordered = true;
    capability.payload_bytes_max = Some(PAYLOAD_BYTES_MAX);
    capability.subject_bytes_max = Some(TOPIC_LEN_MAX);
    capability.window_max = Some(usize::from(u16::MAX));
    capability.delay_ms_max = u64::try_from(DELAY_MAX.as_millis()).ok();
    capability
}

impl EventBridge for MqttEventBridge {
    fn capability(&self) -> Capability {
        self.capability.clone()
    }

    fn publish(&self, envelope: Envelope) -> BoxFuture<'_, Result<Published, Error>> {
        let payload_bytes_max = self.capability.payload_bytes_max.unwrap_or(usize::MAX);
        match Outgoing::new(&self.shared, envelope, payload_bytes_max) {
            Ok(outgoing) => Box::pin(publishing::publish(&self.shared, outgoing)),
            Err(error) => Box::pin(ready(Err(error))),
        }
    }

    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Deliveries, Error>> {
        Box::pin(self.join(subscription))
    }

    fn reply_prefixes(&self) -> Vec<String> {
        vec![format!("{}/reply/", self.shared.namespace)]
    }

    fn renew(&self) {
        self.shared.renew();
    }

    fn health(&self) -> Health {
        self.shared.presence.health()
    }

    fn dropped(&self) -> Vec<(DropReason, u64)> {
        self.shared.counters.dropped()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.shut())
    }
}

impl fmt::Debug for MqttEventBridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MqttEventBridge")
            .field("broker", &self.shared.settings.url.place())
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

impl Drop for MqttEventBridge {
    fn drop(&mut self) {
        self.shared.presence.set(Health::Closed);
        for group in self.shared.routes.groups() {
            group.close();
        }
        self.shared.outlet.shut();
    }
}
