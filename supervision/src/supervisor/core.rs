//! What a supervisor knows, and which of its parts handles what it hears.

use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorRef, SupervisionEvent};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::children::{Child, Children};
use super::message::Message;
use super::report::Reporter;
use super::run::Run;
use super::strangers::Strangers;
use super::{Seed, Status};
use crate::child_spec::ChildSpec;
use crate::exit::{Exit, GaveUp};
use crate::history::History;
use crate::plan::{Policy, Row};
use crate::start::{StartArgs, StartError};
use crate::stop::StopOutcome;
use crate::supervisor_spec::SupervisorSpec;
use crate::tree::Leaf;

/// Why a supervisor ends, if nobody asked it to.
#[derive(Debug)]
pub(crate) enum Closing {
    FirstStartFailed(StartError),
    GaveUp(GaveUp),
    SignificantEnded,
}

pub(crate) struct Core {
    pub(crate) spec: SupervisorSpec,
    pub(crate) myself: ActorRef<Message>,
    pub(crate) reporter: Arc<Reporter>,
    pub(crate) leaf: Leaf,
    pub(crate) children: Children,
    pub(crate) strangers: Strangers,
    /// Stops of actors whose start answered too late.
    pub(crate) stale: JoinSet<StopOutcome>,
    pub(crate) history: History,
    pub(crate) run: Option<Run>,
    pub(crate) runs: u64,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) closing: Option<Closing>,
}

impl Core {
    pub(crate) fn new(myself: ActorRef<Message>, seed: Seed) -> Self {
        let Seed {
            spec,
            children,
            reporter,
            leaf,
            status,
        } = seed;
        leaf.speak_for_itself();
        let mut core = Self {
            strangers: Strangers::new(spec.max_children.max(1)),
            spec,
            myself,
            reporter,
            leaf,
            children: Children::default(),
            stale: JoinSet::new(),
            history: History::new(),
            run: None,
            runs: 0,
            status,
            closing: None,
        };
        for child in children {
            core.add_child(child, None, false);
        }
        core
    }

    pub(crate) fn add_child(&mut self, spec: ChildSpec, args: Option<StartArgs>, is_instance: bool) -> u64 {
        let leaf = self.leaf.leaf(&spec.id, &spec.label);
        self.children.insert(Child::new(spec, args, is_instance, leaf))
    }

    pub(crate) fn now(&self) -> Duration {
        self.reporter.now()
    }

    pub(crate) fn policy(&self) -> Policy<'_> {
        Policy {
            strategy: self.spec.strategy,
            auto_shutdown: self.spec.auto_shutdown,
            panics: &self.spec.panics,
            exits: &self.spec.exits,
        }
    }

    /// Whether it gave up and stays.
    pub(crate) fn is_failed(&self) -> bool {
        matches!(*self.status.borrow(), Status::Failed(_))
    }

    pub(crate) fn on_event(&mut self, event: &SupervisionEvent) {
        if self.closing.is_some() {
            return;
        }
        if let SupervisionEvent::ActorStarted(cell) = event {
            if self.children.by_actor(cell.get_id()).is_none() {
                self.strangers.saw_start(cell);
                self.settle_strangers();
            }
            return;
        }
        let (Some(actor), Some(exit)) = (event.actor_id(), Exit::from_event(event)) else {
            return;
        };
        match self.children.by_actor(actor) {
            Some(key) => self.on_end(key, exit),
            None if self.children.is_any_starting() => self.strangers.saw_end(actor, exit),
            None => {}
        }
    }

    pub(crate) fn on_message(&mut self, message: Message) {
        if self.closing.is_some() {
            return;
        }
        match message {
            Message::StartDone {
                key,
                incarnation,
                result,
            } => self.on_start_done(key, incarnation, result),
            Message::Retry { key, incarnation } => self.on_retry(key, incarnation),
            Message::RunStopped { run } => self.on_run_stopped(run),
            Message::RunDue { run } => self.on_run_due(run),
            Message::Terminated { key, incarnation } => self.on_terminated(key, incarnation),
            Message::Unlinked { key, incarnation } => self.on_unlinked(key, incarnation),
            Message::Healthy { child, incarnation } => self.on_healthy(&child, incarnation),
            Message::StartChild { spec, reply } => self.start_child(*spec, reply),
            Message::StartInstance { args, reply } => self.start_instance(args, reply),
            Message::TerminateChild { id, reply } => self.terminate_child(&id, reply),
            Message::RestartChild { id, reply } => self.restart_child(&id, reply),
            Message::DeleteChild { id, reply } => drop(reply.send(self.delete_child(&id))),
            Message::Count { reply } => drop(reply.send(Ok(self.count()))),
            Message::Children { reply } => drop(reply.send(Ok(self.list()))),
        }
    }

    fn on_healthy(&mut self, id: &str, incarnation: u64) {
        let child = self.children.by_id(id).and_then(|key| self.children.get_mut(key));
        if let Some(child) = child.filter(|child| child.incarnation == incarnation) {
            child.row = Row::default();
        }
    }

    /// Stops actors of starts that were cut short, once no start can claim them any more.
    pub(crate) fn settle_strangers(&mut self) {
        if !self.children.is_any_starting() {
            self.strangers.dismiss();
        }
    }
}

impl Drop for Core {
    /// Kills what is left. ractor does so when it kills a supervisor, but spares actors that are draining, and one that
    /// hangs in the middle of that would live on.
    fn drop(&mut self) {
        for cell in self.children.iter().filter_map(|(_, child)| child.cell()) {
            cell.kill();
        }
    }
}
