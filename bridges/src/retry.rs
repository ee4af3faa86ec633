//! The retry policy: how often and how long after a failure a handler is started again.
//!
//! A pure function of the attempt and of a random number that the caller draws; nothing here sleeps, counts or reads a clock.

use std::num::NonZeroU32;
use std::time::Duration;

/// The first delay of [`Retry::exponential`].
const BASE: Duration = Duration::from_millis(100);
/// The longest delay of [`Retry::exponential`].
const CAP: Duration = Duration::from_secs(30);

/// How a delay is spread, so that what failed together does not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Jitter {
    /// The delay as computed.
    None,
    /// Anything from nothing to the whole delay.
    Full,
    /// Half of the delay, and anything up to the other half.
    Equal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Growth {
    Fixed,
    Doubling,
}

/// How often, and how long after a failure, something is tried again.
///
/// ```
/// use std::time::Duration;
/// use roadshow_bridges::{Jitter, Retry};
///
/// let retry = Retry::exponential(3).base(Duration::from_millis(100)).jitter(Jitter::None);
/// assert_eq!(retry.delay(1, 0.0), Some(Duration::from_millis(100)));
/// assert_eq!(retry.delay(2, 0.0), Some(Duration::from_millis(200)));
/// assert_eq!(retry.delay(3, 0.0), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Retry {
    attempts: NonZeroU32,
    growth: Growth,
    base: Duration,
    cap: Duration,
    jitter: Jitter,
}

impl Retry {
    /// At most `attempts` starts in all (0 counts as 1); the delay doubles from 100 ms up to 30 s, with full jitter.
    pub const fn exponential(attempts: u32) -> Self {
        Self {
            attempts: at_least_one(attempts),
            growth: Growth::Doubling,
            base: BASE,
            cap: CAP,
            jitter: Jitter::Full,
        }
    }

    /// At most `attempts` starts in all (0 counts as 1), always the same delay apart.
    pub const fn fixed(attempts: u32, delay: Duration) -> Self {
        let attempts = at_least_one(attempts);
        Self {
            attempts,
            growth: Growth::Fixed,
            base: delay,
            cap: Duration::MAX,
            jitter: Jitter::None,
        }
    }

    /// One start and no more.
    pub const fn never() -> Self {
        Self::fixed(1, Duration::ZERO)
    }

    /// Sets the delay after the first failure.
    pub const fn base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// Sets the longest delay.
    pub const fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// Sets how delays are spread.
    pub const fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// The most starts in all, at least 1.
    pub const fn attempts(&self) -> u32 {
        self.attempts.get()
    }

    /// How long to wait after the failure of `attempt` (counted from 1), or `None` if that was the last.
    ///
    /// `random` is drawn evenly from 0 to 1; what lies outside is moved to the nearer end. Never more than the cap.
    pub fn delay(&self, attempt: u32, random: f64) -> Option<Duration> {
        if attempt >= self.attempts.get() {
            return None;
        }
        let whole = match self.growth {
            Growth::Fixed => self.base,
            Growth::Doubling => doubled(self.base, attempt.saturating_sub(1)),
        }
        .min(self.cap);
        let share = if random.is_nan() { 0.0 } else { random.clamp(0.0, 1.0) };
        Some(match self.jitter {
            Jitter::None => whole,
            Jitter::Full => scaled(whole, share),
            Jitter::Equal => whole / 2 + scaled(whole - whole / 2, share),
        })
    }
}

const fn at_least_one(attempts: u32) -> NonZeroU32 {
    match NonZeroU32::new(attempts) {
        Some(attempts) => attempts,
        None => NonZeroU32::MIN,
    }
}

fn doubled(base: Duration, times: u32) -> Duration {
    let factor = 1_u32.checked_shl(times).filter(|_| times < 32);
    factor
        .and_then(|factor| base.checked_mul(factor))
        .unwrap_or(if base.is_zero() { base } else { Duration::MAX })
}

/// A part of a duration; `share` is 0 to 1.
fn scaled(whole: Duration, share: f64) -> Duration {
    Duration::try_from_secs_f64(whole.as_secs_f64() * share).map_or(whole, |part| part.min(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn delays_follow_the_table() {
        let plain = Retry::exponential(6).base(ms(100)).cap(ms(500)).jitter(Jitter::None);
        let table = [
            (plain, 1, 0.9, Some(ms(100))),
            (plain, 2, 0.9, Some(ms(200))),
            (plain, 3, 0.9, Some(ms(400))),
            (plain, 4, 0.9, Some(ms(500))),
            (plain, 5, 0.9, Some(ms(500))),
            (plain, 6, 0.9, None),
            (plain, 0, 0.9, Some(ms(100))),
            (plain.jitter(Jitter::Full), 2, 0.0, Some(ms(0))),
            (plain.jitter(Jitter::Full), 2, 0.5, Some(ms(100))),
            (plain.jitter(Jitter::Full), 2, 7.0, Some(ms(200))),
            (plain.jitter(Jitter::Full), 2, f64::NAN, Some(ms(0))),
            (plain.jitter(Jitter::Equal), 2, 0.0, Some(ms(100))),
            (plain.jitter(Jitter::Equal), 2, 1.0, Some(ms(200))),
            (Retry::fixed(3, ms(7)), 2, 0.3, Some(ms(7))),
            (Retry::never(), 1, 0.3, None),
            (Retry::exponential(0), 1, 0.3, None),
        ];
        for (at, (retry, attempt, random, expected)) in table.into_iter().enumerate() {
            assert_eq!(retry.delay(attempt, random), expected, "row {at}");
        }
    }

    #[test]
    fn no_attempt_and_no_duration_overflows() {
        for base in [Duration::ZERO, ms(1), Duration::MAX] {
            for cap in [Duration::ZERO, CAP, Duration::MAX] {
                for jitter in [Jitter::None, Jitter::Full, Jitter::Equal] {
                    let retry = Retry::exponential(u32::MAX).base(base).cap(cap).jitter(jitter);
                    for attempt in [1, 31, 32, 33, 64, u32::MAX - 1] {
                        let delay = retry.delay(attempt, 1.0).expect("not the last");
                        assert!(delay <= cap, "{base:?} {cap:?} {jitter:?} {attempt}: {delay:?}");
                    }
                }
            }
        }
    }
}
