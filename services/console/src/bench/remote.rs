//! Our side over a broker: two nodes in this process, each with a connection of its own, as the bare client has two.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use roadshow_bridges::{BareMessage, CorrelationId, Envelope, Identity, Kind, MessageId, Namespace, TraceContext};
use roadshow_services::config::BridgeUrl;
use roadshow_services::{
    Client, Command, CommandHandler, Connectors, Context, Event, EventHandler, Failure, Node, NodeBuilder, Outcome,
    Service, ServiceId,
};
use serde::Serialize;
use tokio::time::timeout;

use super::contender::{Caller, Contender, nanoseconds};
use super::error::Error;
use super::flow::Flow;
use super::messages::{BENCH, Echo, News};
use crate::system::System;

/// The namespace of a bench that names none: what it leaves at the broker stays there once, however often it runs.
pub(super) const NAMESPACE: &str = "roadshow_bench";
/// How long a node may take to stop.
const STOP_BUDGET: Duration = Duration::from_secs(5);
/// How long a node may take to join.
const JOIN_MAX: Duration = Duration::from_secs(15);

/// The budget that the bare client's header names: the default of ours.
const BUDGET: Duration = Duration::from_secs(30);
/// Some Unix time, as long as any.
const SOME_TIME_MS: u64 = 1_700_000_000_000;

/// A broker, and this run on it.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) system: System,
    /// What the report calls the bridge: the first scheme of its adapter.
    pub(super) bridge: &'static str,
    run: String,
}

impl Remote {
    /// The broker at a URL. Nothing is connected yet.
    pub(super) fn new(url: &BridgeUrl, namespace: Option<&str>, connectors: &Connectors) -> Result<Self, String> {
        let system = System::named("bench", url, Some(namespace.unwrap_or(NAMESPACE)), connectors)?;
        let schemes = system.connector().map_err(|error| error.to_string())?.schemes();
        Ok(Remote {
            bridge: schemes.first().copied().unwrap_or("unknown"),
            run: format!("b{:010x}", rand::random::<u64>() >> 24),
            system,
        })
    }

    /// What the bare client sends in place of a command of ours.
    pub(super) fn bare_command(&self) -> Result<BareMessage, Error> {
        let subject = self.namespace().command_subject(Echo::ADDRESS);
        let identity = self.identity().with_budget(BUDGET);
        let mut envelope = Envelope::new(Kind::Command, subject, identity, encoded(&Echo::default())?);
        envelope.sent_ms = Some(SOME_TIME_MS);
        self.bare(envelope)
    }

    /// What the bare client sends in place of an event of ours.
    pub(super) fn bare_event<const DURABLE: bool>(&self) -> Result<BareMessage, Error> {
        let name = News::<DURABLE>::NAME;
        let subject = self.namespace().event_subject(name);
        let payload = encoded(&News::<DURABLE>::of(&self.run))?;
        self.bare(Envelope::event(subject, name.into(), self.identity(), payload))
    }

    /// A message with the headers that ours would have.
    fn bare(&self, mut envelope: Envelope) -> Result<BareMessage, Error> {
        envelope.from = Some(self.system.context().node.as_str().into());
        let headers = envelope.to_headers(envelope.kind).into_iter();
        let payload = envelope.payload.to_bytes();
        Ok(BareMessage {
            run: self.run.clone(),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).collect(),
            payload: payload.map_err(|cause| Error::new("encoding a message", cause))?,
        })
    }

    fn namespace(&self) -> Namespace {
        self.system.context().namespace
    }

    /// As long as any: what it says means nothing to the bare client.
    fn identity(&self) -> Identity {
        let mut identity = Identity::root(MessageId::from_u128(rand::random()));
        identity.correlation = CorrelationId::from_u128(rand::random());
        identity.trace = TraceContext {
            trace_id: rand::random(),
            span_id: rand::random(),
            flags: 1,
        };
        identity
    }

    async fn node(&self, role: &str, serve: impl FnOnce(NodeBuilder) -> NodeBuilder) -> Result<Node, Error> {
        let builder = self.system.builder().node_id(format!("bench-{role}-{}", self.run));
        match timeout(JOIN_MAX, serve(builder).start()).await {
            Ok(started) => started.map_err(|cause| Error::new("starting a node", cause)),
            Err(_elapsed) => Err(Error::new("starting a node", "the broker does not answer in time")),
        }
    }
}

fn encoded(message: &impl Serialize) -> Result<Bytes, Error> {
    let encoded = serde_json::to_vec(message);
    encoded
        .map(Bytes::from)
        .map_err(|cause| Error::new("encoding a message", cause))
}

