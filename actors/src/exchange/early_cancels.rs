//! Cancels that overtook their command: the two travel on different subjects, so either may come first.
//!
//! A bounded memory: the oldest is forgotten first, and each after a while. It also holds cancels of commands that run on
//! other nodes, because every instance of a service hears them.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use roadshow_bridges::MessageId;

use crate::clock::Stamp;

/// How many are remembered.
const REMEMBERED_MAX: usize = 1024;
/// For how long.
const REMEMBERED_FOR: Duration = Duration::from_secs(30);

/// Commands that were called off before they came.
#[derive(Debug, Default)]
pub(super) struct EarlyCancels {
    order: VecDeque<(MessageId, Stamp)>,
    ids: HashSet<MessageId>,
}

impl EarlyCancels {
    /// Remembers that `id` was called off at `now`.
    pub(super) fn note(&mut self, id: MessageId, now: Stamp) {
        self.forget_old(now);
        if !self.ids.insert(id) {
            return;
        }
        self.order.push_back((id, now));
        if self.order.len() > REMEMBERED_MAX {
            self.forget_oldest();
        }
    }

    /// Whether `id` was called off, as far as is remembered at `now`.
    pub(super) fn has(&mut self, id: MessageId, now: Stamp) -> bool {
        if self.ids.is_empty() {
            return false;
        }
        self.forget_old(now);
        self.ids.contains(&id)
    }

    fn forget_old(&mut self, now: Stamp) {
        while let Some((_, noted)) = self.order.front()
            && now.since(*noted) >= REMEMBERED_FOR
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((id, _)) = self.order.pop_front() {
            self.ids.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Stamp {
        Stamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_cancel_is_remembered_for_a_while() {
        let mut early = EarlyCancels::default();
        let (one, two) = (MessageId::from_u128(1), MessageId::from_u128(2));
        early.note(one, at(0));
        early.note(two, at(20));
        for (now, expected) in [
            (0, (true, true)),
            (29, (true, true)),
            (30, (false, true)),
            (50, (false, false)),
        ] {
            assert_eq!((early.has(one, at(now)), early.has(two, at(now))), expected, "{now}");
        }
        assert!(early.order.is_empty());
    }

    #[test]
    fn the_memory_is_bounded_and_the_oldest_goes_first() {
        let mut early = EarlyCancels::default();
        for n in 0..2 * REMEMBERED_MAX as u128 {
            early.note(MessageId::from_u128(n), at(1));
        }
        assert_eq!((early.order.len(), early.ids.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
        assert!(!early.has(MessageId::from_u128(0), at(1)));
        assert!(early.has(MessageId::from_u128(2 * REMEMBERED_MAX as u128 - 1), at(1)));
    }
}
