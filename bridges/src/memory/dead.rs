//! The dead letters of a bus: what could not be done, bounded, oldest out first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::time::Instant;

use super::lock;
use crate::envelope::Envelope;
use crate::identity::MessageId;
use crate::names::Subject;

/// The longest reason that is kept, in characters.
const REASON_CHARS_MAX: usize = 1024;

/// A message that could not be done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The place in the order of dead letters of this bus, from 0.
    pub number: u64,
    /// The message's id.
    pub id: MessageId,
    /// Where it was published.
    pub subject: Subject,
    /// The group that could not do it; `None` for a subscriber without group.
    pub group: Option<Arc<str>>,
    /// What it says, encoded; empty if its value cannot be.
    pub payload: Bytes,
    /// Why it was given up, for people.
    pub reason: String,
    /// How often a handler was started with it in this group.
    pub attempts: u32,
    /// When it was given up, on the monotonic clock.
    pub at: Instant,
    /// The whole message.
    pub envelope: Arc<Envelope>,
}

/// The bounded list.
#[derive(Debug)]
pub(super) struct DeadLetters {
    count_max: usize,
    bytes_max: usize,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    letters: VecDeque<DeadLetter>,
    bytes: usize,
    next: u64,
    dropped: u64,
}

impl DeadLetters {
    pub(super) fn new(count_max: usize, bytes_max: usize) -> Self {
        Self {
            count_max,
            bytes_max,
            list: Mutex::default(),
        }
    }

    /// Adds a letter, drops the oldest ones beyond the bounds, and counts them.
    pub(super) fn add(&self, envelope: Arc<Envelope>, group: Option<Arc<str>>, attempts: u32, reason: &str) {
        // The value is encoded before the lock: it is the user's code.
        let (payload, remark) = match envelope.payload.to_bytes() {
            Ok(payload) => (payload, ""),
            Err(_) => (Bytes::new(), " (its payload cannot be encoded)"),
        };
        let mut reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
        reason.push_str(remark);
        let (id, subject, at) = (envelope.identity.id, envelope.subject.clone(), Instant::now());
        let mut list = lock(&self.list);
        let number = list.next;
        list.next += 1;
        list.bytes += payload.len();
        let letter = DeadLetter {
            number,
            id,
            subject,
            group,
            payload,
            reason,
            attempts,
            at,
            envelope,
        };
        list.letters.push_back(letter);
        let mut out = Vec::new();
        while list.letters.len() > self.count_max || list.bytes > self.bytes_max {
            let Some(oldest) = list.letters.pop_front() else { break };
            list.bytes -= oldest.payload.len();
            list.dropped += 1;
            out.push(oldest);
        }
        drop(list);
        drop(out);
    }

    pub(super) fn all(&self) -> Vec<DeadLetter> {
        lock(&self.list).letters.iter().cloned().collect()
    }

    /// Empties the list and says how many letters were in it.
    pub(super) fn purge(&self) -> usize {
        let mut list = lock(&self.list);
        list.bytes = 0;
        let letters = std::mem::take(&mut list.letters);
        drop(list);
        letters.len()
    }

    /// How many letters there are, and how many made room for others.
    pub(super) fn counts(&self) -> (usize, u64) {
        let list = lock(&self.list);
        (list.letters.len(), list.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Identity, Kind, Namespace};

    fn envelope(number: u128, len: usize) -> Arc<Envelope> {
        let subject = Namespace::default().members_subject();
        let identity = Identity::root(MessageId::from_u128(number));
        Arc::new(Envelope::new(Kind::Event, subject, identity, Bytes::from(vec![0; len])))
    }

    #[tokio::test]
    async fn the_oldest_makes_room_and_is_counted() {
        let dead = DeadLetters::new(3, 100);
        for number in 0..5 {
            dead.add(envelope(number, 10), None, 1, "broken");
        }
        let numbers: Vec<_> = dead.all().iter().map(|letter| letter.number).collect();
        assert_eq!((numbers, dead.counts()), (vec![2, 3, 4], (3, 2)));
        dead.add(envelope(9, 95), None, 1, "large");
        assert_eq!(dead.counts(), (1, 5));
        assert_eq!((dead.purge(), dead.counts()), (1, (0, 5)));
    }
}
