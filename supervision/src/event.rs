//! What supervisors tell the outside about: every start, exit, restart, give-up and stop, in the order it happened.
//!
//! Metrics, logs and the failure list of a node are observers. Deliberately not here: any of those.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::budget::BudgetKind;
use crate::exit::Exit;
use crate::path::TreePath;
use crate::stop::StopOutcome;

/// A change in the life of one child.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// The supervisor whose child this is about.
    pub supervisor: TreePath,
    /// The child.
    pub child: Arc<str>,
    /// Which start of the child, counted from 1.
    pub incarnation: u64,
    /// When, counted from the start of the tree.
    pub at: Duration,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a child.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// It is ready.
    Started {
        /// From the beginning of the start to readiness.
        took: Duration,
    },
    /// It ended by itself, or its start failed; the exit has the chain of causes.
    Exited(Exit),
    /// It will be started again after `delay`.
    Restarting {
        /// Zero means at once.
        delay: Duration,
        /// The budget that pays for it.
        budget: BudgetKind,
    },
    /// Its supervisor gave up because of it; the exit is the supervisor's.
    GaveUp(Exit),
    /// Its supervisor stopped it.
    Stopped(StopOutcome),
}

/// Receives every [`Event`] of a tree.
///
/// # Behavior
///
/// Called from the actors that restart children: it must return at once and not block. A panic in it is caught and
/// dropped. Events of one supervisor arrive in order.
pub trait Observer: Send + Sync {
    /// Takes note of one event.
    fn event(&self, event: &Event);
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn event(&self, _event: &Event) {}
}

impl<F: Fn(&Event) + Send + Sync> Observer for F {
    fn event(&self, event: &Event) {
        self(event);
    }
}

impl fmt::Debug for dyn Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
