//! Starting one child, and what its answer leads to.

use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorCell, MessagingErr};

use super::children::{OnFailure, Phase, StartTask, Waiter};
use super::core::Core;
use super::handle::{ChildError, Instance};
use super::message::Message;
use super::task::Task;
use crate::child_spec::{ChildKind, Restart, Shutdown};
use crate::event::EventKind;
use crate::exit::{Exit, ExitKind};
use crate::snapshot::NodeState;
use crate::start::{Berth, StartContext, StartError, run_start};
use crate::stop::{Stopping, stop_one};

/// How long the actor of an answer that came too late may take to stop.
const STALE_SHUTDOWN: Duration = Duration::from_secs(5);

impl Core {
    /// Starts a child in a task of its own.
    pub(crate) fn begin_start(&mut self, key: u64) {
        let began = self.now();
        let Some(child) = self.children.get_mut(key) else {
            return;
        };
        child.incarnation += 1;
        child.ready_since = None;
        child.leaf.starting(child.incarnation);
        // OTP does not keep how a temporary child was started; neither do we, so that its captures are freed.
        let start = if child.restart == Restart::Temporary {
            child.start.take()
        } else {
            child.start.clone()
        };
        let incarnation = child.incarnation;
        let Some(start) = start else {
            let error = StartError::new("a temporary child is started only once");
            let _ = self.myself.send_message(Message::StartDone {
                key,
                incarnation,
                result: Err(error),
            });
            return;
        };
        let berth = Arc::new(Berth::default());
        let context = StartContext {
            supervisor: self.myself.get_cell(),
            child: child.id.clone(),
            incarnation,
            path: self.reporter.path.join(&child.id),
            tree: self.reporter.tree.clone(),
            observer: self.reporter.observer.clone(),
            args: start.args,
            node: child.leaf.key(),
            berth: berth.clone(),
        };
        let (supervisor, deadline) = (self.myself.clone(), child.start_deadline);
        let task = Task::spawn(async move {
            let result = run_start(start.start, context, deadline).await;
            let answer = Message::StartDone {
                key,
                incarnation,
                result,
            };
            if let Err(MessagingErr::SendErr(Message::StartDone { result: Ok(cell), .. })) =
                supervisor.send_message(answer)
            {
                cell.stop(Some("its supervisor has ended".to_owned()));
            }
        });
        self.children.pass(
            key,
            Phase::Starting(StartTask {
                began,
                berth,
                _task: task,
            }),
        );
    }

    pub(crate) fn on_start_done(&mut self, key: u64, incarnation: u64, result: Result<ActorCell, StartError>) {
        let began = self
            .children
            .get(key)
            .filter(|child| child.incarnation == incarnation)
            .and_then(|child| {
                let Phase::Starting(start) = child.phase() else {
                    return None;
                };
                // From here on the actor is the child's, or nobody's; no longer the start's.
                start.berth.close();
                Some(start.began)
            });
        match (began, result) {
            (Some(began), Ok(cell)) => self.on_started(key, &cell, began),
            (Some(_), Err(error)) => self.on_not_started(key, &error),
            (None, Ok(cell)) => self.dismiss_stale(cell),
            (None, Err(_)) => {}
        }
        self.settle_strangers();
    }

    fn on_started(&mut self, key: u64, cell: &ActorCell, began: Duration) {
        let now = self.now();
        self.children.pass(key, Phase::Ready(cell.clone()));
        let early_exit = self.strangers.claim(cell.get_id());
        let Some(child) = self.children.get_mut(key) else {
            return;
        };
        child.ready_since = Some(now);
        child.on_failure = OnFailure::Decide;
        child.leaf.started();
        let kind = EventKind::Started {
            took: now.saturating_sub(began),
        };
        self.reporter.emit(&child.id, child.incarnation, kind);
        for waiter in std::mem::take(&mut child.waiters) {
            waiter.answer(&child.id, Ok(Some(cell.clone())));
        }
        if let Some(exit) = early_exit {
            return self.on_end(key, exit);
        }
        self.make_sure_of_link(key, cell);
        self.advance_past(key);
    }

