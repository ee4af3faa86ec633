//! The queue of one subscription: what has arrived and waits for its subscriber, and what the subscriber left to be done.
//!
//! Two sides meet here. The subscription's own task puts parcels in; the subscriber takes them out without waiting for
//! that task, and settles from any thread. Everything is bounded: waiting parcels by the capacity, chores by the
//! window or the capacity, because a delivery keeps its place until the task has taken up what it left to be done.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use roadshow_bridges::{Delivery, DeliverySource, Overflow, Parcel, Settler};
use tokio::sync::Notify;
use tokio::task::coop;
use tokio::time::{Instant, timeout_at};

use crate::tasks::lock;

/// How a queue behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// The most deliveries that are out; `None` where messages are pushed and more must be handed out to be refused.
    pub(crate) window: Option<usize>,
    /// The most parcels that wait; with `Refuse`, together with those that are out.
    pub(crate) capacity: usize,
    /// What happens beyond it.
    pub(crate) overflow: Overflow,
}

/// What became of a parcel that was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// It waits.
    Waiting,
    /// One parcel, this or the oldest, is gone.
    Dropped,
}

/// What a settled delivery leaves to the subscription's task.
#[derive(Debug)]
pub(crate) enum Chore {
    /// Bring it again at this time.
    Again(Parcel, Instant),
    /// Put it among the dead letters.
    Dead(Parcel, String),
    /// Nobody here will start with it: let another one have it.
    GiveBack(Parcel),
    /// Tell the server that it is done; the direct way was busy.
    Done(Parcel),
}

/// A parcel that waits.
#[derive(Debug)]
struct Item {
    parcel: Parcel,
    /// Whether its start has to be written down before it is handed out.
    held: bool,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<Item>,
    chores: VecDeque<Chore>,
    out: usize,
    waker: Option<Waker>,
    /// Whether the subscriber waits for a parcel that is held.
    wanted: bool,
    /// At how many free permits the subscription's task wants to be told; 0 is never.
    wake_at: usize,
    ended: bool,
}

impl Inner {
    fn free(&self, rules: &Rules) -> usize {
        let window = rules.window.unwrap_or(rules.capacity);
        window.saturating_sub(self.busy() + self.waiting.len())
    }

    /// Whoever waits for a place, where there are only so many.
    fn waker_of_full(&mut self, rules: &Rules) -> Option<Waker> {
        let was_full = rules.window.is_some() && !self.waiting.is_empty();
        if was_full { self.waker.take() } else { None }
    }

    /// How many places are taken by what is out, or has left something to be done.
    fn busy(&self) -> usize {
        self.out + self.chores.len()
    }
}

/// The queue of one subscription.
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    rules: Rules,
    /// Tells the subscription's task that there is something to do.
    pub(crate) work: Notify,
    /// Tells whoever closes that a delivery came back.
    back: Notify,
}

