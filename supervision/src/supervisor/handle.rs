//! The handle to a running supervisor.
//!
//! Every request is a message to the supervisor and is answered as soon as it is done. A request whose future is dropped
//! is carried out all the same. Deliberately not here: access to the children's actors beyond their cells.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorCell, ActorRef};
use tokio::sync::{oneshot, watch};

use super::Status;
use super::message::{Message, Reply};
use crate::child_spec::{ChildKind, ChildSpec, SpecError};
use crate::exit::{Exit, ExitKind};
use crate::path::TreePath;
use crate::snapshot::NodeState;
use crate::start::{StartArgs, StartError};
use crate::stop::{self, StopOutcome};

/// A handle to a supervisor. Clones share it; dropping it changes nothing.
#[derive(Clone)]
pub struct SupervisorRef {
    actor: ActorRef<Message>,
    status: watch::Receiver<Status>,
    path: TreePath,
}

impl SupervisorRef {
    pub(crate) fn new(actor: ActorRef<Message>, status: watch::Receiver<Status>, path: TreePath) -> Self {
        Self { actor, status, path }
    }

    /// The supervisor's actor: what the start of a child that is a supervisor returns.
    #[must_use]
    pub fn cell(&self) -> ActorCell {
        self.actor.get_cell()
    }

    /// Its place in the tree.
    #[must_use]
    pub fn path(&self) -> &TreePath {
        &self.path
    }

    /// Adds a child and starts it; resolves when it is ready. `None` if its start was ignored.
    ///
    /// # Errors
    ///
    /// A spec that is refused, an id that is taken, a supervisor that is full, failed, ending or has a template; or the
    /// reason why the child did not start, in which case it is not added.
    pub async fn start_child(&self, spec: ChildSpec) -> Result<Option<ActorCell>, ChildError> {
        self.ask(|reply| Message::StartChild {
            spec: Box::new(spec),
            reply,
        })
        .await
    }

    /// Starts one more instance of the template with `args`; resolves when it is ready.
    ///
    /// # Errors
    ///
    /// A supervisor that has no template, is full, failed or ending; or the reason why the instance did not start.
    pub async fn start_instance(&self, args: Option<StartArgs>) -> Result<Instance, ChildError> {
        self.ask(|reply| Message::StartInstance { args, reply }).await
    }

    /// Stops a child within its deadline; resolves when it has ended. It stays declared unless it is temporary or an
    /// instance. A child that is stopped already is no error.
    ///
    /// # Errors
    ///
    /// No child of that id, or a supervisor that has ended.
    pub async fn terminate_child(&self, id: &str) -> Result<(), ChildError> {
        self.ask(|reply| Message::TerminateChild { id: id.into(), reply }).await
    }

    /// Starts a stopped child again, or one that waits for its restart at once; resolves when it is ready.
    ///
    /// # Errors
    ///
    /// No child of that id, one that runs or starts, an instance, a supervisor that has ended; or the reason why it did
    /// not start, in which case it stays as it was.
    pub async fn restart_child(&self, id: &str) -> Result<Option<ActorCell>, ChildError> {
        self.ask(|reply| Message::RestartChild { id: id.into(), reply }).await
    }

    /// Forgets a stopped child.
    ///
    /// # Errors
    ///
    /// No child of that id, one that is not stopped, an instance, or a supervisor that has ended.
    pub async fn delete_child(&self, id: &str) -> Result<(), ChildError> {
        self.ask(|reply| Message::DeleteChild { id: id.into(), reply }).await
    }

    /// How many children there are.
    ///
    /// # Errors
    ///
    /// A supervisor that has ended.
    pub async fn count_children(&self) -> Result<ChildCounts, ChildError> {
        self.ask(|reply| Message::Count { reply }).await
    }

    /// All children in start order.
    ///
    /// # Errors
    ///
    /// A supervisor that has ended.
    pub async fn children(&self) -> Result<Vec<ChildStatus>, ChildError> {
        self.ask(|reply| Message::Children { reply }).await
    }

    /// Says that a child has done its work (answered a call): its failures in a row are forgotten. Ignored if the child
    /// is another incarnation by now. Meant to be called once for each incarnation, not for each call.
    pub fn healthy(&self, child: &str, incarnation: u64) {
        // A supervisor that has ended has no rows to reset.
        let _ = self.actor.send_message(Message::Healthy {
            child: child.into(),
            incarnation,
        });
    }

