//! A background task with an owner: its actor hears how it ended, and takes it along when it goes.
//!
//! A task that is only spawned takes its panic with it, and what it kept going stands still unseen. Here the end is a
//! message like any other, so the owner can fail with it and be started again. Not here: restarting, which is the
//! supervisor's, and telling a task to finish, which is between it and its owner.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use ractor::{ActorRef, Message};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::running::panic_message;

/// Says that a background task panicked, and what the panic said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a background task panicked: {0}")]
pub struct TaskPanic(pub String);

/// A task that belongs to an actor. Dropping it aborts the task at its next wait.
#[derive(Debug)]
#[must_use = "a task that nobody owns is aborted"]
pub struct OwnedTask(JoinHandle<Result<(), TaskPanic>>);

impl OwnedTask {
    /// Runs `work` on `runtime`. When it ends, `tell` makes the message in which `owner` hears what it returned, or how
    /// it panicked. An owner that has gone is told nothing.
    pub fn spawn<M, F>(
        runtime: &Handle,
        owner: ActorRef<M>,
        work: F,
        tell: impl FnOnce(Result<F::Output, TaskPanic>) -> M + Send + 'static,
    ) -> Self
    where
        M: Message,
        F: Future<Output: Send> + Send + 'static,
    {
        OwnedTask(runtime.spawn(async move {
            let ended = AssertUnwindSafe(work).catch_unwind().await;
            let ended = ended.map_err(|panic| TaskPanic(panic_message(&*panic)));
            let panicked = ended.as_ref().err().cloned();
            // An owner that is stopping waits for the task itself, or aborts it.
            let _ = owner.send_message(tell(ended));
            panicked.map_or(Ok(()), Err)
        }))
    }

    /// Waits for the end of the task.
    ///
    /// # Errors
    /// The panic it ended with.
    ///
    /// # Cancel safety
    /// Dropping the future only stops the waiting. Once it has resolved it must not be called again.
    pub async fn join(&mut self) -> Result<(), TaskPanic> {
        // Aborted with the runtime: there is nothing left to wait for.
        (&mut self.0).await.unwrap_or(Ok(()))
    }
}

impl Drop for OwnedTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use ractor::{Actor, ActorProcessingErr};
    use tokio::sync::{Notify, mpsc};

    use super::*;

    struct Owner(mpsc::Sender<Result<u32, TaskPanic>>);

    #[derive(Debug)]
    struct Ended(Result<u32, TaskPanic>);

    impl Actor for Owner {
        type Msg = Ended;
        type State = ();
        type Arguments = ();

        async fn pre_start(&self, _myself: ActorRef<Ended>, (): ()) -> Result<(), ActorProcessingErr> {
            Ok(())
        }

        async fn handle(&self, _: ActorRef<Ended>, Ended(ended): Ended, (): &mut ()) -> Result<(), ActorProcessingErr> {
            self.0.send(ended).await.map_err(Into::into)
        }
    }

    async fn within<T>(future: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(5), future).await.unwrap()
    }

    #[tokio::test]
    async fn the_owner_hears_the_end_and_the_panic() {
        let (told, mut ends) = mpsc::channel(4);
        let (owner, _task) = Actor::spawn(None, Owner(told), ()).await.unwrap();
        let runtime = Handle::current();
        let mut fine = OwnedTask::spawn(&runtime, owner.clone(), async { 7 }, Ended);
        assert_eq!(within(ends.recv()).await, Some(Ok(7)));
        assert_eq!(within(fine.join()).await, Ok(()));
        let mut broken = OwnedTask::spawn(&runtime, owner.clone(), async { panic!("no {}", 7) }, Ended);
        let panic = TaskPanic("no 7".to_owned());
        assert_eq!(within(ends.recv()).await, Some(Err(panic.clone())));
        assert_eq!(within(broken.join()).await, Err(panic));
        owner.stop(None);
    }

    #[tokio::test]
    async fn the_task_goes_with_its_owner() {
        struct Tells(Arc<Notify>);
        impl Drop for Tells {
            fn drop(&mut self) {
                self.0.notify_one();
            }
        }
        let (told, _ends) = mpsc::channel(4);
        let (owner, _task) = Actor::spawn(None, Owner(told), ()).await.unwrap();
        let gone = Arc::new(Notify::new());
        let tells = Tells(Arc::clone(&gone));
        let work = async move {
            let _tells = tells;
            std::future::pending().await
        };
        drop(OwnedTask::spawn(&Handle::current(), owner.clone(), work, Ended));
        within(gone.notified()).await;
        owner.stop(None);
    }
}
