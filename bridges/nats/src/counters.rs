//! What an adapter counts of what went wrong, for logs and tests. Nothing here decides anything.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use roadshow_bridges::DropReason;
use tokio::time::Instant;

/// How often the same kind of loss is logged at most.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// What one bridge lost or refused so far.
#[derive(Debug)]
pub(crate) struct Counters {
    /// Headers that could not be read.
    headers: AtomicU64,
    /// Messages that no queue had room for.
    dropped: AtomicU64,
    /// Messages that were to come again, and too many others were too.
    delayed: AtomicU64,
    /// Messages that the client library had no room for.
    slow: AtomicU64,
    /// Messages that the client library cannot read.
    malformed: AtomicU64,
    born: Instant,
    /// The second, counted from `born` and from 1, in which the last warning was written; 0 is never.
    warned: AtomicU64,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            headers: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            delayed: AtomicU64::new(0),
            slow: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
            born: Instant::now(),
            warned: AtomicU64::new(0),
        }
    }

    /// Counts headers that could not be read.
    pub(crate) fn headers_dropped(&self, count: u32, subject: &str) {
        if count > 0 {
            let all = self.headers.fetch_add(count.into(), Ordering::Relaxed) + u64::from(count);
            tracing::debug!(subject, count, all, "dropped headers that cannot be read");
        }
    }

    /// Counts a message that a queue had no room for, and says so once a minute.
    pub(crate) fn message_dropped(&self, subject: &str) {
        let all = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        self.warn(subject, all, "messages are dropped: a subscriber does not keep up");
    }

    /// Counts a message that cannot wait for its delay, and says so once a minute.
    pub(crate) fn delayed_dropped(&self, subject: &str) {
        let all = self.delayed.fetch_add(1, Ordering::Relaxed) + 1;
        let what = "messages that were to come again are dropped: too many wait for their delay";
        self.warn(subject, all, what);
    }

    /// Counts a message that the client library dropped, and says so once a minute.
    pub(crate) fn slow_consumer(&self) {
        let all = self.slow.fetch_add(1, Ordering::Relaxed) + 1;
        self.warn("", all, "the NATS client drops messages: this process does not keep up");
    }

    /// Counts a message that the client library cannot read.
    pub(crate) fn message_unreadable(&self, subject: &str) {
        let all = self.malformed.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::debug!(subject, all, "a message cannot be read");
    }

    /// What was dropped, by reason.
    pub(crate) fn dropped(&self) -> Vec<(DropReason, u64)> {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let slow = count(&self.dropped) + count(&self.delayed) + count(&self.slow);
        vec![
            (DropReason::Header, count(&self.headers)),
            (DropReason::Unreadable, count(&self.malformed)),
            (DropReason::Slow, slow),
        ]
    }

    fn warn(&self, subject: &str, all: u64, what: &'static str) {
        let now = self.born.elapsed().as_secs() + 1;
        let last = self.warned.load(Ordering::Relaxed);
        let due = last == 0 || now >= last + WARN_EVERY.as_secs();
        let first = due
            && self
                .warned
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if first {
            tracing::warn!(subject, dropped = all, "{what}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn losses_are_told_once_a_minute() {
        let counters = Counters::new();
        counters.message_dropped("a");
        let first = counters.warned.load(Ordering::Relaxed);
        tokio::time::advance(Duration::from_secs(59)).await;
        counters.message_dropped("a");
        assert_eq!(counters.warned.load(Ordering::Relaxed), first);
        tokio::time::advance(Duration::from_secs(2)).await;
        counters.slow_consumer();
        assert!(counters.warned.load(Ordering::Relaxed) > first);
        assert_eq!(counters.dropped.load(Ordering::Relaxed), 2);
    }
}
