//! A group: the bounded queue that its subscribers share.
//!
//! One short mutex guards it. Wakers, and messages that are thrown away, leave the lock before they are woken or dropped,
//! because both run foreign code.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::lock;
use crate::envelope::Envelope;
use crate::names::Subject;
use crate::subscription::{Overflow, Reach};

/// What a message counts beside its encoded payload, in bytes.
const MESSAGE_BYTES: usize = 512;
/// The most messages that a subscriber takes under one lock.
pub(super) const BATCH_MAX: usize = 64;

/// Which group it is: equal keys are one group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct GroupKey {
    pub(super) subject: Subject,
    pub(super) reach: Reach,
    pub(super) name: Option<Arc<str>>,
}

/// How a group behaves; set by the subscription that creates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupRules {
    pub(super) durable: bool,
    pub(super) capacity: usize,
    pub(super) bytes_max: usize,
    pub(super) overflow: Overflow,
    pub(super) starts_max: u32,
}

/// One waiting message.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) envelope: Arc<Envelope>,
    pub(super) starts: u32,
    pub(super) since: Option<Instant>,
    weight: usize,
}

impl Item {
    pub(super) fn new(envelope: Arc<Envelope>, starts: u32, since: Option<Instant>) -> Self {
        let weight = MESSAGE_BYTES + envelope.payload.encoded_len().unwrap_or(0);
        Self {
            envelope,
            starts,
            since,
            weight,
        }
    }
}

/// How many messages wait in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupDepth {
    /// What the group hears.
    pub subject: Subject,
    /// The group's name; `None` for a subscriber without group.
    pub group: Option<Arc<str>>,
    /// Whether the group stays without subscribers.
    pub durable: bool,
    /// How many subscribers it has.
    pub members: usize,
    /// How many messages could be taken now.
    pub ready: usize,
    /// How many messages wait for their delay to end.
    pub delayed: usize,
    /// How many messages were dropped to make room, so far.
    pub dropped: u64,
}

pub(super) struct Group {
    pub(super) id: u64,
    pub(super) key: GroupKey,
    pub(super) rules: GroupRules,
    /// Tells publishers that wait that there is room.
    pub(super) room: Notify,
    pub(super) dropped: AtomicU64,
    state: Mutex<State>,
}

/// What the group's lock guards.
#[derive(Default)]
pub(super) struct State {
    ready: VecDeque<Item>,
    bytes: usize,
    delayed: usize,
    members: usize,
    /// Subscribers that wait right now, in the order in which they came.
    idle: VecDeque<(u64, Waker)>,
    publishers_waiting: usize,
    closed: bool,
}

/// Whether a message finds room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    Full,
    Closed,
}

/// What a subscriber got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Some(usize),
    None,
    Closed,
}

/// Foreign code that must run after the lock is released: who is woken, what is dropped.
#[derive(Default)]
#[must_use = "it has to be run after the lock is released"]
pub(super) struct After {
    wake: Option<Waker>,
    drop: Vec<Item>,
}

impl After {
    pub(super) fn run(self) {
        if let Some(waker) = self.wake {
            waker.wake();
        }
        drop(self.drop);
    }
}

