//! The restart decision, as a pure function.
//!
//! [`plan`] takes what is known when a child has ended and answers what to do. It reads no clock, draws no random number
//! and touches no actor, so every rule of the tree can be tested as a table. Deliberately not here: carrying it out.

use std::time::Duration;

use crate::budget::{Budget, BudgetKind};
use crate::child_spec::{OnGiveUp, Restart};
use crate::exit::ExitKind;
use crate::history::History;
use crate::supervisor_spec::{AutoShutdown, Strategy};

/// The rules of one supervisor.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// Which children are restarted when one of them is.
    pub strategy: Strategy,
    /// Whether the supervisor ends with its significant children.
    pub auto_shutdown: AutoShutdown,
    /// The budget for handler panics.
    pub panics: &'a Budget,
    /// The budget for every other exit.
    pub exits: &'a Budget,
}

/// Failures of one child in a row, by budget. Becoming healthy sets both to zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Handler panics.
    pub panics: u32,
    /// Failed starts and other exits.
    pub exits: u32,
}

/// Whether a child is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Presence {
    /// It runs, starts, or waits for a restart of its own.
    Active,
    /// Its turn to start in a row of starts has not come.
    Pending,
    /// It was stopped, or ended and was not restarted.
    Stopped,
}

/// One child as the decision sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// When it is started again.
    pub restart: Restart,
    /// Whether its end may end the supervisor.
    pub significant: bool,
    /// Whether there is something of it to stop.
    pub presence: Presence,
    /// What happens when it gave up.
    pub on_give_up: OnGiveUp,
    /// Its failures in a row.
    pub row: Row,
    /// Since when it had been ready; `None` if it was not.
    pub ready_since: Option<Duration>,
}

/// What has happened.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The children in start order. One-for-one looks only at the one that ended, and at significant ones.
    pub members: &'a [Member],
    /// Index of the one that ended.
    pub ended: usize,
    /// How it ended.
    pub exit: ExitKind,
    /// Whether it was a supervisor that gave up.
    pub gave_up: bool,
    /// The time, counted from any fixed moment.
    pub now: Duration,
    /// A random number in `0.0..=1.0`, for jitter.
    pub random: f64,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What to do.
    pub action: Action,
    /// The history from now on.
    pub history: History,
    /// The row of the child that ended from now on.
    pub row: Row,
}

/// What to do about a child that ended. All indices are those of [`Situation::members`].
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Nothing: it is not restarted.
    Leave {
        /// Whether its spec is forgotten too.
        forget: bool,
    },
    /// Stop `stop` in the order given, forget `forget`, wait, then start `start` in the order given.
    Restart {
        /// The others that have to stop, last started first.
        stop: Vec<usize>,
        /// Those of them that are temporary and do not come back.
        forget: Vec<usize>,
        /// What is started, in start order; contains the one that ended.
        start: Vec<usize>,
        /// How long to wait before that.
        delay: Duration,
        /// Which budget it was counted against.
        budget: BudgetKind,
    },
    /// The supervisor ends normally because its significant children have.
    Shutdown,
    /// The supervisor gives up.
    GiveUp(GiveUpReason),
}

/// Which limit was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GiveUpReason {
    /// Too many restarts in the window.
    #[error("more than {intensity} restarts after {budget}s in {} s", period.as_secs_f64())]
    Intensity {
        /// The budget that is used up.
        budget: BudgetKind,
        /// Its limit.
        intensity: u32,
        /// Its window.
        period: Duration,
    },
    /// Too many failures in a row.
    #[error("more than {limit} restarts after {budget}s in a row")]
    Consecutive {
        /// The budget that is used up.
        budget: BudgetKind,
        /// Its limit.
        limit: u32,
    },
    /// The child said that trying again cannot help.
    #[error("it cannot recover")]
    Unrecoverable,
    /// The child is a supervisor that gave up, and that is to go straight to the root.
    #[error("it gave up")]
    ChildGaveUp,
}

