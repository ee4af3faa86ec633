//! Patience with a seat that the broker does not confirm: the next try comes later each time, and a refusal is said once.

use std::time::Duration;

use roadshow_bridges::{Error, ErrorKind, reconnect_delay};

/// From how many failures in a row on the first delay is reckoned: a channel that is lost alone has a reason.
const FIRST: u32 = 4;

/// How often a seat failed in a row, and what was said of that.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Patience {
    failures: u32,
    is_said: bool,
}

impl Patience {
    /// The broker has confirmed the seat.
    pub(crate) fn confirmed(&mut self) {
        *self = Self::default();
    }

    /// How long to wait after one more failure.
    pub(crate) fn next(&mut self, random: f64) -> Duration {
        let delay = reconnect_delay(FIRST.saturating_add(self.failures), random);
        self.failures = self.failures.saturating_add(1);
        delay
    }

    /// Whether this is a refusal that has to be said: the broker says it again to each try, and only somebody who changes
    /// what is there ends that.
    pub(crate) fn has_to_say(&mut self, error: &Error) -> bool {
        let is_new = error.kind() == ErrorKind::Config && !self.is_said;
        self.is_said |= is_new;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_try_comes_later_until_the_seat_is_confirmed() {
        let mut patience = Patience::default();
        let mut delays = || (0..5).map(|_| patience.next(1.0).as_millis()).collect::<Vec<_>>();
        assert_eq!(delays(), [800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(delays(), [5_000; 5]);
        patience.confirmed();
        assert_eq!(patience.next(1.0), Duration::from_millis(800));
    }

    #[test]
    fn a_refusal_is_said_once_until_the_seat_is_confirmed() {
        let (refused, lost) = (Error::config("it differs"), Error::unavailable("it is lost"));
        let mut patience = Patience::default();
        let said: Vec<bool> = [&lost, &refused, &lost, &refused]
            .map(|error| patience.has_to_say(error))
            .to_vec();
        assert_eq!(said, [false, true, false, false]);
        patience.confirmed();
        assert!(patience.has_to_say(&refused));
    }
}
