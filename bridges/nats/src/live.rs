//! Live subscriptions: what NATS core pushes to whoever is connected.
//!
//! The server keeps nothing of it, so a `nack` is served here: the message waits in this process and comes again to this
//! subscriber, with its starts counted; when the process dies it is gone. What nobody had started with when the subscriber
//! leaves is sent again if it is a command, because a command has one group; an event would reach every group twice.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Subscriber;
use futures_util::StreamExt;
use roadshow_bridges::{Overflow, Parcel, Reach, Settlement, Settler, Subscription};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::bridge::Shared;
use crate::feed::Feed;
use crate::queue::{Chore, Queue, Rules, due};
use crate::wire::restamp;

/// How many messages wait for a subscriber that names no number.
const CAPACITY: usize = 4096;
/// After how many starts a message of a group goes to the dead letters, where the subscription does not say.
pub(crate) const STARTS_MAX: u32 = 50;
/// How long leaving the server may take.
const LEAVE_MAX: Duration = Duration::from_secs(5);
/// After how many messages a subscription ends that the server is to end at once. No server can read this number, and takes
/// it for none; async-nats can, and goes on hearing what the server has sent already, which it would else throw away.
const NEVER: u64 = u64::MAX;

/// The rules of a live subscription.
pub(crate) fn rules(subscription: &Subscription) -> Rules {
    let window = subscription.window.get();
    let pushed = subscription.overflow == Overflow::Refuse;
    Rules {
        // A group's messages are pushed: one beyond its permits is handed out all the same, to be refused at once.
        window: (!pushed).then_some(window),
        capacity: subscription
            .capacity
            .map_or(CAPACITY.max(window), std::num::NonZero::get),
        overflow: subscription.overflow,
    }
}

/// What a subscription hears, as NATS writes it.
pub(crate) fn pattern(subscription: &Subscription) -> String {
    match subscription.reach {
        Reach::Children => format!("{}.*", subscription.subject),
        _ => subscription.subject.as_str().to_owned(),
    }
}

/// Settles the deliveries of a live subscription: everything happens in this process.
#[derive(Debug)]
pub(crate) struct LiveSettler {
    pub(crate) queue: Arc<Queue>,
    pub(crate) starts_max: u32,
}

impl Settler for LiveSettler {
    fn settle(&self, mut parcel: Parcel, settlement: Settlement<'_>) {
        let begun = std::mem::take(&mut parcel.begun);
        match settlement {
            Settlement::Reject { reason } => self.queue.leave(Chore::Dead(parcel, reason.to_owned())),
            Settlement::Nack { .. } if begun && parcel.starts >= self.starts_max => {
                self.queue
                    .leave(Chore::Dead(parcel, "it was started too often".to_owned()));
            }
            Settlement::Nack { after } if after.is_zero() => self.again(parcel),
            Settlement::Nack { after } => self.queue.leave(Chore::Again(parcel, due(after))),
            _ => self.queue.settled(),
        }
    }
}

impl LiveSettler {
    fn again(&self, parcel: Parcel) {
        match self.queue.put_back(parcel) {
            Ok(()) => self.queue.settled(),
            Err(parcel) => self.queue.leave(Chore::GiveBack(parcel)),
        }
    }
}

/// The task of one live subscription.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) shared: Arc<Shared>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) feed: Arc<Feed>,
    /// The group, for dead letters.
    pub(crate) group: Option<String>,
    pub(crate) later: Later,
}

impl Live {
    /// Does what is left to be done, until the subscriber has left and every delivery has come back.
    pub(crate) async fn run(mut self) {
        while !self.queue.has_ended() {
            tokio::select! {
                biased;
                () = self.queue.work.notified() => {}
                () = poll_fn(|cx| self.feed.poll_fetch(cx)), if self.feed.is_pumped() => {}
                () = self.later.wait() => {}
            }
            if !self.queue.has_ended() {
                self.feed.resume();
                self.do_chores().await;
            }
        }
        self.leave().await;
    }

    async fn do_chores(&mut self) {
        for chore in self.queue.chores() {
            match chore {
                Chore::Again(parcel, due) => {
                    if let Err(parcel) = self.later.add(parcel, due) {
                        let subject = &parcel.envelope.subject;
                        self.shared.wire.counters.delayed_dropped(subject.as_str());
                    }
                }
                Chore::Dead(parcel, reason) => self.bury(&parcel, &reason).await,
                Chore::GiveBack(parcel) => self.give_back(parcel).await,
                Chore::Done(_) => {}
            }
        }
        while let Some(parcel) = self.later.due_now() {
            if let Err(parcel) = self.queue.put_back(parcel) {
                self.give_back(parcel).await;
            }
        }
    }

    /// Writes a dead letter, if there is a place for it; a live subscription promises no more.
    async fn bury(&self, parcel: &Parcel, reason: &str) {
        let buried = self.shared.bury(parcel, self.group.as_deref(), reason).await;
        if let Err(error) = buried {
            tracing::warn!(%error, subject = %parcel.envelope.subject, reason, "a message that was given up is lost");
        }
    }

