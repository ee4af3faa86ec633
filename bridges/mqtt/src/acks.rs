//! Acknowledgements that wait to go to the broker, several at a time.
//!
//! One that goes alone costs a write of its own, and nobody waits for it: it only frees a place among what the broker may
//! send without an answer. So they are collected, until there are enough or a moment has passed, and never so many that the
//! broker would have to stop.

use std::sync::Mutex;
use std::time::Duration;

use rumqttc::ManualAck;

use crate::lock;

/// How long an acknowledgement may wait for others.
pub(crate) const COLLECT: Duration = Duration::from_millis(1);
/// How many go at once: below half of what careful brokers send without an answer, whatever the client would take.
const ENOUGH: usize = 8;

/// What the deliveries of one connection have settled and the broker does not know yet.
#[derive(Debug)]
pub(crate) struct Acks {
    enough: usize,
    waiting: Mutex<Vec<ManualAck>>,
}

/// What has to be done after one was added.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// Somebody has to come back after a moment.
    First,
    /// Nothing: somebody comes.
    More,
    /// These have to go now.
    Enough(Vec<ManualAck>),
}

impl Acks {
    /// None; the broker sends at most `window` messages that are not acknowledged.
    pub(crate) fn new(window: u16) -> Self {
        Self {
            enough: usize::from(window / 2).clamp(1, ENOUGH),
            waiting: Mutex::default(),
        }
    }

    /// Adds one.
    pub(crate) fn add(&self, ack: ManualAck) -> Added {
        let mut waiting = lock(&self.waiting);
        waiting.push(ack);
        if waiting.len() >= self.enough {
            return Added::Enough(self.replaced(&mut waiting));
        }
        if waiting.len() == 1 { Added::First } else { Added::More }
    }

    /// Takes those that wait.
    pub(crate) fn take(&self) -> Vec<ManualAck> {
        std::mem::take(&mut lock(&self.waiting))
    }

    fn replaced(&self, waiting: &mut Vec<ManualAck>) -> Vec<ManualAck> {
        std::mem::replace(waiting, Vec::with_capacity(self.enough))
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::PubAck;

    use super::*;

    fn ack(number: u16) -> ManualAck {
        ManualAck::PubAck(PubAck::new(number, None))
    }

    #[test]
    fn acknowledgements_go_together_and_never_wait_for_what_the_broker_may_not_send() {
        for (window, enough) in [(1, 1), (2, 1), (3, 1), (8, 4), (65_535, 8)] {
            let acks = Acks::new(window);
            for number in 1..enough {
                let expected = if number == 1 { Added::First } else { Added::More };
                assert_eq!(acks.add(ack(number)), expected, "{number} of {window}");
            }
            let all: Vec<_> = (1..=enough).map(ack).collect();
            assert_eq!(acks.add(ack(enough)), Added::Enough(all), "{window}");
            assert!(acks.take().is_empty());
        }
    }

    #[test]
    fn what_did_not_become_enough_is_taken() {
        let acks = Acks::new(100);
        acks.add(ack(1));
        acks.add(ack(2));
        assert_eq!(acks.take(), [ack(1), ack(2)]);
        assert_eq!(acks.add(ack(3)), Added::First);
    }
}
