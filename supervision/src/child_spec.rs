//! What a supervisor is told about a child: how to start it, when to restart it, how to stop it.
//!
//! Plain data and one closure. Deliberately not here: anything that changes while the child runs.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ractor::ActorCell;

use crate::start::{StartContext, StartError, StartFn, start_fn};

/// The longest id, in bytes.
const ID_LEN_MAX: usize = 255;

/// When a child that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Always.
    Permanent,
    /// Only after an exit that was not normal.
    Transient,
    /// Never; the spec is forgotten when the child ends.
    Temporary,
}

/// How long a child may take to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// No time: it is killed.
    Kill,
    /// A worker may drain its mailbox for half of this time and finish what it is doing in the other half; a supervisor
    /// may take all of it. Then it is killed.
    After(Duration),
    /// As long as it wants. Right for supervisors, whose children have deadlines; dangerous for workers.
    Infinite,
}

/// Whether a child is a supervisor itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChildKind {
    /// It has no supervised children.
    Worker,
    /// It is a [`Supervisor`](crate::Supervisor).
    Supervisor,
}

impl ChildKind {
    /// The word the tree shows unless the spec has a label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Supervisor => "supervisor",
        }
    }
}

/// What the supervisor does when this child, itself a supervisor, gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnGiveUp {
    /// Treats it as any other exit, as OTP does.
    Restart,
    /// Gives up too, at once and without a restart: set on every level, the give-up goes straight to the root.
    Escalate,
}

/// Everything a supervisor must know about a child.
#[derive(Clone)]
#[non_exhaustive]
pub struct ChildSpec {
    /// Its name, unique among its siblings: printable, without `/`, at most 255 bytes.
    pub id: Arc<str>,
    /// When it is started again. Default: permanent.
    pub restart: Restart,
    /// How long it may take to stop. Default: 5 s for a worker, infinite for a supervisor.
    pub shutdown: Shutdown,
    /// Whether it is a supervisor.
    pub kind: ChildKind,
    /// Whether its end by itself may end its supervisor, see [`AutoShutdown`](crate::AutoShutdown). Default: no.
    pub significant: bool,
    /// What its supervisor does when it gave up. Default: restart.
    pub on_give_up: OnGiveUp,
    /// How long it may take to become ready. Default: 30 s.
    pub start_deadline: Duration,
    /// What the tree shows as its kind. Default: `worker` or `supervisor`.
    pub label: Cow<'static, str>,
    /// Starts it.
    pub start: StartFn,
}

impl ChildSpec {
    /// The default for `start_deadline`.
    pub const START_DEADLINE: Duration = Duration::from_secs(30);
    /// The default for `shutdown` of a worker.
    pub const SHUTDOWN: Shutdown = Shutdown::After(Duration::from_secs(5));

    /// A permanent child with the defaults of its kind.
    #[must_use]
    pub fn new(id: impl Into<Arc<str>>, kind: ChildKind, start: StartFn) -> Self {
        let shutdown = match kind {
            ChildKind::Worker => Self::SHUTDOWN,
            ChildKind::Supervisor => Shutdown::Infinite,
        };
        Self {
            id: id.into(),
            restart: Restart::Permanent,
            shutdown,
            kind,
            significant: false,
            on_give_up: OnGiveUp::Restart,
            start_deadline: Self::START_DEADLINE,
            label: Cow::Borrowed(kind.as_str()),
            start,
        }
    }

    /// A permanent worker started by `start`.
    #[must_use]
    pub fn worker<F, S>(id: impl Into<Arc<str>>, start: F) -> Self
    where
        F: Fn(StartContext) -> S + Send + Sync + 'static,
        S: Future<Output = Result<ActorCell, StartError>> + Send + 'static,
    {
        Self::new(id, ChildKind::Worker, start_fn(start))
    }

    /// A permanent supervisor started by `start`.
    #[must_use]
    pub fn supervisor<F, S>(id: impl Into<Arc<str>>, start: F) -> Self
    where
        F: Fn(StartContext) -> S + Send + Sync + 'static,
        S: Future<Output = Result<ActorCell, StartError>> + Send + 'static,
    {
        Self::new(id, ChildKind::Supervisor, start_fn(start))
    }

    /// Sets when it is started again.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Sets how long it may take to stop.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// Marks it as significant.
    #[must_use]
    pub fn significant(mut self) -> Self {
        self.significant = true;
        self
    }

    /// Sets what its supervisor does when it gave up.
    #[must_use]
    pub fn on_give_up(mut self, on_give_up: OnGiveUp) -> Self {
        self.on_give_up = on_give_up;
        self
    }

    /// Sets how long it may take to become ready.
    #[must_use]
    pub fn start_deadline(mut self, deadline: Duration) -> Self {
        self.start_deadline = deadline;
        self
    }

    /// Sets what the tree shows as its kind.
    #[must_use]
    pub fn label(mut self, label: impl Into<Cow<'static, str>>) -> Self {
        self.label = label.into();
        self
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("id", &self.id)
            .field("restart", &self.restart)
            .field("shutdown", &self.shutdown)
            .field("kind", &self.kind)
            .field("significant", &self.significant)
            .field("on_give_up", &self.on_give_up)
            .field("start_deadline", &self.start_deadline)
            .finish_non_exhaustive()
    }
}

/// Why a spec was refused. Correct the spec; trying again does not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// The id is empty, too long, or has a slash or a control character.
    #[error("id {id:?} is refused: it must have 1 to 255 printable bytes and no slash")]
    Id {
        /// The id as given.
        id: Arc<str>,
    },
    /// Two children have one id.
    #[error("child {child} is declared twice")]
    Duplicate {
        /// The id they share.
        child: Arc<str>,
    },
    /// There are more children than the supervisor may have.
    #[error("supervisor {supervisor} may have at most {limit} children")]
    TooMany {
        /// The supervisor.
        supervisor: Arc<str>,
        /// Its limit.
        limit: usize,
    },
    /// The start deadline is zero.
    #[error("child {child} has a start deadline of zero")]
    NoTimeToStart {
        /// The child.
        child: Arc<str>,
    },
    /// A significant child is permanent, so it never ends for good.
    #[error("child {child} cannot be significant: it is permanent")]
    SignificantPermanent {
        /// The child.
        child: Arc<str>,
    },
    /// A significant child has a supervisor that never shuts down by itself.
    #[error("child {child} cannot be significant: its supervisor never shuts down by itself")]
    SignificantNever {
        /// The child.
        child: Arc<str>,
    },
    /// A template stands beside other children or under a group strategy.
    #[error("supervisor {supervisor} has a template: it must be one-for-one and have no other children")]
    Template {
        /// The supervisor.
        supervisor: Arc<str>,
    },
}

impl SpecError {
    pub(crate) fn check_id(id: &Arc<str>) -> Result<(), Self> {
        let is_printable = !id.chars().any(|c| c == '/' || c.is_control());
        if id.is_empty() || id.len() > ID_LEN_MAX || !is_printable {
            return Err(Self::Id { id: id.clone() });
        }
        Ok(())
    }
}