impl Queue {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            inner: Mutex::default(),
            rules,
            work: Notify::new(),
            back: Notify::new(),
        }
    }

    /// Puts a parcel in that came from the server; gives it back if the queue has ended.
    pub(crate) fn put(&self, parcel: Parcel) -> Result<Put, Parcel> {
        self.put_item(Item { parcel, held: false })
    }

    /// As [`Queue::put`], for a parcel whose start has to be written down first.
    pub(crate) fn put_held(&self, parcel: Parcel) -> Result<Put, Parcel> {
        self.put_item(Item { parcel, held: true })
    }

    fn put_item(&self, item: Item) -> Result<Put, Parcel> {
        let (put, waker) = {
            let mut inner = lock(&self.inner);
            if inner.ended {
                return Err(item.parcel);
            }
            let out = if self.rules.overflow == Overflow::Refuse {
                inner.busy()
            } else {
                0
            };
            let full = inner.waiting.len() + out >= self.rules.capacity;
            if full && (self.rules.overflow == Overflow::Refuse || inner.waiting.pop_front().is_none()) {
                return Ok(Put::Dropped);
            }
            inner.waiting.push_back(item);
            (if full { Put::Dropped } else { Put::Waiting }, inner.waker.take())
        };
        wake(waker);
        Ok(put)
    }

    /// Puts a delivery of this subscriber back in front, beyond every bound: it had a place already.
    pub(crate) fn put_back(&self, parcel: Parcel) -> Result<(), Parcel> {
        let waker = {
            let mut inner = lock(&self.inner);
            if inner.ended {
                return Err(parcel);
            }
            inner.waiting.push_front(Item { parcel, held: false });
            inner.waker.take()
        };
        wake(waker);
        Ok(())
    }

    /// The held parcel that the subscriber waits for, if there is one.
    pub(crate) fn wanted(&self) -> Option<Parcel> {
        let mut inner = lock(&self.inner);
        if !std::mem::take(&mut inner.wanted) || !inner.waiting.front().is_some_and(|item| item.held) {
            return None;
        }
        inner.waiting.pop_front().map(|item| item.parcel)
    }

    /// Counts one delivery as settled.
    pub(crate) fn settled(&self) {
        self.finish(None);
    }

    /// Counts one delivery as settled and leaves something to be done about it.
    pub(crate) fn leave(&self, chore: Chore) {
        self.finish(Some(chore));
    }

    fn finish(&self, chore: Option<Chore>) {
        let has_chore = chore.is_some();
        let (waker, has_room, ended) = {
            let mut inner = lock(&self.inner);
            inner.out = inner.out.saturating_sub(1);
            inner.chores.extend(chore);
            let has_room = inner.wake_at > 0 && inner.free(&self.rules) >= inner.wake_at;
            if has_room {
                inner.wake_at = 0;
            }
            let waker = inner.waker_of_full(&self.rules);
            (waker, has_room, inner.ended)
        };
        wake(waker);
        if has_chore || has_room || ended {
            self.work.notify_one();
        }
        if ended {
            self.back.notify_waiters();
        }
    }

    /// Adds a chore that belongs to no delivery.
    pub(crate) fn add_chore(&self, chore: Chore) {
        lock(&self.inner).chores.push_back(chore);
        self.work.notify_one();
    }

    /// What there is to be done; its places are free from now on.
    pub(crate) fn chores(&self) -> VecDeque<Chore> {
        let (chores, waker) = {
            let mut inner = lock(&self.inner);
            let chores = std::mem::take(&mut inner.chores);
            let waker = if chores.is_empty() {
                None
            } else {
                inner.waker_of_full(&self.rules)
            };
            (chores, waker)
        };
        wake(waker);
        chores
    }

    /// How many more parcels the subscriber has permits for.
    pub(crate) fn free(&self) -> usize {
        let inner = lock(&self.inner);
        if inner.ended { 0 } else { inner.free(&self.rules) }
    }

    /// Tells the subscription's task when so many permits are free.
    pub(crate) fn wake_when_free(&self, permits: usize) {
        let mut inner = lock(&self.inner);
        inner.wake_at = permits;
        if inner.free(&self.rules) >= permits {
            inner.wake_at = 0;
            self.work.notify_one();
        }
    }

    /// Ends the queue: nothing is handed out any more. Returns what nobody had started with.
    pub(crate) fn end(&self) -> Vec<Parcel> {
        let (waiting, waker) = {
            let mut inner = lock(&self.inner);
            inner.ended = true;
            (std::mem::take(&mut inner.waiting), inner.waker.take())
        };
        wake(waker);
        self.work.notify_one();
        waiting.into_iter().map(|item| item.parcel).collect()
    }

    /// As [`Queue::end`]; what nobody had started with becomes a chore, in one go: between the two, the queue would be over.
    pub(crate) fn give_back_all(&self) {
        let waker = {
            let mut inner = lock(&self.inner);
            inner.ended = true;
            let waiting = std::mem::take(&mut inner.waiting);
            let unstarted = waiting.into_iter().map(|item| Chore::GiveBack(item.parcel));
            inner.chores.extend(unstarted);
            inner.waker.take()
        };
        wake(waker);
        self.work.notify_one();
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        lock(&self.inner).ended
    }

    /// Whether it has ended, every delivery has come back, and nothing is left to be done.
    pub(crate) fn is_over(&self) -> bool {
        let inner = lock(&self.inner);
        inner.ended && inner.out == 0 && inner.chores.is_empty()
    }

    /// Hears that the subscription's task has done what there was to do.
    pub(crate) fn chores_done(&self) {
        self.back.notify_waiters();
    }

    /// Waits until [`Queue::is_over`]; `false` if that takes too long.
    pub(crate) async fn all_over(&self, deadline: Instant) -> bool {
        loop {
            let mut back = std::pin::pin!(self.back.notified());
            back.as_mut().enable();
            if self.is_over() {
                return true;
            }
            if timeout_at(deadline, back).await.is_err() {
                return false;
            }
        }
    }

    fn take(&self, waker: Option<&Waker>) -> Poll<Option<Parcel>> {
        let mut inner = lock(&self.inner);
        if inner.ended {
            return Poll::Ready(None);
        }
        let has_room = self.rules.window.is_none_or(|window| inner.busy() < window);
        let held = has_room && inner.waiting.front().is_some_and(|item| item.held);
        if has_room
            && !held
            && let Some(item) = inner.waiting.pop_front()
        {
            inner.out += 1;
            return Poll::Ready(Some(item.parcel));
        }
        if let Some(waker) = waker {
            match &mut inner.waker {
                Some(known) => known.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
        if held {
            inner.wanted = true;
            drop(inner);
            self.work.notify_one();
        }
        Poll::Pending
    }

    fn stop_waiting(&self) {
        lock(&self.inner).waker = None;
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// What the subscriber of a queue holds; dropping it ends the queue.
#[derive(Debug)]
pub(crate) struct Source {
    queue: Arc<Queue>,
    settler: Arc<dyn Settler>,
}

impl Source {
    pub(crate) fn new(queue: Arc<Queue>, settler: Arc<dyn Settler>) -> Self {
        Self { queue, settler }
    }

    /// The next delivery of the queue; whoever waits for it is woken when there is one.
    pub(crate) fn take(&self, waker: Option<&Waker>) -> Poll<Option<Delivery>> {
        let poll = self.queue.take(waker);
        poll.map(|parcel| parcel.map(|parcel| Delivery::new(parcel, Arc::clone(&self.settler))))
    }
}

impl DeliverySource for Source {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        // A subscriber that never waits must still let others run.
        let budget = ready!(coop::poll_proceed(cx));
        let poll = self.take(Some(cx.waker()));
        if poll.is_ready() {
            budget.made_progress();
        }
        poll
    }

    fn try_next(&mut self) -> Option<Delivery> {
        match self.take(None) {
            Poll::Ready(delivery) => delivery,
            Poll::Pending => None,
        }
    }

    fn stop_waiting(&mut self) {
        self.queue.stop_waiting();
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.queue.give_back_all();
    }
}

/// When something is due that may wait this long, bounded so that the time can be counted.
pub(crate) fn due(after: Duration) -> Instant {
    Instant::now() + after.min(DELAY_MAX)
}

/// The longest delay of a message.
pub(crate) const DELAY_MAX: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests;
