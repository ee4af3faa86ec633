//! The inbox: where replies, frames and credits for this node arrive, and who in the node waits for each.
//!
//! Whoever asks something of another node opens a place, whose address nobody can guess, and gives it as the reply address.
//! The exchange hands in what arrives. A place ends with the one who opened it, so the map is bounded by what is in
//! flight; what arrives for a place that is gone is late: it is counted and dropped, and no other caller sees it.

use std::fmt;
use std::sync::{Arc, Mutex};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use roadshow_bridges::Delivery;
use tokio::sync::{mpsc, oneshot};

use crate::metrics::ShardedCounter;
use crate::sync::lock_std;

const SHARDS: usize = 16;

/// Who waits at a place.
#[derive(Debug)]
enum Waiter {
    /// A call: the first message is its answer.
    Call(oneshot::Sender<Delivery>),
    /// One side of a stream.
    Flow(mpsc::Sender<Delivery>),
}

/// Who waits, and whether nobody may wait any more.
#[derive(Debug, Default)]
struct Places {
    waiting: HashMap<u128, Waiter>,
    closed: bool,
}

type Shard = Mutex<Places>;

/// Where replies, frames and credits for this node arrive.
pub struct Inbox {
    shards: Arc<[Shard; SHARDS]>,
    late: ShardedCounter,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("open", &self.len())
            .finish_non_exhaustive()
    }
}

/// A place in the inbox, until it is dropped.
#[derive(Debug)]
#[must_use = "a dropped place hears nothing any more"]
pub struct InboxPlace {
    shards: Arc<[Shard; SHARDS]>,
    call: u128,
}

impl InboxPlace {
    /// The number of the call or stream that the place belongs to.
    #[must_use]
    pub fn call(&self) -> u128 {
        self.call
    }
}

impl Drop for InboxPlace {
    fn drop(&mut self) {
        let waiter = lock_std(shard(&self.shards, self.call)).waiting.remove(&self.call);
        // What waits in a stream's room is dropped when the lock is free again.
        drop(waiter);
    }
}

fn shard(shards: &[Shard; SHARDS], call: u128) -> &Shard {
    &shards[(call % SHARDS as u128) as usize]
}

impl Inbox {
    pub(crate) fn new(late: ShardedCounter) -> Self {
        Inbox {
            shards: Arc::default(),
            late,
        }
    }

    /// Opens a place for one answer.
    pub fn open_call(&self) -> (InboxPlace, oneshot::Receiver<Delivery>) {
        let (sender, answer) = oneshot::channel();
        (self.open(Waiter::Call(sender)), answer)
    }

    /// Opens a place for one side of a stream, with room for `capacity` messages.
    pub fn open_flow(&self, capacity: usize) -> (InboxPlace, mpsc::Receiver<Delivery>) {
        let (sender, messages) = mpsc::channel(capacity.max(1));
        (self.open(Waiter::Flow(sender)), messages)
    }

    fn open(&self, waiter: Waiter) -> InboxPlace {
        let call: u128 = rand::random();
        let mut places = lock_std(shard(&self.shards, call));
        if !places.closed {
            places.waiting.insert(call, waiter);
        }
        drop(places);
        InboxPlace {
            shards: Arc::clone(&self.shards),
            call,
        }
    }

    /// Hands a message to whoever waits for it. A stream without room for it loses it: its other side sent more than it
    /// was allowed, and the gap ends the stream.
    pub fn deliver(&self, call: u128, delivery: Delivery) {
        let mut places = lock_std(shard(&self.shards, call));
        let undelivered = match places.waiting.entry(call) {
            Entry::Vacant(_) => Some(delivery),
            Entry::Occupied(place) => match place.get() {
                Waiter::Flow(sender) => sender.try_send(delivery).err().map(|error| match error {
                    mpsc::error::TrySendError::Full(delivery) | mpsc::error::TrySendError::Closed(delivery) => delivery,
                }),
                Waiter::Call(_) => match place.remove() {
                    Waiter::Call(sender) => sender.send(delivery).err(),
                    Waiter::Flow(_) => None,
                },
            },
        };
        drop(places);
        if let Some(delivery) = undelivered {
            self.late.increment();
            delivery.ack();
        }
    }

    /// Tells everybody who waits, and whoever opens a place later, that nothing will come any more.
    pub fn close(&self) {
        for shard in &*self.shards {
            let waiting = {
                let mut places = lock_std(shard);
                places.closed = true;
                std::mem::take(&mut places.waiting)
            };
            drop(waiting);
        }
    }

    /// How many calls and streams wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock_std(shard).waiting.len()).sum()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
