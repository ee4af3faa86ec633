//! What happens when a child has ended: ask [`plan`], carry its answer out.

use std::sync::Arc;
use std::time::Duration;

use super::Status;
use super::children::Phase;
use super::core::{Closing, Core};
use super::message::Message;
use super::task::Task;
use crate::budget::BudgetKind;
use crate::event::EventKind;
use crate::exit::{Exit, GaveUp};
use crate::plan::{Action, GiveUpReason, Member, Situation, plan};
use crate::snapshot::NodeState;
use crate::start::StartError;
use crate::supervisor_spec::{AutoShutdown, GiveUp, InitialStart, Strategy};

impl Core {
    /// A child's actor has ended.
    pub(crate) fn on_end(&mut self, key: u64, exit: Exit) {
        let Some(child) = self.children.get(key) else { return };
        // The end of a child that is being stopped is awaited by whoever stops it.
        if !matches!(child.phase(), Phase::Ready(_)) {
            return;
        }
        self.reporter
            .emit(&child.id, child.incarnation, EventKind::Exited(exit.clone()));
        self.children.pass(key, Phase::Pending);
        self.decide(key, exit);
    }

    /// Decides what happens after the child `key`, now without an actor, has ended with `exit`.
    pub(crate) fn decide(&mut self, key: u64, exit: Exit) {
        let (keys, members) = self.members_concerned(key);
        let Some(ended) = keys.iter().position(|other| *other == key) else {
            return;
        };
        let history = std::mem::take(&mut self.history);
        let situation = Situation {
            members: &members,
            ended,
            exit: exit.kind,
            gave_up: exit.gave_up,
            now: self.now(),
            random: rand::random(),
        };
        let plan = plan(&self.policy(), &situation, history);
        self.history = plan.history;
        if let Some(child) = self.children.get_mut(key) {
            child.row = plan.row;
            child.ready_since = None;
        }
        match plan.action {
            Action::Leave { .. } => self.leave(key, exit),
            Action::Shutdown => self.close_because(Closing::SignificantEnded),
            Action::GiveUp(reason) => self.give_up(key, reason, exit),
            Action::Restart {
                stop,
                forget,
                start,
                delay,
                budget,
            } => {
                let exit = Arc::new(exit);
                self.report_restart(key, delay, budget, &exit);
                if stop.is_empty() && start.len() == 1 {
                    return self.restart_one(key, delay);
                }
                let pick = |indices: Vec<usize>| indices.into_iter().map(|index| keys[index]).collect();
                self.begin_run(Some(key), pick(stop), pick(forget), pick(start), delay);
            }
        }
    }

    /// The children that the decision needs to see, in start order. One-for-one is spared a look at all the others.
    fn members_concerned(&self, key: u64) -> (Vec<u64>, Vec<Member>) {
        if self.spec.strategy == Strategy::OneForOne && self.spec.auto_shutdown == AutoShutdown::Never {
            return self
                .children
                .get(key)
                .map(|child| (key, child.member()))
                .into_iter()
                .unzip();
        }
        self.children.iter().map(|(key, child)| (key, child.member())).unzip()
    }

    fn report_restart(&mut self, key: u64, delay: Duration, budget: BudgetKind, exit: &Arc<Exit>) {
        let Some(child) = self.children.get(key) else { return };
        child
            .leaf
            .restarting_with(delay, (!exit.is_normal()).then(|| exit.clone()));
        self.reporter
            .emit(&child.id, child.incarnation, EventKind::Restarting { delay, budget });
        tracing::warn!(supervisor = %self.reporter.path, child = %child.id, ?delay, %exit, "child will be restarted");
    }

    fn restart_one(&mut self, key: u64, delay: Duration) {
        if delay.is_zero() {
            return self.begin_start(key);
        }
        let Some(child) = self.children.get(key) else { return };
        let message = Message::Retry {
            key,
            incarnation: child.incarnation,
        };
        let timer = Task::timer(delay, self.myself.clone(), message);
        self.children.pass(key, Phase::BackingOff { _timer: timer });
    }

    fn leave(&mut self, key: u64, exit: Exit) {
        if let Some(child) = self.children.get(key).filter(|_| !exit.is_normal()) {
            child.leaf.fail(exit);
        }
        self.settle_as_stopped(key, NodeState::Stopped);
        self.advance_past(key);
    }

    pub(crate) fn is_first_start_final(&self) -> bool {
        self.spec.initial == InitialStart::Fail
    }

    pub(crate) fn fail_first_start(&mut self, key: u64, error: &StartError) {
        let Some(child) = self.children.get(key) else { return };
        child.leaf.fail(error.exit());
        let error = error
            .clone()
            .context(format!("cannot start {} of {}", child.id, self.reporter.path));
        self.close_because(Closing::FirstStartFailed(error));
    }

    /// Ends the supervisor; [`Core::close`] stops the children. Nothing else is handled from here on.
    fn close_because(&mut self, closing: Closing) {
        self.closing = Some(closing);
        self.myself.stop(None);
    }

    fn give_up(&mut self, key: u64, reason: GiveUpReason, exit: Exit) {
        let Some(child) = self.children.get(key) else { return };
        let gave_up = GaveUp {
            supervisor: self.reporter.path.clone(),
            child: child.id.to_string(),
            reason: reason.to_string(),
            child_causes: exit.causes.clone(),
        };
        tracing::error!(causes = ?gave_up.causes(), "supervisor gives up");
        self.reporter
            .emit(&child.id, child.incarnation, EventKind::GaveUp(gave_up.exit()));
        let exit = Arc::new(exit);
        child.leaf.fail_with(exit);
        self.children.pass(key, Phase::Failed);
        match self.spec.give_up {
            GiveUp::Escalate => self.close_because(Closing::GaveUp(gave_up)),
            GiveUp::Stay => self.stay_failed(&gave_up),
        }
    }

    fn stay_failed(&mut self, gave_up: &GaveUp) {
        let exit = gave_up.exit();
        self.leaf.fail(exit.clone());
        self.status.send_replace(Status::Failed(exit));
        self.begin_final_stop();
    }
}
