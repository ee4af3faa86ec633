//! What a supervisor is told: its strategy, its budgets, and what it does at the edges of its life.
//!
//! Plain data with the defaults of DESIGN section 3. Deliberately not here: the children, which are passed beside it.

use std::sync::Arc;

use crate::budget::Budget;
use crate::child_spec::{ChildSpec, Restart, SpecError};

/// Which children are restarted when one of them is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Only the failed one.
    OneForOne,
    /// All of them: the others are stopped in reverse order, then all are started in order.
    OneForAll,
    /// The failed one and those started after it.
    RestForOne,
}

/// What a supervisor does when the very first start of a child fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InitialStart {
    /// Stop what was started, in reverse order, and fail with the child's id and reason, as OTP does.
    Fail,
    /// Treat it as an exit: try again by the restart policy.
    Retry,
}

/// What a supervisor does when a budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GiveUp {
    /// Stop all children in reverse order and end with [`GaveUp`](crate::GaveUp), which the parent sees.
    Escalate,
    /// Stop all children in reverse order and stay in the tree as failed, until asked to restart a child.
    Stay,
}

/// Whether a supervisor ends when significant children have ended by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AutoShutdown {
    /// It does not; significant children are refused.
    Never,
    /// When the first of them has ended.
    AnySignificant,
    /// When the last of them has ended.
    AllSignificant,
}

/// Everything about a supervisor but its children.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SupervisorSpec {
    /// Its name in the tree.
    pub id: Arc<str>,
    /// Which children are restarted when one of them is.
    pub strategy: Strategy,
    /// How many handler panics are allowed.
    pub panics: Budget,
    /// How many failed starts and other exits are allowed.
    pub exits: Budget,
    /// What happens when the first start of a child fails.
    pub initial: InitialStart,
    /// What happens when a budget is used up.
    pub give_up: GiveUp,
    /// The most children it has at one time; more are refused.
    pub max_children: usize,
    /// Whether it ends together with its significant children.
    pub auto_shutdown: AutoShutdown,
    /// If set, all children are instances of this one, started on demand and stopped in parallel.
    pub template: Option<ChildSpec>,
    /// What the tree shows as its kind, if it is a root.
    pub label: &'static str,
}

impl SupervisorSpec {
    /// The default for `max_children`.
    pub const MAX_CHILDREN: usize = 10_000;

    /// A one-for-one supervisor with the default budgets that fails if a first start fails, and escalates.
    #[must_use]
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self {
            id: id.into(),
            strategy: Strategy::OneForOne,
            panics: Budget::panics(),
            exits: Budget::exits(),
            initial: InitialStart::Fail,
            give_up: GiveUp::Escalate,
            max_children: Self::MAX_CHILDREN,
            auto_shutdown: AutoShutdown::Never,
            template: None,
            label: "supervisor",
        }
    }

    /// Sets which children are restarted when one of them is.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Sets the budget for handler panics.
    #[must_use]
    pub fn panics(mut self, budget: Budget) -> Self {
        self.panics = budget;
        self
    }

    /// Sets the budget for failed starts and other exits.
    #[must_use]
    pub fn exits(mut self, budget: Budget) -> Self {
        self.exits = budget;
        self
    }

    /// Sets what happens when the first start of a child fails.
    #[must_use]
    pub fn initial(mut self, initial: InitialStart) -> Self {
        self.initial = initial;
        self
    }

    /// Sets what happens when a budget is used up.
    #[must_use]
    pub fn give_up(mut self, give_up: GiveUp) -> Self {
        self.give_up = give_up;
        self
    }

    /// Sets the most children it may have at one time.
    #[must_use]
    pub fn max_children(mut self, children: usize) -> Self {
        self.max_children = children;
        self
    }

    /// Sets whether it ends together with its significant children.
    #[must_use]
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.auto_shutdown = auto_shutdown;
        self
    }

    /// Makes all children instances of `child`, started by [`start_instance`](crate::SupervisorRef::start_instance).
    #[must_use]
    pub fn template(mut self, child: ChildSpec) -> Self {
        self.template = Some(child);
        self
    }

    /// Sets what the tree shows as the kind of a root.
    #[must_use]
    pub fn label(mut self, label: &'static str) -> Self {
        self.label = label;
        self
    }

    /// Checks the spec by itself and together with the children it is to start with.
    ///
    /// # Errors
    ///
    /// Says which rule is broken: an empty or unprintable id, two children of one id, more children than allowed,
    /// a child that [`check_child`](Self::check_child) refuses, or a template beside children or a group strategy.
    pub fn check(&self, children: &[ChildSpec]) -> Result<(), SpecError> {
        SpecError::check_id(&self.id)?;
        if let Some(template) = &self.template {
            if self.strategy != Strategy::OneForOne || !children.is_empty() {
                return Err(SpecError::Template {
                    supervisor: self.id.clone(),
                });
            }
            self.check_child(template)?;
        }
        if children.len() > self.max_children {
            return Err(SpecError::TooMany {
                supervisor: self.id.clone(),
                limit: self.max_children,
            });
        }
        let mut seen = std::collections::HashSet::new();
        for child in children {
            self.check_child(child)?;
            if !seen.insert(&child.id) {
                return Err(SpecError::Duplicate {
                    child: child.id.clone(),
                });
            }
        }
        Ok(())
    }

    /// Checks one child against this supervisor.
    ///
    /// # Errors
    ///
    /// An empty or unprintable id, a start deadline of zero, or a significant child that is permanent or whose supervisor
    /// never shuts down by itself.
    pub fn check_child(&self, child: &ChildSpec) -> Result<(), SpecError> {
        SpecError::check_id(&child.id)?;
        if child.start_deadline.is_zero() {
            return Err(SpecError::NoTimeToStart {
                child: child.id.clone(),
            });
        }
        if child.significant && child.restart == Restart::Permanent {
            return Err(SpecError::SignificantPermanent {
                child: child.id.clone(),
            });
        }
        if child.significant && self.auto_shutdown == AutoShutdown::Never {
            return Err(SpecError::SignificantNever {
                child: child.id.clone(),
            });
        }
        Ok(())
    }
}
