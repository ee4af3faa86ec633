//! The children of a supervisor, in start order, found by key, id or actor.
//!
//! A key is never used twice, so an answer about a child that is gone cannot be taken for one about its successor.
//! A phase is changed only by [`Children::pass`], which keeps the index of actors and the count of starts true.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorCell, ActorId};

use super::message::Reply;
use super::task::Task;
use crate::child_spec::{ChildKind, ChildSpec, OnGiveUp, Restart, Shutdown};
use crate::plan::{Member, Presence, Row};
use crate::snapshot::NodeState;
use crate::start::{Berth, StartArgs, StartFn};
use crate::stop::Stopping;
use crate::tree::Leaf;

/// Where a child is in its life, with what only that phase owns.
#[derive(Debug)]
pub(crate) enum Phase {
    Pending,
    Starting(StartTask),
    Ready(ActorCell),
    BackingOff {
        _timer: Task,
    },
    /// The task is that of a termination; a run stops children in a task of its own.
    Stopping(ActorCell, Option<Task>),
    Stopped,
    Failed,
}

/// A start that is going on. Dropped, it is cut short and what it has spawned is stopped.
#[derive(Debug)]
pub(crate) struct StartTask {
    pub(crate) began: Duration,
    pub(crate) berth: Arc<Berth>,
    pub(crate) _task: Task,
}

impl Drop for StartTask {
    fn drop(&mut self) {
        if let Some(cell) = self.berth.close() {
            cell.stop(Some("its start was given up".to_owned()));
        }
    }
}

/// What becomes of a child whose start, asked for by hand, fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    Decide,
    Forget,
    Stay,
}

/// Those who wait for a start.
#[derive(Debug)]
pub(crate) enum Waiter {
    Cell(Reply<Option<ActorCell>>),
    Instance(Reply<super::handle::Instance>),
}

#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) id: Arc<str>,
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) kind: ChildKind,
    pub(crate) significant: bool,
    pub(crate) on_give_up: OnGiveUp,
    pub(crate) start_deadline: Duration,
    /// Taken by the only start of a temporary child, so that nothing of it is kept.
    pub(crate) start: Option<Start>,
    pub(crate) is_instance: bool,
    pub(crate) incarnation: u64,
    pub(crate) row: Row,
    pub(crate) ready_since: Option<Duration>,
    pub(crate) on_failure: OnFailure,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) terminators: Vec<Reply<()>>,
    pub(crate) leaf: Leaf,
    phase: Phase,
}

#[derive(Clone)]
pub(crate) struct Start {
    pub(crate) start: StartFn,
    pub(crate) args: Option<StartArgs>,
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Start")
    }
}

impl Child {
    pub(crate) fn new(spec: ChildSpec, args: Option<StartArgs>, is_instance: bool, leaf: Leaf) -> Self {
        Self {
            id: spec.id,
            restart: spec.restart,
            shutdown: spec.shutdown,
            kind: spec.kind,
            significant: spec.significant,
            on_give_up: spec.on_give_up,
            start_deadline: spec.start_deadline,
            start: Some(Start {
                start: spec.start,
                args,
            }),
            is_instance,
            incarnation: 0,
            row: Row::default(),
            ready_since: None,
            on_failure: OnFailure::Decide,
            waiters: Vec::new(),
            terminators: Vec::new(),
            leaf,
            phase: Phase::Pending,
        }
    }

    pub(crate) fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Whether nothing of it is kept once it has ended for good.
    pub(crate) fn is_forgotten_when_stopped(&self) -> bool {
        self.is_instance || self.restart == Restart::Temporary
    }

    pub(crate) fn cell(&self) -> Option<&ActorCell> {
        match &self.phase {
            Phase::Ready(cell) | Phase::Stopping(cell, _) => Some(cell),
            _ => None,
        }
    }

    pub(crate) fn state(&self) -> NodeState {
        match self.phase {
            Phase::Pending => NodeState::Pending,
            Phase::Starting(_) => NodeState::Starting,
            Phase::Ready(_) => NodeState::Ready,
            Phase::BackingOff { .. } => NodeState::BackingOff,
            Phase::Stopping(..) => NodeState::Stopping,
            Phase::Stopped => NodeState::Stopped,
            Phase::Failed => NodeState::Failed,
        }
    }

    pub(crate) fn member(&self) -> Member {
        let presence = match self.phase {
            Phase::Pending => Presence::Pending,
            Phase::Stopped | Phase::Failed => Presence::Stopped,
            Phase::Starting(_) | Phase::Ready(_) | Phase::BackingOff { .. } | Phase::Stopping(..) => Presence::Active,
        };
        Member {
            restart: self.restart,
            significant: self.significant,
            presence,
            on_give_up: self.on_give_up,
            row: self.row,
            ready_since: self.ready_since,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Children {
    rows: BTreeMap<u64, Child>,
    ids: HashMap<Arc<str>, u64>,
    actors: HashMap<ActorId, u64>,
    starting: usize,
    next_key: u64,
}

impl Children {
    pub(crate) fn insert(&mut self, child: Child) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        self.ids.insert(child.id.clone(), key);
        self.rows.insert(key, child);
        key
    }

    pub(crate) fn remove(&mut self, key: u64) -> Option<Child> {
        self.pass(key, Phase::Stopped);
        let child = self.rows.remove(&key)?;
        self.ids.remove(&child.id);
        Some(child)
    }

    pub(crate) fn get(&self, key: u64) -> Option<&Child> {
        self.rows.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut Child> {
        self.rows.get_mut(&key)
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<u64> {
        self.ids.get(id).copied()
    }

    pub(crate) fn by_actor(&self, actor: ActorId) -> Option<u64> {
        self.actors.get(&actor).copied()
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &Child)> {
        self.rows.iter().map(|(key, child)| (*key, child))
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn is_any_starting(&self) -> bool {
        self.starting > 0
    }

    /// The number that the next child's key will be, which makes ids of instances unique.
    pub(crate) fn next_key(&self) -> u64 {
        self.next_key
    }

    /// Moves a child to another phase and gives back the former one; `None` if there is no such child.
    pub(crate) fn pass(&mut self, key: u64, phase: Phase) -> Option<Phase> {
        let child = self.rows.get_mut(&key)?;
        let former = std::mem::replace(&mut child.phase, phase);
        if let Phase::Ready(cell) | Phase::Stopping(cell, _) = &former {
            self.actors.remove(&cell.get_id());
        }
        if matches!(former, Phase::Starting(_)) {
            self.starting -= 1;
        }
        if let Phase::Ready(cell) | Phase::Stopping(cell, _) = &child.phase {
            self.actors.insert(cell.get_id(), key);
        }
        if matches!(child.phase, Phase::Starting(_)) {
            self.starting += 1;
        }
        Some(former)
    }

    /// Marks a child as stopping, whatever it was doing. `None` if it has no actor that must be waited for; it is pending
    /// then.
    pub(crate) fn begin_stop(&mut self, key: u64) -> Option<Stopping> {
        let cell = match self.pass(key, Phase::Pending)? {
            Phase::Ready(cell) | Phase::Stopping(cell, _) => cell,
            Phase::Starting(start) => start.berth.close()?,
            _ => return None,
        };
        self.pass(key, Phase::Stopping(cell.clone(), None));
        let child = self.rows.get(&key)?;
        child.leaf.set(NodeState::Stopping);
        Some(Stopping {
            id: child.id.clone(),
            incarnation: child.incarnation,
            cell,
            shutdown: child.shutdown,
            kind: child.kind,
        })
    }
}
