//! The backoff of a connection: how long to wait before the next attempt, for ever.
//!
//! Full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015): what lost its broker together does not
//! come back together. A pure function of the attempt and of a random number that the caller draws.

use std::time::Duration;

/// The longest delay of the first attempt.
const BASE: Duration = Duration::from_millis(100);
/// The longest delay.
const CAP: Duration = Duration::from_secs(5);

/// How long to wait before attempt `attempt` (counted from 1) to connect again: between 20 ms and, doubling from 100 ms on,
/// at most 5 s. `random` is drawn evenly from 0 to 1.
pub fn reconnect_delay(attempt: u32, random: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    let whole = BASE.saturating_mul(1 << doublings).min(CAP);
    let share = if random.is_nan() { 0.0 } else { random.clamp(0.0, 1.0) };
    whole.mul_f64(share).max(Duration::from_millis(20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_a_bound() {
        let table = [
            (0, 1.0, 100),
            (1, 1.0, 100),
            (2, 1.0, 200),
            (6, 1.0, 3200),
            (7, 1.0, 5000),
            (u32::MAX, 1.0, 5000),
        ];
        for (attempt, random, ms) in table {
            assert_eq!(reconnect_delay(attempt, random), Duration::from_millis(ms), "{attempt}");
        }
        assert_eq!(reconnect_delay(9, 0.0), Duration::from_millis(20));
        assert_eq!(reconnect_delay(2, 0.5), Duration::from_millis(100));
        assert_eq!(reconnect_delay(2, f64::NAN), Duration::from_millis(20));
    }
}
