//! A run: stop some children in reverse order, wait, start some in order.
//!
//! The first start of a supervisor is a run without stops; a restart of a group is a whole one. There is at most one at a
//! time: a new run takes over what the one before it had still to do. Keys grow in start order, so the two are merged by
//! sorting.

use std::collections::VecDeque;
use std::time::Duration;

use super::Status;
use super::children::Phase;
use super::core::Core;
use super::message::Message;
use super::task::Task;
use crate::snapshot::NodeState;
use crate::stop::stop_in_order;

#[derive(Debug)]
pub(crate) struct Run {
    number: u64,
    /// Whether the supervisor has not been ready before.
    pub(crate) initial: bool,
    stopping: Vec<u64>,
    forget: Vec<u64>,
    queue: VecDeque<u64>,
    /// The child that is being started, or waits to be started again.
    pub(crate) current: Option<u64>,
    delay: Duration,
    /// Whether it leaves everything stopped for good.
    is_final: bool,
    step: Option<Task>,
}

impl Core {
    pub(crate) fn begin_initial_run(&mut self) {
        let queue: Vec<_> = self.children.iter().map(|(key, _)| key).collect();
        self.begin_run(None, vec![], vec![], queue, Duration::ZERO);
    }

    /// Begins a run. `failed` is the child that caused it, whose restart has been noted already.
    pub(crate) fn begin_run(
        &mut self,
        failed: Option<u64>,
        mut stop: Vec<u64>,
        mut forget: Vec<u64>,
        mut start: Vec<u64>,
        delay: Duration,
    ) {
        if let Some(former) = self.run.take() {
            stop.extend(former.stopping);
            stop.sort_unstable_by(|a, b| b.cmp(a));
            stop.dedup();
            forget.extend(former.forget);
            start.extend(former.queue);
            start.sort_unstable();
            start.dedup();
        }
        for key in start.iter().filter(|key| Some(**key) != failed) {
            let Some(child) = self.children.get(*key) else { continue };
            if child.incarnation > 0 && child.cell().is_some() {
                child.leaf.restarted_along();
            }
            if matches!(child.phase(), Phase::Stopped | Phase::Failed) {
                child.leaf.set(NodeState::Pending);
                self.children.pass(*key, Phase::Pending);
            }
        }
        let run = self.new_run(stop, forget, start.into(), delay, false);
        self.begin_stops(run);
    }

    /// Stops everything in reverse order and leaves it stopped, because the supervisor gave up and stays.
    pub(crate) fn begin_final_stop(&mut self) {
        let all: Vec<_> = self.children.iter().map(|(key, _)| key).rev().collect();
        for key in &all {
            if let Some(child) = self
                .children
                .get(*key)
                .filter(|child| matches!(child.phase(), Phase::Pending))
            {
                child.leaf.set(NodeState::Stopped);
                self.children.pass(*key, Phase::Stopped);
            }
        }
        let run = self.new_run(all, vec![], VecDeque::new(), Duration::ZERO, true);
        self.begin_stops(run);
    }

    fn new_run(
        &mut self,
        stopping: Vec<u64>,
        forget: Vec<u64>,
        queue: VecDeque<u64>,
        delay: Duration,
        is_final: bool,
    ) -> Run {
        self.runs += 1;
        let initial = matches!(*self.status.borrow(), Status::Starting);
        Run {
            number: self.runs,
            initial,
            stopping,
            forget,
            queue,
            current: None,
            delay,
            is_final,
            step: None,
        }
    }

    fn begin_stops(&mut self, mut run: Run) {
        let is_stopped = |phase: &Phase| matches!(phase, Phase::Stopped | Phase::Failed);
        let mut items = Vec::new();
        for key in &run.stopping {
            if self.children.get(*key).is_some_and(|child| !is_stopped(child.phase())) {
                items.extend(self.children.begin_stop(*key));
            }
        }
        let number = run.number;
        let must_wait = !items.is_empty();
        if must_wait {
            let (reporter, supervisor) = (self.reporter.clone(), self.myself.clone());
            run.step = Some(Task::spawn(async move {
                stop_in_order(items, reporter).await;
                // A supervisor that has ended needs no answer.
                let _ = supervisor.send_message(Message::RunStopped { run: number });
            }));
        }
        // This drops the run before, with whatever it was waiting for.
        self.run = Some(run);
        if !must_wait {
            self.on_run_stopped(number);
        }
    }

    pub(crate) fn on_run_stopped(&mut self, number: u64) {
        let Some(run) = self.run.as_mut().filter(|run| run.number == number) else {
            return;
        };
        let (stopping, forget) = (std::mem::take(&mut run.stopping), std::mem::take(&mut run.forget));
        let (delay, is_final) = (run.delay, run.is_final);
        for key in stopping {
            let Some(child) = self.children.get(key) else { continue };
            // Anything else was settled by hand meanwhile.
            if !matches!(child.phase(), Phase::Pending | Phase::Stopping(_, None)) {
                continue;
            }
            if is_final || forget.contains(&key) || !child.terminators.is_empty() {
                self.settle_as_stopped(key, NodeState::Stopped);
            } else {
                child.leaf.set(NodeState::Pending);
                self.children.pass(key, Phase::Pending);
            }
        }
        self.settle_strangers();
        if delay.is_zero() {
            return self.start_next();
        }
        let timer = Task::timer(delay, self.myself.clone(), Message::RunDue { run: number });
        if let Some(run) = self.run.as_mut() {
            run.step = Some(timer);
        }
    }

    pub(crate) fn on_run_due(&mut self, number: u64) {
        if self
            .run
            .as_ref()
            .is_some_and(|run| run.number == number && run.current.is_none())
        {
            self.start_next();
        }
    }

    /// Cuts the delay of a run short if `key` waits in it. Says whether it did.
    pub(crate) fn hurry_run(&mut self, key: u64) -> bool {
        let waits = |run: &mut Run| run.stopping.is_empty() && run.current.is_none() && run.queue.contains(&key);
        let is_waiting = self.run.as_mut().is_some_and(waits);
        if is_waiting {
            self.start_next();
        }
        is_waiting
    }

    /// Whether everything is being stopped for good.
    pub(crate) fn is_final_stop_going_on(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.is_final)
    }

    /// Whether children are being stopped or started as a group.
    pub(crate) fn is_run_going_on(&self) -> bool {
        self.run.as_ref().is_some_and(|run| !run.is_final)
    }

    /// Adds a child to the end of the run.
    pub(crate) fn join_run(&mut self, key: u64) {
        if let Some(run) = &mut self.run {
            run.queue.push_back(key);
        }
    }

    /// Goes on with the run if `key` is the child that it waits for.
    pub(crate) fn advance_past(&mut self, key: u64) {
        if self.run.as_ref().is_some_and(|run| run.current == Some(key)) {
            self.start_next();
        }
    }

    fn start_next(&mut self) {
        let Some(run) = &mut self.run else { return };
        run.step = None;
        run.current = None;
        while let Some(key) = run.queue.pop_front() {
            // One that is not pending any more was started, stopped or deleted by hand meanwhile.
            if self
                .children
                .get(key)
                .is_some_and(|child| matches!(child.phase(), Phase::Pending))
            {
                run.current = Some(key);
                return self.begin_start(key);
            }
        }
        let (initial, is_final) = (run.initial, run.is_final);
        self.run = None;
        if initial && !is_final {
            self.leaf.ready();
            self.status.send_replace(Status::Ready);
        }
    }
}
