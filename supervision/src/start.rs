//! Starting a child: the factory, what it is given, how it may fail, and the task that runs it.
//!
//! The factory runs in a task of its own under a deadline, never in the supervisor's handler. Its answer is a message
//! with the incarnation, so that an answer that comes too late is known as such. Deliberately not here: what the answer
//! leads to.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ractor::{Actor, ActorCell, ActorRef, SpawnErr};

use crate::child_spec::SpecError;
use crate::event::Observer;
use crate::exit::{Exit, ExitKind, Unrecoverable, causes_of};
use crate::path::TreePath;
use crate::supervisor::message::Message;
use crate::tree::{Leaf, Tree};

/// Starts a child: an async factory that resolves when the child is ready.
///
/// # Behavior
///
/// It spawns exactly one actor linked to [`StartContext::supervisor`] (best through [`StartContext::spawn`]) and returns
/// its cell. It may be dropped at any await point, when the start takes too long or is not wanted any more. Every other
/// actor that it links to the supervisor is stopped.
pub type StartFn = Arc<dyn Fn(StartContext) -> BoxFuture<'static, Result<ActorCell, StartError>> + Send + Sync>;

/// Arguments of one instance of a template, see [`SupervisorRef::start_instance`](crate::SupervisorRef::start_instance).
pub type StartArgs = Arc<dyn Any + Send + Sync>;

/// Wraps an async closure as a [`StartFn`].
pub fn start_fn<F, S>(start: F) -> StartFn
where
    F: Fn(StartContext) -> S + Send + Sync + 'static,
    S: Future<Output = Result<ActorCell, StartError>> + Send + 'static,
{
    Arc::new(move |context| start(context).boxed())
}

/// What a start is given.
#[derive(Clone)]
#[non_exhaustive]
pub struct StartContext {
    /// The supervisor that the new actor is linked to.
    pub supervisor: ActorCell,
    /// The child's id.
    pub child: Arc<str>,
    /// Which start this is, counted from 1.
    pub incarnation: u64,
    /// The child's place in the tree.
    pub path: TreePath,
    /// The tree that the supervisor belongs to.
    pub tree: Tree,
    /// Receives the events of the supervisor, and of one that is started here.
    pub observer: Arc<dyn Observer>,
    /// The arguments, if the child is an instance of a template.
    pub args: Option<StartArgs>,
    pub(crate) node: u64,
    pub(crate) berth: Arc<Berth>,
}

impl StartContext {
    /// Spawns `actor` linked to the supervisor and remembers it, so that it is stopped if this start is given up.
    ///
    /// # Errors
    ///
    /// What `pre_start` failed or panicked with, or that the supervisor is ending.
    pub async fn spawn<A: Actor>(&self, actor: A, args: A::Arguments) -> Result<ActorRef<A::Msg>, StartError> {
        let (actor, _task) = Actor::spawn_linked(None, actor, args, self.supervisor.clone()).await?;
        self.berth.take_in(actor.get_cell());
        Ok(actor)
    }

    /// Says that this incarnation has done its work (answered a call): its failures in a row are forgotten. Meant to be
    /// called once; see [`SupervisorRef::healthy`](crate::SupervisorRef::healthy).
    pub fn healthy(&self) {
        // A supervisor that has ended has no rows to reset.
        let _ = self.supervisor.send_message(Message::Healthy {
            child: self.child.clone(),
            incarnation: self.incarnation,
        });
    }

    /// Adds a node below this child, for a part of it that is not a supervised child.
    #[must_use]
    pub fn leaf(&self, id: &str, kind: &str) -> Leaf {
        self.tree.borrow(self.node).leaf(id, kind)
    }
}

impl fmt::Debug for StartContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartContext")
            .field("path", &self.path)
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}

/// Where a start leaves the actor it has spawned until it answers, for whoever cuts the start short.
#[derive(Debug, Default)]
pub(crate) struct Berth(Mutex<BerthState>);

#[derive(Debug, Default)]
struct BerthState {
    is_closed: bool,
    cell: Option<ActorCell>,
}

impl Berth {
    fn take_in(&self, cell: ActorCell) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_closed {
            cell.stop(Some("its start was given up".to_owned()));
        } else {
            state.cell = Some(cell);
        }
    }

    /// Refuses actors from now on and hands out the one that is there.
    pub(crate) fn close(&self) -> Option<ActorCell> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_closed = true;
        state.cell.take()
    }
}

