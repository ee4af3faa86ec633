//! A group as one node sees it: its members here, what waits for them, and which messages are held.
//!
//! All members of one group on this connection share one subscription at the broker, so the messages are shared out here:
//! each to the member with the least to do, none beyond a member's window. A message that an outbox waits for is known
//! by its id while it is held and for some time after, so that what comes twice runs once. One short mutex
//! guards it all; wakers and acknowledgements leave the lock before they run.

use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use roadshow_bridges::{Delivery, Envelope, MessageId, Overflow, Parcel, Settlement, Settler, Subscription};
use tokio::time::Instant;

use self::state::{Member, Out, State};
use crate::lock;
use crate::marks::{Mark, Verdict};
use crate::outlet::{Job, Outlet};
use crate::wire::{Counters, Load, Receipt};

mod state;

/// How many settled messages of one group are known by their ids.
const SEEN_MAX: usize = 65_536;
/// The most waiting messages of a group that says nothing else.
const CAPACITY: usize = 65_536;
/// After that many starts a message is dead-lettered: a backstop far beyond the runtime's own count.
const STARTS_MAX: u32 = 50;
/// The longest delay of a nack.
pub(crate) const DELAY_MAX: Duration = Duration::from_secs(24 * 3600);
/// A message that is held this long is told to its outbox.
const MARK_AFTER: Duration = Duration::from_millis(700);

/// One message on its way to a member.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) starts: u32,
    pub(crate) since: Instant,
    /// The outbox that waits for the acknowledgement.
    pub(crate) outbox: Option<u128>,
    /// What the broker waits for; `None` once it was acknowledged there.
    pub(crate) receipt: Option<Arc<Receipt>>,
    /// Its bytes, counted for as long as it is here; `None` if it never arrived.
    pub(crate) load: Option<Arc<Load>>,
}

/// A group on this connection.
pub(crate) struct Group {
    pub(crate) name: Option<Arc<str>>,
    /// The topic below which its record stands, if it is durable.
    pub(crate) record: Option<String>,
    capacity: usize,
    overflow: Overflow,
    starts_max: u32,
    outlet: Arc<Outlet>,
    /// The group itself, for what outlives a call.
    me: Weak<Group>,
    state: Mutex<State>,
}

