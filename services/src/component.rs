//! Components: parts of a node that are not services, such as the gateway. They start first and close last.

use std::fmt;

use futures_util::future::BoxFuture;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use roadshow_actors::{OwnedTask, TaskPanic};
use roadshow_supervision::{ChildSpec, StartContext, StartError};
use tokio_util::sync::CancellationToken;

use crate::node::NodeView;
use crate::service::FactoryError;

/// A part of a node with a life of its own.
pub trait Component: Send + Sync + fmt::Debug + 'static {
    /// Its name in the tree.
    fn name(&self) -> &'static str;

    /// Starts it: binds what it binds, so that a taken port fails the node at once.
    ///
    /// # Errors
    /// Why it cannot start; the node does not try again.
    fn start(&self, node: NodeView) -> BoxFuture<'_, Result<Box<dyn RunningComponent>, FactoryError>>;
}

/// A component at work.
pub trait RunningComponent: Send + 'static {
    /// Where it can be reached, for people.
    fn location(&self) -> Option<String>;

    /// Works until `stop` is cancelled, then ends what it has begun and returns.
    ///
    /// # Errors
    /// Why it cannot go on; its supervisor starts it again.
    fn run(self: Box<Self>, stop: CancellationToken) -> BoxFuture<'static, Result<(), FactoryError>>;
}

/// The actor that owns a component's task.
struct ComponentActor;

struct ComponentState {
    stop: CancellationToken,
    task: OwnedTask,
}

impl Drop for ComponentState {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[derive(Debug)]
struct ComponentEnded(Result<Result<(), FactoryError>, TaskPanic>);

impl Actor for ComponentActor {
    type Msg = ComponentEnded;
    type State = ComponentState;
    type Arguments = Box<dyn RunningComponent>;

    async fn pre_start(
        &self,
        myself: ActorRef<ComponentEnded>,
        component: Box<dyn RunningComponent>,
    ) -> Result<ComponentState, ActorProcessingErr> {
        let stop = CancellationToken::new();
        let running = component.run(stop.clone());
        let runtime = tokio::runtime::Handle::current();
        let task = OwnedTask::spawn(&runtime, myself, running, ComponentEnded);
        Ok(ComponentState { stop, task })
    }

    async fn handle(
        &self,
        _myself: ActorRef<ComponentEnded>,
        ComponentEnded(ended): ComponentEnded,
        _state: &mut ComponentState,
    ) -> Result<(), ActorProcessingErr> {
        ended??;
        Err("the component ended by itself".into())
    }

    /// Lets the component finish; the supervisor's deadline for the child bounds the wait.
    async fn post_stop(
        &self,
        _myself: ActorRef<ComponentEnded>,
        state: &mut ComponentState,
    ) -> Result<(), ActorProcessingErr> {
        state.stop.cancel();
        state.task.join().await.map_err(Into::into)
    }
}

/// The child of the root that runs a component.
pub(crate) fn component_child(component: std::sync::Arc<dyn Component>, node: NodeView) -> ChildSpec {
    let name = component.name();
    ChildSpec::worker(name, move |start: StartContext| {
        let (component, node) = (std::sync::Arc::clone(&component), node.clone());
        async move {
            let running = component.start(node.clone()).await.map_err(|error| {
                let causes = StartError::new(error).to_string();
                StartError::unrecoverable(format!("cannot start the {name}: {causes}"))
            })?;
            node.set_location(name, running.location());
            let actor = start.spawn(ComponentActor, running).await?;
            Ok(actor.get_cell())
        }
    })
    .label("component")
}