    /// Sends a command again that nobody here has started with; another instance gets it, or its caller hears that none is
    /// left.
    async fn give_back(&self, parcel: Parcel) {
        let mut envelope = Arc::unwrap_or_clone(parcel.envelope);
        if self.group.is_none() || !self.shared.wire.is_command(envelope.subject.as_str()) {
            self.shared.wire.counters.message_dropped(envelope.subject.as_str());
            return;
        }
        envelope.identity.attempt = envelope.identity.attempt.saturating_add(parcel.starts);
        restamp(&mut envelope, parcel.since);
        if let Err(error) = self.shared.send(&envelope).await {
            tracing::warn!(%error, "a command that nobody here has started with is lost");
        }
    }

    /// Ends the subscription at the server, and gives back what was still on its way.
    async fn unsubscribe(&self, mut subscriber: Subscriber) {
        let deadline = Instant::now() + LEAVE_MAX;
        let leaves = async { subscriber.unsubscribe_after(NEVER).await.is_ok() && self.shared.probe().await };
        let left = timeout_at(deadline, self.shared.link.while_connected(leaves)).await;
        let forgotten = timeout_at(deadline, subscriber.unsubscribe()).await;
        if !matches!((left, forgotten), (Ok(Some(true)), Ok(Ok(())))) {
            tracing::debug!("a live subscription ended without the server's word");
        }
        while let Ok(Some(message)) = timeout_at(deadline, subscriber.next()).await {
            if let Some(parcel) = self.shared.wire.decode(&message, self.feed.exact()) {
                self.give_back(parcel).await;
            }
        }
    }

    /// Leaves the server first, then gives back what had arrived, then waits for what is out.
    async fn leave(mut self) {
        if let Some(subscriber) = self.feed.end() {
            self.unsubscribe(subscriber).await;
        }
        for parcel in self.later.all() {
            self.give_back(parcel).await;
        }
        loop {
            self.do_chores().await;
            self.queue.chores_done();
            if self.queue.is_over() {
                break;
            }
            self.queue.work.notified().await;
        }
    }
}

/// Messages that wait for their delay to end, soonest first. They hold no place in the queue, which would stop for the
/// longest delay; so they have a bound of their own, and beyond it the newest is given up.
#[derive(Debug)]
pub(crate) struct Later {
    heap: BinaryHeap<Reverse<Entry>>,
    next: u64,
    most: usize,
}

#[derive(Debug)]
struct Entry {
    due: Instant,
    number: u64,
    parcel: Parcel,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.number) == (other.due, other.number)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

impl Later {
    /// As many as may wait for a subscriber that names no number, and no fewer than it may hold.
    pub(crate) fn new(subscription: &Subscription) -> Self {
        Self {
            heap: BinaryHeap::new(),
            next: 0,
            most: CAPACITY.max(subscription.window.get()),
        }
    }

    /// Lets a message wait; gives it back if there is no room.
    fn add(&mut self, parcel: Parcel, due: Instant) -> Result<(), Parcel> {
        if self.heap.len() >= self.most {
            return Err(parcel);
        }
        let number = self.next;
        self.next += 1;
        self.heap.push(Reverse(Entry { due, number, parcel }));
        Ok(())
    }

    /// Waits until something is due; for ever if nothing waits.
    async fn wait(&self) {
        match self.heap.peek() {
            Some(Reverse(first)) => sleep_until(first.due).await,
            None => std::future::pending().await,
        }
    }

    fn due_now(&mut self) -> Option<Parcel> {
        let is_due = self
            .heap
            .peek()
            .is_some_and(|Reverse(first)| first.due <= Instant::now());
        let entry = is_due.then(|| self.heap.pop()).flatten();
        entry.map(|Reverse(entry)| entry.parcel)
    }

    fn all(&mut self) -> Vec<Parcel> {
        self.heap.drain().map(|Reverse(entry)| entry.parcel).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use roadshow_bridges::{Envelope, Identity, Kind, MessageId, Namespace};

    #[tokio::test(start_paused = true)]
    async fn messages_with_a_delay_are_bounded_and_come_soonest_first() {
        let subject = Namespace::default().members_subject();
        let mut later = Later::new(&Subscription::new(subject.clone()));
        let identity = Identity::root(MessageId::from_u128(1));
        let parcel = Parcel::new(Arc::new(Envelope::new(Kind::Event, subject, identity, Bytes::new())));
        for after in (0..CAPACITY as u64).rev() {
            let mut parcel = parcel.clone();
            parcel.tag = after;
            assert!(later.add(parcel, due(Duration::from_millis(after))).is_ok());
        }
        assert!(later.add(parcel, due(Duration::ZERO)).is_err());
        assert_eq!(later.due_now().map(|parcel| parcel.tag), Some(0));
        assert!(later.due_now().is_none());
        later.wait().await;
        assert_eq!(later.due_now().map(|parcel| parcel.tag), Some(1));
        assert_eq!(later.all().len(), CAPACITY - 2);
    }
}
