//! The bare client: the same client library, options and quality of service, doing what `bench` does without us.
//!
//! Everything is QoS 1 with manual acknowledgements, as ours is. A durable event is no more here than what MQTT itself
//! offers, a confirmed publish and an acknowledging subscriber; what our outbox adds counts against us, and that our socket
//! brings writes together counts for us: here each is written when the library flushes it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use roadshow_bridges::{BareAct, BareClient, BareMessage, BareRun, ConnectContext, Error};
use rumqttc::tokio_rustls::rustls::ClientConfig;
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, Publish, PublishOptions, PublishProperties, QoS};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::connect::{Door, Opened};
use crate::lock;
use crate::settings::Settings;

/// How long one act may take.
const LONGEST: Duration = Duration::from_secs(10);
/// How many messages wait between an event loop and the task that answers.
const ANSWERS: usize = 65_536;

/// rumqttc itself.
#[derive(Debug)]
pub(crate) struct MqttBareClient {
    settings: Settings,
    context: ConnectContext,
    tls: Option<Arc<ClientConfig>>,
}

/// One prepared act.
struct Run {
    client: AsyncClient,
    topic: String,
    reply_topic: Option<String>,
    message: BareMessage,
    shared: Arc<Counts>,
    next: AtomicU64,
    /// The event loops of all connections.
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Counts {
    received: AtomicU64,
    /// Requests that wait for their reply, by correlation.
    waiting: Mutex<HashMap<u64, oneshot::Sender<()>>>,
}

impl MqttBareClient {
    pub(crate) fn new(settings: Settings, context: ConnectContext, tls: Option<Arc<ClientConfig>>) -> Self {
        Self { settings, context, tls }
    }

    async fn open(&self) -> Result<Opened, Error> {
        let mark = format!("bare{:08x}", rand::random::<u32>());
        let door = Door::new(&self.settings, &self.context, &mark, self.tls.clone());
        door.flushing_at_once().open().await
    }

    async fn make(&self, act: BareAct, message: BareMessage) -> Result<Run, Error> {
        let base = format!("{}/bare/{}", self.context.namespace, message.run);
        let topic = format!("{base}/to");
        let shared = Arc::<Counts>::default();
        let mut tasks = JoinSet::new();
        let subscribers = match act {
            BareAct::Request => {
                self.responder(&topic, &mut tasks, &shared).await?;
                0
            }
            BareAct::DurableEvent => 1,
            BareAct::Event { subscribers } => subscribers,
            other => {
                let error = Error::unsupported("cannot measure this act of a bare MQTT client");
                return Err(error.with("act", format_args!("{other:?}")));
            }
        };
        for _ in 0..subscribers {
            let Opened { client, eventloop, .. } = self.open().await?;
            let counts = Arc::clone(&shared);
            let taker = client.clone();
            tasks.spawn(poll(eventloop, move |publish| {
                // It fails only when the run has ended.
                let _ = taker.try_ack(&publish);
                counts.received.fetch_add(1, Ordering::Relaxed);
            }));
            subscribed(&client, &topic).await?;
        }
        let Opened { client, eventloop, .. } = self.open().await?;
        let reply_topic = (act == BareAct::Request).then(|| format!("{base}/back"));
        let (counts, taker) = (Arc::clone(&shared), client.clone());
        tasks.spawn(poll(eventloop, move |publish| {
            let _ = taker.try_ack(&publish);
            counts.answer(&publish);
        }));
        if let Some(topic) = &reply_topic {
            subscribed(&client, topic).await?;
        }
        Ok(Run {
            client,
            topic,
            reply_topic,
            message,
            shared,
            next: AtomicU64::new(0),
            _tasks: tasks,
        })
    }

