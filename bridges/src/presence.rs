//! Presence: whether an adapter has its connection now, for those who have to wait for it.
//!
//! An adapter's connection task says what is; publishers wait here while the broker is away, a bounded number of them and
//! each for a bounded time. Written once, so that an outage feels the same on every broker.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::error::Error;
use crate::health::Health;

/// The most publishers that wait for a broker at the same time; more are refused at once.
const WAITING_MAX: usize = 4096;
/// How long a message without a time budget waits for the broker to come back.
const WAIT: Duration = Duration::from_secs(5);

/// Whether an adapter has its connection now. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Presence(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    health: watch::Sender<Health>,
    epoch: AtomicU64,
    waiting: Semaphore,
}

impl Presence {
    /// Not connected yet.
    pub fn new() -> Self {
        let connecting = Health::Reconnecting {
            reason: Cow::Borrowed("connecting"),
        };
        Self(Arc::new(Shared {
            health: watch::Sender::new(connecting),
            epoch: AtomicU64::new(0),
            waiting: Semaphore::new(WAITING_MAX),
        }))
    }

    /// How the connection is.
    pub fn health(&self) -> Health {
        self.0.health.borrow().clone()
    }

    /// Says how the connection is from now on. What is closed or has failed for good stays so.
    pub fn set(&self, health: Health) {
        self.0.health.send_if_modified(|current| {
            let ended = matches!(current, Health::Closed)
                || (matches!(current, Health::Failed { .. }) && health != Health::Closed);
            if ended || *current == health {
                return false;
            }
            *current = health;
            true
        });
    }

    /// Counts a new connection and returns its number, from 1: what was delivered on an earlier one is settled no more.
    pub fn next_epoch(&self) -> u64 {
        self.0.epoch.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The number of the connection of now; 0 before the first.
    pub fn epoch(&self) -> u64 {
        self.0.epoch.load(Ordering::Acquire)
    }

    /// Waits until the connection is ready, at most `budget` (5 s where the message has none).
    ///
    /// # Errors
    ///
    /// `Exhausted` if too many wait already, `Unavailable` if it does not come back in time or has failed for good,
    /// `Closed`. Nothing was sent.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only stops the waiting.
    pub async fn ready(&self, budget: Option<Duration>) -> Result<(), Error> {
        if let Some(settled) = settled(&self.0.health.borrow()) {
            return settled;
        }
        let _place = self.0.waiting.try_acquire().map_err(|_| {
            Error::exhausted("cannot publish: too many messages wait for the broker").with("waiting", WAITING_MAX)
        })?;
        let mut health = self.0.health.subscribe();
        let waited = timeout(
            budget.unwrap_or(WAIT),
            health.wait_for(|health| settled(health).is_some()),
        )
        .await;
        match waited {
            Ok(Ok(health)) => settled(&health).unwrap_or(Ok(())),
            Ok(Err(_)) => Err(Error::closed("cannot publish: the bridge was closed")),
            Err(_elapsed) => {
                let health = self.health();
                Err(Error::unavailable("cannot publish: the broker cannot be reached").with("state", health))
            }
        }
    }

    /// Waits for the next change of health.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only stops the waiting.
    pub fn watch(&self) -> watch::Receiver<Health> {
        self.0.health.subscribe()
    }
}

impl Default for Presence {
    fn default() -> Self {
        Self::new()
    }
}

/// What waiting would end with, if there is nothing to wait for.
fn settled(health: &Health) -> Option<Result<(), Error>> {
    match health {
        Health::Ready => Some(Ok(())),
        Health::Reconnecting { .. } => None,
        Health::Failed { reason } => Some(Err(
            Error::unavailable("cannot publish: the bridge has failed").with("because", reason)
        )),
        Health::Closed => Some(Err(Error::closed("cannot publish: the bridge was closed"))),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::ErrorKind;

    #[tokio::test(start_paused = true)]
    async fn a_message_waits_for_the_broker_no_longer_than_its_budget() {
        let presence = Presence::new();
        let error = presence
            .ready(Some(Duration::from_millis(50)))
            .await
            .expect_err("not there");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let waiting = tokio::spawn({
            let presence = presence.clone();
            async move { presence.ready(None).await }
        });
        tokio::task::yield_now().await;
        presence.set(Health::Ready);
        assert!(waiting.await.expect("no panic").is_ok());
        assert!(presence.ready(None).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_waiting_are_bounded_and_an_end_is_final() {
        let presence = Presence::new();
        let mut waiting = Vec::new();
        for _ in 0..WAITING_MAX {
            let mut ready = Box::pin(presence.ready(None));
            assert!((&mut ready).now_or_never().is_none());
            waiting.push(ready);
        }
        let error = presence.ready(None).await.expect_err("full");
        assert_eq!(error.kind(), ErrorKind::Exhausted);
        presence.set(Health::Closed);
        presence.set(Health::Ready);
        assert_eq!(presence.health(), Health::Closed);
        assert_eq!(
            waiting.swap_remove(0).await.expect_err("closed").kind(),
            ErrorKind::Closed
        );
    }

    #[test]
    fn every_connection_has_its_number() {
        let presence = Presence::new();
        assert_eq!((presence.epoch(), presence.next_epoch(), presence.epoch()), (0, 1, 1));
    }
}
