//! A small number for the current operating-system thread.
//!
//! Metrics are kept in shards, one per thread, so that two cores never write the same cache line. Which shard a thread
//! writes is its *slot*: one of [`EXCLUSIVE`] numbers that no other living thread holds, or, when all are taken, the
//! one [`OVERFLOW`] slot that any number of threads share. While a slot is held exclusively its owner may bump a cell
//! by a plain load and store, because nobody else writes there: no locked instruction, and no cache line that two
//! cores pull back and forth. In the overflow slot only atomic additions are right.
//!
//! The table of taken slots and the thread-local number are the only process-wide things in this crate, and they are
//! not state of a node: like a thread id they say *who* is running and hold nothing that was measured. Two nodes in one
//! process use the same slot numbers to index cells of their own and cannot observe each other through them.
//!
//! A thread takes its slot at its first measurement and gives it back when it ends. Giving back is a release and taking
//! an acquire, so the next owner sees every store of the previous one. A thread that got the overflow slot keeps it:
//! trying again at every measurement would cost more than it could save.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many threads can hold a slot of their own at the same time.
pub const EXCLUSIVE: usize = u64::BITS as usize;

/// The slot that all further threads share.
pub const OVERFLOW: usize = EXCLUSIVE;

/// How many slots there are, the shared one included.
pub const SLOTS: usize = EXCLUSIVE + 1;

const UNASSIGNED: usize = usize::MAX;

static TAKEN: SlotTable = SlotTable::new();

thread_local! {
    // Without a destructor, so that reading it is one load and stays possible while the thread is ending.
    static CURRENT: Cell<usize> = const { Cell::new(UNASSIGNED) };
    static LEASE: Cell<Option<Lease>> = const { Cell::new(None) };
}

/// The slot of a thread: its own, or the one that is shared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ThreadSlot {
    /// No other living thread holds this index, which is below [`EXCLUSIVE`].
    Exclusive(usize),
    /// Shared with other threads; its index is [`OVERFLOW`].
    Shared,
}

impl ThreadSlot {
    /// Returns the slot of the calling thread, taking one at the first call.
    #[inline]
    #[must_use]
    pub fn current() -> Self {
        let index = CURRENT.with(Cell::get);
        if index < EXCLUSIVE {
            Self::Exclusive(index)
        } else {
            Self::shared_or_assign(index)
        }
    }

    /// Returns the index of the shard that belongs to this slot, below [`SLOTS`].
    #[inline]
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Exclusive(index) => index,
            Self::Shared => OVERFLOW,
        }
    }

    #[cold]
    fn shared_or_assign(index: usize) -> Self {
        if index == OVERFLOW {
            return Self::Shared;
        }
        let Some(taken) = TAKEN.take() else {
            CURRENT.with(|current| current.set(OVERFLOW));
            return Self::Shared;
        };
        let lease = Lease(taken);
        // A thread whose destructors already ran cannot give a slot back later: the closure, and with it the lease, is
        // dropped unused, and the thread shares for the rest of its life.
        let leased = LEASE.try_with(move |slot| slot.set(Some(lease))).is_ok();
        let index = if leased { taken } else { OVERFLOW };
        CURRENT.with(|current| current.set(index));
        if leased { Self::Exclusive(taken) } else { Self::Shared }
    }
}

/// Gives a slot back when the thread that holds it ends.
#[derive(Debug)]
struct Lease(usize);

impl Drop for Lease {
    fn drop(&mut self) {
        // Destructors that run after this one may still record something: they share from here on.
        CURRENT.with(|current| current.set(OVERFLOW));
        TAKEN.give_back(self.0);
    }
}

/// Which exclusive slots are held; bit `n` is slot `n`.
#[derive(Debug)]
struct SlotTable(AtomicU64);

impl SlotTable {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Takes the lowest free slot, so that few threads touch few shards.
    fn take(&self) -> Option<usize> {
        let mut taken = self.0.load(Ordering::Relaxed);
        loop {
            let free = (!taken).trailing_zeros();
            if free == u64::BITS {
                return None;
            }
            let wanted = taken | (1 << free);
            match self
                .0
                .compare_exchange_weak(taken, wanted, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return Some(free as usize),
                Err(now) => taken = now,
            }
        }
    }

    fn give_back(&self, slot: usize) {
        self.0.fetch_and(!(1 << slot), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, Mutex};
    use std::thread;

    use super::*;

    #[test]
    fn a_table_hands_out_every_slot_once_and_then_refuses() {
        let table = SlotTable::new();
        let slots: Vec<_> = std::iter::from_fn(|| table.take()).collect();
        assert_eq!(slots, (0..EXCLUSIVE).collect::<Vec<_>>());
        table.give_back(17);
        assert_eq!(table.take(), Some(17));
        assert_eq!(table.take(), None);
    }

    #[test]
    fn a_thread_keeps_its_slot() {
        assert_eq!(ThreadSlot::current(), ThreadSlot::current());
    }

    #[test]
    fn living_threads_never_share_an_exclusive_slot() {
        const THREADS: usize = EXCLUSIVE + 8;
        let all_have_one = Barrier::new(THREADS);
        let seen = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let slot = ThreadSlot::current();
                    seen.lock().expect("no thread panics").push(slot);
                    all_have_one.wait();
                });
            }
        });
        let seen = seen.into_inner().expect("no thread panics");
        let mut exclusive: Vec<_> = seen
            .iter()
            .filter(|slot| **slot != ThreadSlot::Shared)
            .map(|slot| slot.index())
            .collect();
        let held = exclusive.len();
        exclusive.sort_unstable();
        exclusive.dedup();
        assert_eq!(exclusive.len(), held, "two threads held one slot at the same time");
        assert!(seen.contains(&ThreadSlot::Shared), "more threads than slots must share");
    }

    #[test]
    fn a_slot_is_used_again_after_its_thread_ended() {
        // Far more threads than slots, one after the other: without giving back, most would have to share.
        for _ in 0..EXCLUSIVE * 2 {
            let slot = thread::spawn(ThreadSlot::current)
                .join()
                .expect("the thread does not panic");
            if slot == ThreadSlot::Shared {
                // Another test of this process may hold all slots for a moment; nextest gives each its own process.
                continue;
            }
            assert!(slot.index() < EXCLUSIVE);
        }
        assert!(TAKEN.take().is_some_and(|slot| {
            TAKEN.give_back(slot);
            true
        }));
    }
}
