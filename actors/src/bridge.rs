//! The bridge actor: the owner of one connection to a broker.
//!
//! An outage is not a crash: the adapter reconnects by itself, and says meanwhile that it is not ready. The actor fails
//! only when waiting will not help, for example on refused credentials.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use roadshow_bridges::{EventBridge, Health};
use tokio::task::JoinHandle;

use crate::core::NodeCore;

/// How often the actor looks whether its bridge has failed for good.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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
    look: JoinHandle<()>,
}

impl Drop for BridgeState {
    fn drop(&mut self) {
        self.look.abort();
        self.arguments.node.set_event_bridge(None);
    }
}

/// Asks the actor to look after its bridge.
#[derive(Clone, Copy, Debug)]
pub struct Look;

/// The actor of one event bridge.
#[derive(Clone, Copy, Debug, Default)]
pub struct BridgeActor;

impl Actor for BridgeActor {
    type Msg = Look;
    type State = BridgeState;
    type Arguments = BridgeArguments;

    /// From here on the node publishes through the bridge.
    async fn pre_start(
        &self,
        myself: ActorRef<Look>,
        arguments: BridgeArguments,
    ) -> Result<BridgeState, ActorProcessingErr> {
        arguments.node.set_event_bridge(Some(Arc::clone(&arguments.bridge)));
        let look = arguments.node.runtime().spawn(async move {
            let mut every = tokio::time::interval(LOOK_EVERY);
            every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                every.tick().await;
                if myself.send_message(Look).is_err() {
                    return;
                }
            }
        });
        Ok(BridgeState { arguments, look })
    }

    async fn handle(
        &self,
        _myself: ActorRef<Look>,
        Look: Look,
        state: &mut BridgeState,
    ) -> Result<(), ActorProcessingErr> {
        match state.arguments.bridge.health() {
            Health::Failed { reason } => Err(format!("the event bridge failed: {reason}").into()),
            Health::Closed => Err("the event bridge was closed".into()),
            _ => Ok(()),
        }
    }

    /// Settles what is out and disconnects.
    async fn post_stop(&self, _myself: ActorRef<Look>, state: &mut BridgeState) -> Result<(), ActorProcessingErr> {
        state.arguments.bridge.close().await.map_err(Into::into)
    }
}
