//! How much may be sent again: a tenth of what is called, so that a system which refuses is not loaded further by asking.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What a call puts in, in hundredths of a second try.
const PER_CALL: u32 = 10;
/// What a second try takes.
const PER_RETRY: u32 = 100;
/// The most that is saved up: ten tries.
const SAVED_MAX: u32 = 1_000;
/// The shortest pause before a second try, and the longest.
const PAUSE_MS: (u64, u64) = (5, 25);

/// A bucket: every call puts a tenth of a second try in.
#[derive(Debug)]
pub(super) struct RetryBudget(AtomicU32);

impl Default for RetryBudget {
    /// Full: the first refusals of a quiet node may be tried again.
    fn default() -> Self {
        RetryBudget(AtomicU32::new(SAVED_MAX))
    }
}

impl RetryBudget {
    /// A call is made.
    pub(super) fn deposit(&self) {
        // Nearly always full: one read.
        if self.0.load(Ordering::Relaxed) < SAVED_MAX {
            let add = |saved: u32| (saved < SAVED_MAX).then(|| (saved + PER_CALL).min(SAVED_MAX));
            let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        }
    }

    /// Takes one second try, if there is one.
    pub(super) fn take(&self) -> bool {
        let take = |saved: u32| saved.checked_sub(PER_RETRY);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// How long to wait before a second try, for a number drawn at random; `None` where there is not the time for it.
pub(super) fn pause(drawn: u64, left: Duration) -> Option<Duration> {
    let (shortest, longest) = PAUSE_MS;
    let pause = Duration::from_millis(shortest + drawn % (longest - shortest + 1));
    (pause < left).then_some(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_calls_may_be_tried_again() {
        let budget = RetryBudget::default();
        let taken = (0..100).filter(|_| budget.take()).count();
        assert_eq!(taken, 10, "what was saved up");
        for (calls, retries) in [(9, 0), (1, 1), (25, 2), (5, 1), (100_000, 10)] {
            (0..calls).for_each(|_| budget.deposit());
            let taken = (0..100).filter(|_| budget.take()).count();
            assert_eq!(taken, retries, "after {calls} calls");
        }
    }

    #[test]
    fn a_pause_is_short_and_taken_only_where_there_is_time() {
        let table = [
            (0, 1_000, Some(5)),
            (20, 1_000, Some(25)),
            (21, 1_000, Some(5)),
            (u64::MAX, 26, Some(20)),
            (20, 25, None),
            (0, 0, None),
        ];
        for (drawn, left, expected) in table {
            let left = Duration::from_millis(left);
            assert_eq!(
                pause(drawn, left),
                expected.map(Duration::from_millis),
                "{drawn} {left:?}"
            );
        }
    }
}