/// Two nodes on a broker: one serves, the other asks or tells.
#[derive(Debug)]
pub(super) struct Pair<C> {
    near: Node,
    far: Node,
    caller: C,
}

/// Calls whoever serves it.
#[derive(Clone, Debug)]
pub(super) struct Asker(Client);

/// Tells whoever subscribes.
#[derive(Clone, Debug)]
pub(super) struct Teller<const DURABLE: bool> {
    client: Client,
    news: News<DURABLE>,
    flow: Flow,
}

/// Answers with what it was asked.
#[derive(Debug)]
struct Echoing;

impl CommandHandler<Echo> for Echoing {
    async fn handle(&self, input: Echo, _ctx: &Context) -> Result<Echo, Failure> {
        Ok(input)
    }
}

/// Counts the news of one run.
#[derive(Debug)]
struct Tally {
    run: String,
    received: Arc<AtomicU64>,
}

impl<const DURABLE: bool> EventHandler<News<DURABLE>> for Tally {
    async fn receive(&self, event: &News<DURABLE>, _ctx: &Context) -> Outcome {
        if event.run == self.run {
            self.received.fetch_add(1, Ordering::Relaxed);
        }
        Outcome::Ack
    }
}

impl Pair<Asker> {
    /// A node that calls, and one that answers.
    pub(super) async fn asking(remote: &Remote) -> Result<Self, Error> {
        let echoing = Service::new(BENCH, || async { Ok::<_, Infallible>(Echoing) }).command::<Echo>(|echo| echo);
        let far = remote.node("far", |node| node.service(echoing)).await?;
        let near = remote.node("near", |node| node).await?;
        let caller = Asker(near.client());
        Ok(Pair { near, far, caller })
    }
}

impl<const DURABLE: bool> Pair<Teller<DURABLE>> {
    /// A node that emits, and one that has so many subscribers.
    pub(super) async fn telling(remote: &Remote, subscribers: usize) -> Result<Self, Error> {
        let received = Arc::new(AtomicU64::new(0));
        let tallies = (1..).take(subscribers).map(|version| {
            let (run, received) = (remote.run.clone(), Arc::clone(&received));
            let tally = Service::new(ServiceId::new("bench", version), move || {
                let (run, received) = (run.clone(), Arc::clone(&received));
                async move { Ok::<_, Infallible>(Tally { run, received }) }
            });
            tally.subscribe::<News<DURABLE>>(|news| match DURABLE {
                true => news.durable("tally"),
                false => news,
            })
        });
        let far = remote
            .node("far", |node| tallies.fold(node, NodeBuilder::service))
            .await?;
        let near = remote.node("near", |node| node).await?;
        let flow = Flow::new(subscribers, move || received.load(Ordering::Relaxed));
        let caller = Teller {
            client: near.client(),
            news: News::of(&remote.run),
            flow,
        };
        Ok(Pair { near, far, caller })
    }
}

impl Caller for Asker {
    const BATCH: u64 = 1;

    async fn call(&mut self) -> Result<(), Error> {
        let answered = self.0.call(Echo::default()).await;
        answered
            .map(|echo| drop(std::hint::black_box(echo)))
            .map_err(|failure| Error::new("calling over a bridge", failure))
    }
}

impl<const DURABLE: bool> Caller for Teller<DURABLE> {
    const BATCH: u64 = 1;

    /// Events have no one to answer them: how long they take is asked one at a time.
    fn callers_when_timed(_in_flight: u32) -> u32 {
        1
    }

    async fn call(&mut self) -> Result<(), Error> {
        self.flow.room().await?;
        let emitted = self.client.emit(self.news.clone()).await;
        emitted.map_err(|failure| Error::new("emitting over a bridge", failure))
    }

    async fn timed(&mut self) -> Result<u64, Error> {
        let begun = Instant::now();
        self.call().await?;
        self.flow.arrived_now().await?;
        Ok(nanoseconds(begun.elapsed()))
    }

    async fn settled(self) -> Result<(), Error> {
        self.flow.arrived().await
    }
}

impl<C: Caller> Contender for Pair<C> {
    type Caller = C;

    fn caller(&self) -> C {
        self.caller.clone()
    }

    async fn stop(self) {
        // Nothing is at work between two rows, so there is nothing to report.
        let _ = self.near.shutdown(STOP_BUDGET).await;
        let _ = self.far.shutdown(STOP_BUDGET).await;
    }
}
