//! What one member of a durable group has in hand: how to acknowledge each message, and what it remembers of those that it
//! gave back or has done.
//!
//! The memory is a short cut and a filter, bounded, never the truth: an acknowledgement that was lost with a connection is
//! given again when the message comes again, and a message that comes back to the same member needs no question about its
//! starts. A place in the stream is known together with the time when the server stored what is there: in a stream that was
//! made anew, the same place is another message.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use async_nats::{HeaderMap, Subject};
use tokio::time::Instant;

use super::ack::AckAddress;
use crate::tasks::lock;

/// How many messages are remembered as done, and how many as given back.
const REMEMBERED: usize = 4096;

/// Which message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where it is in the stream.
    pub(crate) sequence: u64,
    /// When the server stored it, in nanoseconds of Unix time.
    pub(crate) stored_ns: u64,
}

/// A message in hand.
#[derive(Debug)]
struct Held {
    place: Place,
    ack: Subject,
    delivered: u64,
    headers: Option<HeaderMap>,
    /// When the server last heard that it is in hand.
    told: Instant,
    /// Whether a start of it was written down that is still to happen.
    noted: bool,
}

/// What a message that arrived is to its member.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// It is new here: its tag, and how often it was started, if that is known.
    New(u64, Option<u32>),
    /// A handler of this member still runs with it.
    Running,
    /// It is done here: the acknowledgement was lost.
    Done,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    held: HashMap<u64, Held>,
    /// The tags of what is in hand, by sequence.
    tags: HashMap<u64, u64>,
    /// Delivered and starts of what was given back.
    given: HashMap<u64, (Place, u64, u32)>,
    given_order: VecDeque<u64>,
    done: HashMap<u64, Place>,
    done_order: VecDeque<u64>,
}

impl Inner {
    fn remove(&mut self, tag: u64) -> Option<Held> {
        let held = self.held.remove(&tag)?;
        self.tags.remove(&held.place.sequence);
        Some(held)
    }
}

/// What one member of a durable group has in hand. Each message gets a tag of its own, which never comes again.
#[derive(Debug, Default)]
pub(crate) struct Hand(Mutex<Inner>);

impl Hand {
    /// Takes a message into the hand.
    pub(crate) fn take(&self, address: AckAddress, ack: &Subject, headers: Option<HeaderMap>, now: Instant) -> Arrived {
        let mut inner = lock(&self.0);
        let (sequence, delivered) = (address.sequence, address.delivered);
        let place = Place {
            sequence,
            stored_ns: address.stored_ns,
        };
        let known = inner.tags.get(&sequence).copied();
        if delivered > 1 {
            let held = known.and_then(|tag| inner.held.get_mut(&tag));
            if let Some(held) = held.filter(|held| held.place == place) {
                (held.ack, held.delivered, held.told) = (ack.clone(), delivered, now);
                return Arrived::Running;
            }
            if inner.done.get(&sequence) == Some(&place) {
                return Arrived::Done;
            }
        }
        // What is in hand of a group that was made anew is not there for the server: nothing is said of it any more.
        known.and_then(|tag| inner.remove(tag));
        let given = inner.given.remove(&sequence);
        inner.next += 1;
        let tag = inner.next;
        inner.tags.insert(sequence, tag);
        inner.held.insert(
            tag,
            Held {
                place,
                ack: ack.clone(),
                delivered,
                headers,
                told: now,
                noted: false,
            },
        );
        let starts = match given {
            _ if delivered <= 1 => Some(0),
            Some((of, before, starts)) if of == place && before + 1 == delivered => Some(starts),
            _ => None,
        };
        Arrived::New(tag, starts)
    }

    /// Where a message in hand is acknowledged.
    pub(crate) fn ack(&self, tag: u64) -> Option<Subject> {
        lock(&self.0).held.get(&tag).map(|held| held.ack.clone())
    }

    /// Which message is in hand under a tag.
    pub(crate) fn place(&self, tag: u64) -> Option<Place> {
        lock(&self.0).held.get(&tag).map(|held| held.place)
    }

    /// The headers that a message in hand came with.
    pub(crate) fn headers(&self, tag: u64) -> Option<HeaderMap> {
        lock(&self.0).held.get(&tag).and_then(|held| held.headers.clone())
    }

    /// Remembers that a start of a message was written down before it happens.
    pub(crate) fn note(&self, tag: u64) {
        if let Some(held) = lock(&self.0).held.get_mut(&tag) {
            held.noted = true;
        }
    }

    /// Whether a start of a message was written down.
    pub(crate) fn is_noted(&self, tag: u64) -> bool {
        lock(&self.0).held.get(&tag).is_some_and(|held| held.noted)
    }

    /// The message is done.
    pub(crate) fn done(&self, tag: u64) {
        let mut inner = lock(&self.0);
        let Some(Held { place, .. }) = inner.remove(tag) else {
            return;
        };
        let sequence = place.sequence;
        if inner.done.insert(sequence, place).is_none() {
            inner.done_order.push_back(sequence);
        }
        if inner.done_order.len() > REMEMBERED
            && let Some(oldest) = inner.done_order.pop_front()
        {
            inner.done.remove(&oldest);
        }
    }

