//! The bare client: lapin doing what a benchmark does, without us.
//!
//! As its documentation uses it: a connection for each side, a channel for each direction, confirms awaited, deliveries
//! acknowledged. What ours adds (lanes, pairing, batches of acknowledgements) is left out.

mod echo;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, Consumer, ExchangeKind};
use roadshow_bridges::{BareAct, BareClient, BareMessage, BareRun, Error};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::connection::{self, FIRST_MAX};
use crate::settings::Settings;
use crate::text::{long, short, table};

/// The window of a consumer.
const WINDOW: u16 = 256;
/// How long one act may take.
const ACT_MAX: Duration = Duration::from_secs(10);
/// How long the queue of a run lives after it, in milliseconds.
const EXPIRES_MS: i64 = 60_000;

/// lapin, as its documentation uses it.
#[derive(Debug)]
pub(crate) struct AmqpBare {
    settings: Settings,
}

/// Who waits for which reply.
type Pending = Arc<Mutex<HashMap<u64, oneshot::Sender<()>>>>;

/// One act, ready to be done.
#[derive(Debug)]
struct Run {
    /// Kept while the run lasts.
    _connections: Vec<Connection>,
    tasks: JoinSet<()>,
    channel: Channel,
    exchange: ShortString,
    key: ShortString,
    properties: BasicProperties,
    payload: Bytes,
    mandatory: bool,
    received: Arc<AtomicU64>,
    /// The reply queue and those who wait, for requests.
    replies: Option<(ShortString, Pending)>,
    next: AtomicU64,
}

impl AmqpBare {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings }
    }

    async fn connected(&self, name: &str) -> Result<Connection, Error> {
        connection::open(&self.settings, name, FIRST_MAX, &Arc::default()).await
    }

    async fn run(&self, act: BareAct, message: BareMessage) -> Result<Run, Error> {
        let sending = self.connected("bare sending").await?;
        let receiving = self.connected("bare receiving").await?;
        let channel = sending.create_channel().await.map_err(told)?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .map_err(told)?;
        let exchange = short("an exchange", &format!("bare.{}", message.run))?;
        let options = ExchangeDeclareOptions {
            auto_delete: true,
            ..ExchangeDeclareOptions::default()
        };
        let declared = channel.exchange_declare(exchange.clone(), ExchangeKind::Topic, options, FieldTable::default());
        declared.await.map_err(told)?;
        let headers = table(message.headers.iter().map(|(name, value)| (name.as_str(), long(value))));
        let mut run = Run {
            _connections: Vec::new(),
            tasks: JoinSet::new(),
            channel,
            key: short("a subject", &format!("{exchange}.act"))?,
            exchange,
            properties: BasicProperties::default().with_headers(headers).with_delivery_mode(1),
            payload: message.payload,
            mandatory: false,
            received: Arc::default(),
            replies: None,
            next: AtomicU64::new(1),
        };
        match act {
            BareAct::Request => run.request(&sending, &receiving).await?,
            BareAct::DurableEvent => run.durable(&receiving).await?,
            BareAct::Event { subscribers } => run.events(&receiving, subscribers).await?,
            _ => return Err(Error::unsupported("cannot measure this with RabbitMQ")),
        }
        run._connections = vec![sending, receiving];
        Ok(run)
    }
}

impl Run {
    async fn request(&mut self, sending: &Connection, receiving: &Connection) -> Result<(), Error> {
        let (responder, requests) = consumer(receiving, "", plain(), FieldTable::default(), Some(self)).await?;
        self.tasks
            .spawn(echo::respond(responder, requests, Arc::clone(&self.received)));
        let (channel, mut replies) = consumer(sending, "", plain(), FieldTable::default(), None).await?;
        let queue = replies.queue();
        let pending = Pending::default();
        self.replies = Some((queue, Arc::clone(&pending)));
        self.mandatory = true;
        self.tasks.spawn(async move {
            while let Some(Ok(reply)) = replies.next().await {
                let number = reply
                    .properties
                    .correlation_id()
                    .as_ref()
                    .and_then(|id| id.as_str().parse().ok());
                let waiting = number.and_then(|number| lock(&pending).remove(&number));
                if let Some(waiting) = waiting {
                    let _ = waiting.send(());
                }
                if channel
                    .basic_ack(reply.delivery_tag, BasicAckOptions::default())
                    .await
                    .is_err()
                {
                    return;
                }
            }
        });
        Ok(())
    }

