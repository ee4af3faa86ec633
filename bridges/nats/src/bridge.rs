//! The bridge: publishing, subscribing, health and the end.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_nats::client::traits::Publisher;
use async_nats::message::OutboundMessage;
use async_nats::{Client, PublishErrorKind};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use roadshow_bridges::{
    Capability, ConnectContext, Deliveries, DropReason, Envelope, Error, EventBridge, Health, Parcel, Published, Reach,
    Subscription, TryPublish,
};
use tokio::time::{Instant, timeout};

use crate::connect;
use crate::counters::Counters;
use crate::feed::{Fed, Feed};
use crate::jetstream::{Durables, JetStream};
use crate::link::{self, Link};
use crate::live::{self, Later, Live, LiveSettler, STARTS_MAX};
use crate::queue::{DELAY_MAX, Queue, Source};
use crate::recovery;
use crate::replies::Replies;
use crate::settings::Settings;
use crate::tasks::{Fate, Tasks, lock};
use crate::wire::{self, Wire, payload_bytes_max};

/// How long a close waits for deliveries that are out.
const CLOSE_GRACE: Duration = Duration::from_secs(5);
/// How long a close waits for what was sent to reach the socket.
const FLUSH: Duration = Duration::from_secs(2);
/// How long the client may take to accept one message.
const ACCEPT: Duration = Duration::from_secs(5);

/// What the bridge and its tasks share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) link: Arc<Link>,
    pub(crate) wire: Wire,
    pub(crate) replies: Arc<Replies>,
    pub(crate) jetstream: Option<JetStream>,
    pub(crate) durables: Durables,
    queues: Mutex<Vec<Weak<Queue>>>,
    payload_max: usize,
}

impl Shared {
    /// Whether the server has read everything that was written so far.
    pub(crate) async fn probe(&self) -> bool {
        link::probe(&self.client, &self.replies).await
    }

    fn encode(&self, envelope: &Envelope) -> Result<OutboundMessage, Error> {
        self.wire.encode(envelope, self.payload_max)
    }

    /// Sends a message over NATS core.
    pub(crate) async fn send(&self, envelope: &Envelope) -> Result<(), Error> {
        let message = self.encode(envelope)?;
        self.send_message(message, envelope.identity.budget).await
    }

    /// Sends a message that is made already.
    pub(crate) async fn send_message(&self, message: OutboundMessage, budget: Option<Duration>) -> Result<(), Error> {
        let longest = budget.unwrap_or(ACCEPT).min(ACCEPT);
        match timeout(longest, self.client.publish_message(message)).await {
            Ok(sent) => sent.map_err(|error| cannot_send(&error)),
            Err(_elapsed) => Err(Error::unavailable(
                "cannot publish: the NATS server does not read what we send",
            )),
        }
    }

    /// Writes a dead letter and waits until it is kept.
    ///
    /// # Errors
    ///
    /// It is not kept.
    pub(crate) async fn bury(&self, parcel: &Parcel, group: Option<&str>, reason: &str) -> Result<(), Error> {
        let id = format!(
            "{}:{}:dlq",
            wire::message_id(&parcel.envelope),
            group.unwrap_or_default()
        );
        match &self.jetstream {
            Some(jetstream) => jetstream.bury(self, parcel, None, group, reason, id).await,
            None => Err(Error::unsupported(
                "cannot keep a dead letter: the NATS server has no JetStream",
            )),
        }
    }
}

/// What the client's refusal of a message means.
pub(crate) fn cannot_send(error: &async_nats::PublishError) -> Error {
    let made = match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => Error::rejected("cannot publish: payload and headers are too large"),
        PublishErrorKind::InvalidSubject => Error::rejected("cannot publish: the subject is not one"),
        PublishErrorKind::Send => Error::closed("cannot publish: the NATS client has ended"),
    };
    made.with("client", error)
}

/// One node's connection to a NATS server.
#[derive(Debug)]
pub(crate) struct NatsBridge {
    shared: Arc<Shared>,
    tasks: Tasks,
    capability: Capability,
}

