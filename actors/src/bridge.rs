//! The bridge actor: the owner of one connection to a broker.
//!
//! An outage is not a crash: the adapter reconnects by itself, and says meanwhile that it is not ready. The actor fails
//! only when waiting will not help, for example on refused credentials.

mod dropped;

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use roadshow_bridges::{EventBridge, Health};
use tracing::warn;

pub(crate) use dropped::BridgeDrops;
use dropped::WatchedBridge;

use crate::core::NodeCore;
use crate::owned_task::{OwnedTask, TaskPanic};

/// How often the actor looks whether its bridge has failed for good.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the bridge of an actor that failed may take to close.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// Whether a bridge will never be ready again.
pub(crate) fn is_lost(bridge: &dyn EventBridge) -> bool {
    matches!(bridge.health(), Health::Failed { .. } | Health::Closed)
}

/// The node's bridge, as soon as it has one that is not lost.
///
/// # Cancel safety
/// Dropping the future only stops the waiting.
pub(crate) async fn usable_bridge(node: &NodeCore) -> Arc<dyn EventBridge> {
    loop {
        let mut changed = std::pin::pin!(node.bridge_changed.notified());
        // Listens before it looks, so that no change falls between the two.
        changed.as_mut().enable();
        if let Ok(bridge) = node.event_bridge()
            && !is_lost(&*bridge)
        {
            return bridge;
        }
        changed.await;
    }
}

/// What a bridge actor starts with: the node, and the bridge that was connected for it.
#[derive(Debug)]
pub struct BridgeArguments {
    /// The node that publishes and subscribes through the bridge.
    pub node: Arc<NodeCore>,
    /// The connected bridge.
    pub bridge: Arc<dyn EventBridge>,
}

/// The bridge while its actor lives.
#[derive(Debug)]
pub struct BridgeState {
    arguments: BridgeArguments,
    closed: bool,
    watched: Option<WatchedBridge>,
    _look: OwnedTask,
}

impl Drop for BridgeState {
    fn drop(&mut self) {
        let BridgeArguments { node, bridge } = &self.arguments;
        node.clear_event_bridge(bridge);
        if self.closed {
            return;
        }
        // The actor failed or was killed. Nobody is left to wait for the end of this task, so its time is bounded.
        let bridge = Arc::clone(bridge);
        // What it drops while it is closed counts too.
        let watched = self.watched.take();
        node.runtime().spawn(async move {
            match tokio::time::timeout(CLOSE_MAX, bridge.close()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => warn!(%error, "a failed event bridge did not close well"),
                Err(_elapsed) => warn!("a failed event bridge did not close within {CLOSE_MAX:?}"),
            }
            drop(watched);
        });
    }
}

/// What a bridge actor is told, by its own task only.
#[derive(Debug)]
pub enum BridgeMessage {
    /// Look after the bridge.
    Look,
    /// Nobody says any more when to look.
    LookEnded(Result<(), TaskPanic>),
}

/// The actor of one event bridge.
#[derive(Clone, Copy, Debug, Default)]
pub struct BridgeActor;

impl Actor for BridgeActor {
    type Msg = BridgeMessage;
    type State = BridgeState;
    type Arguments = BridgeArguments;

    /// From here on the node publishes through the bridge.
    async fn pre_start(
        &self,
        myself: ActorRef<BridgeMessage>,
        arguments: BridgeArguments,
    ) -> Result<BridgeState, ActorProcessingErr> {
        let node = &arguments.node;
        node.set_event_bridge(Some(Arc::clone(&arguments.bridge)));
        let watched = node.bridge_drops.watch(&node.metrics, &arguments.bridge);
        let look = look_every(LOOK_EVERY, myself.clone());
        let look = OwnedTask::spawn(node.runtime(), myself, look, BridgeMessage::LookEnded);
        Ok(BridgeState {
            arguments,
            closed: false,
            watched: Some(watched),
            _look: look,
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<BridgeMessage>,
        message: BridgeMessage,
        state: &mut BridgeState,
    ) -> Result<(), ActorProcessingErr> {
        if let BridgeMessage::LookEnded(ended) = message {
            return ended.map_err(Into::into);
        }
        match state.arguments.bridge.health() {
            Health::Failed { reason } => Err(format!("the event bridge failed: {reason}").into()),
            Health::Closed => Err("the event bridge was closed".into()),
            _ => Ok(()),
        }
    }

    /// Settles what is out and disconnects.
    async fn post_stop(
        &self,
        _myself: ActorRef<BridgeMessage>,
        state: &mut BridgeState,
    ) -> Result<(), ActorProcessingErr> {
        let closed = state.arguments.bridge.close().await;
        state.closed = true;
        closed.map_err(Into::into)
    }
}

/// Asks `actor` to look, until it has ended.
async fn look_every(period: Duration, actor: ActorRef<BridgeMessage>) {
    let mut every = tokio::time::interval(period);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if actor.send_message(BridgeMessage::Look).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
