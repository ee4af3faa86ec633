//! How a child ended, and the errors by which an actor tells its supervisor why.
//!
//! ractor reports an end as a supervision event; [`Exit`] is that event reduced to what the restart decision and the
//! reader of a log need. Deliberately not here: the decision itself ([`plan`](crate::plan)).

use std::error::Error;
use std::fmt;

use ractor::SupervisionEvent;

use crate::path::TreePath;

/// The longest cause chain that is kept; a longer one is cut.
const CAUSES_MAX: usize = 32;

/// What kind of end it was. Only [`ExitKind::Normal`] is one that a transient child is not restarted after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExitKind {
    /// Stopped or drained, whatever reason was given.
    Normal,
    /// Returned [`Panicked`]: one of its handlers panicked. Counted against `panics`.
    Panicked,
    /// Returned [`PanickedExcused`]: as `Panicked`, but bounded elsewhere, so no limit counts it.
    PanickedExcused,
    /// Returned another error, or panicked itself.
    Failed,
    /// Killed, or its task was cancelled.
    Killed,
    /// Never became ready: its start failed, panicked or missed its deadline.
    StartFailed,
    /// Returned [`Unrecoverable`]: trying again cannot help, so the supervisor gives up at once.
    Unrecoverable,
}

impl ExitKind {
    /// The word used in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Panicked | Self::PanickedExcused => "panicked",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::StartFailed => "start_failed",
            Self::Unrecoverable => "unrecoverable",
        }
    }
}

/// The end of a child or of a supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exit {
    /// What kind of end it was.
    pub kind: ExitKind,
    /// Whether it was a supervisor that had used up its budget.
    pub gave_up: bool,
    /// Why, outermost cause first; empty after a normal end without a reason.
    pub causes: Vec<String>,
}

impl Exit {
    /// An end of `kind` with its causes, outermost first.
    #[must_use]
    pub fn new(kind: ExitKind, causes: Vec<String>) -> Self {
        Self {
            kind,
            gave_up: false,
            causes,
        }
    }

    /// A normal end without a reason.
    #[must_use]
    pub fn normal() -> Self {
        Self::new(ExitKind::Normal, Vec::new())
    }

    /// Whether this is an end that a transient child is not restarted after.
    #[must_use]
    pub fn is_normal(&self) -> bool {
        self.kind == ExitKind::Normal
    }

    /// The end that a ractor event tells of; `None` if the event is not about an end.
    ///
    /// A graceful stop is normal whatever its reason says, except ractor's own words for a kill and for a cancelled task.
    pub(crate) fn from_event(event: &SupervisionEvent) -> Option<Self> {
        match event {
            SupervisionEvent::ActorTerminated(_, _, reason) => Some(match reason.as_deref() {
                Some(word @ ("killed" | "actor_task_cancelled")) => Self::new(ExitKind::Killed, vec![word.to_owned()]),
                reason => Self::new(ExitKind::Normal, reason.map(str::to_owned).into_iter().collect()),
            }),
            SupervisionEvent::ActorFailed(_, error) => Some(Self::from_error(error.as_ref())),
            _ => None,
        }
    }

    fn from_error(error: &(dyn Error + 'static)) -> Self {
        let mut kind = ExitKind::Failed;
        let mut causes = Vec::new();
        let mut next = Some(error);
        while let Some(error) = next.filter(|_| causes.len() < CAUSES_MAX) {
            if let Some(gave_up) = error.downcast_ref::<GaveUp>() {
                causes.extend(gave_up.causes());
                return Self {
                    kind,
                    gave_up: true,
                    causes,
                };
            }
            if error.is::<Panicked>() {
                kind = ExitKind::Panicked;
            } else if error.is::<PanickedExcused>() {
                kind = ExitKind::PanickedExcused;
            } else if error.is::<Unrecoverable>() {
                kind = ExitKind::Unrecoverable;
            }
            causes.push(error.to_string());
            next = error.source();
        }
        Self::new(kind, causes)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        for cause in &self.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

/// An error and its sources as text, outermost first, at most 32 of them.
pub(crate) fn causes_of(error: &(dyn Error + 'static)) -> Vec<String> {
    Exit::from_error(error).causes
}

/// Says that a handler panicked. A worker returns it from its ractor handler to be restarted on the `panics` budget.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("handler panicked: {0}")]
pub struct Panicked(pub String);

/// As [`Panicked`], where something else bounds how often it can happen (a delivery that crashes its handler ends in the
/// dead letters): the child is restarted with the backoff of `panics`, and no limit counts it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("handler panicked: {0}")]
pub struct PanickedExcused(pub String);

/// Says that trying again cannot help (credentials refused, settings contradict). The supervisor gives up at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unrecoverable(pub String);

/// The error a supervisor ends with after it gave up: which child, by which limit, and that child's own causes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{supervisor} gave up on {child}: {reason}")]
#[non_exhaustive]
pub struct GaveUp {
    /// The supervisor that gave up.
    pub supervisor: TreePath,
    /// Its child that failed once too often.
    pub child: String,
    /// Which limit was passed, in words.
    pub reason: String,
    /// The child's last exit, outermost cause first.
    pub child_causes: Vec<String>,
}

impl GaveUp {
    /// The whole chain: this sentence, then the child's causes.
    #[must_use]
    pub fn causes(&self) -> Vec<String> {
        let mut causes = vec![self.to_string()];
        causes.extend(self.child_causes.iter().take(CAUSES_MAX - 1).cloned());
        causes
    }

    /// The exit of a supervisor that ended with this error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        Exit {
            kind: ExitKind::Failed,
            gave_up: true,
            causes: self.causes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot serve")]
    struct Wrapped<E: Error + 'static>(#[source] E);

    #[test]
    fn an_error_is_classified_by_what_it_wraps() {
        assert_eq!(Exit::from_error(&Panicked("boom".into())).kind, ExitKind::Panicked);
        assert_eq!(
            Exit::from_error(&Wrapped(Panicked("boom".into()))).kind,
            ExitKind::Panicked
        );
        assert_eq!(
            Exit::from_error(&Wrapped(Unrecoverable("bad key".into()))).kind,
            ExitKind::Unrecoverable
        );
        let exit = Exit::from_error(&Wrapped(fmt::Error));
        assert_eq!(exit.kind, ExitKind::Failed);
        assert_eq!(exit.causes, ["cannot serve", &fmt::Error.to_string()]);
    }

    #[test]
    fn a_give_up_keeps_the_chain_below_it() {
        let inner = GaveUp {
            supervisor: TreePath::root("node").join("services"),
            child: "user".into(),
            reason: "more than 5 exits in 30s".into(),
            child_causes: vec!["no database".into()],
        };
        let exit = Exit::from_error(&inner);
        assert!(exit.gave_up);
        assert_eq!(exit, inner.exit());
        assert_eq!(
            exit.to_string(),
            "failed: node/services gave up on user: more than 5 exits in 30s: no database"
        );
    }
}