impl NatsBridge {
    /// Connects, and is ready.
    ///
    /// # Errors
    ///
    /// As [`connect::connect`]; `Config` if JetStream is there and refuses our streams.
    pub(crate) async fn connect(settings: Settings, context: &ConnectContext) -> Result<Self, Error> {
        let counters = Arc::new(Counters::new());
        let replies = Arc::new(Replies::new(context));
        let link = Arc::new(Link::new(Arc::clone(&counters), Arc::clone(&replies)));
        let client = connect::connect(&settings, context, &link).await?;
        let tasks = Tasks::default();
        let subscriber = client.subscribe(replies.pattern()).await.map_err(|error| {
            Error::unavailable("cannot connect to the NATS server: the client has ended").with_source(error)
        })?;
        tasks.add(Fate::of_bridge(&link.presence), Arc::clone(&replies).run(subscriber));
        let changes = link.changes();
        if !link::probe(&client, &replies).await {
            return Err(
                Error::unavailable("cannot connect to the NATS server: it does not serve our inbox")
                    .with("server", settings.url.place()),
            );
        }
        let wire = Wire::new(context.namespace.clone(), counters);
        let jetstream = JetStream::open(&client, &replies, &context.namespace, &settings).await?;
        let capability = capability(&client, jetstream.as_ref());
        let shared = Arc::new(Shared {
            payload_max: payload_bytes_max(client.max_payload()),
            client,
            link,
            wire,
            replies,
            jetstream,
            durables: Durables::default(),
            queues: Mutex::default(),
        });
        tasks.add(
            Fate::of_bridge(&shared.link.presence),
            recovery::keep(Arc::clone(&shared)),
        );
        shared.link.confirmed(changes);
        Ok(Self {
            shared,
            tasks,
            capability,
        })
    }

    async fn send_when_ready(&self, envelope: Envelope) -> Result<Published, Error> {
        let shared = &self.shared;
        shared.link.presence.ready(envelope.identity.budget).await?;
        match &shared.jetstream {
            Some(jetstream) if shared.wire.is_event(envelope.subject.as_str()) => {
                let message = shared.encode(&envelope)?;
                jetstream.publish(&shared.link, message, &envelope).await
            }
            _ => shared.send(&envelope).await.map(|()| Published::Accepted),
        }
    }

    async fn join(&self, subscription: Subscription) -> Result<Deliveries, Error> {
        subscription.check()?;
        if subscription.reach == Reach::Rest {
            let why = "cannot subscribe: NATS does not tell what nobody else hears";
            return Err(Error::unsupported(why).with("subject", &subscription.subject));
        }
        self.shared.link.presence.ready(None).await?;
        if subscription.durable {
            return self.join_durable(&subscription).await;
        }
        let queue = Arc::new(Queue::new(live::rules(&subscription)));
        self.remember(&queue);
        let settler = Arc::new(LiveSettler {
            queue: Arc::clone(&queue),
            starts_max: subscription.starts_max.map_or(STARTS_MAX, std::num::NonZero::get),
        });
        let (pattern, client) = (live::pattern(&subscription), &self.shared.client);
        let subscriber = match &subscription.group {
            Some(group) => client.queue_subscribe(pattern, group.clone()).await,
            None => client.subscribe(pattern).await,
        };
        let subscriber = subscriber
            .map_err(|error| Error::rejected("cannot subscribe: the NATS client refuses it").with_source(error))?;
        let feed = Arc::new(Feed::new(&self.shared, &queue, subscriber, &subscription));
        // From here on a dropped future leaves no subscription behind.
        let deliveries = Deliveries::new(Fed {
            source: Source::new(Arc::clone(&queue), settler),
            feed: Arc::clone(&feed),
        });
        self.tasks.add(
            Fate::of_queue(&self.shared.link.presence, &queue),
            Live {
                shared: Arc::clone(&self.shared),
                queue,
                feed,
                group: subscription.group.clone(),
                later: Later::new(&subscription),
            }
            .run(),
        );
        self.confirm(&subscription).await?;
        Ok(deliveries)
    }

    async fn join_durable(&self, subscription: &Subscription) -> Result<Deliveries, Error> {
        let Some(jetstream) = &self.shared.jetstream else {
            let why = "cannot subscribe durably: the NATS server has no JetStream";
            return Err(Error::unsupported(why).with("subject", &subscription.subject));
        };
        let (queue, deliveries, task) = jetstream.subscribe(&self.shared, subscription).await?;
        self.remember(&queue);
        self.tasks
            .add(Fate::of_queue(&self.shared.link.presence, &queue), task.run());
        Ok(deliveries)
    }

    /// Waits until the server has read the subscription.
    async fn confirm(&self, subscription: &Subscription) -> Result<(), Error> {
        let confirmed = self.shared.probe().await;
        if let Health::Failed { reason } = self.shared.link.presence.health() {
            let error = Error::config("cannot subscribe: the NATS server does not allow it");
            return Err(error.with("subject", &subscription.subject).with("because", reason));
        }
        if confirmed {
            return Ok(());
        }
        let error = Error::unavailable("cannot subscribe: the NATS server does not confirm it");
        Err(error.with("subject", &subscription.subject))
    }

