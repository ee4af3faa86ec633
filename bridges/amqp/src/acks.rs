//! Which acknowledgements to send: one for a whole run of deliveries where they finished in order.
//!
//! RabbitMQ numbers the deliveries of a channel from 1. An acknowledgement of several says that everything up to its tag is
//! done, so it may be sent only up to the oldest delivery that is still out. Pure: the channel is not here.

use std::collections::BTreeSet;

/// One acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ack {
    /// The delivery.
    pub(crate) tag: u64,
    /// Whether it means every earlier delivery too.
    pub(crate) multiple: bool,
}

/// The deliveries of a channel that are neither acknowledged nor given back.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    out: BTreeSet<u64>,
}

impl Acks {
    /// Counts a delivery that arrived.
    pub(crate) fn arrived(&mut self, tag: u64) {
        self.out.insert(tag);
    }

    /// Counts a delivery that was given back to the broker; `false` if it was not out.
    pub(crate) fn given_back(&mut self, tag: u64) -> bool {
        self.out.remove(&tag)
    }

    /// How many deliveries are out.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// What to send for deliveries that are done; empties the list. A tag that is not out is passed over.
    pub(crate) fn done(&mut self, tags: &mut Vec<u64>) -> Vec<Ack> {
        tags.retain(|tag| self.out.remove(tag));
        let oldest = self.out.first().copied().unwrap_or(u64::MAX);
        let (before, after): (Vec<u64>, Vec<u64>) = tags.drain(..).partition(|tag| *tag < oldest);
        let multiple = before.len() > 1;
        let run = before.into_iter().max().map(|tag| Ack { tag, multiple });
        let single = after.into_iter().map(|tag| Ack { tag, multiple: false });
        run.into_iter().chain(single).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acks(arrived: u64, done: &[&[u64]]) -> Vec<Vec<(u64, bool)>> {
        let mut acks = Acks::default();
        for tag in 1..=arrived {
            acks.arrived(tag);
        }
        let pairs = |list: Vec<Ack>| list.into_iter().map(|ack| (ack.tag, ack.multiple)).collect();
        done.iter().map(|tags| pairs(acks.done(&mut tags.to_vec()))).collect()
    }

    #[test]
    fn a_run_is_one_acknowledgement_and_stops_before_what_is_out() {
        assert_eq!(acks(4, &[&[1, 2, 3, 4]]), [vec![(4, true)]]);
        assert_eq!(acks(4, &[&[1]]), [vec![(1, false)]]);
        assert_eq!(acks(4, &[&[2, 4]]), [vec![(2, false), (4, false)]]);
        assert_eq!(
            acks(4, &[&[1, 2, 4], &[3]]),
            [vec![(2, true), (4, false)], vec![(3, false)]]
        );
        assert_eq!(acks(4, &[&[3], &[1, 2, 4]]), [vec![(3, false)], vec![(4, true)]]);
    }

    #[test]
    fn what_is_not_out_is_acknowledged_never() {
        assert_eq!(acks(2, &[&[7], &[1], &[1]]), [vec![], vec![(1, false)], vec![]]);
        let mut acks = Acks::default();
        acks.arrived(1);
        assert!(acks.given_back(1));
        assert!(!acks.given_back(1));
        assert_eq!((acks.done(&mut vec![1]), acks.len()), (vec![], 0));
    }
}