    /// Waits until all children of the first start are ready.
    ///
    /// # Errors
    ///
    /// The exit, if the supervisor gave up or ended before.
    pub async fn ready(&self) -> Result<(), Exit> {
        match self.wait_for(|status| !matches!(status, Status::Starting)).await {
            Status::Failed(exit) | Status::Ended(exit) => Err(exit),
            Status::Starting | Status::Ready => Ok(()),
        }
    }

    /// Waits until the supervisor and all its children have ended, and says how. A supervisor that stays as failed has
    /// not ended.
    pub async fn wait(&self) -> Exit {
        match self.wait_for(|status| matches!(status, Status::Ended(_))).await {
            Status::Ended(exit) => exit,
            _ => Exit::new(ExitKind::Killed, vec!["supervisor was killed".to_owned()]),
        }
    }

    /// Stops the children in reverse order, each within its own deadline, then the supervisor; after `deadline` in all,
    /// kills what is left. Says how it ended. May be called more than once.
    pub async fn stop(&self, deadline: Duration) -> Exit {
        self.actor.stop(None);
        if let Ok(exit) = tokio::time::timeout(deadline, self.wait()).await {
            return exit;
        }
        let outcome = stop::kill(&self.cell()).await;
        if outcome == StopOutcome::Abandoned {
            return Exit::new(ExitKind::Killed, vec!["supervisor does not end".to_owned()]);
        }
        self.wait().await
    }

    /// The status that meets `condition`, or the last one if the supervisor is gone without having met it.
    async fn wait_for(&self, condition: impl FnMut(&Status) -> bool) -> Status {
        let mut status = self.status.clone();
        match status.wait_for(condition).await {
            Ok(status) => status.clone(),
            Err(_) => Status::Ended(match &*self.status.borrow() {
                Status::Ended(exit) => exit.clone(),
                _ => Exit::new(ExitKind::Killed, vec!["supervisor was killed".to_owned()]),
            }),
        }
    }

    async fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T, ChildError> {
        let (reply, answer) = oneshot::channel();
        self.actor.send_message(message(reply)).map_err(|_| ChildError::Ended)?;
        answer.await.unwrap_or(Err(ChildError::Ended))
    }
}

impl fmt::Debug for SupervisorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorRef")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// One started instance of a template.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Instance {
    /// The id it was given: that of the template, a hyphen and a number.
    pub id: Arc<str>,
    /// Its actor; `None` if its start was ignored.
    pub cell: Option<ActorCell>,
}

/// How many children a supervisor has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildCounts {
    /// All of them, running or not.
    pub specs: usize,
    /// Those that have an actor.
    pub active: usize,
    /// Those that are supervisors, running or not.
    pub supervisors: usize,
    /// Those that are workers, running or not.
    pub workers: usize,
}

/// One child at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChildStatus {
    /// Its id.
    pub id: Arc<str>,
    /// Whether it is a supervisor.
    pub kind: ChildKind,
    /// Where it is in its life.
    pub state: NodeState,
    /// Which start it is, counted from 1; 0 before the first.
    pub incarnation: u64,
    /// Its actor, if it has one.
    pub cell: Option<ActorCell>,
}

/// Why a request about a child was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// There is no child of that id. Check the id.
    #[error("cannot find child {0}")]
    NotFound(Arc<str>),
    /// The child runs. Terminate it first.
    #[error("child {0} is running")]
    Running(Arc<str>),
    /// The child starts, stops or waits for a restart, or all children of a supervisor that gave up are being stopped.
    /// Wait, or terminate it first.
    #[error("child {0} is restarting")]
    Restarting(Arc<str>),
    /// A child of that id is declared but stopped. Restart or delete it.
    #[error("child {0} is already present")]
    AlreadyPresent(Arc<str>),
    /// A child of that id runs or is about to. Use it, or choose another id.
    #[error("child {0} is already started")]
    AlreadyStarted(Arc<str>),
    /// The supervisor has as many children as it may. Terminate one, or raise the limit.
    #[error("supervisor has {0} children and may have no more")]
    Full(usize),
    /// The request does not fit: instances of a template are only started and terminated, and only a template has them.
    #[error("request does not fit a supervisor {}", if *.has_template { "with a template" } else { "without a template" })]
    Template {
        /// Whether the supervisor has a template.
        has_template: bool,
    },
    /// The spec is refused. Correct it.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The child did not start. Look at the causes.
    #[error("child {child} did not start: {error}")]
    Start {
        /// The child.
        child: Arc<str>,
        /// Why.
        error: StartError,
    },
    /// The supervisor gave up and stays as failed. Restart one of its children first.
    #[error("supervisor has given up")]
    GaveUp,
    /// The supervisor or the child ended before the request was done.
    #[error("supervisor has ended")]
    Ended,
}
