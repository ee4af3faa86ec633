//! The stage of a case: a fresh namespace on a broker, as many connections as it wants, and messages to send.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use roadshow_bridges::{
    Address, Capability, ConnectContext, Connector, Deliveries, Envelope, Error, EventBridge, EventNameBuf, Identity,
    IncarnationId, Kind, MessageId, Namespace, Published, Subject, Subscription,
};

use crate::adapter::{Adapter, Dead, Home};
use crate::broker::{Broker, BrokerOptions, shared};
use crate::case::{Case, Where};
use crate::proxy::Proxy;
use crate::seed::Random;
use crate::wait::{soon, until};

/// The service whose subscriptions the suite makes, as it begins the name of a group.
const SERVICE: &str = "conformance=1";

/// Where one case plays.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) adapter: Arc<dyn Adapter>,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) url: String,
    pub(crate) namespace: Namespace,
    pub(crate) random: Random,
    /// The broker of this case alone, where it has one.
    pub(crate) broker: Option<Broker>,
    nodes: AtomicU64,
    messages: AtomicU64,
}

impl Stage {
    /// Sets the stage of a case, its broker included.
    pub(crate) async fn set(adapter: Arc<dyn Adapter>, case: &Case, seed: u64) -> Result<Self, String> {
        let options = match case.at {
            Where::OwnWithUser(name, password) => BrokerOptions::default().user(name, password),
            Where::Shared | Where::Own => BrokerOptions::default(),
        };
        let (url, broker) = match (adapter.home(), case.at) {
            (Home::Here(url), _) => (url.to_owned(), None),
            (Home::Server(kind), Where::Shared) => (shared(kind).await?, None),
            (Home::Server(kind), _) => {
                let broker = Broker::start_with(kind, options).await;
                let broker = broker.map_err(|error| error.to_string())?;
                (broker.url(), Some(broker))
            }
        };
        // The namespace is new in each run, whatever the seed: what an earlier run left behind is not met.
        let namespace = format!("cf{:012x}", rand::rng().random::<u64>() >> 16);
        Ok(Self {
            connector: adapter.connector(),
            adapter,
            url,
            namespace: namespace.parse().expect("a letter and digits are a token"),
            random: Random::new(seed, case.id),
            broker,
            nodes: AtomicU64::new(0),
            messages: AtomicU64::new(0),
        })
    }

    /// What the adapter declares.
    pub(crate) fn capability(&self) -> Capability {
        self.adapter.capability()
    }

    /// The broker that this case may harm.
    pub(crate) fn broker(&mut self) -> &mut Broker {
        self.broker.as_mut().expect("the case asked for a broker of its own")
    }

    /// A node that nobody was before.
    pub(crate) fn context(&self) -> ConnectContext {
        let number = self.nodes.fetch_add(1, Ordering::Relaxed);
        let node = format!("n{number}").parse().expect("a letter and digits are a token");
        let incarnation = IncarnationId::from_u64(rand::rng().random::<u64>() >> 24);
        ConnectContext::new(self.namespace.clone(), node, incarnation)
    }

    /// A connection of another node, ready.
    pub(crate) async fn bridge(&self) -> Arc<dyn EventBridge> {
        self.bridge_at(&self.url).await
    }

    /// A connection of another node through a proxy, and the proxy.
    pub(crate) async fn bridge_behind_proxy(&self) -> (Arc<dyn EventBridge>, Proxy) {
        let proxy = Proxy::start(&self.url).await.expect("a proxy needs a free port only");
        let bridge = self.bridge_at(&proxy.url(&self.url)).await;
        (bridge, proxy)
    }

    async fn bridge_at(&self, url: &str) -> Arc<dyn EventBridge> {
        let bridge = soon("a connection", self.connect(url)).await;
        let bridge = bridge.unwrap_or_else(|error| panic!("cannot connect: {error:?}"));
        ready(&*bridge).await;
        bridge
    }