    fn remember(&self, queue: &Arc<Queue>) {
        let mut queues = lock(&self.shared.queues);
        queues.retain(|queue| queue.strong_count() > 0);
        queues.push(Arc::downgrade(queue));
    }

    async fn end(&self) -> Result<(), Error> {
        let shared = &self.shared;
        let was_ready = shared.link.presence.health().is_ready();
        shared.link.close();
        let queues: Vec<_> = lock(&shared.queues)
            .drain(..)
            .filter_map(|queue| queue.upgrade())
            .collect();
        for queue in &queues {
            queue.give_back_all();
        }
        let deadline = Instant::now() + CLOSE_GRACE;
        for queue in &queues {
            if !queue.all_over(deadline).await {
                tracing::warn!("the NATS bridge was closed while deliveries were out");
                break;
            }
        }
        // The server would go on sending to a group that was not left, and what is given back may not have been sent.
        if was_ready && !self.tasks.all_left(deadline).await {
            tracing::debug!("the NATS bridge was closed before its subscriptions were left");
        }
        let flushed = if was_ready {
            timeout(FLUSH, shared.client.flush())
                .await
                .is_ok_and(|flushed| flushed.is_ok())
        } else {
            true
        };
        // A client that is away does not answer; it ends when it is back, or with the process.
        drop(shared.client.drain().now_or_never());
        self.tasks.stop();
        if flushed {
            Ok(())
        } else {
            Err(Error::unavailable(
                "cannot close the NATS bridge cleanly: what was sent may not have left",
            ))
        }
    }
}

/// What a bridge to this server can do.
fn capability(client: &Client, jetstream: Option<&JetStream>) -> Capability {
    let mut can = Capability::none("nats");
    // What a server without JetStream gets is accepted by the client only. With it, every event is confirmed, which is all
    // that is durable; a command is confirmed by its reply.
    let durable = jetstream.is_some();
    (can.confirm, can.durable, can.dead_letters, can.server_dedup) = (durable, durable, durable, durable);
    can.durable_process = jetstream.is_some_and(JetStream::is_on_disk);
    can.overflow_visible = durable;
    can.unroutable = true;
    // A live subscription brings a message again within this process; a durable one, through the server.
    (can.redelivery, can.delay) = (true, true);
    can.redelivery_to_other = durable;
    can.ordered = true;
    can.payload_bytes_max = Some(payload_bytes_max(client.max_payload()));
    // Subject and reply address share the server's control line of 4,096 bytes.
    can.subject_bytes_max = Some(1024);
    can.delay_ms_max = u64::try_from(DELAY_MAX.as_millis()).ok();
    can
}

impl EventBridge for NatsBridge {
    fn capability(&self) -> Capability {
        self.capability.clone()
    }

    fn publish(&self, envelope: Envelope) -> BoxFuture<'_, Result<Published, Error>> {
        Box::pin(self.send_when_ready(envelope))
    }

    fn try_publish(&self, envelope: Envelope) -> TryPublish {
        let shared = &self.shared;
        let is_confirmed = shared.jetstream.is_some() && shared.wire.is_event(envelope.subject.as_str());
        if is_confirmed || !shared.link.presence.health().is_ready() {
            return TryPublish::WouldWait(envelope);
        }
        let message = match shared.encode(&envelope) {
            Ok(message) => message,
            Err(error) => return TryPublish::Done(Err(error)),
        };
        match shared.client.publish_message(message).now_or_never() {
            Some(Ok(())) => TryPublish::Done(Ok(Published::Accepted)),
            Some(Err(error)) => TryPublish::Done(Err(cannot_send(&error))),
            None => TryPublish::WouldWait(envelope),
        }
    }

    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Deliveries, Error>> {
        Box::pin(self.join(subscription))
    }

    fn reply_prefixes(&self) -> Vec<String> {
        vec!["_INBOX.".to_owned()]
    }

    fn renew(&self) {
        if self.shared.client.force_reconnect().now_or_never().is_none() {
            tracing::debug!("the NATS client is too busy to be told to reconnect; its pings will");
        }
    }

    fn health(&self) -> Health {
        self.shared.link.presence.health()
    }

    fn dropped(&self) -> Vec<(DropReason, u64)> {
        self.shared.wire.counters.dropped()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.end())
    }
}

impl Drop for NatsBridge {
    fn drop(&mut self) {
        self.shared.link.close();
        for queue in lock(&self.shared.queues).drain(..).filter_map(|queue| queue.upgrade()) {
            queue.give_back_all();
        }
        drop(self.shared.client.drain().now_or_never());
    }
}
