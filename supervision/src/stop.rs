//! Stopping children: drain, then stop, then kill, with a deadline for each of them.
//!
//! A child is waited for by its status, not by its supervision event, so one that unlinked itself cannot hang its
//! supervisor. Deliberately not here: the decision whom to stop.

use std::sync::Arc;
use std::time::Duration;

use ractor::ActorCell;

use crate::child_spec::{ChildKind, Shutdown};
use crate::event::EventKind;
use crate::supervisor::report::Reporter;

/// How long a killed actor may take to end. A handler that blocks its thread cannot be killed; it is left behind.
pub(crate) const KILL_GRACE: Duration = Duration::from_secs(1);

/// How far a supervisor had to go to stop a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopOutcome {
    /// It was not running: its start or its restart was cancelled.
    NotRunning,
    /// It finished its mailbox.
    Drained,
    /// It finished what it was doing and left the rest of its mailbox.
    Stopped,
    /// It was killed at an await point.
    Killed,
    /// It was killed and has not ended even so, because it blocks its thread.
    Abandoned,
}

impl StopOutcome {
    /// Whether work may have been cut short.
    #[must_use]
    pub const fn was_forced(self) -> bool {
        matches!(self, Self::Killed | Self::Abandoned)
    }
}

/// A child that is to stop.
#[derive(Clone, Debug)]
pub(crate) struct Stopping {
    pub(crate) id: Arc<str>,
    pub(crate) incarnation: u64,
    pub(crate) cell: ActorCell,
    pub(crate) shutdown: Shutdown,
    pub(crate) kind: ChildKind,
}

/// Stops one actor and waits until it has ended.
pub(crate) async fn stop_one(child: &Stopping) -> StopOutcome {
    let cell = &child.cell;
    match (child.shutdown, child.kind) {
        (Shutdown::Kill, _) => {}
        (Shutdown::Infinite, ChildKind::Worker) => {
            let _ = cell.drain();
            let _ = cell.wait(None).await;
            return StopOutcome::Drained;
        }
        (Shutdown::Infinite, ChildKind::Supervisor) => {
            cell.stop(None);
            let _ = cell.wait(None).await;
            return StopOutcome::Stopped;
        }
        (Shutdown::After(deadline), ChildKind::Worker) => {
            let _ = cell.drain();
            if cell.wait(Some(deadline / 2)).await.is_ok() {
                return StopOutcome::Drained;
            }
            cell.stop(None);
            if cell.wait(Some(deadline - deadline / 2)).await.is_ok() {
                return StopOutcome::Stopped;
            }
        }
        (Shutdown::After(deadline), ChildKind::Supervisor) => {
            cell.stop(None);
            if cell.wait(Some(deadline)).await.is_ok() {
                return StopOutcome::Stopped;
            }
        }
    }
    kill(cell).await
}

/// Kills one actor and waits a little for it to end.
pub(crate) async fn kill(cell: &ActorCell) -> StopOutcome {
    cell.kill();
    match cell.wait(Some(KILL_GRACE)).await {
        Ok(()) => StopOutcome::Killed,
        Err(_) => StopOutcome::Abandoned,
    }
}

/// Stops children one after the other, in the order given, and reports each.
pub(crate) async fn stop_in_order(children: Vec<Stopping>, reporter: Arc<Reporter>) {
    for child in children {
        let outcome = stop_one(&child).await;
        reporter.emit(&child.id, child.incarnation, EventKind::Stopped(outcome));
    }
}

/// Stops children all at once, so that together they take as long as the slowest, and reports each.
pub(crate) async fn stop_in_parallel(children: Vec<Stopping>, reporter: Arc<Reporter>) {
    futures_util::future::join_all(
        children
            .into_iter()
            .map(|child| stop_in_order(vec![child], reporter.clone())),
    )
    .await;
}
