//! The pulse of a stream: when to say that one lives, and when to stop believing that the other side does.

use std::time::Duration;

use tokio::time::Instant;

/// How long the other side may say nothing before the stream is over.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(15);

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// To say that this side lives.
    Beat,
    /// To give the other side up.
    Silent,
    /// Nothing before this.
    At(Instant),
}

/// When this side spoke last, and when it heard something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulse {
    every: Duration,
    spoke: Instant,
    heard: Instant,
}

impl Pulse {
    /// Both sides have just spoken; this one says at least every `every` that it lives.
    pub(crate) fn new(every: Duration, now: Instant) -> Self {
        Pulse {
            every,
            spoke: now,
            heard: now,
        }
    }

    /// Something was sent.
    pub(crate) fn speak(&mut self, now: Instant) {
        self.spoke = now;
    }

    /// Something was heard.
    pub(crate) fn hear(&mut self, now: Instant) {
        self.heard = now;
    }

    /// What is due now.
    pub(crate) fn due(&self, now: Instant) -> Due {
        let (beat, silent) = (self.spoke + self.every, self.heard + SILENCE_MAX);
        if now >= silent {
            Due::Silent
        } else if now >= beat {
            Due::Beat
        } else {
            Due::At(beat.min(silent))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_quiet_side_speaks_and_a_silent_one_is_given_up() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut pulse = Pulse::new(Duration::from_secs(5), start);
        let table = [
            (0, Due::At(at(5_000))),
            (4_999, Due::At(at(5_000))),
            (5_000, Due::Beat),
            (14_999, Due::Beat),
            (15_000, Due::Silent),
        ];
        for (ms, expected) in table {
            assert_eq!(pulse.due(at(ms)), expected, "{ms}");
        }
        pulse.speak(at(12_000));
        assert_eq!(pulse.due(at(12_000)), Due::At(at(15_000)));
        pulse.hear(at(12_001));
        assert_eq!(pulse.due(at(15_000)), Due::At(at(17_000)));
        assert_eq!(pulse.due(at(27_001)), Due::Silent);
    }
}