    /// Tries to connect.
    pub(crate) async fn connect(&self, url: &str) -> Result<Arc<dyn EventBridge>, Error> {
        self.connector.event_bridge(url, &self.context()).await
    }

    /// The subject of an event.
    pub(crate) fn event(&self, name: &str) -> Subject {
        let name: EventNameBuf = name.parse().expect("the suite writes good names");
        self.namespace.event_subject(&name)
    }

    /// The subject of a command.
    pub(crate) fn command(&self, address: Address) -> Subject {
        self.namespace.command_subject(address)
    }

    /// A durable subscription where the bridge has such, else one of a group that holds as long as its members.
    pub(crate) fn kept(&self, event: &str) -> Subscription {
        self.kept_as(event, "ledger")
    }

    /// As [`Stage::kept`], with a name of its own.
    pub(crate) fn kept_as(&self, event: &str, name: &str) -> Subscription {
        let group = format!("{SERVICE}={}", name.replace('.', "-"));
        let subscription = Subscription::new(self.event(event));
        if self.capability().durable {
            subscription.durable(group)
        } else {
            subscription.group(group)
        }
    }

    /// The id of the next message: the case's own count, so that what arrives can be told apart.
    pub(crate) fn next_id(&self) -> MessageId {
        let number = self.messages.fetch_add(1, Ordering::Relaxed) + 1;
        let high = u128::from(rand::rng().random::<u64>());
        MessageId::from_u128((high << 64) | u128::from(number))
    }

    /// An event, to be published.
    pub(crate) fn news(&self, event: &str, payload: impl Into<Bytes>) -> Envelope {
        let name: EventNameBuf = event.parse().expect("the suite writes good names");
        Envelope::event(self.event(event), name, Identity::root(self.next_id()), payload.into())
    }

    /// A message of any kind, to be published.
    pub(crate) fn message(&self, kind: Kind, subject: Subject, payload: impl Into<Bytes>) -> Envelope {
        Envelope::new(kind, subject, Identity::root(self.next_id()), payload.into())
    }

    /// Publishes an event whose payload is a number; the broker must take it.
    pub(crate) async fn tell(&self, bridge: &dyn EventBridge, event: &str, number: u64) -> MessageId {
        let envelope = self.news(event, number.to_string());
        let id = envelope.identity.id;
        send(bridge, envelope).await;
        id
    }

    /// What the adapter itself knows of its dead letters.
    pub(crate) fn dead_letters(&self) -> Option<Vec<Dead>> {
        self.adapter.dead_letters(&self.namespace)
    }
}

/// Waits until a bridge says that it is ready.
pub(crate) async fn ready(bridge: &dyn EventBridge) -> Duration {
    until(Duration::from_secs(30), "the bridge is ready", || {
        bridge.health().is_ready()
    })
    .await
}

/// Publishes what the broker must take.
pub(crate) async fn send(bridge: &dyn EventBridge, envelope: Envelope) {
    let subject = envelope.subject.clone();
    let published = soon(format!("the confirmation of {subject}"), bridge.publish(envelope)).await;
    match published {
        Ok(Published::Accepted) => {}
        other => panic!("cannot publish to {subject}: {other:?}"),
    }
}

/// Subscribes where that must work.
pub(crate) async fn subscribe(bridge: &dyn EventBridge, subscription: Subscription) -> Deliveries {
    let subject = subscription.subject.clone();
    let deliveries = soon(format!("the subscription of {subject}"), bridge.subscribe(subscription)).await;
    deliveries.unwrap_or_else(|error| panic!("cannot subscribe to {subject}: {error:?}"))
}

/// The number that [`Stage::tell`] put into a payload.
pub(crate) fn number(envelope: &Envelope) -> u64 {
    let bytes = envelope.payload.to_bytes().expect("the suite sends bytes");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.parse()
        .unwrap_or_else(|_| panic!("a payload was altered: {text:?}"))
}
