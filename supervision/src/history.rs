//! What a supervisor remembers of its restarts: when they happened, within the window of each budget.
//!
//! A value, not an object with a clock: [`plan`](crate::plan) takes one and gives back the next. Its size is bounded by
//! the intensities. Deliberately not here: failures in a row, which belong to a child ([`Row`](crate::Row)).

use std::collections::VecDeque;
use std::time::Duration;

use crate::budget::{Budget, BudgetKind};

/// Times of recent restarts, by budget. Time is counted from any fixed moment and never runs backwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    panics: VecDeque<Duration>,
    exits: VecDeque<Duration>,
}

impl History {
    /// An empty history.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many restarts of `kind` are remembered.
    #[must_use]
    pub fn count(&self, kind: BudgetKind) -> usize {
        match kind {
            BudgetKind::Panics => self.panics.len(),
            BudgetKind::Exits => self.exits.len(),
        }
    }

    /// Adds a restart at `now`, forgets those before the window, and says whether the window still holds them all.
    pub(crate) fn admit(&mut self, kind: BudgetKind, budget: &Budget, now: Duration) -> bool {
        let times = match kind {
            BudgetKind::Panics => &mut self.panics,
            BudgetKind::Exits => &mut self.exits,
        };
        let oldest = now.saturating_sub(budget.period);
        while times.front().is_some_and(|time| *time < oldest) {
            times.pop_front();
        }
        times.push_back(now);
        times.len() <= budget.intensity as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_includes_both_of_its_ends() {
        let budget = Budget::new(1, Duration::from_secs(5));
        let mut history = History::new();
        assert!(history.admit(BudgetKind::Exits, &budget, Duration::from_secs(10)));
        let mut at_the_edge = history.clone();
        assert!(!at_the_edge.admit(BudgetKind::Exits, &budget, Duration::from_secs(15)));
        assert!(history.admit(BudgetKind::Exits, &budget, Duration::from_millis(15_001)));
    }

    #[test]
    fn budgets_do_not_share_a_window() {
        let budget = Budget::new(1, Duration::from_secs(5));
        let mut history = History::new();
        assert!(history.admit(BudgetKind::Exits, &budget, Duration::ZERO));
        assert!(history.admit(BudgetKind::Panics, &budget, Duration::ZERO));
        assert_eq!(
            (history.count(BudgetKind::Exits), history.count(BudgetKind::Panics)),
            (1, 1)
        );
    }
}
