//! The node's clock: the only place where this crate reads time.
//!
//! A call reads the clock once before and once after its handler, so the reading has to be cheap: the real form is the
//! processor's time stamp counter through `quanta` (about 12 ns, against 30 ns for `Instant::now`). The test form
//! follows tokio's clock, so that `tokio::time::pause` and `advance` move every deadline of the node.
//!
//! Wall-clock time is deliberately not here: durations and deadlines are monotonic, and what crosses the wire is the
//! remaining time budget.

use std::ops::Add;
use std::time::Duration;

/// A point of the node's monotonic time: nanoseconds since the clock was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(u64);

impl Stamp {
    /// The latest stamp there is; a deadline that never comes.
    pub const MAX: Stamp = Stamp(u64::MAX);

    /// The stamp `nanos` nanoseconds after the clock's start.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Stamp(nanos)
    }

    /// Nanoseconds since the clock's start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to here; zero when `earlier` is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Stamp) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Stamp {
    type Output = Stamp;

    /// Saturates at [`Stamp::MAX`].
    fn add(self, duration: Duration) -> Stamp {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Stamp(self.0.saturating_add(nanos))
    }
}

/// Where a node's time comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The processor's time stamp counter.
    Tsc {
        /// The calibrated counter.
        clock: quanta::Clock,
        /// The raw reading at which this clock was made.
        origin: u64,
    },
    /// tokio's clock, which tests may pause and advance.
    Tokio {
        /// The instant at which this clock was made.
        origin: tokio::time::Instant,
    },
}

impl Clock {
    /// The clock for production. The first one of a process takes a few milliseconds to calibrate.
    #[must_use]
    pub fn tsc() -> Self {
        let clock = quanta::Clock::new();
        let origin = clock.raw();
        Clock::Tsc { clock, origin }
    }

    /// The clock for tests: it stands still while tokio's time is paused.
    #[must_use]
    pub fn tokio() -> Self {
        Clock::Tokio {
            origin: tokio::time::Instant::now(),
        }
    }

    /// Reads the clock.
    #[must_use]
    pub fn now(&self) -> Stamp {
        match self {
            Clock::Tsc { clock, origin } => Stamp(clock.delta_as_nanos(*origin, clock.raw())),
            Clock::Tokio { origin } => {
                let elapsed = tokio::time::Instant::now().duration_since(*origin);
                Stamp(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
            }
        }
    }

    /// The machine's wall clock, in milliseconds of Unix time: for messages only, whose receivers may believe it or not.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the clock is where the machine's time is read")]
    pub fn unix_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
    }

    /// The tokio instant at which this clock will show `stamp`; far stamps are cut to about 30 years.
    #[must_use]
    pub fn instant(&self, stamp: Stamp) -> tokio::time::Instant {
        const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);
        tokio::time::Instant::now() + stamp.since(self.now()).min(FAR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_saturate_instead_of_wrapping() {
        assert_eq!(Stamp::MAX + Duration::from_secs(1), Stamp::MAX);
        assert_eq!(Stamp::from_nanos(1).since(Stamp::from_nanos(5)), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_test_clock_follows_paused_time() {
        let clock = Clock::tokio();
        let before = clock.now();
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(clock.now().since(before), Duration::from_secs(7));
    }

    #[test]
    fn the_real_clock_does_not_run_backwards() {
        let clock = Clock::tsc();
        let mut last = clock.now();
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
    }
}
