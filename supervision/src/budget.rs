//! How much failing is allowed, and how long to wait in between.
//!
//! A supervisor has one [`Budget`] for handler panics and one for everything else. A budget has two limits: restarts
//! per window (shared by all children of a supervisor) and failures in a row (counted for each child). The second one
//! is needed because back-off stretches restarts until they no longer fit into any window.
//!
//! Deliberately not here: the record of what has happened, see [`History`](crate::History) and [`Row`](crate::Row).

use std::fmt;
use std::time::Duration;

/// Which of a supervisor's two budgets an exit is counted against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BudgetKind {
    /// A handler panicked and its worker said so with [`Panicked`](crate::Panicked).
    Panics,
    /// A failed start, and every other exit.
    Exits,
}

impl BudgetKind {
    /// The word used in metrics and logs: `panic` or `exit`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Panics => "panic",
            Self::Exits => "exit",
        }
    }
}

impl fmt::Display for BudgetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many restarts a supervisor makes before it gives up.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Budget {
    /// Restarts allowed within `period`; one more and the supervisor gives up. Zero means never restart.
    pub intensity: u32,
    /// Length of the window that `intensity` counts over, both ends included.
    pub period: Duration,
    /// Restarts of one child allowed in a row without becoming healthy; one more and the supervisor gives up.
    /// `None` sets no such limit.
    pub consecutive: Option<u32>,
    /// How long a restart waits.
    pub backoff: Backoff,
    /// A child that was ready for this long is healthy: its row starts again.
    pub reset_after: Duration,
}

impl Budget {
    /// A budget of `intensity` restarts per `period`, with immediate restarts and no limit on failures in a row.
    #[must_use]
    pub const fn new(intensity: u32, period: Duration) -> Self {
        Self {
            intensity,
            period,
            consecutive: None,
            backoff: Backoff::NONE,
            reset_after: Duration::from_secs(10),
        }
    }

    /// The default for handler panics: 200 in 10 s; the first restart at once, then 10 ms doubling up to 1 s.
    #[must_use]
    pub const fn panics() -> Self {
        let backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1)).first_immediate(true);
        Self::new(200, Duration::from_secs(10)).backoff(backoff)
    }

    /// The default for failed starts and other exits: 5 in 30 s or 10 in a row; 100 ms doubling up to 30 s, jittered.
    #[must_use]
    pub const fn exits() -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30)).jitter(true);
        Self::new(5, Duration::from_secs(30)).consecutive(10).backoff(backoff)
    }

    /// Sets how many restarts are allowed in which period.
    #[must_use]
    pub const fn window(mut self, intensity: u32, period: Duration) -> Self {
        self.intensity = intensity;
        self.period = period;
        self
    }

    /// Sets the limit on failures in a row.
    #[must_use]
    pub const fn consecutive(mut self, restarts: u32) -> Self {
        self.consecutive = Some(restarts);
        self
    }

    /// Sets how long restarts wait.
    #[must_use]
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets after how long a ready child counts as healthy.
    #[must_use]
    pub const fn reset_after(mut self, ready_for: Duration) -> Self {
        self.reset_after = ready_for;
        self
    }
}

/// How long the n-th restart in a row waits: `base` doubling up to `cap`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Backoff {
    /// Whether the first restart of a row happens without delay (and without a timer).
    pub first_immediate: bool,
    /// The first delay.
    pub base: Duration,
    /// The longest delay.
    pub cap: Duration,
    /// Whether to wait between half and all of the delay, at random, so that what failed together does not return
    /// together.
    pub jitter: bool,
}

impl Backoff {
    /// No delay at all.
    pub const NONE: Self = Self {
        first_immediate: true,
        base: Duration::ZERO,
        cap: Duration::ZERO,
        jitter: false,
    };

    /// Delays from `base` up to `cap`, without jitter, the first one included.
    #[must_use]
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self {
            first_immediate: false,
            base,
            cap,
            jitter: false,
        }
    }

    /// Sets whether the first restart of a row waits.
    #[must_use]
    pub const fn first_immediate(mut self, immediate: bool) -> Self {
        self.first_immediate = immediate;
        self
    }

    /// Sets whether delays are jittered.
    #[must_use]
    pub const fn jitter(mut self, jitter: bool) -> Self {
        self.jitter = jitter;
        self
    }

    /// The delay of the `nth` restart in a row, counted from 1. `random` lies in `0.0..=1.0` and is used by jitter only.
    #[must_use]
    pub fn delay(&self, nth: u32, random: f64) -> Duration {
        let doublings = match (self.first_immediate, nth) {
            (_, 0) | (true, 1) => return Duration::ZERO,
            (true, n) => n - 2,
            (false, n) => n - 1,
        };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let full = self.base.saturating_mul(factor).min(self.cap);
        if !self.jitter {
            return full;
        }
        let half = full / 2;
        half + (full - half).mul_f64(random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn panics_restart_at_once_then_double_up_to_a_second() {
        let backoff = Budget::panics().backoff;
        let delays: Vec<_> = (1..=9).map(|n| backoff.delay(n, 0.5)).collect();
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 320, 640, 1000].map(ms));
    }

    #[test]
    fn exits_wait_between_half_and_all_of_a_doubling_delay() {
        let backoff = Budget::exits().backoff;
        for (nth, full) in [
            (1, 100),
            (2, 200),
            (5, 1600),
            (9, 25_600),
            (10, 30_000),
            (40, 30_000),
            (u32::MAX, 30_000),
        ] {
            assert_eq!(backoff.delay(nth, 0.0), ms(full) / 2, "lower bound of {nth}");
            assert_eq!(backoff.delay(nth, 1.0), ms(full), "upper bound of {nth}");
        }
    }

    proptest! {
        #[test]
        fn a_delay_stays_within_its_bounds(base in 0_u64..10_000, cap in 0_u64..100_000, nth in 0_u32..80, random in 0.0..1.0_f64, first: bool) {
            let backoff = Backoff::new(ms(base), ms(cap)).jitter(true).first_immediate(first);
            let full = backoff.clone().jitter(false).delay(nth, random);
            let delay = backoff.delay(nth, random);
            prop_assert!(delay <= full && full <= ms(cap));
            prop_assert!(delay >= full / 2);
            prop_assert!(full <= backoff.jitter(false).delay(nth + 1, random));
        }
    }
}
