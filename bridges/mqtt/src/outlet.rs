//! The outlet: what groups hand to the keeper's task, which alone talks to the broker on their behalf.
//!
//! Settling must not wait, so everything that needs the network is written down here and done there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::group::{Group, Item};
use crate::lock;
use crate::marks::{Mark, MarkBook};
use crate::wire::Counters;

/// The most jobs that wait.
pub(crate) const JOBS_MAX: usize = 65_536;
/// The most messages whose delay is running.
const DELAYED_MAX: usize = 65_536;

/// What a group cannot do itself.
#[derive(Debug)]
pub(crate) enum Job {
    /// Its last member has left: end its subscriptions, then give back what waits.
    Leave(Arc<Group>, Leaving),
    /// Somebody else of the group shall have the message.
    GiveBack { group: Arc<str>, item: Item },
    /// It can never be done.
    Dead {
        name: Option<Arc<str>>,
        /// The group here that has to know when the letter is written.
        group: Option<Arc<Group>>,
        item: Item,
        reason: String,
    },
}

/// What groups hand over.
#[derive(Debug)]
pub(crate) struct Outlet {
    pub(crate) marks: MarkBook,
    /// Whether acknowledgements wait for others to go with.
    pub(crate) acks_wait: AtomicBool,
    pub(crate) counters: Arc<Counters>,
    jobs: Mutex<Jobs>,
    delayed: Mutex<Delayed>,
    /// Wakes the keeper.
    pub(crate) wake: Notify,
    /// Told when the last delivery of a group that has ended is settled.
    pub(crate) drained: Notify,
    /// How many groups wait to leave, or are leaving.
    leaving: watch::Sender<usize>,
    is_shut: AtomicBool,
}

#[derive(Debug, Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    /// How many are being done.
    doing: usize,
}

/// A group that waits to leave, or is leaving, for as long as this is kept.
#[derive(Debug)]
pub(crate) struct Leaving(Arc<Outlet>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.leaving.send_modify(|count| *count = count.saturating_sub(1));
    }
}

#[derive(Debug, Default)]
struct Delayed {
    next: u64,
    items: BTreeMap<(Instant, u64), (Arc<Group>, Item)>,
}

impl Outlet {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self {
            marks: MarkBook::default(),
            acks_wait: AtomicBool::new(false),
            counters,
            jobs: Mutex::default(),
            delayed: Mutex::default(),
            wake: Notify::new(),
            drained: Notify::new(),
            leaving: watch::Sender::new(0),
            is_shut: AtomicBool::new(false),
        }
    }

    /// Tells an outbox what became of its message.
    pub(crate) fn mark(&self, outbox: u128, group: &Arc<str>, mark: Mark) {
        if self.marks.add(outbox, group, mark) {
            self.wake.notify_one();
        }
    }

    /// Says that an acknowledgement waits for others to go with.
    pub(crate) fn ack_later(&self) {
        if !self.acks_wait.swap(true, Ordering::SeqCst) {
            self.wake.notify_one();
        }
    }

    /// Hands over a job.
    pub(crate) fn job(&self, job: Job) {
        if self.is_shut.load(Ordering::SeqCst) {
            return;
        }
        let mut jobs = lock(&self.jobs);
        let refused = if jobs.waiting.len() < JOBS_MAX || matches!(job, Job::Leave(..)) {
            jobs.waiting.push_back(job);
            None
        } else {
            Some(job)
        };
        drop(jobs);
        if let Some(job) = refused {
            Counters::count(&self.counters.slow);
            tracing::warn!("too many messages wait to be given back or dead-lettered, one is dropped");
            if let Job::Dead {
                group: Some(group),
                item,
                ..
            } = job
            {
                group.let_go(item.envelope.identity.id);
            }
        }
        self.wake.notify_one();
    }

    /// The next job. It counts as being done until [`Outlet::job_done`].
    pub(crate) fn next_job(&self) -> Option<Job> {
        let mut jobs = lock(&self.jobs);
        let job = jobs.waiting.pop_front();
        jobs.doing += usize::from(job.is_some());
        job
    }

    /// Begins with something that is no job and has to be done before the end all the same.
    pub(crate) fn begin(&self) {
        lock(&self.jobs).doing += 1;
    }

    /// Something that was begun is done.
    pub(crate) fn job_done(&self) {
        let mut jobs = lock(&self.jobs);
        jobs.doing = jobs.doing.saturating_sub(1);
    }

    /// Whether no job waits.
    pub(crate) fn has_no_job(&self) -> bool {
        lock(&self.jobs).waiting.is_empty()
    }

    /// Whether nothing is left to be done or told. Each asks for what comes before the next: who leaves gives back, and who
    /// gives back tells.
    pub(crate) fn is_idle(&self) -> bool {
        if *self.leaving.borrow() > 0 {
            return false;
        }
        let jobs = lock(&self.jobs);
        jobs.waiting.is_empty() && jobs.doing == 0 && self.marks.is_empty()
    }

    /// Says that a group is going to leave.
    pub(crate) fn leaving(self: &Arc<Self>) -> Leaving {
        // Nobody waits for more, so nobody is woken.
        self.leaving.send_if_modified(|count| {
            *count += 1;
            false
        });
        Leaving(Arc::clone(self))
    }

    /// Hears of every group that has left from now on.
    pub(crate) fn departures(&self) -> watch::Receiver<usize> {
        self.leaving.subscribe()
    }

    /// Takes no more jobs and forgets those that wait: nobody is left to do them.
    pub(crate) fn shut(&self) {
        self.is_shut.store(true, Ordering::SeqCst);
        let jobs = std::mem::take(&mut lock(&self.jobs).waiting);
        let delayed = std::mem::take(&mut lock(&self.delayed).items);
        // They hold groups, which hold this: not under the locks.
        drop((jobs, delayed));
    }

    /// Brings a message back to its group later; gives it back at once if too many wait.
    pub(crate) fn delay(&self, due: Instant, group: &Arc<Group>, item: Item) -> Option<Item> {
        let mut delayed = lock(&self.delayed);
        if delayed.items.len() >= DELAYED_MAX || self.is_shut.load(Ordering::SeqCst) {
            return Some(item);
        }
        let number = delayed.next;
        delayed.next += 1;
        delayed.items.insert((due, number), (Arc::clone(group), item));
        drop(delayed);
        self.wake.notify_one();
        None
    }

    /// When the next delay ends.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        lock(&self.delayed).items.first_key_value().map(|((due, _), _)| *due)
    }

    /// The messages whose delay has ended.
    pub(crate) fn due(&self, now: Instant) -> Vec<(Arc<Group>, Item)> {
        let mut delayed = lock(&self.delayed);
        let mut due = Vec::new();
        while let Some(first) = delayed.items.first_entry() {
            if first.key().0 > now {
                break;
            }
            due.push(first.remove());
        }
        due
    }

    /// Every message whose delay is running, of a group that ends.
    pub(crate) fn undelay(&self, group: &Arc<Group>) -> Vec<Item> {
        let mut delayed = lock(&self.delayed);
        let mut kept = BTreeMap::new();
        let mut out = Vec::new();
        for (key, (owner, item)) in std::mem::take(&mut delayed.items) {
            if Arc::ptr_eq(&owner, group) {
                out.push(item);
            } else {
                kept.insert(key, (owner, item));
            }
        }
        delayed.items = kept;
        out
    }
}
