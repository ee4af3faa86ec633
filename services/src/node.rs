//! A node: services on a supervision tree, with a bridge to others.

mod assemble;
mod builder;
mod drain;
mod health;
mod observer;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use roadshow_actors::metrics::Recorder;
use roadshow_actors::{NodeCore, Phase};
use roadshow_bridges::Address;
use roadshow_supervision::{Exit, SupervisorRef, Tree, TreeNode};
use tokio::sync::watch;
use tracing::warn;

pub use builder::NodeBuilder;
pub use drain::{Drained, time_for_work};
pub use health::{Part, PartState, Readiness};
pub use observer::FailureRecord;

use crate::client::Client;
use crate::contract::{CommandContract, ServiceContract, StreamContract, SubscriptionContract};
use crate::error::Error;
use observer::Chronicle;

/// What all handles to a node share.
pub(crate) struct Inner {
    core: Arc<NodeCore>,
    tree: Tree,
    root: OnceLock<SupervisorRef>,
    services: Vec<ServiceEntry>,
    chronicle: Arc<Chronicle>,
    changes: watch::Receiver<u64>,
    locations: Mutex<BTreeMap<&'static str, Option<String>>>,
    limits: NodeLimits,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.core.node_id())
            .field("phase", &self.core.phase())
            .finish_non_exhaustive()
    }
}

/// One service of a node, as far as others may look.
#[derive(Debug)]
pub(crate) struct ServiceEntry {
    pub(crate) core: Arc<roadshow_actors::ServiceCore>,
    pub(crate) endpoints: Vec<Arc<roadshow_actors::EndpointCore>>,
    pub(crate) subscribers: Vec<Arc<dyn roadshow_actors::AnySubscriber>>,
    /// What takes its commands from others, if it has any.
    pub(crate) intake: Option<Arc<roadshow_actors::Intake>>,
    pub(crate) optional: bool,
    pub(crate) contract: ServiceContract,
    /// What it declares that it calls, where contracts are strict.
    pub(crate) calls: Vec<Address>,
}

/// What bounds calls from outside.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NodeLimits {
    /// The longest time budget that a caller may ask for. Default 60 s.
    pub timeout_max: Duration,
    /// The largest payload, in bytes. Default 1 MiB.
    pub payload_max: usize,
    /// How long a shutdown may take. Default 30 s.
    pub shutdown_budget: Duration,
}

impl Default for NodeLimits {
    fn default() -> Self {
        NodeLimits {
            timeout_max: Duration::from_secs(60),
            payload_max: 1 << 20,
            shutdown_budget: Duration::from_secs(30),
        }
    }
}

/// A running node. Ends with [`Node::shutdown`]; dropped without it, the tree is stopped without a drain.
#[must_use = "a node that is dropped is stopped"]
pub struct Node {
    view: NodeView,
    ended: bool,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view.fmt(f)
    }
}

impl Node {
    /// A node to be put together.
    pub fn builder() -> NodeBuilder {
        NodeBuilder::default()
    }

    /// Waits until everything that must serve serves.
    ///
    /// # Errors
    /// When the root gave up: the whole chain of causes. Everything is stopped then.
    pub async fn ready(&self) -> Result<(), Error> {
        self.view.0.ready().await
    }

    /// Waits until the node has given up on itself, and says why. A node that is well waits for ever.
    pub async fn wait(&self) -> Exit {
        self.view.0.root().wait().await
    }

    /// Drains and stops the node: see [`Drained`] for what was left. `budget` bounds all of it.
    ///
    /// # Cancel safety
    /// Dropping the future ends the drain: as with a node that is dropped, what is at work is dropped and the tree stops.
    pub async fn shutdown(mut self, budget: Duration) -> Drained {
        let drained = drain::shutdown(&self.view.0, budget).await;
        self.ended = true;
        drained
    }

    /// Lets go of a node that never became ready; its tree has ended already.
    fn abort_start(mut self) {
        self.ended = true;
        self.view.0.end_calls();
        self.view.0.core.close();
    }