/// Decides what happens after a child has ended.
///
/// # Panics
///
/// If `situation.ended` is not an index of `situation.members`.
#[must_use]
pub fn plan(policy: &Policy<'_>, situation: &Situation<'_>, history: History) -> Plan {
    let ended = &situation.members[situation.ended];
    let row = settled_row(policy, ended, situation.now);
    if situation.gave_up && ended.on_give_up == OnGiveUp::Escalate {
        return Plan {
            action: Action::GiveUp(GiveUpReason::ChildGaveUp),
            history,
            row,
        };
    }
    let is_restarted = match ended.restart {
        Restart::Permanent => true,
        Restart::Transient => situation.exit != ExitKind::Normal,
        Restart::Temporary => false,
    };
    if !is_restarted {
        return Plan {
            action: leave(policy, situation),
            history,
            row,
        };
    }
    if situation.exit == ExitKind::Unrecoverable {
        return Plan {
            action: Action::GiveUp(GiveUpReason::Unrecoverable),
            history,
            row,
        };
    }
    spend(policy, situation, history, row)
}

/// The row as it stands after the time that the child was ready has been taken into account.
fn settled_row(policy: &Policy<'_>, ended: &Member, now: Duration) -> Row {
    let Some(since) = ended.ready_since else {
        return ended.row;
    };
    let ready_for = now.saturating_sub(since);
    Row {
        panics: if ready_for >= policy.panics.reset_after {
            0
        } else {
            ended.row.panics
        },
        exits: if ready_for >= policy.exits.reset_after {
            0
        } else {
            ended.row.exits
        },
    }
}

fn leave(policy: &Policy<'_>, situation: &Situation<'_>) -> Action {
    let ended = &situation.members[situation.ended];
    let others_remain = || {
        situation
            .members
            .iter()
            .enumerate()
            .any(|(i, m)| i != situation.ended && m.significant && m.presence != Presence::Stopped)
    };
    let ends_supervisor = ended.significant
        && match policy.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => !others_remain(),
        };
    if ends_supervisor {
        return Action::Shutdown;
    }
    Action::Leave {
        forget: ended.restart == Restart::Temporary,
    }
}

/// Counts the restart against its budget and, if that holds, says who is restarted and when.
fn spend(policy: &Policy<'_>, situation: &Situation<'_>, mut history: History, mut row: Row) -> Plan {
    let (kind, budget, in_a_row) = match situation.exit {
        ExitKind::Panicked | ExitKind::PanickedExcused => (BudgetKind::Panics, policy.panics, &mut row.panics),
        _ => (BudgetKind::Exits, policy.exits, &mut row.exits),
    };
    *in_a_row = in_a_row.saturating_add(1);
    let nth = *in_a_row;
    if situation.exit == ExitKind::PanickedExcused {
        let delay = budget.backoff.delay(nth, situation.random);
        return Plan {
            action: restart(policy.strategy, situation, delay, kind),
            history,
            row,
        };
    }
    let give_up = |reason, history| Plan {
        action: Action::GiveUp(reason),
        history,
        row,
    };

    if !history.admit(kind, budget, situation.now) {
        let reason = GiveUpReason::Intensity {
            budget: kind,
            intensity: budget.intensity,
            period: budget.period,
        };
        return give_up(reason, history);
    }
    if let Some(limit) = budget.consecutive.filter(|limit| nth > *limit) {
        return give_up(GiveUpReason::Consecutive { budget: kind, limit }, history);
    }
    let delay = budget.backoff.delay(nth, situation.random);
    Plan {
        action: restart(policy.strategy, situation, delay, kind),
        history,
        row,
    }
}

fn restart(strategy: Strategy, situation: &Situation<'_>, delay: Duration, budget: BudgetKind) -> Action {
    let first = match strategy {
        Strategy::OneForOne => {
            return Action::Restart {
                stop: vec![],
                forget: vec![],
                start: vec![situation.ended],
                delay,
                budget,
            };
        }
        Strategy::OneForAll => 0,
        Strategy::RestForOne => situation.ended,
    };
    let (mut stop, mut forget, mut start) = (vec![], vec![], vec![]);
    for (index, member) in situation.members.iter().enumerate().skip(first) {
        let is_bystander = index != situation.ended && member.presence == Presence::Active;
        if is_bystander {
            stop.push(index);
        }
        // A temporary bystander is stopped for good; one that has not had its first turn yet still gets it.
        if is_bystander && member.restart == Restart::Temporary {
            forget.push(index);
        } else {
            start.push(index);
        }
    }
    stop.reverse();
    Action::Restart {
        stop,
        forget,
        start,
        delay,
        budget,
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
