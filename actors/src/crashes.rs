//! Which deliveries crashed their handler, and how often. A bounded memory: the oldest is forgotten first.

use std::collections::VecDeque;

use roadshow_bridges::MessageId;

/// How many deliveries are remembered.
const REMEMBERED_MAX: usize = 1024;

/// Crashes by message id.
#[derive(Debug, Default)]
pub(crate) struct Crashes(VecDeque<(MessageId, u8)>);

impl Crashes {
    /// Notes one more crash and tells how many there were.
    pub(crate) fn note(&mut self, id: MessageId) -> u8 {
        if let Some((_, count)) = self.0.iter_mut().find(|(seen, _)| *seen == id) {
            *count = count.saturating_add(1);
            return *count;
        }
        if self.0.len() == REMEMBERED_MAX {
            self.0.pop_front();
        }
        self.0.push_back((id, 1));
        1
    }

    /// Forgets a delivery that was settled for good.
    pub(crate) fn forget(&mut self, id: MessageId) {
        self.0.retain(|(seen, _)| *seen != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crashes_are_counted_by_message_and_the_memory_is_bounded() {
        let mut crashes = Crashes::default();
        let first = MessageId::from_u128(0);
        assert_eq!((crashes.note(first), crashes.note(first)), (1, 2));
        (1..=REMEMBERED_MAX as u128).for_each(|n| assert_eq!(crashes.note(MessageId::from_u128(n)), 1));
        assert_eq!(crashes.0.len(), REMEMBERED_MAX);
        assert_eq!(crashes.note(first), 1);
        crashes.forget(first);
        assert_eq!(crashes.note(first), 1);
    }
}
