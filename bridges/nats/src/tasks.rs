//! The tasks of one bridge: one set owns them all, and aborts them when the bridge is dropped.
//!
//! A task that dies says so: its subscription ends, and the bridge has failed, which whoever watches its health hears.

use std::borrow::Cow;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roadshow_bridges::{Health, Presence};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::queue::Queue;

/// Locks a mutex whose holders never panic half way.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the death of a task means; dropped with the task.
#[derive(Debug)]
pub(crate) struct Fate {
    presence: Presence,
    /// The queue that nobody else fills.
    queue: Option<Arc<Queue>>,
    ended_well: bool,
}

impl Fate {
    /// Of a task that serves one subscription until that is over.
    pub(crate) fn of_queue(presence: &Presence, queue: &Arc<Queue>) -> Self {
        Self {
            presence: presence.clone(),
            queue: Some(Arc::clone(queue)),
            ended_well: false,
        }
    }

    /// Of a task that lives as long as the bridge: until then, every end of it is a death.
    pub(crate) fn of_bridge(presence: &Presence) -> Self {
        Self {
            presence: presence.clone(),
            queue: None,
            ended_well: false,
        }
    }

    /// The task has come to its end.
    fn task_ended(mut self) {
        self.ended_well = self.queue.is_some();
    }
}

impl Drop for Fate {
    fn drop(&mut self) {
        if self.ended_well {
            return;
        }
        // A bridge that was closed stays so: its tasks are aborted.
        self.presence.set(Health::Failed {
            reason: Cow::Borrowed("a task of the NATS bridge has died"),
        });
        if let Some(queue) = &self.queue {
            drop(queue.end());
        }
    }
}

/// The tasks of one bridge.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    set: JoinSet<()>,
    /// Each ends with the task of one subscription, which leaves the server last.
    lives: Vec<watch::Receiver<()>>,
}

impl Tasks {
    /// Runs a task until it ends or the bridge is dropped.
    pub(crate) fn add(&self, fate: Fate, task: impl Future<Output = ()> + Send + 'static) {
        let mut inner = lock(&self.0);
        while inner.set.try_join_next().is_some() {}
        inner.lives.retain(|lives| lives.has_changed().is_ok());
        let (life, lives) = watch::channel(());
        if fate.queue.is_some() {
            inner.lives.push(lives);
        }
        inner.set.spawn(async move {
            task.await;
            fate.task_ended();
            drop(life);
        });
    }

    /// Waits until the task of every subscription has ended; `false` if that takes too long.
    pub(crate) async fn all_left(&self, deadline: Instant) -> bool {
        let all = lock(&self.0).lives.clone();
        for mut lives in all {
            // Nothing is ever told here: the wait ends when the other side is gone.
            if timeout_at(deadline, lives.changed()).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Ends every task.
    pub(crate) fn stop(&self) {
        lock(&self.0).set.abort_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Rules;
    use roadshow_bridges::Overflow;

    fn alive() -> (Tasks, Presence, Arc<Queue>) {
        let presence = Presence::new();
        presence.set(Health::Ready);
        let queue = Arc::new(Queue::new(Rules {
            window: None,
            capacity: 1,
            overflow: Overflow::Refuse,
        }));
        (Tasks::default(), presence, queue)
    }

    async fn over(tasks: &Tasks) {
        let mut set = std::mem::take(&mut lock(&tasks.0).set);
        while set.join_next().await.is_some() {}
    }

    #[tokio::test]
    async fn the_panic_of_a_task_ends_its_queue_and_fails_the_bridge() {
        let (tasks, presence, queue) = alive();
        tasks.add(Fate::of_queue(&presence, &queue), async { panic!("a defect") });
        over(&tasks).await;
        assert!(queue.has_ended());
        assert!(matches!(presence.health(), Health::Failed { .. }));
    }

    #[tokio::test]
    async fn a_subscription_that_is_over_is_no_death_and_the_end_of_a_keeper_is() {
        let (tasks, presence, queue) = alive();
        tasks.add(Fate::of_queue(&presence, &queue), async {});
        over(&tasks).await;
        assert!(presence.health().is_ready());
        tasks.add(Fate::of_bridge(&presence), async {});
        over(&tasks).await;
        assert!(matches!(presence.health(), Health::Failed { .. }));
    }

    #[tokio::test]
    async fn a_closed_bridge_that_aborts_its_tasks_stays_closed() {
        let (tasks, presence, queue) = alive();
        tasks.add(Fate::of_queue(&presence, &queue), std::future::pending());
        presence.set(Health::Closed);
        tasks.stop();
        over(&tasks).await;
        assert_eq!(presence.health(), Health::Closed);
    }
}
