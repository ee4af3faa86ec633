//! Counters and gauges.
//!
//! A counter is bumped all the time and read when scraped, so it is one cell per thread and its value a sum. A gauge is
//! set, and the last value wins; that has no meaning per thread, so a gauge is one shared word on a cache line of its own.
//! What changes on every call (calls in flight, callers waiting) should be no gauge at all: the place that counts them
//! anyway is read by a collector when scraped.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use metrics::{CounterFn, GaugeFn};

use super::cells::{Block, Cells};

/// A number that only grows, written by many threads without contention. A clone is another handle to it.
#[derive(Clone, Debug)]
pub struct ShardedCounter(Block);

impl ShardedCounter {
    /// Creates a counter at zero in the given cells.
    #[must_use]
    pub fn new(cells: &Cells) -> Self {
        Self(cells.block(1))
    }

    /// Adds one.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `n`; the sum wraps around at 2⁶⁴.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.shard().add(0, n);
    }

    /// Returns what was added on all threads. Additions that run at the same time may or may not be contained.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.sum(0)
    }
}

impl CounterFn for ShardedCounter {
    fn increment(&self, value: u64) {
        self.add(value);
    }

    fn absolute(&self, value: u64) {
        self.0.raise(0, value);
    }
}

/// A number that goes up and down; the last write wins.
#[derive(Debug, Default)]
pub struct SharedGauge(CachePadded<AtomicU64>);

impl SharedGauge {
    /// Creates a gauge at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the current value.
    #[must_use]
    pub fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

impl GaugeFn for SharedGauge {
    fn increment(&self, value: f64) {
        GaugeFn::increment(&*self.0, value);
    }

    fn decrement(&self, value: f64) {
        GaugeFn::decrement(&*self.0, value);
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_counts_and_its_clone_is_the_same_counter() {
        let counter = ShardedCounter::new(&Cells::new());
        let clone = counter.clone();
        counter.increment();
        clone.add(41);
        assert_eq!(counter.value(), 42);
    }

    #[test]
    fn an_absolute_value_is_a_lower_bound() {
        let counter = ShardedCounter::new(&Cells::new());
        counter.absolute(10);
        counter.absolute(4);
        CounterFn::increment(&counter, 1);
        assert_eq!(counter.value(), 11);
    }

    #[test]
    fn a_gauge_moves_both_ways_and_can_be_set() {
        let gauge = SharedGauge::new();
        gauge.increment(2.5);
        gauge.decrement(1.0);
        assert_eq!(gauge.value(), 1.5);
        gauge.set(-3.0);
        assert_eq!(gauge.value(), -3.0);
    }
}
