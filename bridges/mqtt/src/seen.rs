//! The duplicate window: which messages were settled lately, bounded by their number.

use std::collections::{HashSet, VecDeque};

use roadshow_bridges::MessageId;

/// The ids that were settled lately; the oldest makes room.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    ids: HashSet<MessageId>,
    order: VecDeque<MessageId>,
    count_max: usize,
}

impl Seen {
    /// A window of so many ids.
    pub(crate) fn new(count_max: usize) -> Self {
        Self {
            count_max,
            ..Self::default()
        }
    }

    /// Remembers an id.
    pub(crate) fn insert(&mut self, id: MessageId) {
        if !self.ids.insert(id) {
            return;
        }
        self.order.push_back(id);
        while self.order.len() > self.count_max {
            if let Some(oldest) = self.order.pop_front() {
                self.ids.remove(&oldest);
            }
        }
    }

    /// Whether an id was settled lately.
    pub(crate) fn contains(&self, id: MessageId) -> bool {
        self.ids.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_last_ids_are_known_and_no_more(ids in vec(0_u128..40, 0..200), count_max in 1_usize..20) {
            let mut seen = Seen::new(count_max);
            let mut first: Vec<u128> = Vec::new();
            for id in ids {
                seen.insert(MessageId::from_u128(id));
                if !first.contains(&id) {
                    first.push(id);
                    if first.len() > count_max {
                        first.remove(0);
                    }
                }
                prop_assert!(seen.order.len() <= count_max && seen.ids.len() == seen.order.len());
            }
            for id in 0..40 {
                prop_assert_eq!(seen.contains(MessageId::from_u128(id)), first.contains(&id));
            }
        }
    }
}
