//! The event bridge: what the runtime holds of two connections.

mod sending;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use roadshow_bridges::{
    Capability, ConnectContext, Deliveries, DropReason, Envelope, Error, EventBridge, Health, IncarnationId, Namespace,
    NodeId, Presence, Published, Reach, Subject, Subscription,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::connection::FIRST_MAX;
use crate::consuming::{self, Consuming, Order};
use crate::counters::Counters;
use crate::ensured::Ensured;
use crate::layout::{Keeping, Layout};
use crate::publishing::{self, Publisher, Publishing};
use crate::readiness::{Readiness, Side};
use crate::seat::Seat;
use crate::settings::Settings;
use crate::source::Source;
use crate::text::SHORT_LEN_MAX;
use crate::tiers::DELAY_MAX;

/// How long a subscription waits for the broker's word.
const SUBSCRIBE_MAX: Duration = Duration::from_secs(10);
/// What the addresses begin with at which foreign clients wait for replies.
const REPLY_PREFIXES: [&str; 2] = ["amq.rabbitmq.reply-to.", "amq.gen-"];
/// The largest window that a consumer may ask for.
const WINDOW_MAX: usize = u16::MAX as usize;

/// How far closing has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nobody closes.
    Open,
    /// Groups, and subscribers without group, end.
    Groups,
    /// Inboxes end too.
    Inboxes,
    /// Nothing is published any more.
    Publishing,
}

impl Phase {
    /// Whether a subscription ends now.
    pub(crate) fn ends(self, keeping: Keeping) -> bool {
        match self {
            Self::Open => false,
            Self::Groups => keeping != Keeping::Inbox,
            Self::Inboxes | Self::Publishing => true,
        }
    }

    /// Whether the publishing connection ends now.
    pub(crate) fn stops_publishing(self) -> bool {
        self == Self::Publishing
    }
}

/// What the tasks of one bridge share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) layout: Layout,
    pub(crate) namespace: Namespace,
    pub(crate) node: NodeId,
    pub(crate) incarnation: IncarnationId,
    pub(crate) readiness: Readiness,
    pub(crate) counters: Counters,
    /// The queues that are known to be there.
    pub(crate) ensured: Ensured,
    /// Counts the wishes for new connections.
    pub(crate) renew: watch::Sender<u64>,
    pub(crate) closing: watch::Sender<Phase>,
}

impl Shared {
    /// Waits until closing has come that far.
    pub(crate) async fn closing(&self, far_enough: impl Fn(Phase) -> bool) {
        // An error means that nobody can close any more, and then the tasks are aborted.
        let _ = self.closing.subscribe().wait_for(|phase| far_enough(*phase)).await;
    }
}

/// Which subscriptions belong to one queue.
type Groups = HashMap<String, (Subject, Reach, Weak<Seat>)>;

/// One node's connections to RabbitMQ.
pub(crate) struct AmqpBridge {
    shared: Arc<Shared>,
    publisher: Publisher,
    orders: mpsc::Sender<Order>,
    next_seat: AtomicU64,
    groups: Mutex<Groups>,
    /// The tasks of the connections; taken when the bridge is closed, aborted when it is dropped.
    tasks: Mutex<Option<Tasks>>,
}

struct Tasks {
    consuming: JoinSet<()>,
    publishing: JoinSet<()>,
}

impl AmqpBridge {
    /// Connects.
    ///
    /// # Errors
    ///
    /// `Config` if the broker refuses us or something exists that contradicts what we declare, `Unavailable` otherwise.
    pub(crate) async fn connect(settings: Settings, context: &ConnectContext) -> Result<Self, Error> {
        let readiness = Readiness::new(Presence::new());
        let shared = Arc::new(Shared {
            settings,
            layout: Layout::new(context)?,
            namespace: context.namespace.clone(),
            node: context.node.clone(),
            incarnation: context.incarnation,
            readiness,
            counters: Counters::default(),
            ensured: Ensured::default(),
            renew: watch::Sender::new(0),
            closing: watch::Sender::new(Phase::Open),
        });
        let late = |_| Error::unavailable("cannot connect to RabbitMQ: it does not answer in time");
        let opening = async {
            let to_publish = publishing::open(&shared, FIRST_MAX).await?;
            let to_consume = consuming::open(&shared, FIRST_MAX).await?;
            Ok::<_, Error>((to_publish, to_consume))
        };
        let (to_publish, to_consume) = timeout(FIRST_MAX, opening).await.map_err(late)??;
        let (publishing, publisher) = Publishing::new(Arc::clone(&shared));
        let (consuming, orders) = Consuming::new(Arc::clone(&shared), publisher.clone());
        let mut tasks = Tasks {
            consuming: JoinSet::new(),
            publishing: JoinSet::new(),
        };
        // Said here, so that a bridge is ready when it is handed out.
        shared.readiness.publishing(Side::Up);
        shared.readiness.consuming(Side::Up);
        tasks.publishing.spawn(publishing.run(to_publish));
        tasks.consuming.spawn(consuming.run(to_consume));
        Ok(Self {
            shared,
            publisher,
            orders,
            next_seat: AtomicU64::new(1),
            groups: Mutex::default(),
            tasks: Mutex::new(Some(tasks)),
        })
    }

    fn is_closing(&self) -> bool {
        *self.shared.closing.borrow() != Phase::Open
    }