    /// Links an actor that its start did not link. If that is not possible because it has ended, its end is either on the
    /// way, ahead of the message sent here, or will never be heard of.
    fn make_sure_of_link(&mut self, key: u64, cell: &ActorCell) {
        let me = self.myself.get_id();
        let is_linked = |cell: &ActorCell| cell.try_get_supervisor().is_some_and(|parent| parent.get_id() == me);
        if is_linked(cell) {
            return;
        }
        cell.link(self.myself.get_cell());
        if let Some(child) = self.children.get(key).filter(|_| !is_linked(cell)) {
            let _ = self.myself.send_message(Message::Unlinked {
                key,
                incarnation: child.incarnation,
            });
        }
    }

    pub(crate) fn on_unlinked(&mut self, key: u64, incarnation: u64) {
        let Some(child) = self.children.get(key) else { return };
        if child.incarnation == incarnation && matches!(child.phase(), Phase::Ready(_)) {
            self.on_end(
                key,
                Exit::new(ExitKind::Failed, vec!["actor ended before it was linked".to_owned()]),
            );
        }
    }

    fn on_not_started(&mut self, key: u64, error: &StartError) {
        self.children.pass(key, Phase::Pending);
        let is_first_run = self
            .run
            .as_ref()
            .is_some_and(|run| run.initial && run.current == Some(key));
        let Some(child) = self.children.get_mut(key) else {
            return;
        };
        let on_failure = std::mem::replace(&mut child.on_failure, OnFailure::Decide);
        let answer = if error.is_ignored() {
            Ok(None)
        } else {
            Err(ChildError::Start {
                child: child.id.clone(),
                error: error.clone(),
            })
        };
        for waiter in std::mem::take(&mut child.waiters) {
            waiter.answer(&child.id, answer.clone());
        }
        if error.is_ignored() {
            self.settle_as_stopped(key, NodeState::Stopped);
            return self.advance_past(key);
        }
        let exit = error.exit();
        self.reporter
            .emit(&child.id, child.incarnation, EventKind::Exited(exit.clone()));
        match on_failure {
            OnFailure::Forget => {
                self.children.remove(key);
                self.advance_past(key);
            }
            OnFailure::Stay => {
                child.leaf.fail(exit);
                self.children.pass(key, Phase::Stopped);
                self.advance_past(key);
            }
            OnFailure::Decide if is_first_run && self.is_first_start_final() => self.fail_first_start(key, error),
            OnFailure::Decide => self.decide(key, exit),
        }
    }

    /// A child that ended for good: forgotten if nothing of it is to be kept, else stopped.
    pub(crate) fn settle_as_stopped(&mut self, key: u64, state: NodeState) {
        let Some(child) = self.children.get_mut(key) else {
            return;
        };
        let terminators = std::mem::take(&mut child.terminators);
        child.ready_since = None;
        if child.is_forgotten_when_stopped() {
            self.children.remove(key);
        } else {
            child.leaf.set(state);
            self.children.pass(key, Phase::Stopped);
        }
        for terminator in terminators {
            // Whoever asked may have gone away.
            let _ = terminator.send(Ok(()));
        }
    }

    fn dismiss_stale(&mut self, cell: ActorCell) {
        self.strangers.claim(cell.get_id());
        let stale = Stopping {
            id: "".into(),
            incarnation: 0,
            cell,
            shutdown: Shutdown::After(STALE_SHUTDOWN),
            kind: ChildKind::Supervisor,
        };
        while self.stale.try_join_next().is_some() {}
        self.stale.spawn(async move { stop_one(&stale).await });
    }

    pub(crate) fn on_retry(&mut self, key: u64, incarnation: u64) {
        let Some(child) = self.children.get(key) else { return };
        if child.incarnation == incarnation && matches!(child.phase(), Phase::BackingOff { .. }) {
            self.begin_start(key);
        }
    }
}

impl Waiter {
    /// Answers; whoever asked may have gone away.
    pub(crate) fn answer(self, id: &Arc<str>, result: Result<Option<ActorCell>, ChildError>) {
        match self {
            Self::Cell(reply) => drop(reply.send(result)),
            Self::Instance(reply) => drop(reply.send(result.map(|cell| Instance { id: id.clone(), cell }))),
        }
    }
}
