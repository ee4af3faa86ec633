//! The tiers of delay: a message that has to wait does so in a queue whose messages all wait equally long.
//!
//! RabbitMQ 3.10 looks at the head of a queue only, so a time to live of its own would let a short wait stand behind a
//! long one. A delay is rounded up to the next tier: never earlier than asked, and at most six times as late.

use std::time::Duration;

/// The tiers, shortest first.
pub(crate) const TIERS: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(300),
];

/// The longest delay; a longer one is shortened to it.
pub(crate) const DELAY_MAX: Duration = TIERS[TIERS.len() - 1];

/// The tier of a delay; `None` if there is nothing to wait for.
pub(crate) fn tier(after: Duration) -> Option<Duration> {
    if after.is_zero() {
        return None;
    }
    let long_enough = TIERS.into_iter().find(|tier| *tier >= after);
    Some(long_enough.unwrap_or(DELAY_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_never_shorter_than_asked() {
        let table = [
            (0, None),
            (1, Some(100)),
            (100, Some(100)),
            (101, Some(500)),
            (600, Some(1_000)),
            (1_001, Some(5_000)),
            (5_001, Some(30_000)),
            (31_000, Some(300_000)),
            (300_000, Some(300_000)),
            (900_000, Some(300_000)),
        ];
        for (after, expected) in table {
            assert_eq!(
                tier(Duration::from_millis(after)),
                expected.map(Duration::from_millis),
                "{after}"
            );
        }
    }
}
