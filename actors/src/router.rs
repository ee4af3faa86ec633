//! The router actor: the owner and only writer of the routes of a node.
//!
//! Calls do not pass through it. It changes a copy of the table and publishes it; senders read the snapshot. It also
//! drives the deadline wheel, so that no task of the call path is without an owner in the tree.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use roadshow_bridges::{AddressBuf, Failure, ServiceId};

use crate::core::NodeCore;
use crate::link::Link;
use crate::owned_task::{OwnedTask, TaskPanic};
use crate::routes::{Route, Served};

/// What the router is told.
#[derive(Debug)]
#[non_exhaustive]
pub enum RouterMessage {
    /// A service of this node takes calls from now on.
    Serve(Served),
    /// A service of this node takes no more calls.
    Withdraw(ServiceId),
    /// Other nodes' services are reached over a link.
    AddLink {
        /// The link.
        link: Arc<dyn Link>,
        /// What is behind it.
        services: Vec<ServiceId>,
    },
    /// What no node is known to serve is asked of whoever listens, over this link.
    SetFallback(Arc<dyn Link>, RpcReplyPort<()>),
    /// The link to whoever listens is gone; another one that has taken its place stays.
    ClearFallback(Arc<dyn Link>),
    /// A link is gone.
    RemoveLink(String),
    /// The slow path: where does an address lead, once everything told before is in the table?
    Resolve(AddressBuf, RpcReplyPort<Result<Route, Failure>>),
    /// The wheel stands still: told by its driver only.
    WheelEnded(Result<(), TaskPanic>),
}

/// The router of one node.
#[derive(Debug)]
pub struct Router {
    node: Arc<NodeCore>,
}

/// The wheel's driver, ended with the router.
#[derive(Debug)]
pub struct RouterState {
    _wheel: OwnedTask,
}

impl Router {
    /// The router of `node`. A restarted one finds the table that its predecessor published.
    #[must_use]
    pub fn new(node: Arc<NodeCore>) -> Self {
        Router { node }
    }
}

impl Actor for Router {
    type Msg = RouterMessage;
    type State = RouterState;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<Self::Msg>, (): ()) -> Result<Self::State, ActorProcessingErr> {
        self.node.set_router(myself.clone());
        let node = Arc::clone(&self.node);
        let drive = async move { node.wheel.run(&node.clock).await };
        let wheel = OwnedTask::spawn(self.node.runtime(), myself, drive, RouterMessage::WheelEnded);
        Ok(RouterState { _wheel: wheel })
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: RouterMessage,
        _state: &mut RouterState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RouterMessage::Serve(served) => self.node.change_routes(|routes| routes.serve(served)),
            RouterMessage::Withdraw(service) => self.node.change_routes(|routes| routes.withdraw(service)),
            RouterMessage::AddLink { link, services } => {
                self.node.change_routes(|routes| routes.add_link(link, services));
            }
            RouterMessage::SetFallback(link, reply) => {
                self.node.change_routes(|routes| routes.set_fallback(Some(link)));
                // Whoever asked may have gone.
                let _ = reply.send(());
            }
            RouterMessage::ClearFallback(link) => self.node.change_routes(|routes| routes.clear_fallback(&link)),
            RouterMessage::RemoveLink(name) => self.node.change_routes(|routes| routes.remove_link(&name)),
            RouterMessage::Resolve(address, reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(self.node.routes().resolve(address.key()));
            }
            RouterMessage::WheelEnded(ended) => {
                ended?;
                return Err("the deadline wheel has stopped".into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
