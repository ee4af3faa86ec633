//! What a supervisor is asked to do by hand.

use std::sync::Arc;

use ractor::ActorCell;

use super::Status;
use super::children::{Child, OnFailure, Phase, Waiter};
use super::core::Core;
use super::handle::{ChildCounts, ChildError, ChildStatus, Instance};
use super::message::{Message, Reply};
use super::task::Task;
use crate::child_spec::{ChildKind, ChildSpec};
use crate::event::EventKind;
use crate::history::History;
use crate::plan::Row;
use crate::snapshot::NodeState;
use crate::start::StartArgs;
use crate::stop::{StopOutcome, stop_in_order};
use crate::supervisor_spec::Strategy;

impl Core {
    pub(crate) fn start_child(&mut self, spec: ChildSpec, reply: Reply<Option<ActorCell>>) {
        if let Err(error) = self.check_new_child(&spec) {
            // Whoever asked may have gone away, here and below.
            let _ = reply.send(Err(error));
            return;
        }
        self.start_new_child(spec, None, false, Waiter::Cell(reply));
    }

    pub(crate) fn start_instance(&mut self, args: Option<StartArgs>, reply: Reply<Instance>) {
        let template = match self.check_room() {
            Ok(()) => self
                .spec
                .template
                .clone()
                .ok_or(ChildError::Template { has_template: false }),
            Err(error) => Err(error),
        };
        match template {
            Ok(mut spec) => {
                spec.id = format!("{}-{}", spec.id, self.children.next_key() + 1).into();
                self.start_new_child(spec, args, true, Waiter::Instance(reply));
            }
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    fn check_new_child(&self, spec: &ChildSpec) -> Result<(), ChildError> {
        if self.spec.template.is_some() {
            return Err(ChildError::Template { has_template: true });
        }
        self.spec.check_child(spec)?;
        if let Some(child) = self.children.by_id(&spec.id).and_then(|key| self.children.get(key)) {
            return Err(match child.phase() {
                Phase::Stopped | Phase::Failed => ChildError::AlreadyPresent(spec.id.clone()),
                _ => ChildError::AlreadyStarted(spec.id.clone()),
            });
        }
        self.check_room()
    }

    fn check_room(&self) -> Result<(), ChildError> {
        if self.is_failed() {
            return Err(ChildError::GaveUp);
        }
        if self.children.len() >= self.spec.max_children {
            return Err(ChildError::Full(self.spec.max_children));
        }
        Ok(())
    }

    fn start_new_child(&mut self, spec: ChildSpec, args: Option<StartArgs>, is_instance: bool, waiter: Waiter) {
        let key = self.add_child(spec, args, is_instance);
        if let Some(child) = self.children.get_mut(key) {
            child.waiters.push(waiter);
            child.on_failure = OnFailure::Forget;
        }
        // In a group, a newcomer takes its turn behind those that are being restarted.
        if self.spec.strategy != Strategy::OneForOne && self.is_run_going_on() {
            self.join_run(key);
        } else {
            self.begin_start(key);
        }
    }

    pub(crate) fn terminate_child(&mut self, id: &Arc<str>, reply: Reply<()>) {
        let Some(key) = self.children.by_id(id) else {
            let _ = reply.send(Err(ChildError::NotFound(id.clone())));
            return;
        };
        let Some(child) = self.children.get_mut(key) else {
            return;
        };
        child.terminators.push(reply);
        match child.phase() {
            Phase::Stopped | Phase::Failed => {
                for terminator in std::mem::take(&mut child.terminators) {
                    let _ = terminator.send(Ok(()));
                }
            }
            Phase::Stopping(..) => {}
            Phase::Pending | Phase::Starting(_) | Phase::Ready(_) | Phase::BackingOff { .. } => {
                self.begin_termination(key);
            }
        }
    }

    fn begin_termination(&mut self, key: u64) {
        let stopping = self.children.begin_stop(key);
        self.settle_strangers();
        let Some(child) = self.children.get(key) else { return };
        let incarnation = child.incarnation;
        let Some(stopping) = stopping else {
            self.reporter
                .emit(&child.id, incarnation, EventKind::Stopped(StopOutcome::NotRunning));
            self.settle_as_stopped(key, NodeState::Stopped);
            return self.advance_past(key);
        };
        let (reporter, supervisor) = (self.reporter.clone(), self.myself.clone());
        let cell = stopping.cell.clone();
        let task = Task::spawn(async move {
            stop_in_order(vec![stopping], reporter).await;
            // A supervisor that has ended needs no answer.
            let _ = supervisor.send_message(Message::Terminated { key, incarnation });
        });
        self.children.pass(key, Phase::Stopping(cell, Some(task)));
        self.advance_past(key);
    }

    pub(crate) fn on_terminated(&mut self, key: u64, incarnation: u64) {
        let Some(child) = self.children.get(key) else { return };
        if child.incarnation == incarnation && matches!(child.phase(), Phase::Stopping(_, Some(_))) {
            self.settle_as_stopped(key, NodeState::Stopped);
        }
    }

    pub(crate) fn restart_child(&mut self, id: &Arc<str>, reply: Reply<Option<ActorCell>>) {
        let key = match self.check_restart(id) {
            Ok(key) => key,
            Err(error) => return drop(reply.send(Err(error))),
        };
        if self.is_failed() {
            self.recover();
        }
        let Some(child) = self.children.get_mut(key) else {
            return;
        };
        child.waiters.push(Waiter::Cell(reply));
        match child.phase() {
            Phase::BackingOff { .. } => self.begin_start(key),
            Phase::Pending => drop(self.hurry_run(key)),
            _ => {
                child.on_failure = OnFailure::Stay;
                self.begin_start(key);
            }
        }
    }

    fn check_restart(&self, id: &Arc<str>) -> Result<u64, ChildError> {
        if self.spec.template.is_some() {
            return Err(ChildError::Template { has_template: true });
        }
        let key = self
            .children
            .by_id(id)
            .ok_or_else(|| ChildError::NotFound(id.clone()))?;
        if self.is_final_stop_going_on() {
            return Err(ChildError::Restarting(id.clone()));
        }
        match self.children.get(key).map(Child::phase) {
            Some(Phase::Ready(_)) => Err(ChildError::Running(id.clone())),
            Some(Phase::Starting(_) | Phase::Stopping(..)) => Err(ChildError::Restarting(id.clone())),
            _ => Ok(key),
        }
    }

    /// A restart by hand brings a supervisor that gave up back, with nothing held against its children.
    fn recover(&mut self) {
        self.history = History::new();
        let keys: Vec<_> = self.children.iter().map(|(key, _)| key).collect();
        for key in keys {
            if let Some(child) = self.children.get_mut(key) {
                child.row = Row::default();
            }
        }
        self.leaf.ready();
        self.status.send_replace(Status::Ready);
    }

    pub(crate) fn delete_child(&mut self, id: &Arc<str>) -> Result<(), ChildError> {
        if self.spec.template.is_some() {
            return Err(ChildError::Template { has_template: true });
        }
        let key = self
            .children
            .by_id(id)
            .ok_or_else(|| ChildError::NotFound(id.clone()))?;
        match self.children.get(key).map(Child::phase) {
            Some(Phase::Stopped | Phase::Failed) => {
                self.children.remove(key);
                Ok(())
            }
            Some(Phase::Ready(_) | Phase::Stopping(..)) => Err(ChildError::Running(id.clone())),
            _ => Err(ChildError::Restarting(id.clone())),
        }
    }

    pub(crate) fn count(&self) -> ChildCounts {
        let mut counts = ChildCounts {
            specs: self.children.len(),
            ..ChildCounts::default()
        };
        for (_, child) in self.children.iter() {
            counts.active += usize::from(child.cell().is_some());
            match child.kind {
                ChildKind::Supervisor => counts.supervisors += 1,
                ChildKind::Worker => counts.workers += 1,
            }
        }
        counts
    }

    pub(crate) fn list(&self) -> Vec<ChildStatus> {
        let status = |child: &Child| ChildStatus {
            id: child.id.clone(),
            kind: child.kind,
            state: child.state(),
            incarnation: child.incarnation,
            cell: child.cell().cloned(),
        };
        self.children.iter().map(|(_, child)| status(child)).collect()
    }
}
