//! The ids a node gives out.
//!
//! A message id is unique and cheap: a random half that belongs to the node, and a counter kept per thread so that two
//! cores never write one line. A correlation id (and the trace id, which starts out equal) may leave the process and
//! name a conversation to strangers, so it is 128 bits from the system-seeded generator and says nothing about load.

use crossbeam_utils::CachePadded;
use roadshow_bridges::{CorrelationId, MessageId};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::metrics::ThreadSlot;

/// Counters, one per group of threads; a power of two.
const SHARDS: usize = 16;

/// The source of a node's ids.
#[derive(Debug)]
pub struct Ids {
    prefix: u64,
    counters: [CachePadded<AtomicU64>; SHARDS],
}

impl Ids {
    /// Ids under a random prefix.
    #[must_use]
    pub fn random() -> Self {
        Ids::seeded(rand::random())
    }

    /// Ids under a chosen prefix, so that a test can tell them in advance.
    #[must_use]
    pub fn seeded(prefix: u64) -> Self {
        Ids {
            prefix,
            counters: Default::default(),
        }
    }

    /// The next message id: unique within the node, and across nodes as far as 64 random bits go.
    #[must_use]
    pub fn message(&self) -> MessageId {
        let shard = ThreadSlot::current().index() % SHARDS;
        let count = self.counters[shard].fetch_add(1, Ordering::Relaxed);
        let low = (count << SHARDS.trailing_zeros()) | shard as u64;
        MessageId::from_u128((u128::from(self.prefix) << 64) | u128::from(low.wrapping_add(1)))
    }

    /// A new conversation: 128 random bits.
    #[must_use]
    pub fn correlation(&self) -> CorrelationId {
        CorrelationId::from_u128(rand::random())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::Arc;

    #[test]
    fn ids_are_unique_across_threads() {
        let ids = Arc::new(Ids::random());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let ids = Arc::clone(&ids);
                std::thread::spawn(move || (0..10_000).map(|_| ids.message()).collect::<Vec<_>>())
            })
            .collect();
        let mut seen = HashSet::new();
        for thread in threads {
            for id in thread.join().unwrap() {
                assert!(seen.insert(id), "{id} was given out twice");
            }
        }
    }

    #[test]
    fn two_nodes_do_not_share_a_prefix() {
        assert_ne!(
            Ids::random().message().as_u128() >> 64,
            Ids::random().message().as_u128() >> 64
        );
    }
}
