//! Actors that are linked to the supervisor but belong to no child that it knows to be ready.
//!
//! Between the moment when a start has spawned its actor and the moment when its answer arrives, the actor may already
//! be heard of, or have ended. What is still strange when no start is going on belongs to a start that was cut short.

use std::collections::HashMap;

use ractor::{ActorCell, ActorId};

use crate::exit::Exit;

#[derive(Debug)]
pub(crate) struct Strangers {
    started: HashMap<ActorId, ActorCell>,
    ended: HashMap<ActorId, Exit>,
    limit: usize,
}

impl Strangers {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            started: HashMap::new(),
            ended: HashMap::new(),
            limit,
        }
    }

    /// Notes an actor that nobody has claimed; beyond the limit it is stopped at once.
    pub(crate) fn saw_start(&mut self, cell: &ActorCell) {
        if self.started.len() < self.limit {
            self.started.insert(cell.get_id(), cell.clone());
        } else {
            cell.stop(Some("it belongs to no child".to_owned()));
        }
    }

    pub(crate) fn saw_end(&mut self, actor: ActorId, exit: Exit) {
        self.started.remove(&actor);
        if self.ended.len() < self.limit {
            self.ended.insert(actor, exit);
        }
    }

    /// The actor is a child's; gives its end if it has ended already.
    pub(crate) fn claim(&mut self, actor: ActorId) -> Option<Exit> {
        self.started.remove(&actor);
        self.ended.remove(&actor)
    }

    /// Stops what is left; to be called when no start is going on.
    pub(crate) fn dismiss(&mut self) {
        self.ended.clear();
        for (_, cell) in self.started.drain() {
            cell.stop(Some("it belongs to no child".to_owned()));
        }
    }
}
