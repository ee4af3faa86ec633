//! What the tests over brokers share: a broker of one's own, nodes that use it, and waiting with a limit.

use std::time::Duration;

use roadshow_conformance::broker::{Broker, BrokerKind, BrokerOptions};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, interval};

use crate::http::{Answer, Connection};
use crate::node::{Node, binary};

/// How long one request may take at most.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A broker and a folder for what its nodes leave behind.
pub(crate) struct Stage {
    pub(crate) broker: Broker,
    pub(crate) folder: TempDir,
}

impl Stage {
    pub(crate) async fn new(kind: BrokerKind) -> Self {
        Self::with(kind, BrokerOptions::default()).await
    }

    pub(crate) async fn with(kind: BrokerKind, options: BrokerOptions) -> Self {
        let broker = Broker::start_with(kind, options).await.expect("the broker starts");
        let folder = tempfile::tempdir().expect("a folder");
        Self { broker, folder }
    }

    /// A node on this broker that is not started yet.
    pub(crate) fn node(&self, name: &str, flags: &[&str]) -> Node {
        self.node_at(&self.broker.url(), name, flags)
    }

    /// As [`Stage::node`], at another URL.
    pub(crate) fn node_at(&self, url: &str, name: &str, flags: &[&str]) -> Node {
        let flags = [&["--event-bridge", url, "--log", "json"], flags].concat();
        let binary = binary(Some(env!("CARGO_BIN_EXE_roadshow")));
        Node::new(&binary, self.folder.path(), name, &flags)
    }

    /// A node that is ready.
    pub(crate) async fn start(&self, name: &str, flags: &[&str]) -> Node {
        let mut node = self.node(name, flags);
        node.start().await.unwrap_or_else(|error| panic!("{error}"));
        node
    }

    /// Where the probe writes.
    pub(crate) fn ledger(&self) -> String {
        let path = self.folder.path().join("ledger.jsonl");
        path.to_str().expect("a path in UTF-8").to_owned()
    }

    /// How long after the broker is back calls must be served again.
    pub(crate) fn recovery_max(&self) -> Duration {
        match self.broker.kind() {
            BrokerKind::Rabbit => Duration::from_secs(20),
            _ => Duration::from_secs(10),
        }
    }
}

/// POST to a node, on a connection of its own.
pub(crate) async fn post(node: &Node, path: &str, headers: &str, body: &Value) -> std::io::Result<Answer> {
    Connection::open(node.http)
        .await?
        .post(path, headers, body, REQUEST_MAX)
        .await
}

/// GET of a node's page.
pub(crate) async fn get(node: &Node, path: &str) -> std::io::Result<Answer> {
    Connection::open(node.http).await?.get(path, REQUEST_MAX).await
}

/// A call of the probe through a node: the status and the answer.
pub(crate) async fn run(node: &Node, headers: &str, input: &Value) -> (u16, Value) {
    let answer = post(node, "/_node/call/probe/1/run", headers, input).await;
    let answer = answer.expect("the node answers, whatever it says");
    (answer.status, answer.json())
}

/// Waits until `look` finds something, and says how long that took.
pub(crate) async fn until<T>(what: &str, limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> (T, Duration) {
    let begun = Instant::now();
    let mut beat = interval(LOOK_EVERY);
    loop {
        beat.tick().await;
        if let Some(found) = look().await {
            return (found, begun.elapsed());
        }
        assert!(begun.elapsed() < limit, "{what} within {limit:?}");
    }
}

/// The status and the text of `/readyz`.
pub(crate) async fn readiness(node: &Node) -> (u16, String) {
    let answer = get(node, "/readyz").await;
    answer.map_or((0, String::new()), |answer| {
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    })
}
