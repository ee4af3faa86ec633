//! Whose message came back: confirmations and returned messages, paired by what was sent.
//!
//! The broker returns an unroutable message before it confirms it. lapin keeps returned messages in one line and
//! hands the oldest to whichever confirmation it settles next, so among several publishes in flight a confirmation may
//! carry the message of another one. What follows from that, with confirmations taken in rounds that leave none behind:
//!
//! - a confirmation that carries nothing was settled while the line was empty: its own message, if it had come back, is
//!   known by the end of this round;
//! - a confirmation that carries the message of another one says nothing about its own, which may still be in the line. It is
//!   held until the line was surely empty: a later confirmation carries nothing, or none is outstanding.
//!
//! Pure: no channel and no clock here.

use std::collections::HashMap;

/// What the broker said about one publish, as lapin tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Confirmed {
    /// The publish.
    pub(crate) number: u64,
    /// What was sent; equal for messages that are equal to the broker.
    pub(crate) key: u64,
    /// Whether the broker took it.
    pub(crate) accepted: bool,
    /// The key of the returned message that came along, which may be another one's.
    pub(crate) returned: Option<u64>,
}

/// What became of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// A queue has it.
    Accepted,
    /// No queue wanted it.
    Unroutable,
    /// A queue was full.
    Refused,
}

/// The confirmations and returned messages of one channel that have not found each other.
#[derive(Debug, Default)]
pub(crate) struct Pairing {
    held: Vec<Confirmed>,
    /// Returned messages whose own confirmation has not come, by key.
    returned: HashMap<u64, u32>,
}

impl Pairing {
    /// Takes a round of confirmations and says which publishes are settled. `outstanding` is how many are still to come.
    pub(crate) fn round(&mut self, round: &[Confirmed], outstanding: usize) -> Vec<(u64, Fate)> {
        for key in round.iter().filter_map(|confirmed| confirmed.returned) {
            *self.returned.entry(key).or_default() += 1;
        }
        let emptied = outstanding == 0 || round.iter().any(|confirmed| confirmed.returned.is_none());
        let mut settled = Vec::with_capacity(round.len());
        for confirmed in std::mem::take(&mut self.held) {
            self.settle(confirmed, emptied, &mut settled);
        }
        for confirmed in round {
            let known = confirmed.returned.is_none() || outstanding == 0;
            self.settle(*confirmed, known, &mut settled);
        }
        if outstanding == 0 {
            self.returned.clear();
        }
        settled
    }

    fn settle(&mut self, confirmed: Confirmed, known: bool, settled: &mut Vec<(u64, Fate)>) {
        let fate = if self.take_returned(confirmed.key) {
            Fate::Unroutable
        } else if !known {
            self.held.push(confirmed);
            return;
        } else if confirmed.accepted {
            Fate::Accepted
        } else {
            Fate::Refused
        };
        settled.push((confirmed.number, fate));
    }

    fn take_returned(&mut self, key: u64) -> bool {
        let Some(count) = self.returned.get_mut(&key) else {
            return false;
        };
        *count -= 1;
        if *count == 0 {
            self.returned.remove(&key);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confirmed(number: u64, returned: Option<u64>) -> Confirmed {
        Confirmed {
            number,
            key: number,
            accepted: true,
            returned,
        }
    }

    /// A round of (number, returned), and how many are outstanding after it.
    type Round<'a> = (&'a [(u64, Option<u64>)], usize);

    /// Feeds rounds of (number, returned) and tells the settled publishes of each, U for unroutable.
    fn settled(rounds: &[Round<'_>]) -> Vec<Vec<(u64, char)>> {
        let mut pairing = Pairing::default();
        let mut told = Vec::new();
        for (round, outstanding) in rounds {
            let round: Vec<_> = round
                .iter()
                .map(|(number, returned)| confirmed(*number, *returned))
                .collect();
            let mut fates: Vec<_> = pairing
                .round(&round, *outstanding)
                .into_iter()
                .map(|(number, fate)| (number, if fate == Fate::Unroutable { 'U' } else { 'A' }))
                .collect();
            fates.sort_unstable();
            told.push(fates);
        }
        told
    }

    #[test]
    fn each_caller_is_told_its_own_fate() {
        assert_eq!(settled(&[(&[(1, Some(1))], 3)]), [[(1, 'U')]]);
        assert_eq!(settled(&[(&[(1, None)], 3)]), [[(1, 'A')]]);
        assert_eq!(settled(&[(&[(1, Some(2)), (2, None)], 3)]), [[(2, 'U')]]);
    }

    #[test]
    fn two_returned_messages_may_have_changed_places() {
        assert_eq!(settled(&[(&[(1, Some(2)), (2, Some(1))], 5)]), [[(1, 'U'), (2, 'U')]]);
    }

    #[test]
    fn what_carries_anothers_message_waits_until_its_own_cannot_come() {
        let rounds: [Round<'_>; 2] = [(&[(1, Some(2))], 4), (&[(2, Some(1))], 3)];
        assert_eq!(settled(&rounds), [vec![], vec![(1, 'U'), (2, 'U')]]);
        let rounds: [Round<'_>; 2] = [(&[(1, Some(2))], 4), (&[(2, None)], 3)];
        assert_eq!(settled(&rounds), [vec![], vec![(1, 'A'), (2, 'U')]]);
        let rounds: [Round<'_>; 2] = [(&[(1, Some(3))], 4), (&[(3, Some(2)), (2, Some(1))], 0)];
        assert_eq!(settled(&rounds), [vec![], vec![(1, 'U'), (2, 'U'), (3, 'U')]]);
    }

    #[test]
    fn nothing_is_held_when_nothing_is_outstanding() {
        assert_eq!(
            settled(&[(&[(1, Some(9))], 0), (&[(2, None)], 0)]),
            [[(1, 'A')], [(2, 'A')]]
        );
    }

    #[test]
    fn a_full_queue_is_told() {
        let mut refused = confirmed(1, None);
        refused.accepted = false;
        assert_eq!(Pairing::default().round(&[refused], 0), [(1, Fate::Refused)]);
    }

    #[test]
    fn equal_messages_share_what_came_back() {
        let twin = |number| Confirmed {
            key: 7,
            ..confirmed(number, None)
        };
        let mut pairing = Pairing::default();
        let first = Confirmed {
            returned: Some(7),
            ..twin(1)
        };
        assert_eq!(pairing.round(&[first], 1), [(1, Fate::Unroutable)]);
        let second = Confirmed {
            returned: Some(7),
            ..twin(2)
        };
        assert_eq!(pairing.round(&[second], 0), [(2, Fate::Unroutable)]);
    }
}
