//! A task that ends with its owner.

use std::future::Future;
use std::time::Duration;

use ractor::ActorRef;
use tokio::task::AbortHandle;

use super::message::Message;

/// Aborts its task when dropped.
#[derive(Debug)]
pub(crate) struct Task(AbortHandle);

impl Task {
    pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work).abort_handle())
    }

    /// Sends `message` to `supervisor` after `delay`.
    pub(crate) fn timer(delay: Duration, supervisor: ActorRef<Message>, message: Message) -> Self {
        Self::spawn(async move {
            tokio::time::sleep(delay).await;
            // A supervisor that has ended needs no timer.
            let _ = supervisor.send_message(message);
        })
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
