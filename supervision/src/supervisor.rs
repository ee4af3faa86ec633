//! The actor that carries plans out.
//!
//! Its handlers never wait: starts, stops and delays run in tasks that it owns and come back as messages, so it obeys at
//! any time. What it knows is in [`core`]; the rest of this folder is one file for each thing it does.
//!
//! Deliberately not here: the decision what to restart ([`plan`](crate::plan)).

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::watch;

use crate::child_spec::ChildSpec;
use crate::event::Observer;
use crate::exit::Exit;
use crate::path::TreePath;
use crate::start::{StartContext, StartError};
use crate::supervisor_spec::{InitialStart, SupervisorSpec};
use crate::tree::{Leaf, Tree};

mod admin;
mod children;
mod close;
mod core;
mod exits;
mod handle;
pub(crate) mod message;
pub(crate) mod report;
mod run;
mod starts;
mod strangers;
mod task;

pub use handle::{ChildCounts, ChildError, ChildStatus, Instance, SupervisorRef};

use self::core::Core;
use message::Message;
use report::Reporter;

/// Where a supervisor is in its life, for those who wait for it.
#[derive(Clone, Debug)]
pub(crate) enum Status {
    Starting,
    Ready,
    Failed(Exit),
    Ended(Exit),
}

/// Starts supervisors; see [`SupervisorRef`] for what they do afterwards.
#[derive(Debug)]
pub struct Supervisor;

impl Supervisor {
    /// Starts a supervisor and its children, in order.
    ///
    /// With a `parent` (what the start of a child was given) it becomes that child and hangs below its node in `tree`;
    /// without, it becomes the root of `tree`. With [`InitialStart::Fail`] this resolves when all children are ready.
    /// With [`InitialStart::Retry`] it resolves as soon as the supervisor obeys; [`SupervisorRef::ready`] waits for the
    /// children.
    ///
    /// Dropping the future before it resolves stops what was started.
    ///
    /// # Errors
    ///
    /// A spec that is refused, a parent that is ending, or, with [`InitialStart::Fail`], the first child that did not
    /// start: everything that was started is stopped again by then, in reverse order.
    pub async fn spawn(
        spec: SupervisorSpec,
        children: Vec<ChildSpec>,
        parent: Option<StartContext>,
        tree: Tree,
        observer: Arc<dyn Observer>,
    ) -> Result<SupervisorRef, StartError> {
        spec.check(&children)?;
        let (status, outcome) = watch::channel(Status::Starting);
        let initial = spec.initial;
        let (path, leaf) = match &parent {
            Some(parent) => (parent.path.clone(), tree.borrow(parent.node)),
            None => (TreePath::root(&spec.id), tree.root(&spec.id, spec.label)),
        };
        let reporter = Arc::new(Reporter::new(observer, path.clone(), tree));
        let seed = Seed {
            spec,
            children,
            reporter,
            leaf,
            status,
        };
        let actor = match &parent {
            Some(parent) => parent.spawn(SupervisorActor, seed).await?,
            None => SupervisorActor::spawn(None, SupervisorActor, seed).await?.0,
        };
        let supervisor = SupervisorRef::new(actor, outcome, path);
        if initial == InitialStart::Fail {
            let unless_ready = StopUnlessReady(Some(supervisor.clone()));
            supervisor.ready().await.map_err(|exit| StartError::from_exit(&exit))?;
            unless_ready.disarm();
        }
        Ok(supervisor)
    }
}

/// Stops a supervisor whose start nobody waits for any more.
struct StopUnlessReady(Option<SupervisorRef>);

impl StopUnlessReady {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for StopUnlessReady {
    fn drop(&mut self) {
        if let Some(supervisor) = &self.0 {
            supervisor.cell().stop(Some("its start was given up".to_owned()));
        }
    }
}

/// What the actor is started with.
pub(crate) struct Seed {
    spec: SupervisorSpec,
    children: Vec<ChildSpec>,
    reporter: Arc<Reporter>,
    leaf: Leaf,
    status: watch::Sender<Status>,
}

/// The ractor side: it hands each event to the core and has no logic.
pub(crate) struct SupervisorActor;

impl Actor for SupervisorActor {
    type Msg = Message;
    type State = Core;
    type Arguments = Seed;

    async fn pre_start(&self, myself: ActorRef<Message>, seed: Seed) -> Result<Core, ActorProcessingErr> {
        Ok(Core::new(myself, seed))
    }

    async fn post_start(&self, _myself: ActorRef<Message>, core: &mut Core) -> Result<(), ActorProcessingErr> {
        core.begin_initial_run();
        Ok(())
    }

    async fn handle(
        &self,
        _myself: ActorRef<Message>,
        message: Message,
        core: &mut Core,
    ) -> Result<(), ActorProcessingErr> {
        core.on_message(message);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<Message>,
        event: SupervisionEvent,
        core: &mut Core,
    ) -> Result<(), ActorProcessingErr> {
        core.on_event(&event);
        Ok(())
    }

    async fn post_stop(&self, _myself: ActorRef<Message>, core: &mut Core) -> Result<(), ActorProcessingErr> {
        core.close().await
    }
}