    /// A handle that others may keep.
    #[must_use]
    pub fn view(&self) -> NodeView {
        self.view.clone()
    }

    /// For calls and events from outside a handler.
    #[must_use]
    pub fn client(&self) -> Client {
        self.view.client()
    }

    /// Whether the node serves, part by part.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.view.readiness()
    }

    /// The supervision tree at this moment.
    #[must_use]
    pub fn tree(&self) -> TreeNode {
        self.view.tree()
    }

    /// Prometheus text of everything the node counts.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.view.metrics_text()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !self.ended
            && let Some(root) = self.view.0.root.get()
        {
            warn!(node = self.view.id(), "a node was dropped without a finished shutdown");
            self.view.0.end_calls();
            self.view.0.core.close();
            root.cell().stop(Some("the node was dropped".to_owned()));
        }
    }
}

/// A handle to a node that does not keep it running: for components and for looking.
#[derive(Clone, Debug)]
pub struct NodeView(pub(crate) Arc<Inner>);

impl NodeView {
    /// The node's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.core.node_id()
    }

    /// Where the node is in its life.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.core.phase()
    }

    /// For calls and events from outside a handler.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(Arc::clone(&self.0.core))
    }

    /// Whether the node serves, part by part.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.0.readiness()
    }

    /// The supervision tree at this moment.
    #[must_use]
    pub fn tree(&self) -> TreeNode {
        self.0.tree.snapshot()
    }

    /// The failures noted last, oldest first; at most 256.
    #[must_use]
    pub fn failures(&self) -> Vec<FailureRecord> {
        self.0.chronicle.failures()
    }

    /// Prometheus text of everything the node counts.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.0.core.metrics().render()
    }

    /// The door for metrics of the `metrics` facade: a program may install it as the global recorder, so that macros
    /// anywhere count on this node.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        self.0.core.metrics().recorder()
    }

    /// The commands of this node.
    #[must_use]
    pub fn commands(&self) -> Vec<CommandContract> {
        self.0
            .services
            .iter()
            .flat_map(|service| service.contract.commands.iter().cloned())
            .collect()
    }

    /// The streams of this node.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamContract> {
        self.0
            .services
            .iter()
            .flat_map(|service| service.contract.streams.iter().cloned())
            .collect()
    }

    /// The subscriptions of this node.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<SubscriptionContract> {
        self.0
            .services
            .iter()
            .flat_map(|service| service.contract.subscriptions.iter().cloned())
            .collect()
    }

    /// The services of this node, as documents and checks see them.
    #[must_use]
    pub fn contracts(&self) -> Vec<ServiceContract> {
        self.0.services.iter().map(|service| service.contract.clone()).collect()
    }

    /// What bounds calls from outside.
    #[must_use]
    pub fn limits(&self) -> NodeLimits {
        self.0.limits
    }

    /// Where a component can be reached, if it runs and says so.
    #[must_use]
    pub fn location(&self, component: &str) -> Option<String> {
        let locations = self.0.locations.lock().unwrap_or_else(PoisonError::into_inner);
        locations.get(component).cloned().flatten()
    }

    pub(crate) fn set_location(&self, component: &'static str, location: Option<String>) {
        self.0
            .locations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(component, location);
    }
}

impl Inner {
    fn root(&self) -> &SupervisorRef {
        self.root.get().expect("a node is handed out once its root has started")
    }

    async fn ready(&self) -> Result<(), Error> {
        let mut changes = self.changes.clone();
        loop {
            if self.exchange_is_settled() && self.services.iter().all(ServiceEntry::is_settled) {
                self.core.enter_phase(Phase::Running);
                return Ok(());
            }
            tokio::select! {
                () = self.core.exchange_confirmed(), if !self.exchange_is_settled() => {}
                exit = self.root().wait() => return Err(Error::gave_up(&exit)),
                changed = changes.changed() => {
                    if changed.is_err() {
                        return Err(Error::gave_up(&self.root().wait().await));
                    }
                }
            }
        }
    }
}