impl Group {
    pub(super) fn new(id: u64, key: GroupKey, rules: GroupRules) -> Self {
        Self {
            id,
            key,
            rules,
            room: Notify::new(),
            dropped: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Whether a message finds room; dropping the oldest is done by [`Group::insert`].
    pub(super) fn room_for(&self, state: &State, item: &Item) -> Room {
        if state.closed {
            return Room::Closed;
        }
        if self.rules.overflow == Overflow::DropOldest || !self.is_full(state, item.weight) {
            return Room::Free;
        }
        Room::Full
    }

    fn is_full(&self, state: &State, weight: usize) -> bool {
        let empty = state.ready.is_empty() && state.delayed == 0;
        let over = state.bytes + weight > self.rules.bytes_max && !empty;
        state.ready.len() + state.delayed >= self.rules.capacity || over
    }

    /// Puts a message last. The caller asked for room under this very lock.
    pub(super) fn insert(&self, state: &mut State, item: Item) -> After {
        let mut after = After::default();
        if self.rules.overflow == Overflow::DropOldest {
            while self.is_full(state, item.weight) {
                let Some(oldest) = state.ready.pop_front() else {
                    // Only delayed messages are left: the newcomer itself finds no room.
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                    after.drop.push(item);
                    return after;
                };
                state.bytes -= oldest.weight;
                self.dropped.fetch_add(1, Ordering::Relaxed);
                after.drop.push(oldest);
            }
        }
        state.bytes += item.weight;
        state.ready.push_back(item);
        after.wake = state.wake_one();
        after
    }

    /// Takes up to `room` messages for a subscriber, and no more than its share while others compete. With a waker, a
    /// subscriber that gets nothing waits in line. `is_closed` is asked under the lock, see `Seat::close`.
    pub(super) fn take(
        &self,
        seat: u64,
        room: usize,
        waker: Option<&Waker>,
        is_closed: impl FnOnce() -> bool,
        into: &mut VecDeque<Item>,
    ) -> Taken {
        let mut state = self.state();
        if state.closed || is_closed() {
            return Taken::Closed;
        }
        if state.ready.is_empty() {
            if let Some(waker) = waker {
                state.wait(seat, waker);
            }
            return Taken::None;
        }
        let share = state.ready.len().div_ceil(state.members.max(1));
        let count = room.min(BATCH_MAX).min(share);
        let mut bytes = 0;
        for item in state.ready.drain(..count) {
            bytes += item.weight;
            into.push_back(item);
        }
        state.bytes -= bytes;
        let told = state.publishers_waiting > 0;
        drop(state);
        if told {
            self.room.notify_waiters();
        }
        Taken::Some(count)
    }

    /// Takes a message back that was not done: to the front if nobody started it, else last. `false` if the group is gone.
    pub(super) fn give_back(&self, item: Item, to_front: bool) -> bool {
        let mut state = self.state();
        if state.closed {
            drop(state);
            return false;
        }
        state.bytes += item.weight;
        if to_front {
            state.ready.push_front(item);
        } else {
            state.ready.push_back(item);
        }
        let waker = state.wake_one();
        drop(state);
        After {
            wake: waker,
            drop: Vec::new(),
        }
        .run();
        true
    }

    /// Counts a message that waits for its delay. `false` if the group is gone.
    pub(super) fn delay(&self, item: &Item) -> bool {
        let mut state = self.state();
        if !state.closed {
            state.delayed += 1;
            state.bytes += item.weight;
        }
        !state.closed
    }

    /// Puts a message last whose delay is over. `false` if the group is gone.
    pub(super) fn delay_over(&self, item: Item) -> bool {
        let mut state = self.state();
        if state.closed {
            drop(state);
            return false;
        }
        state.delayed -= 1;
        state.ready.push_back(item);
        let waker = state.wake_one();
        drop(state);
        After {
            wake: waker,
            drop: Vec::new(),
        }
        .run();
        true
    }

    /// Adds a subscriber. `false` if the group is gone or has `members_max` of them.
    pub(super) fn join(&self, members_max: usize) -> bool {
        let mut state = self.state();
        let free = !state.closed && state.members < members_max;
        state.members += usize::from(free);
        free
    }

    /// Removes a subscriber, wakes it if it waits, and wakes another one if messages are there. Returns how many are left.
    pub(super) fn leave(&self, seat: u64) -> usize {
        let mut state = self.state();
        let own = state.stop_waiting(seat);
        state.members = state.members.saturating_sub(1);
        let other = if state.ready.is_empty() { None } else { state.wake_one() };
        let left = state.members;
        drop(state);
        own.into_iter().chain(other).for_each(Waker::wake);
        left
    }

    /// A subscriber stops waiting; if its wake-up was already spent, another one gets it.
    pub(super) fn stop_waiting(&self, seat: u64) {
        let mut state = self.state();
        let was_waiting = state.stop_waiting(seat).is_some();
        let other = if was_waiting || state.ready.is_empty() {
            None
        } else {
            state.wake_one()
        };
        drop(state);
        After {
            wake: other,
            drop: Vec::new(),
        }
        .run();
    }

    /// Ends the group if it has no subscriber, or in any case if `forced`. Returns what waited, for the caller to drop when
    /// it holds no lock, and how many messages are lost, the delayed ones included.
    pub(super) fn close(&self, forced: bool) -> Option<(Vec<Item>, usize)> {
        let mut state = self.state();
        if state.closed || (state.members > 0 && !forced) {
            return None;
        }
        state.closed = true;
        state.bytes = 0;
        let lost = state.ready.len() + state.delayed;
        let ready = std::mem::take(&mut state.ready);
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        idle.into_iter().for_each(|(_, waker)| waker.wake());
        self.room.notify_waiters();
        Some((ready.into(), lost))
    }

    /// Counts a publisher that waits for room, until the guard is dropped.
    pub(super) fn publisher_waits(&self) -> PublisherWaits<'_> {
        self.state().publishers_waiting += 1;
        PublisherWaits(self)
    }

    pub(super) fn depth(&self) -> GroupDepth {
        let state = self.state();
        GroupDepth {
            subject: self.key.subject.clone(),
            group: self.key.name.clone(),
            durable: self.rules.durable,
            members: state.members,
            ready: state.ready.len(),
            delayed: state.delayed,
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }
}

impl State {
    fn wake_one(&mut self) -> Option<Waker> {
        self.idle.pop_front().map(|(_, waker)| waker)
    }

    fn wait(&mut self, seat: u64, waker: &Waker) {
        match self.idle.iter_mut().find(|(waiting, _)| *waiting == seat) {
            Some((_, old)) => old.clone_from(waker),
            None => self.idle.push_back((seat, waker.clone())),
        }
    }

    fn stop_waiting(&mut self, seat: u64) -> Option<Waker> {
        let place = self.idle.iter().position(|(waiting, _)| *waiting == seat)?;
        self.idle.remove(place).map(|(_, waker)| waker)
    }
}

/// A publisher that waits for room.
pub(super) struct PublisherWaits<'a>(&'a Group);

impl Drop for PublisherWaits<'_> {
    fn drop(&mut self) {
        self.0.state().publishers_waiting -= 1;
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("id", &self.id)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
