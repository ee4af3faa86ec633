//! The three acts of the bare client.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::{self, stream};
use async_nats::{Client, HeaderMap, HeaderValue};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use roadshow_bridges::{BareRun, Error};
use tokio::task::JoinSet;

use super::{Outgoing, failed};
use crate::link::PROBE;

/// The header by which JetStream knows a message that comes twice.
const MESSAGE_ID: &str = "Nats-Msg-Id";
/// How many messages a durable subscriber asks for at a time.
const BATCH: usize = 256;
/// The stream of every run: each has its own subject in it, and what nobody durable waits for is not kept.
const STREAM: &str = "bare";
/// What it hears.
const HEARD: [&str; 2] = ["bare.*.durable", "bare.*.event"];
/// After which silence the server forgets the consumer of a run.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// What was received so far.
type Received = Arc<AtomicU64>;

/// Waits until the server has read every subscription of a client: the client's own flush empties the socket only.
async fn until_read(client: &Client) -> Result<(), Error> {
    let inbox = client.new_inbox();
    let mut echo = client.subscribe(inbox.clone()).await.map_err(failed)?;
    client.publish(inbox, bytes::Bytes::new()).await.map_err(failed)?;
    let echoed = tokio::time::timeout(PROBE, echo.next()).await;
    echoed.map(drop).map_err(failed)
}

/// Requests through one responder that echoes.
pub(super) struct Requests {
    client: Client,
    outgoing: Outgoing,
    received: Received,
    _tasks: JoinSet<()>,
}

impl Requests {
    pub(super) async fn prepare(client: Client, there: &Client, outgoing: Outgoing) -> Result<Self, Error> {
        let received = Received::default();
        let mut requests = there
            .queue_subscribe(outgoing.subject.clone(), "bare".to_owned())
            .await
            .map_err(failed)?;
        until_read(there).await?;
        let mut tasks = JoinSet::new();
        let (responder, count) = (there.clone(), Arc::clone(&received));
        tasks.spawn(async move {
            while let Some(request) = requests.next().await {
                count.fetch_add(1, Ordering::Relaxed);
                let Some(reply) = request.reply else { continue };
                if responder.publish(reply, request.payload).await.is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            client,
            outgoing,
            received,
            _tasks: tasks,
        })
    }
}

impl BareRun for Requests {
    fn once(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            let Outgoing {
                subject,
                headers,
                payload,
            } = &self.outgoing;
            let request = self
                .client
                .request_with_headers(subject.clone(), headers.clone(), payload.clone());
            request.await.map(drop).map_err(failed)
        })
    }

    fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

/// Publishes with a confirmation, as JetStream gives it.
struct Confirmed {
    context: jetstream::Context,
    outgoing: Outgoing,
    /// What the ids of this run begin with: the stream remembers those of the runs before.
    run: u64,
    next: AtomicU64,
}

impl Confirmed {
    /// Finds the stream, or makes it, or lets it hear what it must.
    async fn prepare(client: Client, outgoing: Outgoing, max_bytes: i64) -> Result<Self, Error> {
        let context = jetstream::new(client);
        let config = stream::Config {
            name: STREAM.to_owned(),
            subjects: HEARD.map(str::to_owned).to_vec(),
            retention: stream::RetentionPolicy::Interest,
            storage: stream::StorageType::File,
            discard: stream::DiscardPolicy::New,
            max_bytes,
            duplicate_window: Duration::from_secs(120),
            num_replicas: 1,
            ..stream::Config::default()
        };
        let stream = context.get_or_create_stream(config).await.map_err(failed)?;
        let found = &stream.cached_info().config;
        if HEARD
            .iter()
            .any(|heard| !found.subjects.iter().any(|subject| subject == heard))
        {
            let config = stream::Config {
                subjects: HEARD.map(str::to_owned).to_vec(),
                ..found.clone()
            };
            context.update_stream(config).await.map_err(failed)?;
        }
        Ok(Self {
            context,
            outgoing,
            run: rand::random(),
            next: AtomicU64::new(0),
        })
    }

    async fn publish(&self) -> Result<(), Error> {
        let Outgoing {
            subject,
            headers,
            payload,
        } = &self.outgoing;
        let mut headers: HeaderMap = headers.clone();
        // Each message has an id of its own, as long as ours.
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        headers.insert(MESSAGE_ID, HeaderValue::from(format!("{:016x}{number:016x}", self.run)));
        let publish = self
            .context
            .publish_with_headers(subject.clone(), headers, payload.clone());
        let confirmed = publish.await.map_err(failed)?.await.map_err(failed)?;
        if confirmed.duplicate {
            let why = "cannot measure the bare NATS client: the stream takes a message for one it has";
            return Err(Error::unavailable(why));
        }
        Ok(())
    }
}

/// Events to plain subscribers, published with a confirmation as ours are.
pub(super) struct Events {
    events: Confirmed,
    received: Received,
    _tasks: JoinSet<()>,
}

impl Events {
    pub(super) async fn prepare(
        client: Client,
        there: &Client,
        outgoing: Outgoing,
        subscribers: usize,
        max_bytes: i64,
    ) -> Result<Self, Error> {
        let received = Received::default();
        let mut tasks = JoinSet::new();
        for _ in 0..subscribers {
            let mut events = there.subscribe(outgoing.subject.clone()).await.map_err(failed)?;
            let count = Arc::clone(&received);
            tasks.spawn(async move {
                while events.next().await.is_some() {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        until_read(there).await?;
        Ok(Self {
            events: Confirmed::prepare(client, outgoing, max_bytes).await?,
            received,
            _tasks: tasks,
        })
    }
}

impl BareRun for Events {
    fn once(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.events.publish())
    }

    fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

/// Durable events: published with a confirmation, pulled in batches, acknowledged one by one.
pub(super) struct Durable {
    events: Confirmed,
    received: Received,
    _tasks: JoinSet<()>,
}

impl Durable {
    pub(super) async fn prepare(
        client: Client,
        there: Client,
        outgoing: Outgoing,
        name: String,
        max_bytes: i64,
    ) -> Result<Self, Error> {
        let events = Confirmed::prepare(client, outgoing, max_bytes).await?;
        let received = Received::default();
        let consumer = consumer(&jetstream::new(there), name, &events.outgoing.subject).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(consume(consumer, Arc::clone(&received)));
        Ok(Self {
            events,
            received,
            _tasks: tasks,
        })
    }
}

async fn consumer(context: &jetstream::Context, name: String, subject: &str) -> Result<PullConsumer, Error> {
    let stream = context.get_stream(STREAM).await.map_err(failed)?;
    let config = pull::Config {
        durable_name: Some(name),
        filter_subject: subject.to_owned(),
        ack_policy: AckPolicy::Explicit,
        max_ack_pending: 65_536,
        inactive_threshold: FORGOTTEN,
        ..pull::Config::default()
    };
    stream.create_consumer(config).await.map_err(failed)
}

async fn consume(consumer: PullConsumer, received: Received) {
    let messages = consumer.stream().max_messages_per_batch(BATCH).messages().await;
    let Ok(mut messages) = messages else { return };
    while let Some(message) = messages.next().await {
        let Ok(message) = message else { break };
        if message.ack().await.is_err() {
            break;
        }
        received.fetch_add(1, Ordering::Relaxed);
    }
}

impl BareRun for Durable {
    fn once(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.events.publish())
    }

    fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

macro_rules! debug {
    ($($name:ident $(. $part:ident)?),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("outgoing", &self$(.$part)?.outgoing).finish_non_exhaustive()
            }
        }
    )*};
}

debug!(Requests, Events.events, Durable.events);