    async fn durable(&mut self, receiving: &Connection) -> Result<(), Error> {
        let queue = format!("{}.durable", self.exchange);
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let arguments = table([
            ("x-queue-type", long("quorum")),
            ("x-expires", AMQPValue::LongLongInt(EXPIRES_MS)),
        ]);
        let (channel, deliveries) = consumer(receiving, &queue, options, arguments, Some(self)).await?;
        self.tasks.spawn(take(channel, deliveries, Arc::clone(&self.received)));
        self.properties = std::mem::take(&mut self.properties).with_delivery_mode(2);
        Ok(())
    }

    async fn events(&mut self, receiving: &Connection, subscribers: usize) -> Result<(), Error> {
        for _ in 0..subscribers {
            let (channel, deliveries) = consumer(receiving, "", plain(), FieldTable::default(), Some(self)).await?;
            self.tasks.spawn(take(channel, deliveries, Arc::clone(&self.received)));
        }
        self.properties = std::mem::take(&mut self.properties).with_delivery_mode(2);
        Ok(())
    }

    async fn publish(&self, properties: BasicProperties) -> Result<(), Error> {
        let options = BasicPublishOptions {
            mandatory: self.mandatory,
            immediate: false,
        };
        let (exchange, key) = (self.exchange.clone(), self.key.clone());
        let publishing = self
            .channel
            .basic_publish(exchange, key, options, &self.payload, properties);
        let confirmation = publishing.await.map_err(told)?.await.map_err(told)?;
        if confirmation.is_ack() && confirmation.take_message().is_none() {
            return Ok(());
        }
        Err(Error::exhausted(
            "cannot publish with lapin: the broker refused or returned the message",
        ))
    }

    async fn act(&self) -> Result<(), Error> {
        let Some((queue, pending)) = &self.replies else {
            return self.publish(self.properties.clone()).await;
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        lock(pending).insert(number, answer);
        let properties = self.properties.clone().with_reply_to(queue.clone());
        let properties = properties.with_correlation_id(short("a correlation", &number.to_string())?);
        self.publish(properties).await?;
        answered
            .await
            .map_err(|_| Error::unavailable("cannot call with lapin: no reply will come"))
    }
}

impl BareRun for Run {
    fn once(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let late = |_| Err(Error::unavailable("cannot act with lapin: it takes too long"));
            timeout(ACT_MAX, self.act()).await.unwrap_or_else(late)
        })
    }

    fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

impl BareClient for AmqpBare {
    fn prepare(&self, act: BareAct, message: BareMessage) -> BoxFuture<'_, Result<Box<dyn BareRun>, Error>> {
        Box::pin(async move { Ok(Box::new(self.run(act, message).await?) as Box<dyn BareRun>) })
    }
}

fn told(error: lapin::Error) -> Error {
    Error::unavailable("cannot measure lapin")
        .with("problem", &error)
        .with_source(error)
}

fn lock(pending: &Pending) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<()>>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A queue that ends with its connection.
fn plain() -> QueueDeclareOptions {
    QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    }
}

/// A consumer on a channel of its own; bound, if it belongs to a run.
async fn consumer(
    connection: &Connection,
    queue: &str,
    options: QueueDeclareOptions,
    arguments: FieldTable,
    run: Option<&Run>,
) -> Result<(Channel, Consumer), Error> {
    let channel = connection.create_channel().await.map_err(told)?;
    let declared = channel
        .queue_declare(short("a queue", queue)?, options, arguments)
        .await
        .map_err(told)?;
    let queue = declared.name().clone();
    if let Some(run) = run {
        let (exchange, key) = (run.exchange.clone(), run.key.clone());
        let bound = channel.queue_bind(
            queue.clone(),
            exchange,
            key,
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        bound.await.map_err(told)?;
    }
    channel
        .basic_qos(WINDOW, BasicQosOptions::default())
        .await
        .map_err(told)?;
    let tag = ShortString::default();
    let consuming = channel.basic_consume(queue, tag, BasicConsumeOptions::default(), FieldTable::default());
    let consumer = consuming.await.map_err(told)?;
    Ok((channel, consumer))
}

/// Counts and acknowledges.
async fn take(channel: Channel, mut deliveries: Consumer, received: Arc<AtomicU64>) {
    while let Some(Ok(delivery)) = deliveries.next().await {
        received.fetch_add(1, Ordering::Relaxed);
        if channel
            .basic_ack(delivery.delivery_tag, BasicAckOptions::default())
            .await
            .is_err()
        {
            return;
        }
    }
}
