//! Events on their way: how many were told and how many arrived, for ours and for the baseline alike.
//!
//! A subscriber that may lose what it has no room for must never be overrun, and a count that waits for what was lost
//! must end: tellers hold back beyond a window, and every wait has a deadline.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::Error;

/// The most deliveries that may be on their way: no more than the smallest window of a subscription.
const WINDOW: u64 = 256;
/// How often tellers look whether there is room.
const TICK: Duration = Duration::from_millis(1);
/// How long a delivery may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Counts deliveries. Clones count together.
#[derive(Clone)]
pub(super) struct Flow {
    sent: Arc<AtomicU64>,
    subscribers: u64,
    received: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("sent", &self.sent)
            .field("subscribers", &self.subscribers)
            .finish_non_exhaustive()
    }
}

impl Flow {
    /// Nothing yet; `received` counts the deliveries of all subscribers together.
    pub(super) fn new(subscribers: usize, received: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Flow {
            sent: Arc::default(),
            subscribers: subscribers as u64,
            received: Arc::new(received),
        }
    }

    /// Waits for room for one more event, and takes it.
    pub(super) async fn room(&self) -> Result<(), Error> {
        let sent = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
        let enough = (sent * self.subscribers).saturating_sub(WINDOW);
        self.until(enough, || sleep(TICK)).await
    }

    /// Waits until everything that was told so far has arrived.
    pub(super) async fn arrived(&self) -> Result<(), Error> {
        let all = self.sent.load(Ordering::Relaxed) * self.subscribers;
        self.until(all, || sleep(TICK)).await
    }

    /// As [`Flow::arrived`], without sleeping: for the time that one event takes.
    pub(super) async fn arrived_now(&self) -> Result<(), Error> {
        let all = self.sent.load(Ordering::Relaxed) * self.subscribers;
        self.until(all, tokio::task::yield_now).await
    }

    async fn until<F: Future<Output = ()>>(&self, enough: u64, pause: impl Fn() -> F) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let received = (self.received)();
            if received >= enough {
                return Ok(());
            }
            if Instant::now() > deadline {
                let problem = format!("{received} of {enough} deliveries came within {}s", PATIENCE.as_secs());
                return Err(Error::new("waiting for events", problem));
            }
            pause().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tellers_hold_back_beyond_the_window_and_the_lost_are_told() {
        let received = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&received);
        let flow = Flow::new(4, move || count.load(Ordering::Relaxed));
        for _ in 0..WINDOW / 4 {
            flow.room().await.expect("room");
        }
        let mut next = pin!(flow.room());
        let waits = poll_fn(|context| Poll::Ready(next.as_mut().poll(context).is_pending())).await;
        assert!(waits, "the window is full");
        received.store(4, Ordering::Relaxed);
        next.await.expect("room again");
        let error = flow.arrived().await.expect_err("the rest never comes");
        assert!(error.to_string().contains("4 of 260 deliveries"), "{error}");
    }
}
