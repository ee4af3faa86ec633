//! A seat: one subscriber's place in a group. It counts what the subscriber holds, and settles it.
//!
//! Acknowledging is one atomic subtraction. Only what is not done takes the group's lock again.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::bus::Bus;
use super::group::{Group, Item};
use crate::delivery::{Parcel, Settlement, Settler};

/// The longest delay of a nack; a longer one is shortened to this.
pub(super) const DELAY_MAX: Duration = Duration::from_secs(24 * 3600);

pub(super) struct Seat {
    pub(super) id: u64,
    pub(super) group: Arc<Group>,
    pub(super) window: usize,
    bus: Weak<Bus>,
    /// What was taken from the group and is not settled.
    outstanding: AtomicUsize,
    /// Set while the subscriber waits for its window to open.
    blocked: AtomicBool,
    waker: AtomicWaker,
    closed: AtomicBool,
    left: AtomicBool,
    /// Told when the last delivery of a closed seat is settled.
    drained: Notify,
}

impl Seat {
    pub(super) fn new(id: u64, group: Arc<Group>, window: usize, bus: Weak<Bus>) -> Self {
        Self {
            id,
            group,
            window,
            bus,
            outstanding: AtomicUsize::new(0),
            blocked: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            closed: AtomicBool::new(false),
            left: AtomicBool::new(false),
            drained: Notify::new(),
        }
    }

    /// How many more messages may be taken.
    pub(super) fn room(&self) -> usize {
        self.window.saturating_sub(self.outstanding.load(Ordering::SeqCst))
    }

    /// Counts what was taken from the group.
    pub(super) fn took(&self, count: usize) {
        self.outstanding.fetch_add(count, Ordering::SeqCst);
    }

    /// Waits for the window to open; `false` if it has opened meanwhile.
    pub(super) fn block(&self, waker: &std::task::Waker) -> bool {
        self.waker.register(waker);
        self.blocked.store(true, Ordering::SeqCst);
        self.room() == 0 && !self.is_closed()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Whether this is the first time that the seat is left.
    pub(super) fn leave_once(&self) -> bool {
        !self.left.swap(true, Ordering::SeqCst)
    }

    /// Ends the intake. The seat is closed before the group's lock is taken to leave it: a subscriber that asks under
    /// that lock either sees it closed, or is in line and is woken by the leaving.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    /// Waits until nothing of this seat is out. May be dropped at any point.
    pub(super) async fn wait_drained(&self) {
        while self.outstanding.load(Ordering::SeqCst) > 0 {
            self.drained.notified().await;
        }
    }

    /// Counts what was settled or given back.
    pub(super) fn release(&self, count: usize) {
        if count == 0 {
            return;
        }
        let before = self.outstanding.fetch_sub(count, Ordering::SeqCst);
        if self.blocked.load(Ordering::SeqCst) && self.blocked.swap(false, Ordering::SeqCst) {
            self.waker.wake();
        }
        if before == count && self.is_closed() {
            self.drained.notify_one();
        }
    }

    fn not_done(&self, parcel: Parcel, after: Duration) {
        let Some(bus) = self.bus.upgrade() else { return };
        let starts_max = self.group.rules.starts_max;
        if parcel.begun && parcel.starts >= starts_max {
            let reason = format!("gave up after {} starts", parcel.starts);
            bus.dead
                .add(parcel.envelope, self.group.key.name.clone(), parcel.starts, &reason);
            return;
        }
        let item = Item::new(parcel.envelope, parcel.starts, parcel.since);
        let kept = if after.is_zero() {
            self.group.give_back(item, !parcel.begun)
        } else {
            let kept = self.group.delay(&item);
            if kept {
                bus.timer
                    .add(Instant::now() + after.min(DELAY_MAX), Arc::clone(&self.group), item);
            }
            kept
        };
        if !kept {
            bus.count_lost(1);
        }
    }

    fn reject(&self, parcel: Parcel, reason: &str) {
        if let Some(bus) = self.bus.upgrade() {
            bus.dead
                .add(parcel.envelope, self.group.key.name.clone(), parcel.starts, reason);
        }
    }
}

impl Settler for Seat {
    fn settle(&self, parcel: Parcel, settlement: Settlement<'_>) {
        match settlement {
            Settlement::Ack => drop(parcel),
            Settlement::Nack { after } => self.not_done(parcel, after),
            Settlement::Reject { reason } => self.reject(parcel, reason),
        }
        self.release(1);
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat")
            .field("id", &self.id)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}
