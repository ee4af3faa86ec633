//! What an adapter drops or cannot do, counted: nothing is lost without a number.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use roadshow_bridges::DropReason;
use tokio::time::Instant;

/// How often a stranger's frames are warned of at most.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// The counters of one bridge.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Headers that could not be read.
    pub(crate) dropped_headers: Counter,
    /// Settlements of deliveries of a former connection.
    pub(crate) stale_settlements: Counter,
    /// Messages that came to a queue whose subscription does not hear their subject.
    pub(crate) unheard: Counter,
    /// Rejected messages of subscribers without group, which have no dead letters.
    pub(crate) rejected_alone: Counter,
    /// Frames of which a part could not be read and was replaced.
    pub(crate) mended: Arc<Mended>,
}

impl Counters {
    /// What was dropped, by reason. A settlement that came too late drops nothing: the message comes again.
    pub(crate) fn dropped(&self) -> Vec<(DropReason, u64)> {
        vec![
            (DropReason::Header, self.dropped_headers.count()),
            (DropReason::Mended, self.mended.count()),
            (DropReason::Unheard, self.unheard.count()),
            (DropReason::NoDeadLetter, self.rejected_alone.count()),
        ]
    }
}

/// One of them.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The frames that were mended, on whichever connection of a bridge.
#[derive(Debug)]
pub(crate) struct Mended {
    frames: AtomicU64,
    born: Instant,
    /// The second, counted from `born` and from 1, of the last warning; 0 is never.
    warned: AtomicU64,
}

impl Default for Mended {
    fn default() -> Self {
        Self {
            frames: AtomicU64::new(0),
            born: Instant::now(),
            warned: AtomicU64::new(0),
        }
    }
}

impl Mended {
    /// Counts a frame, and says so once a minute.
    pub(crate) fn frame(&self) {
        let frames = self.frames.fetch_add(1, Ordering::Relaxed) + 1;
        let now = self.born.elapsed().as_secs() + 1;
        let last = self.warned.load(Ordering::Relaxed);
        let due = last == 0 || now >= last + WARN_EVERY.as_secs();
        let (first, then) = (Ordering::Relaxed, Ordering::Relaxed);
        if due && self.warned.compare_exchange(last, now, first, then).is_ok() {
            tracing::warn!(frames, "parts of a message that cannot be read are replaced");
        }
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn mended_frames_are_told_once_a_minute() {
        let mended = Mended::default();
        mended.frame();
        let first = mended.warned.load(Ordering::Relaxed);
        tokio::time::advance(Duration::from_secs(59)).await;
        mended.frame();
        assert_eq!(mended.warned.load(Ordering::Relaxed), first);
        tokio::time::advance(Duration::from_secs(2)).await;
        mended.frame();
        assert!(mended.warned.load(Ordering::Relaxed) > first);
        assert_eq!(mended.count(), 3);
    }
}
