//! The books of a group: who is a member, what waits, what is out, and which messages are held.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use roadshow_bridges::MessageId;
use tokio::time::Instant;

use super::{Item, SEEN_MAX};
use crate::marks::Verdict;
use crate::seen::Seen;
use crate::wire::{Load, Receipt};

/// What the mutex of a group guards.
pub(super) struct State {
    pub(super) members: Vec<Member>,
    pub(super) next_member: u64,
    /// What found no member with room.
    pub(super) waiting: VecDeque<Item>,
    /// How many wait, those in the queues of members included.
    pub(super) queued: usize,
    pub(super) out: HashMap<u64, Out>,
    /// How many deliveries are out no more, and are not told yet.
    pub(super) settling: usize,
    pub(super) next_tag: u64,
    pub(super) held: HashMap<MessageId, Held>,
    pub(super) seen: Seen,
    /// Whether the last member has left.
    pub(super) closed: bool,
    /// Whether what waited was given back, after that.
    pub(super) drained: bool,
}

pub(super) struct Member {
    pub(super) id: u64,
    pub(super) window: usize,
    pub(super) out: usize,
    pub(super) queue: VecDeque<Item>,
    pub(super) waker: Option<Waker>,
}

/// A delivery in the hands of a subscriber.
pub(super) struct Out {
    pub(super) member: u64,
    pub(super) outbox: Option<u128>,
    pub(super) receipt: Option<Arc<Receipt>>,
    pub(super) load: Option<Arc<Load>>,
}

/// A message that an outbox waits for.
pub(super) struct Held {
    pub(super) outbox: u128,
    pub(super) since: Instant,
    pub(super) handed: bool,
}

impl Member {
    pub(super) fn new(id: u64, window: usize) -> Self {
        Self {
            id,
            window,
            out: 0,
            queue: VecDeque::new(),
            waker: None,
        }
    }

    fn room(&self) -> usize {
        self.window.saturating_sub(self.out + self.queue.len())
    }
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            members: Vec::new(),
            next_member: 0,
            waiting: VecDeque::new(),
            queued: 0,
            out: HashMap::new(),
            settling: 0,
            next_tag: 0,
            held: HashMap::new(),
            seen: Seen::new(SEEN_MAX),
            closed: false,
            drained: false,
        }
    }

    /// Gives a message to the member with the least to do, or lets it wait.
    pub(super) fn place(&mut self, item: Item, first: bool) -> Option<Waker> {
        self.queued += 1;
        let free = self.members.iter_mut().filter(|member| member.room() > 0);
        let Some(member) = free.min_by_key(|member| member.out + member.queue.len()) else {
            if first {
                self.waiting.push_front(item);
            } else {
                self.waiting.push_back(item);
            }
            return None;
        };
        if first {
            member.queue.push_front(item);
        } else {
            member.queue.push_back(item);
        }
        member.waker.take()
    }

    /// Gives what waits to members that have room again.
    pub(super) fn refill(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while !self.waiting.is_empty() && self.members.iter().any(|member| member.room() > 0) {
            if let Some(item) = self.waiting.pop_front() {
                self.queued -= 1;
                wakers.extend(self.place(item, false));
            }
        }
        wakers
    }

    /// Remembers that a message is held here; what it is instead, if it came before.
    pub(super) fn hold(&mut self, outbox: u128, item: &Item) -> Option<Verdict> {
        let id = item.envelope.identity.id;
        if self.seen.contains(id) {
            return Some(Verdict::Done);
        }
        if let Some(held) = self.held.get(&id) {
            let handed = if held.handed { Verdict::Handed } else { Verdict::Waiting };
            return Some(handed);
        }
        let held = Held {
            outbox,
            since: item.since,
            handed: false,
        };
        self.held.insert(id, held);
        None
    }

    /// The message that has waited longest.
    pub(super) fn pop_oldest(&mut self) -> Option<Item> {
        let queue = self.members.iter_mut().find(|member| !member.queue.is_empty());
        let item = match queue {
            Some(member) => member.queue.pop_front(),
            None => self.waiting.pop_front(),
        };
        self.queued -= usize::from(item.is_some());
        item
    }

    /// Takes a delivery back from the hands of its subscriber; it is not settled before its outbox is told.
    pub(super) fn take_out(&mut self, tag: u64) -> Option<Out> {
        let out = self.out.remove(&tag)?;
        self.settling += 1;
        if let Some(member) = self.members.iter_mut().find(|member| member.id == out.member) {
            member.out -= 1;
        }
        Some(out)
    }

    /// What the broker waits for. A group that has ended holds none of it: what is still on its way to the group comes
    /// only while the broker may send.
    pub(super) fn take_receipts(&mut self) -> Vec<Arc<Receipt>> {
        let waiting = self.waiting.iter_mut().filter_map(|item| item.receipt.take());
        let out = self.out.values_mut().filter_map(|out| out.receipt.take());
        waiting.chain(out).collect()
    }
}
