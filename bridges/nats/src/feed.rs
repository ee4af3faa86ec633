//! The feed of a live subscription: what the client library brings, on its way into the queue.
//!
//! Whoever waits for the next command or reply reads the client itself: a task in between would cost each of them one
//! more wake-up, which is most of what an adapter can cost. What nobody waits for stays in the client, which has room for
//! it. Only where that must not be, because the oldest has to make room or a number was named, the subscription's
//! task reads.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};

use async_nats::{Message, Subscriber};
use futures_util::StreamExt;
use roadshow_bridges::{Delivery, DeliverySource, Overflow, Reach, Subject, Subscription};
use tokio::task::coop;

use crate::bridge::Shared;
use crate::queue::{Chore, Put, Queue, Source};
use crate::tasks::lock;

/// How much room a full queue must have again before more is taken.
const ROOM_LEAST: usize = 64;
/// How many messages are taken in one go: beside them, others on the same thread must come to their turn.
const BATCH: usize = 128;

/// What the client library brings for one live subscription.
pub(crate) struct Feed {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    /// The subject, if it hears one only.
    exact: Option<Subject>,
    /// Whether a message that finds no room waits in the client library, which has more of it and drops only beyond that: a
    /// burst of commands is then refused one by one, and not lost.
    waits: bool,
    /// Whether whoever waits for a delivery reads, and not the subscription's task.
    direct: bool,
    hearing: Mutex<Hearing>,
}

struct Hearing {
    /// `None` once the subscription's task has taken it to leave the server, or the client has ended.
    subscriber: Option<Subscriber>,
    /// Who is told of the next message.
    waker: Option<Waker>,
    /// Whether it was left for want of room.
    stalled: bool,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("queue", &self.queue)
            .field("direct", &self.direct)
            .finish_non_exhaustive()
    }
}

impl Feed {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        queue: &Arc<Queue>,
        subscriber: Subscriber,
        subscription: &Subscription,
    ) -> Self {
        // Who names a number of messages gets that, and no more.
        let unnamed = subscription.capacity.is_none();
        let waits = unnamed && subscription.overflow == Overflow::Refuse;
        Self {
            shared: Arc::clone(shared),
            queue: Arc::clone(queue),
            exact: (subscription.reach == Reach::Exact).then(|| subscription.subject.clone()),
            waits,
            // An inbox is read all the time. An event's subscriber may not come back for long.
            direct: waits || (unnamed && subscription.reach == Reach::Children),
            hearing: Mutex::new(Hearing {
                subscriber: Some(subscriber),
                waker: None,
                stalled: false,
            }),
        }
    }

    /// Whether the subscription's task has to read.
    pub(crate) fn is_pumped(&self) -> bool {
        !self.direct
    }

    /// Puts what has arrived into the queue. Pending if that is nothing, or there is no room for it.
    pub(crate) fn poll_fetch(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut hearing = lock(&self.hearing);
        match &mut hearing.waker {
            Some(known) => known.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        self.fetch(&mut hearing, cx)
    }

    /// As [`Feed::poll_fetch`], for somebody who does not wait. Who waits already goes on waiting.
    fn try_fetch(&self) -> Poll<()> {
        let mut hearing = lock(&self.hearing);
        let waker = hearing.waker.clone();
        let waker = waker.as_ref().unwrap_or(Waker::noop());
        let mut cx = Context::from_waker(waker);
        uncounted(|cx| self.fetch(&mut hearing, cx), &mut cx)
    }

    fn fetch(&self, hearing: &mut Hearing, cx: &mut Context<'_>) -> Poll<()> {
        let Some(subscriber) = &mut hearing.subscriber else {
            return Poll::Pending;
        };
        for taken in 0..BATCH {
            if self.waits && self.queue.free() == 0 {
                hearing.stalled = true;
                self.queue.wake_when_free(ROOM_LEAST);
                return some(taken);
            }
            match subscriber.poll_next_unpin(cx) {
                Poll::Ready(Some(message)) => self.put(&message),
                Poll::Ready(None) => {
                    hearing.subscriber = None;
                    self.shared.link.client_ended();
                    self.queue.give_back_all();
                    return Poll::Ready(());
                }
                Poll::Pending => return some(taken),
            }
        }
        Poll::Ready(())
    }

    fn put(&self, message: &Message) {
        if let Some(parcel) = self.shared.wire.decode(message, self.exact.as_ref()) {
            match self.queue.put(parcel) {
                Ok(Put::Waiting) => {}
                Ok(Put::Dropped) => self.shared.wire.counters.message_dropped(&message.subject),
                Err(parcel) => self.queue.add_chore(Chore::GiveBack(parcel)),
            }
        }
    }

    /// Tells whoever found no room that there is some now.
    pub(crate) fn resume(&self) {
        let waker = {
            let mut hearing = lock(&self.hearing);
            if std::mem::take(&mut hearing.stalled) {
                hearing.waker.clone()
            } else {
                None
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the subscriber out, for the end: nobody reads it any more.
    pub(crate) fn end(&self) -> Option<Subscriber> {
        let mut hearing = lock(&self.hearing);
        hearing.waker = None;
        hearing.subscriber.take()
    }

    /// The subject, if it hears one only.
    pub(crate) fn exact(&self) -> Option<&Subject> {
        self.exact.as_ref()
    }
}

/// Polls without spending the task's budget: whoever reads pays for each delivery, and not a second time for its way here.
fn uncounted(poll: impl FnMut(&mut Context<'_>) -> Poll<()>, cx: &mut Context<'_>) -> Poll<()> {
    pin!(coop::unconstrained(poll_fn(poll))).poll(cx)
}

/// What was taken, if anything was.
fn some(taken: usize) -> Poll<()> {
    if taken == 0 { Poll::Pending } else { Poll::Ready(()) }
}

/// What the subscriber of a feed holds; dropping it ends the queue.
#[derive(Debug)]
pub(crate) struct Fed {
    pub(crate) source: Source,
    pub(crate) feed: Arc<Feed>,
}

impl DeliverySource for Fed {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        if self.feed.is_pumped() {
            return self.source.poll_next(cx);
        }
        // A subscriber that never waits must still let others run.
        let budget = ready!(coop::poll_proceed(cx));
        let mut poll = self.source.take(None);
        if poll.is_pending() {
            // Nobody else needs waking for what is put in here.
            self.source.stop_waiting();
            // Whatever comes of it, the queue is looked at once more, and knows then who waits.
            let _ = uncounted(|cx| self.feed.poll_fetch(cx), cx);
            poll = self.source.take(Some(cx.waker()));
        }
        if poll.is_ready() {
            budget.made_progress();
        }
        poll
    }

    fn try_next(&mut self) -> Option<Delivery> {
        let there = self.source.try_next();
        if there.is_some() || self.feed.is_pumped() || self.feed.try_fetch().is_pending() {
            return there;
        }
        self.source.try_next()
    }

    fn stop_waiting(&mut self) {
        self.source.stop_waiting();
    }
}