impl Group {
    pub(crate) fn new(subscription: &Subscription, record: Option<String>, outlet: Arc<Outlet>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            name: subscription.group.as_deref().map(Into::into),
            record,
            capacity: subscription.capacity.map_or(CAPACITY, Into::into),
            overflow: subscription.overflow,
            starts_max: subscription.starts_max.map_or(STARTS_MAX, Into::into),
            outlet,
            state: Mutex::new(State::new()),
        })
    }

    /// Adds a member, unless the last one has left already.
    pub(crate) fn join(&self, window: usize) -> Option<u64> {
        let mut state = lock(&self.state);
        if state.closed {
            return None;
        }
        let id = state.next_member;
        state.next_member += 1;
        state.members.push(Member::new(id, window));
        let wakers = state.refill();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        Some(id)
    }

    /// Takes a member out; what it had not begun goes to the others. The last one ends the group.
    pub(crate) fn leave(self: &Arc<Self>, id: u64) {
        let mut state = lock(&self.state);
        let Some(place) = state.members.iter().position(|member| member.id == id) else {
            return;
        };
        let mut member = state.members.swap_remove(place);
        let mut wakers: Vec<_> = member.waker.take().into_iter().collect();
        state.queued -= member.queue.len();
        for item in member.queue.drain(..).rev() {
            wakers.extend(state.place(item, true));
        }
        let ended = state.members.is_empty() && !state.closed;
        // Counted before anybody sees that it is closed: whoever does waits for it to be gone.
        let leaving = ended.then(|| self.outlet.leaving());
        state.closed |= ended;
        let receipts = if ended { state.take_receipts() } else { Vec::new() };
        drop(state);
        drop(receipts);
        wakers.into_iter().for_each(Waker::wake);
        if let Some(leaving) = leaving {
            self.outlet.job(Job::Leave(Arc::clone(self), leaving));
        }
    }

    /// Ends the group: members get nothing more.
    pub(crate) fn close(self: &Arc<Self>) {
        let members: Vec<_> = lock(&self.state).members.iter().map(|member| member.id).collect();
        members.into_iter().for_each(|id| self.leave(id));
    }

    /// Gives back what waits in a group that has ended, and from now on at once what still comes.
    pub(crate) fn drain(&self) {
        let mut state = lock(&self.state);
        state.drained = true;
        state.queued = 0;
        let items = std::mem::take(&mut state.waiting);
        drop(state);
        items.into_iter().for_each(|item| self.give_back(item));
    }

    /// How many deliveries are in the hands of subscribers, or settled and not told yet.
    pub(crate) fn outstanding(&self) -> usize {
        let state = lock(&self.state);
        state.out.len() + state.settling
    }

    /// Takes a message that has arrived.
    pub(crate) fn deliver(&self, mut item: Item) {
        let mut state = lock(&self.state);
        if let (Some(outbox), Some(name)) = (item.outbox, &self.name)
            && let Some(verdict) = state.hold(outbox, &item)
        {
            drop(state);
            Counters::count(&self.outlet.counters.duplicates);
            let id = item.envelope.identity.id;
            self.outlet.mark(outbox, name, Mark::new(id, verdict));
            return;
        }
        if state.drained {
            drop(state);
            self.give_back(item);
            return;
        }
        let receipt = if state.closed { item.receipt.take() } else { None };
        let mut oldest = None;
        if state.queued >= self.capacity {
            Counters::count(&self.outlet.counters.slow);
            if self.overflow == Overflow::DropOldest {
                oldest = state.pop_oldest();
            }
            let lost = oldest.as_ref().unwrap_or(&item).envelope.identity.id;
            state.held.remove(&lost);
            if oldest.is_none() {
                drop(state);
                drop((item, receipt));
                return;
            }
        }
        let waker = state.place(item, false);
        // Dropping a message acknowledges it, and waking runs foreign code: neither under the lock.
        drop(state);
        drop((oldest, receipt));
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Brings a message back whose delay has ended. In a group that has ended it waits until the broker knows that: else it
    /// would come here again.
    pub(crate) fn return_item(&self, item: Item, first: bool) {
        let mut state = lock(&self.state);
        if state.drained {
            drop(state);
            self.give_back(item);
            return;
        }
        let waker = state.place(item, first);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Hands the next message of a member out.
    pub(crate) fn poll(self: &Arc<Self>, id: u64, cx: Option<&Context<'_>>) -> Poll<Option<Delivery>> {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let Some(member) = state.members.iter_mut().find(|member| member.id == id) else {
            return Poll::Ready(None);
        };
        let Some(item) = member.queue.pop_front() else {
            if let Some(cx) = cx {
                member.waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        };
        member.out += 1;
        state.queued -= 1;
        let tag = state.next_tag;
        state.next_tag += 1;
        if let Some(held) = state.held.get_mut(&item.envelope.identity.id) {
            held.handed = true;
        }
        let out = Out {
            member: id,
            outbox: item.outbox,
            receipt: item.receipt,
            load: item.load,
        };
        state.out.insert(tag, out);
        drop(guard);
        let mut parcel = Parcel::new(item.envelope);
        (parcel.tag, parcel.starts, parcel.since) = (tag, item.starts, Some(item.since));
        Poll::Ready(Some(Delivery::new(parcel, Arc::clone(self) as Arc<dyn Settler>)))
    }

    /// Tells the outboxes what this member holds; `false` if that is nothing.
    pub(crate) fn mark_held(&self, now: Instant) -> bool {
        let Some(name) = &self.name else { return false };
        let state = lock(&self.state);
        let holds = !state.held.is_empty();
        let marks: Vec<_> = state
            .held
            .iter()
            .filter(|(_, held)| now.saturating_duration_since(held.since) >= MARK_AFTER)
            .map(|(id, held)| {
                let verdict = if held.handed { Verdict::Handed } else { Verdict::Waiting };
                (held.outbox, Mark::new(*id, verdict))
            })
            .collect();
        drop(state);
        for (outbox, mark) in marks {
            self.outlet.mark(outbox, name, mark);
        }
        holds
    }

    /// Says that a message is settled for good.
    pub(crate) fn done(&self, id: MessageId, outbox: Option<u128>) {
        self.settled(id, outbox, true);
    }

    /// Says that nobody has to bring a message again, although nobody began with it: a sender that was told so may try again
    /// with the same id, and that is no duplicate.
    fn refused(&self, id: MessageId, outbox: Option<u128>) {
        self.settled(id, outbox, false);
    }

    fn settled(&self, id: MessageId, outbox: Option<u128>, begun: bool) {
        let (Some(outbox), Some(name)) = (outbox, &self.name) else {
            return;
        };
        let mut state = lock(&self.state);
        state.held.remove(&id);
        if begun {
            state.seen.insert(id);
        }
        drop(state);
        self.outlet.mark(outbox, name, Mark::new(id, Verdict::Done));
    }

    /// A message is held here no more, although it is not settled: its outbox brings it again.
    pub(crate) fn let_go(&self, id: MessageId) {
        lock(&self.state).held.remove(&id);
    }

    /// Hands a message to the others of the group; one that has no name has no others.
    pub(crate) fn give_back(&self, item: Item) {
        self.let_go(item.envelope.identity.id);
        if let Some(group) = self.name.clone() {
            self.outlet.job(Job::GiveBack { group, item });
        }
    }
}

impl Group {
    fn not_done(&self, item: Item, begun: bool, after: Duration) {
        if begun && item.starts >= self.starts_max {
            let reason = format!("gave up after {} starts", item.starts);
            self.dead(item, reason);
            return;
        }
        if after.is_zero() {
            self.return_item(item, !begun);
            return;
        }
        let Some(group) = self.me.upgrade().filter(|_| !self.is_closed()) else {
            self.return_item(item, false);
            return;
        };
        let due = Instant::now() + after.min(DELAY_MAX);
        if let Some(item) = self.outlet.delay(due, &group, item) {
            self.return_item(item, false);
        }
    }

    fn dead(&self, item: Item, reason: String) {
        self.outlet.job(Job::Dead {
            name: self.name.clone(),
            group: self.me.upgrade(),
            item,
            reason,
        });
    }

    /// Whether the last member has left.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    /// Whether everything that was out is told.
    fn told(&self) -> bool {
        let mut state = lock(&self.state);
        state.settling -= 1;
        state.closed && state.settling + state.out.len() == 0
    }
}

impl Settler for Group {
    fn settle(&self, parcel: Parcel, settlement: Settlement<'_>) {
        let id = parcel.envelope.identity.id;
        let mut state = lock(&self.state);
        let Some(out) = state.take_out(parcel.tag) else {
            return;
        };
        if let (Settlement::Nack { .. }, Some(held)) = (&settlement, state.held.get_mut(&id)) {
            held.handed = false;
        }
        let wakers = state.refill();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        let item = Item {
            starts: parcel.starts,
            since: parcel.since.unwrap_or_else(Instant::now),
            outbox: out.outbox,
            receipt: None,
            load: out.load,
            envelope: parcel.envelope,
        };
        match settlement {
            Settlement::Ack if !parcel.begun => self.refused(id, item.outbox),
            Settlement::Ack => self.done(id, item.outbox),
            Settlement::Nack { after } => self.not_done(item, parcel.begun, after),
            Settlement::Reject { reason } => self.dead(item, reason.to_owned()),
            // What a later contract may say is not done.
            _ => self.not_done(item, parcel.begun, Duration::ZERO),
        }
        if self.told() {
            self.outlet.drained.notify_one();
        }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