    /// The message goes back, started so often.
    pub(crate) fn give_back(&self, tag: u64, starts: u32) {
        let mut inner = lock(&self.0);
        let Some(held) = inner.remove(tag) else {
            return;
        };
        let sequence = held.place.sequence;
        let given = (held.place, held.delivered, starts);
        if inner.given.insert(sequence, given).is_none() {
            inner.given_order.push_back(sequence);
        }
        if inner.given_order.len() > REMEMBERED
            && let Some(oldest) = inner.given_order.pop_front()
        {
            inner.given.remove(&oldest);
        }
    }

    /// Where to tell the server that messages are still in hand, for those it has not heard of for this long.
    pub(crate) fn untold(&self, longest: Duration, now: Instant) -> Vec<Subject> {
        let mut inner = lock(&self.0);
        let due = inner
            .held
            .iter_mut()
            .filter(|(_, held)| now.duration_since(held.told) >= longest);
        let mut due: Vec<_> = due
            .map(|(tag, held)| {
                held.told = now;
                (*tag, held.ack.clone())
            })
            .collect();
        // Oldest first: if this member dies, the server brings them again in the order in which they were told.
        due.sort_unstable_by_key(|(tag, _)| *tag);
        due.into_iter().map(|(_, ack)| ack).collect()
    }

    /// Forgets everything: the group was made anew. What is still in hand is said of it no more, because the server would
    /// take it for a word about another message in the same place.
    pub(crate) fn forget(&self) {
        let mut inner = lock(&self.0);
        *inner = Inner {
            next: inner.next,
            ..Inner::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_of(hand: &Hand, sequence: u64, delivered: u64, stored_ns: u64) -> Arrived {
        let address = AckAddress {
            delivered,
            sequence,
            stored_ns,
        };
        let ack = Subject::from(format!("ack.{stored_ns}.{sequence}.{delivered}"));
        hand.take(address, &ack, None, Instant::now())
    }

    fn take(hand: &Hand, sequence: u64, delivered: u64) -> Arrived {
        take_of(hand, sequence, delivered, 0)
    }

    #[test]
    fn starts_are_known_at_first_and_after_a_give_back_to_the_same_member() {
        let hand = Hand::default();
        assert_eq!(take(&hand, 5, 1), Arrived::New(1, Some(0)));
        hand.give_back(1, 1);
        assert_eq!(take(&hand, 5, 2), Arrived::New(2, Some(1)));
        hand.give_back(2, 1);
        assert_eq!(
            take(&hand, 5, 4),
            Arrived::New(3, None),
            "another member had it meanwhile"
        );
        assert_eq!(take(&hand, 6, 2), Arrived::New(4, None));
    }

    #[test]
    fn what_runs_is_not_started_twice_and_what_is_done_is_acknowledged_again() {
        let hand = Hand::default();
        take(&hand, 5, 1);
        assert_eq!(take(&hand, 5, 2), Arrived::Running);
        assert_eq!(hand.ack(1).as_deref(), Some("ack.0.5.2"));
        hand.done(1);
        assert_eq!((take(&hand, 5, 3), hand.ack(1)), (Arrived::Done, None));
        hand.forget();
        assert_eq!(take(&hand, 5, 3), Arrived::New(2, None));
    }

    #[test]
    fn the_same_place_of_a_stream_made_anew_is_another_message() {
        let hand = Hand::default();
        for sequence in 1..=3 {
            take_of(&hand, sequence, 1, 10);
        }
        hand.done(1);
        hand.give_back(2, 7);
        assert_eq!(take_of(&hand, 1, 2, 20), Arrived::New(4, None), "it was not done");
        assert_eq!(take_of(&hand, 2, 2, 20), Arrived::New(5, None), "it was not started");
        assert_eq!(take_of(&hand, 3, 2, 20), Arrived::New(6, None), "it does not run");
        assert_eq!(hand.ack(3), None, "an acknowledgement of the old would settle the new");
        hand.done(3);
        assert_eq!(hand.ack(6).as_deref(), Some("ack.20.3.2"));
    }

    #[test]
    fn of_a_group_made_anew_nothing_old_is_settled() {
        let hand = Hand::default();
        take(&hand, 5, 1);
        hand.forget();
        assert_eq!((hand.ack(1), hand.place(1)), (None, None));
        assert!(hand.untold(Duration::ZERO, Instant::now()).is_empty());
        assert_eq!(take(&hand, 5, 1), Arrived::New(2, Some(0)), "a tag comes again");
    }

    #[test]
    fn the_memory_is_bounded() {
        let hand = Hand::default();
        for sequence in 0..REMEMBERED as u64 * 2 {
            take(&hand, sequence, 1);
            if sequence % 2 == 0 {
                hand.done(sequence + 1);
            } else {
                hand.give_back(sequence + 1, 1);
            }
        }
        for sequence in 0..REMEMBERED as u64 {
            let Arrived::New(tag, _) = take(&hand, sequence + 1_000_000, 1) else {
                unreachable!("it is new")
            };
            hand.done(tag);
        }
        let inner = lock(&hand.0);
        assert!(inner.done.len() <= REMEMBERED && inner.given.len() <= REMEMBERED);
        assert!(inner.held.is_empty() && inner.tags.is_empty());
    }
}