/// Why a child, or a supervisor with it, did not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    causes: Vec<String>,
    is_unrecoverable: bool,
    is_ignored: bool,
    gave_up: bool,
}

impl StartError {
    /// A start that failed because of `error`. If that is or wraps [`Unrecoverable`], the supervisor does not try again.
    #[must_use]
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error = error.into();
        let is_unrecoverable = is_unrecoverable(error.as_ref());
        Self {
            causes: causes_of(error.as_ref()),
            is_unrecoverable,
            is_ignored: false,
            gave_up: false,
        }
    }

    /// A start that trying again cannot help: the supervisor gives up at once.
    #[must_use]
    pub fn unrecoverable(reason: impl Into<String>) -> Self {
        Self::new(Unrecoverable(reason.into()))
    }

    /// Not a failure: the child has nothing to do. It stays declared (unless temporary) and stopped.
    #[must_use]
    pub fn ignore() -> Self {
        Self {
            causes: Vec::new(),
            is_unrecoverable: false,
            is_ignored: true,
            gave_up: false,
        }
    }

    /// Why, outermost cause first.
    #[must_use]
    pub fn causes(&self) -> &[String] {
        &self.causes
    }

    /// Whether the child chose not to run.
    #[must_use]
    pub fn is_ignored(&self) -> bool {
        self.is_ignored
    }

    /// Whether trying again cannot help.
    #[must_use]
    pub fn is_unrecoverable(&self) -> bool {
        self.is_unrecoverable
    }

    /// Puts a sentence in front of the causes.
    #[must_use]
    pub fn context(mut self, sentence: impl Into<String>) -> Self {
        self.causes.insert(0, sentence.into());
        self
    }

    pub(crate) fn from_exit(exit: &Exit) -> Self {
        let is_unrecoverable = exit.kind == ExitKind::Unrecoverable;
        Self {
            causes: exit.causes.clone(),
            is_unrecoverable,
            is_ignored: false,
            gave_up: exit.gave_up,
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        let kind = if self.is_unrecoverable {
            ExitKind::Unrecoverable
        } else {
            ExitKind::StartFailed
        };
        Exit {
            gave_up: self.gave_up,
            ..Exit::new(kind, self.causes.clone())
        }
    }

    fn from_panic(panic: &(dyn Any + Send)) -> Self {
        let words = panic.downcast_ref::<&str>().copied();
        let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::new(format!("start panicked: {}", words.unwrap_or("without words")))
    }
}

fn is_unrecoverable(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<Unrecoverable>() {
            return true;
        }
        next = error.source();
    }
    false
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_ignored {
            return f.write_str("start was ignored");
        }
        f.write_str(&self.causes.join(": "))
    }
}

impl Error for StartError {}

impl From<SpawnErr> for StartError {
    fn from(error: SpawnErr) -> Self {
        match error {
            SpawnErr::StartupFailed(cause) => Self::new(cause),
            other => Self::new(other),
        }
    }
}

impl From<SpecError> for StartError {
    fn from(error: SpecError) -> Self {
        Self {
            is_unrecoverable: true,
            ..Self::new(error)
        }
    }
}

/// Runs one start to its end: an actor, an error, a panic or the deadline.
pub(crate) async fn run_start(
    start: StartFn,
    context: StartContext,
    deadline: Duration,
) -> Result<ActorCell, StartError> {
    let berth = context.berth.clone();
    let attempt = AssertUnwindSafe(async move { start(context).await }).catch_unwind();
    let result = match tokio::time::timeout(deadline, attempt).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(StartError::from_panic(panic.as_ref())),
        Err(_) => Err(StartError::new(format!(
            "start took longer than {} ms",
            deadline.as_millis()
        ))),
    };
    if result.is_err()
        && let Some(cell) = berth.close()
    {
        cell.stop(Some("its start failed".to_owned()));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_chain_and_says_whether_to_try_again() {
        let error = StartError::new(fmt::Error).context("cannot connect to db");
        assert_eq!(error.to_string(), format!("cannot connect to db: {}", fmt::Error));
        assert_eq!(error.exit().kind, ExitKind::StartFailed);
        let error = StartError::new(Unrecoverable("password refused".into())).context("cannot connect to db");
        assert_eq!(error.exit().kind, ExitKind::Unrecoverable);
        let error = StartError::from(SpawnErr::StartupFailed(Box::new(Unrecoverable("bad url".into()))));
        assert!(error.is_unrecoverable());
    }
}
