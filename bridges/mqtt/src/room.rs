//! Room in the outbox: a publisher that finds it full waits until something was settled.
//!
//! Publishers are answered when the broker has a message, which is sooner than a subscriber has worked on it, so whoever
//! publishes as fast as he can fills any outbox. Waiting slows him down to the subscriber's pace. They wait in the order they
//! came; only the first looks for room, so that what is freed wakes one and not all of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use roadshow_bridges::Error;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// The most publishers that wait in one line.
const WAITING_MAX: usize = 4096;

/// The line of those who wait for room.
#[derive(Debug)]
pub(crate) struct Room {
    first: Semaphore,
    waiting: AtomicUsize,
    freed: Notify,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self {
            first: Semaphore::new(1),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
        }
    }

    /// Says that there may be room, or that waiting is in vain.
    pub(crate) fn freed(&self) {
        self.freed.notify_one();
    }

    /// Whether nobody would be overtaken.
    pub(crate) fn has_no_line(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0
    }

    /// Waits to be the first in the line; `None` if that takes too long.
    ///
    /// # Errors
    ///
    /// `Exhausted` if too many wait already.
    pub(crate) async fn line(&self, until: Instant) -> Result<Option<First<'_>>, Error> {
        let waiting = Waiting::new(&self.waiting)?;
        let permit = timeout_at(until, self.first.acquire()).await;
        let permit = permit.ok().and_then(Result::ok);
        Ok(permit.map(|permit| First {
            room: self,
            _permit: permit,
            _waiting: waiting,
        }))
    }
}

/// The first in the line; the next one follows when this is dropped.
#[derive(Debug)]
pub(crate) struct First<'a> {
    room: &'a Room,
    _permit: SemaphorePermit<'a>,
    _waiting: Waiting<'a>,
}

impl First<'_> {
    /// Waits until there may be room; `false` if that takes too long.
    pub(crate) async fn freed(&self, until: Instant) -> bool {
        timeout_at(until, self.room.freed.notified()).await.is_ok()
    }
}

/// One place among those who wait.
#[derive(Debug)]
pub(crate) struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    /// # Errors
    ///
    /// `Exhausted` if too many wait already.
    pub(crate) fn new(count: &'a AtomicUsize) -> Result<Self, Error> {
        if count.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            count.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::exhausted(
                "cannot publish: too many messages wait for the broker",
            ));
        }
        Ok(Self(count))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use roadshow_bridges::ErrorKind;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_line_is_served_in_its_order_and_bounded() {
        let room = Room::new();
        let until = Instant::now() + Duration::from_secs(1);
        let first = room.line(until).await.expect("no line").expect("the first");
        assert!(!room.has_no_line());
        let mut line = Vec::new();
        for _ in 1..WAITING_MAX {
            let mut place = Box::pin(room.line(until));
            assert!((&mut place).now_or_never().is_none());
            line.push(place);
        }
        let error = room.line(until).await.expect_err("the line is full");
        assert_eq!(error.kind(), ErrorKind::Exhausted);
        room.freed();
        assert!(first.freed(until).await);
        assert!(line[0].as_mut().now_or_never().is_none());
        drop(first);
        assert!(
            line[1].as_mut().now_or_never().is_none(),
            "the second does not overtake"
        );
        let second = line.remove(0).await.expect("in line").expect("the first now");
        assert!(!second.freed(until).await, "nothing was freed");
        drop(line);
        drop(second);
        assert!(room.has_no_line());
    }
}