    /// Echoes what it gets to where the reply is wanted.
    async fn responder(&self, topic: &str, tasks: &mut JoinSet<()>, shared: &Arc<Counts>) -> Result<(), Error> {
        let Opened { client, eventloop, .. } = self.open().await?;
        let (requests, mut taken) = mpsc::channel::<Publish>(ANSWERS);
        tasks.spawn(poll(eventloop, move |publish| {
            let _ = requests.try_send(publish);
        }));
        let (answerer, counts) = (client.clone(), Arc::clone(shared));
        tasks.spawn(async move {
            while let Some(publish) = taken.recv().await {
                let _ = answerer.try_ack(&publish);
                counts.received.fetch_add(1, Ordering::Relaxed);
                let asked = publish.properties.unwrap_or_default();
                let Some(to) = asked.response_topic else { continue };
                let properties = PublishProperties {
                    correlation_data: asked.correlation_data,
                    ..PublishProperties::default()
                };
                let options = PublishOptions::at_least_once().properties(properties);
                let _ = answerer.publish(to, publish.payload, options).await;
            }
        });
        subscribed(&client, topic).await
    }
}

impl Counts {
    fn answer(&self, publish: &Publish) {
        let correlation = publish
            .properties
            .as_ref()
            .and_then(|found| found.correlation_data.as_ref());
        let number = correlation
            .and_then(|bytes| bytes.as_ref().try_into().ok())
            .map(u64::from_be_bytes);
        if let Some(waiting) = number.and_then(|number| lock(&self.waiting).remove(&number)) {
            let _ = waiting.send(());
        }
    }
}

async fn poll(mut eventloop: EventLoop, take: impl Fn(Publish) + Send + 'static) {
    loop {
        match eventloop.poll().await {
            Ok(Event::Incoming(Incoming::Publish(publish))) => take(publish),
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(error = %error, "a bare client's connection has ended");
                return;
            }
        }
    }
}

async fn subscribed(client: &AsyncClient, topic: &str) -> Result<(), Error> {
    let failed = |why: &str| {
        Error::unavailable("cannot subscribe a bare MQTT client")
            .with("topic", topic)
            .with("because", why)
    };
    let notice = client.subscribe_tracked(topic, QoS::AtLeastOnce).await;
    let notice = notice.map_err(|error| failed(&error.to_string()))?;
    match timeout(LONGEST, notice.wait_completion_async()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(failed(&error.to_string())),
        Err(_elapsed) => Err(failed("no answer")),
    }
}

impl Run {
    async fn act(&self) -> Result<(), Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut properties = PublishProperties {
            user_properties: self.message.headers.clone(),
            ..PublishProperties::default()
        };
        let mut reply = None;
        if let Some(topic) = &self.reply_topic {
            properties.response_topic = Some(topic.clone());
            properties.correlation_data = Some(Bytes::copy_from_slice(&number.to_be_bytes()));
            let (here, arrives) = oneshot::channel();
            lock(&self.shared.waiting).insert(number, here);
            reply = Some(arrives);
        }
        let options = PublishOptions::at_least_once().properties(properties);
        let notice = self
            .client
            .publish_tracked(self.topic.as_str(), self.message.payload.clone(), options);
        let failed = |what: &str| Error::unavailable("a bare MQTT client could not act").with("because", what);
        let notice = notice.await.map_err(|error| failed(&error.to_string()))?;
        let confirmed = notice.wait_completion_async().await;
        confirmed.map_err(|error| failed(&error.to_string()))?;
        match reply {
            Some(reply) => reply.await.map_err(|_| failed("no reply")),
            None => Ok(()),
        }
    }
}

impl BareRun for Run {
    fn once(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let acted = timeout(LONGEST, self.act()).await;
            acted.unwrap_or_else(|_| Err(Error::unavailable("a bare MQTT client had no answer in time")))
        })
    }

    fn received(&self) -> u64 {
        self.shared.received.load(Ordering::Relaxed)
    }
}

impl BareClient for MqttBareClient {
    fn prepare(&self, act: BareAct, message: BareMessage) -> BoxFuture<'_, Result<Box<dyn BareRun>, Error>> {
        Box::pin(async move {
            let run = self.make(act, message).await?;
            Ok(Box::new(run) as Box<dyn BareRun>)
        })
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}
