//! A service that cases on nodes play with, and the ledger of what its handlers did.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use roadshow_bridges::{ConnectContext, Connector, Error, EventBridge};
use roadshow_services::config::Settings;
use roadshow_services::{
    Address, Command, CommandHandler, Context, Failure, Items, Node, Service, ServiceId, Stream, StreamHandler,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::stage::Stage;
use crate::wait::within;

/// The service.
pub(crate) const TROUPE: ServiceId = ServiceId::new("troupe", 1);

/// How long a node may take to start or to end.
const NODE_MAX: Duration = Duration::from_secs(30);

/// A command: what its handler is to do.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Ask {
    pub(crate) id: u64,
    /// Waits until the ledger lets it go.
    pub(crate) hold: bool,
    pub(crate) panic: bool,
    pub(crate) reply_bytes: usize,
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Answer {
    pub(crate) id: u64,
    pub(crate) filling: String,
}

impl Command for Ask {
    const ADDRESS: Address = TROUPE.command("ask");
    type Reply = Answer;
}

/// A stream of numbers from 0.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Count {
    pub(crate) n: u64,
    /// Ends with a failure after the last number.
    pub(crate) fail: bool,
    /// Waits after the last number until nobody listens any more.
    pub(crate) hold: bool,
}

impl Stream for Count {
    const ADDRESS: Address = TROUPE.command("count");
    type Item = u64;
}

/// What handlers did, in all.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) starts: AtomicU64,
    pub(crate) ends: AtomicU64,
    /// The items that streams have sent.
    pub(crate) items: AtomicU64,
    released: watch::Sender<bool>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            starts: AtomicU64::new(0),
            ends: AtomicU64::new(0),
            items: AtomicU64::new(0),
            released: watch::Sender::new(false),
        }
    }
}

impl Ledger {
    pub(crate) fn starts(&self) -> u64 {
        self.starts.load(Ordering::SeqCst)
    }

    pub(crate) fn ends(&self) -> u64 {
        self.ends.load(Ordering::SeqCst)
    }

    pub(crate) fn items(&self) -> u64 {
        self.items.load(Ordering::SeqCst)
    }

    /// Lets go whoever holds, now and later.
    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }

    async fn held(&self) {
        let mut released = self.released.subscribe();
        // The sender lives in this ledger.
        let _ = released.wait_for(|released| *released).await;
    }
}

/// Counts a handler's end, however it ends.
struct AtWork<'a>(&'a Ledger);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.ends.fetch_add(1, Ordering::SeqCst);
    }
}

impl<'a> AtWork<'a> {
    fn new(ledger: &'a Ledger) -> Self {
        ledger.starts.fetch_add(1, Ordering::SeqCst);
        Self(ledger)
    }
}

struct Troupe(Arc<Ledger>);

impl CommandHandler<Ask> for Troupe {
    async fn handle(&self, input: Ask, _: &Context) -> Result<Answer, Failure> {
        let _at_work = AtWork::new(&self.0);
        if input.hold {
            self.0.held().await;
        }
        assert!(!input.panic, "the case asked for a panic");
        Ok(Answer {
            id: input.id,
            filling: "f".repeat(input.reply_bytes),
        })
    }
}

impl StreamHandler<Count> for Troupe {
    async fn open(&self, input: Count, items: Items<u64>, ctx: &Context) -> Result<(), Failure> {
        let _at_work = AtWork::new(&self.0);
        for number in 0..input.n {
            items.send(number).await?;
            self.0.items.fetch_add(1, Ordering::SeqCst);
        }
        if input.hold {
            ctx.cancelled().await;
        }
        if input.fail {
            return Err(Failure::conflict("the case asked for a failure"));
        }
        Ok(())
    }
}

fn troupe(ledger: &Arc<Ledger>) -> Service<Troupe> {
    let ledger = Arc::clone(ledger);
    let service = Service::new(TROUPE, move || {
        let ledger = Arc::clone(&ledger);
        async move { Ok::<_, Infallible>(Troupe(ledger)) }
    });
    service.command::<Ask>(|c| c.concurrency(64)).stream::<Count>(|s| s)
}

/// The adapter's connector for a node: nodes take connectors by value.
#[derive(Debug)]
struct Handed(Arc<dyn Connector>);

impl Connector for Handed {
    fn schemes(&self) -> &[&'static str] {
        self.0.schemes()
    }

    fn event_bridge<'a>(
        &'a self,
        url: &'a str,
        context: &'a ConnectContext,
    ) -> BoxFuture<'a, Result<Arc<dyn EventBridge>, Error>> {
        self.0.event_bridge(url, context)
    }
}

impl Stage {
    /// A node that serves the troupe.
    pub(crate) async fn server(&self, ledger: &Arc<Ledger>) -> Node {
        self.node(Some(ledger), &self.url).await
    }

    /// A node that serves nothing.
    pub(crate) async fn caller(&self) -> Node {
        self.node(None, &self.url).await
    }

    /// A node on the broker of this URL.
    pub(crate) async fn node(&self, ledger: Option<&Arc<Ledger>>, url: &str) -> Node {
        let flags = [("event_bridge".to_owned(), url.to_owned())];
        let settings = Settings::resolve(None, std::iter::empty(), &flags, None);
        let settings = settings.unwrap_or_else(|errors| panic!("the URL of the broker is no setting: {errors}"));
        let mut builder = Node::builder()
            .settings(settings)
            .connector(Handed(Arc::clone(&self.connector)))
            .node_id(self.context().node.to_string())
            .namespace(self.namespace.as_str());
        if let Some(ledger) = ledger {
            builder = builder.service(troupe(ledger));
        }
        let node = within(NODE_MAX, "the start of a node", builder.start()).await;
        node.unwrap_or_else(|error| panic!("a node does not start: {error:?}"))
    }
}

/// Ends a node in order.
pub(crate) async fn end(node: Node) {
    let drained = within(NODE_MAX, "the end of a node", node.shutdown(NODE_MAX / 3)).await;
    assert!(drained.is_clean(), "{drained:?}");
}

/// The sum of a node's metrics whose lines begin like this.
pub(crate) fn metric(node: &Node, start: &str) -> f64 {
    let text = node.metrics_text();
    let values = text.lines().filter(|line| line.starts_with(start));
    values
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}