    async fn subscribed(&self, subscription: Subscription) -> Result<Deliveries, Error> {
        let subject = subscription.subject.clone();
        self.check(&subscription)?;
        let queue = self.shared.layout.plan(&subscription, "")?.queue.name;
        // A broker that takes no messages still serves who consumes.
        if self.shared.readiness.why_blocked().is_none() {
            self.shared.readiness.presence().ready(None).await?;
        }
        let id = self.next_seat.fetch_add(1, Ordering::Relaxed);
        let (seat, inbound) = Seat::new(id, subscription);
        let seat = Arc::new(seat);
        self.claim(queue.as_str(), &seat)?;
        let source = Source::new(Arc::clone(&seat), inbound);
        let (answer, told) = oneshot::channel();
        let order = Order { seat, answer };
        let closed = || Error::closed("cannot subscribe: the bridge is closed").with("subject", &subject);
        let late = |_| Error::unavailable("cannot subscribe: RabbitMQ does not answer").with("subject", &subject);
        let asking = async {
            self.orders.send(order).await.map_err(|_| closed())?;
            told.await
                .map_err(|_| Error::unavailable("cannot subscribe: the connection was lost"))?
        };
        timeout(SUBSCRIBE_MAX, asking).await.map_err(late)??;
        Ok(Deliveries::new(source))
    }

    fn check(&self, subscription: &Subscription) -> Result<(), Error> {
        if self.is_closing() {
            return Err(Error::closed("cannot subscribe: the bridge is closed").with("subject", &subscription.subject));
        }
        if subscription.window.get() > WINDOW_MAX {
            let error = Error::unsupported("cannot subscribe: the window is too large");
            return Err(error.with("window", subscription.window).with("limit", WINDOW_MAX));
        }
        Ok(())
    }

    /// Refuses a group that is one of another subject already: both would be bound to one queue.
    fn claim(&self, queue: &str, seat: &Arc<Seat>) -> Result<(), Error> {
        let Subscription {
            subject, reach, group, ..
        } = &seat.subscription;
        let Some(group) = group else { return Ok(()) };
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.retain(|_, (_, _, seat)| seat.strong_count() > 0);
        let entry = groups.entry(queue.to_owned());
        let (taken, taken_reach, holder) = entry.or_insert_with(|| (subject.clone(), *reach, Arc::downgrade(seat)));
        if (&*taken, &*taken_reach) != (subject, reach) {
            let error = Error::config("cannot subscribe: the group hears another subject already");
            return Err(error
                .with("group", group)
                .with("hears", &*taken)
                .with("subject", subject));
        }
        *holder = Arc::downgrade(seat);
        Ok(())
    }

    fn tasks(&self) -> MutexGuard<'_, Option<Tasks>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn closed(&self) {
        let taken = self.tasks().take();
        let Some(mut tasks) = taken else { return };
        self.shared.closing.send_if_modified(|phase| {
            let first = *phase == Phase::Open;
            if first {
                *phase = Phase::Groups;
            }
            first
        });
        while tasks.consuming.join_next().await.is_some() {}
        self.shared.closing.send_replace(Phase::Publishing);
        while tasks.publishing.join_next().await.is_some() {}
        self.shared.readiness.presence().set(Health::Closed);
    }
}

/// What the bridge can do, with this limit of a payload.
pub(crate) fn capability(payload_bytes_max: usize) -> Capability {
    let mut capability = Capability::none("amqp");
    capability.confirm = true;
    capability.unroutable = true;
    capability.durable = true;
    capability.durable_process = true;
    capability.redelivery = true;
    capability.redelivery_to_other = true;
    capability.delay = true;
    capability.dead_letters = true;
    capability.ordered = true;
    capability.holds_backlog = true;
    capability.overflow_visible = true;
    capability.depth = true;
    capability.rest = true;
    capability.payload_bytes_max = Some(payload_bytes_max);
    capability.subject_bytes_max = Some(SHORT_LEN_MAX);
    capability.window_max = Some(WINDOW_MAX);
    capability.delay_ms_max = u64::try_from(DELAY_MAX.as_millis()).ok();
    capability
}

impl EventBridge for AmqpBridge {
    fn capability(&self) -> Capability {
        capability(self.shared.settings.payload_bytes_max)
    }

    fn publish(&self, envelope: Envelope) -> BoxFuture<'_, Result<Published, Error>> {
        Box::pin(async move {
            let published = self.published(&envelope).await;
            published.map_err(|error| error.with("subject", &envelope.subject))
        })
    }

    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Deliveries, Error>> {
        Box::pin(self.subscribed(subscription))
    }

    fn reply_prefixes(&self) -> Vec<String> {
        REPLY_PREFIXES.map(str::to_owned).to_vec()
    }

    fn renew(&self) {
        self.shared.renew.send_modify(|count| *count += 1);
    }

    fn health(&self) -> Health {
        self.shared.readiness.presence().health()
    }

    fn dropped(&self) -> Vec<(DropReason, u64)> {
        self.shared.counters.dropped()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.closed().await;
            Ok(())
        })
    }
}

impl fmt::Debug for AmqpBridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpBridge")
            .field("broker", &self.shared.settings.url.place())
            .field("health", &self.health())
            .field("counters", &self.shared.counters)
            .finish_non_exhaustive()
    }
}
