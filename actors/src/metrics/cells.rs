//! The memory that measurements are written to.
//!
//! A counter is one cell of 64 bits, a histogram or the measurements of an endpoint a block of neighbouring cells. Cells
//! live on *pages*, and a page exists once per thread slot: each thread writes its own copy, and a value is the sum over
//! all copies, taken when somebody asks. The copy of a thread is allocated when that thread first writes to that
//! page, so an idle node pays for the table of a page (about 1 KiB for [`PAGE_CELLS`] cells) and for nothing
//! else, and cells of one thread lie close together without padding between them.
//!
//! Cells are never given back one by one: a series that existed keeps its value for the life of its node, as a counter
//! must. How many there may be is limited where series are admitted (`names`), not here.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crossbeam_utils::CachePadded;

use super::thread_slot::{OVERFLOW, SLOTS, ThreadSlot};

/// How many cells a page holds: 4 KiB for each thread that writes to it.
pub(crate) const PAGE_CELLS: usize = 512;

/// Cells per cache line; blocks begin on one.
const LINE_CELLS: usize = 8;

type PageCopy = Box<CachePadded<[AtomicU64; PAGE_CELLS]>>;

/// A page of cells, one copy per thread slot.
struct Page {
    copies: [OnceLock<PageCopy>; SLOTS],
    /// Serialises the rare writers that must see a sum before they add to it.
    settle: Mutex<()>,
}

impl Page {
    fn new() -> Self {
        Self {
            copies: [const { OnceLock::new() }; SLOTS],
            settle: Mutex::new(()),
        }
    }

    #[inline]
    fn copy(&self, slot: usize) -> &[AtomicU64; PAGE_CELLS] {
        match self.copies[slot].get() {
            Some(copy) => copy,
            None => self.allocate(slot),
        }
    }

    #[cold]
    fn allocate(&self, slot: usize) -> &[AtomicU64; PAGE_CELLS] {
        self.copies[slot].get_or_init(|| Box::new(CachePadded::new([const { AtomicU64::new(0) }; PAGE_CELLS])))
    }
}

/// Hands out cells; one per node. Cloning gives another handle to the same pages.
#[derive(Clone)]
pub struct Cells(Arc<Mutex<Filling>>);

/// The page that is being filled.
struct Filling {
    page: Arc<Page>,
    used: usize,
}

impl Cells {
    /// Creates an empty set of pages.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Filling {
            page: Arc::new(Page::new()),
            used: 0,
        })))
    }

    /// Hands out a block of `len` neighbouring cells, all zero. A block of a cache line or more begins on a line.
    ///
    /// # Panics
    ///
    /// Panics when `len` is more than a page holds.
    pub(crate) fn block(&self, len: usize) -> Block {
        assert!(len <= PAGE_CELLS, "a block of cells must fit on one page");
        let mut filling = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let aligned = if len >= LINE_CELLS {
            filling.used.next_multiple_of(LINE_CELLS)
        } else {
            filling.used
        };
        let begin = if aligned + len <= PAGE_CELLS {
            aligned
        } else {
            filling.page = Arc::new(Page::new());
            0
        };
        filling.used = begin + len;
        Block {
            page: Arc::clone(&filling.page),
            begin,
            end: begin + len,
        }
    }
}

impl Default for Cells {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cells").finish_non_exhaustive()
    }
}

/// Some neighbouring cells of a page.
#[derive(Clone)]
pub(crate) struct Block {
    page: Arc<Page>,
    begin: usize,
    end: usize,
}

