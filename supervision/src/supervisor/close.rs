//! The end of a supervisor: everything below it is stopped first.
//!
//! It runs in the actor's `post_stop`, so it is reached however a supervisor is told to stop, except by a kill: then
//! ractor kills everything below, in no order.

use ractor::{ActorProcessingErr, ActorStatus};

use super::Status;
use super::core::{Closing, Core};
use crate::exit::Exit;
use crate::snapshot::NodeState;
use crate::stop::{kill, stop_in_order, stop_in_parallel};

impl Core {
    /// Stops all children, in reverse order or, if they are instances of a template, in parallel, and says how it ended.
    pub(crate) async fn close(&mut self) -> Result<(), ActorProcessingErr> {
        let was_failed = self.is_failed();
        if !was_failed {
            self.leaf.set(NodeState::Stopping);
        }
        self.run = None;
        let keys: Vec<_> = self.children.iter().map(|(key, _)| key).rev().collect();
        let children: Vec<_> = keys
            .into_iter()
            .filter_map(|key| self.children.begin_stop(key))
            .collect();
        if self.spec.template.is_some() {
            stop_in_parallel(children, self.reporter.clone()).await;
        } else {
            stop_in_order(children, self.reporter.clone()).await;
        }
        self.kill_the_rest().await;
        let result = self.outcome();
        let exit = match (&self.closing, &result) {
            (Some(Closing::FirstStartFailed(error)), _) => error.exit(),
            (_, Err(gave_up)) => gave_up.exit(),
            _ => Exit::normal(),
        };
        if exit.is_normal() {
            self.leaf.set(if was_failed {
                NodeState::Failed
            } else {
                NodeState::Stopped
            });
        } else {
            self.leaf.fail(exit.clone());
        }
        self.status.send_replace(Status::Ended(exit));
        result.map_err(Into::into)
    }

    fn outcome(&self) -> Result<(), crate::exit::GaveUp> {
        match &self.closing {
            Some(Closing::GaveUp(gave_up)) => Err(gave_up.clone()),
            Some(Closing::FirstStartFailed(_) | Closing::SignificantEnded) | None => Ok(()),
        }
    }

    /// Whatever is still linked belongs to no child that is known: actors of starts that were cut short.
    async fn kill_the_rest(&self) {
        let rest = self.myself.get_children();
        let alive = rest.iter().filter(|cell| cell.get_status() < ActorStatus::Stopped);
        futures_util::future::join_all(alive.map(kill)).await;
    }
}
