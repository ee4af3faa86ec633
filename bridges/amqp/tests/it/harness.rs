//! A namespace on the broker of the tests, removed when the test ends.

use std::env;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lapin::options::{ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use roadshow_amqp::AmqpConnector;
use roadshow_bridges::{
    ConnectContext, Connector, Deliveries, Delivery, Envelope, Error, EventBridge, EventName, Identity, IncarnationId,
    Kind, MessageId, Namespace, ServiceId, Subject,
};
use tokio::time::timeout;

/// The longest that a test waits for one thing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Where the broker of the tests is.
pub(crate) fn url() -> String {
    env::var("TEST_AMQP_URL").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672".to_owned())
}

/// A namespace of one test.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) namespace: Namespace,
    url: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::at(url())
    }

    pub(crate) fn at(url: String) -> Self {
        let namespace = format!("t{:016x}", rand::random::<u64>()).parse().expect("a token");
        Self { namespace, url }
    }

    pub(crate) fn context(&self, node: &str) -> ConnectContext {
        let node = node.parse().expect("a node id");
        ConnectContext::new(self.namespace.clone(), node, IncarnationId::from_u64(rand::random()))
    }

    pub(crate) async fn bridge(&self, node: &str) -> Arc<dyn EventBridge> {
        self.bridge_at(&self.url, node).await
    }

    /// A bridge that takes another way to the broker.
    pub(crate) async fn bridge_at(&self, url: &str, node: &str) -> Arc<dyn EventBridge> {
        let connected = AmqpConnector.event_bridge(url, &self.context(node)).await;
        connected.expect("the broker is there")
    }

    pub(crate) fn event(&self, name: &'static str) -> Subject {
        self.namespace.event_subject(EventName::new(name))
    }

    pub(crate) fn command(&self, name: &'static str) -> Subject {
        self.namespace.command_subject(ServiceId::new("user", 1).command(name))
    }

    /// A connection of a stranger, who knows lapin and nothing of ours.
    pub(crate) async fn stranger(&self) -> Connection {
        Connection::connect(&url(), ConnectionProperties::default())
            .await
            .expect("the broker is there")
    }

    /// Waits until there is no such queue.
    pub(crate) async fn gone(&self, queue: &str) {
        let connection = self.stranger().await;
        let name = format!("{}.{queue}", self.namespace.as_str());
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        loop {
            let channel = connection.create_channel().await.expect("a channel");
            let declared = channel.queue_declare(name.as_str().into(), passive, FieldTable::default());
            if declared.await.is_err() {
                return;
            }
        }
    }

    /// Removes the exchanges, and these queues.
    pub(crate) async fn remove(&self, queues: &[&str]) {
        let connection = self.stranger().await;
        let channel = connection.create_channel().await.expect("a channel");
        for queue in queues {
            let name = format!("{}.{queue}", self.namespace.as_str());
            let options = QueueDeleteOptions::default();
            channel
                .queue_delete(name.as_str().into(), options)
                .await
                .expect("a queue is deleted");
        }
        let tiers = [100, 500, 1000, 5000, 30000, 300_000];
        let waiting = tiers
            .into_iter()
            .flat_map(|tier| [format!(".retry.{tier}"), format!(".retry.{tier}.passing")]);
        for rest in ["".to_owned(), ".rest".to_owned()].into_iter().chain(waiting) {
            let name = format!("{}{rest}", self.namespace.as_str());
            let queue = channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default());
            queue.await.expect("a queue is deleted");
            let options = ExchangeDeleteOptions::default();
            channel
                .exchange_delete(name.as_str().into(), options)
                .await
                .expect("an exchange is deleted");
        }
        connection.close(200, "OK".into()).await.expect("closed");
    }
}

/// A message of this kind.
pub(crate) fn envelope(kind: Kind, subject: &Subject, number: u128, payload: &'static [u8]) -> Envelope {
    let identity = Identity::root(MessageId::from_u128(number));
    Envelope::new(kind, subject.clone(), identity, Bytes::from_static(payload))
}

/// The next delivery, in time.
pub(crate) async fn next(deliveries: &mut Deliveries) -> Delivery {
    in_time(deliveries.next()).await.expect("the subscription lives")
}

/// What comes in time.
pub(crate) async fn in_time<T>(wanted: impl Future<Output = T>) -> T {
    timeout(PATIENCE, wanted).await.expect("it takes too long")
}

/// The error that must come.
pub(crate) fn refused<T>(result: Result<T, Error>) -> Error {
    match result {
        Ok(_) => panic!("it must be refused"),
        Err(error) => error,
    }
}