impl Block {
    /// Returns the calling thread's copy of this block, to be written to.
    #[inline]
    pub(crate) fn shard(&self) -> Shard<'_> {
        match ThreadSlot::current() {
            ThreadSlot::Exclusive(slot) => Shard {
                cells: self.copy(slot),
                exclusive: true,
            },
            ThreadSlot::Shared => self.shared_shard(),
        }
    }

    /// Sums the cell at `at` over all threads. Concurrent writes may or may not be contained; the sum wraps around.
    pub(crate) fn sum(&self, at: usize) -> u64 {
        self.written(at).fold(0, u64::wrapping_add)
    }

    /// Sums the cell at `at`, which holds the bits of an `f64`, over all threads.
    pub(crate) fn sum_f64(&self, at: usize) -> f64 {
        self.written(at).map(f64::from_bits).sum()
    }

    /// Sums each cell of `range` over all threads.
    pub(crate) fn sums(&self, range: Range<usize>) -> Vec<u64> {
        range.map(|at| self.sum(at)).collect()
    }

    /// Raises the cell at `at` to at least `value`; calls on the same page take turns.
    pub(crate) fn raise(&self, at: usize, value: u64) {
        let turn = self.page.settle.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = value.saturating_sub(self.sum(at));
        if missing > 0 {
            // The shared copy, because the own one may only be written by plain stores of its owner.
            self.copy(OVERFLOW)[at].fetch_add(missing, Ordering::Relaxed);
        }
        drop(turn);
    }

    #[cold]
    fn shared_shard(&self) -> Shard<'_> {
        Shard {
            cells: self.copy(OVERFLOW),
            exclusive: false,
        }
    }

    #[inline]
    fn copy(&self, slot: usize) -> &[AtomicU64] {
        &self.page.copy(slot)[self.begin..self.end]
    }

    fn written(&self, at: usize) -> impl Iterator<Item = u64> + '_ {
        let at = self.begin + at;
        debug_assert!(at < self.end, "the cell belongs to this block");
        self.page
            .copies
            .iter()
            .filter_map(OnceLock::get)
            .map(move |copy| copy[at].load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Block").field(&(self.begin..self.end)).finish()
    }
}

/// One thread's copy of a block. Not `Send` in spirit: it is taken, written to and dropped in one go.
pub(crate) struct Shard<'a> {
    cells: &'a [AtomicU64],
    exclusive: bool,
}

impl Shard<'_> {
    /// Adds `n` to the cell at `at`, wrapping around.
    #[inline]
    pub(crate) fn add(&self, at: usize, n: u64) {
        let cell = &self.cells[at];
        if self.exclusive {
            cell.store(cell.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
        } else {
            cell.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Adds `n` to the cell at `at`, which holds the bits of an `f64`.
    #[inline]
    pub(crate) fn add_f64(&self, at: usize, n: f64) {
        let cell = &self.cells[at];
        let added = |bits: u64| (f64::from_bits(bits) + n).to_bits();
        if self.exclusive {
            cell.store(added(cell.load(Ordering::Relaxed)), Ordering::Relaxed);
            return;
        }
        let mut bits = cell.load(Ordering::Relaxed);
        while let Err(now) = cell.compare_exchange_weak(bits, added(bits), Ordering::Relaxed, Ordering::Relaxed) {
            bits = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn blocks_do_not_overlap_and_wide_ones_begin_on_a_line() {
        let cells = Cells::new();
        let single = cells.block(1);
        let wide = cells.block(24);
        assert_eq!((single.begin, single.end), (0, 1));
        assert_eq!((wide.begin, wide.end), (8, 32));
        let full = cells.block(PAGE_CELLS);
        assert!(
            !Arc::ptr_eq(&full.page, &wide.page),
            "what does not fit begins a page of its own"
        );
        assert_eq!((full.begin, full.end), (0, PAGE_CELLS));
    }

    #[test]
    fn nothing_is_allocated_for_a_thread_that_does_not_write() {
        let block = Cells::new().block(4);
        assert_eq!(block.sum(0), 0);
        assert!(block.page.copies.iter().all(|copy| copy.get().is_none()));
        block.shard().add(0, 1);
        assert_eq!(block.page.copies.iter().filter(|copy| copy.get().is_some()).count(), 1);
    }

    #[test]
    fn more_threads_than_slots_lose_nothing() {
        const THREADS: u64 = 80;
        let block = Cells::new().block(2);
        let begin = std::sync::Barrier::new(THREADS as usize);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let _ = ThreadSlot::current();
                    begin.wait();
                    for _ in 0..1_000 {
                        block.shard().add(0, 1);
                        block.shard().add_f64(1, 0.5);
                    }
                });
            }
        });
        assert_eq!(block.sum(0), THREADS * 1_000);
        assert!((block.sum_f64(1) - 500.0 * THREADS as f64).abs() < 1e-6);
    }

    #[test]
    fn raising_never_lowers_and_keeps_what_was_added_before() {
        let block = Cells::new().block(1);
        block.shard().add(0, 7);
        block.raise(0, 5);
        assert_eq!(block.sum(0), 7);
        block.raise(0, 10);
        block.shard().add(0, 1);
        assert_eq!(block.sum(0), 11);
    }
}
