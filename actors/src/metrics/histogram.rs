//! Histograms with fixed buckets.
//!
//! [`ShardedHistogram`] is for times and takes whole nanoseconds; it is what the runtime measures with.
//! [`ValueHistogram`] takes any `f64` and the bounds its user chose; it backs the handles of the `metrics` facade. Both
//! hold one counter per bucket and a sum, once per thread; the number of values is the sum over the buckets, so a count
//! and its buckets can never disagree in one reading. Quantiles are left to who reads the page.

use metrics::HistogramFn;

use super::buckets::{Bounds, LADDER_BUCKETS, ladder_bucket};
use super::cells::{Block, Cells};

const SUM: usize = 0;
const BUCKETS: usize = 1;

/// What a histogram held at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSnapshot {
    bounds: Bounds,
    counts: Vec<u64>,
    sum: f64,
}

impl HistogramSnapshot {
    /// Puts a reading together: `counts` holds one number per bound and one for what is above them all; missing ones
    /// are taken as zero, further ones dropped.
    #[must_use]
    pub fn new(bounds: Bounds, mut counts: Vec<u64>, sum: f64) -> Self {
        counts.resize(bounds.as_slice().len() + 1, 0);
        Self { bounds, counts, sum }
    }

    /// Puts a reading of times together from counts on the ladder and a sum in nanoseconds.
    pub(crate) fn of_times(counts: Vec<u64>, sum_ns: u64) -> Self {
        Self::new(Bounds::seconds(), counts, sum_ns as f64 / 1e9)
    }

    /// Returns the upper bounds.
    #[must_use]
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Returns how many values fell into each bucket, not cumulated; the last is what was above all bounds.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Returns how many values were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().copied().fold(0, u64::wrapping_add)
    }

    /// Returns the sum of the values, in the unit of the bounds.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Adds another reading, if it has the same bounds; otherwise takes its place.
    pub(crate) fn merge(&mut self, other: Self) {
        if self.bounds != other.bounds {
            *self = other;
            return;
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.wrapping_add(*more);
        }
        self.sum += other.sum;
    }
}

/// A histogram of times on the common ladder from 1 µs to 30 s. A clone is another handle to it.
#[derive(Clone, Debug)]
pub struct ShardedHistogram(Block);

impl ShardedHistogram {
    /// Creates an empty histogram in the given cells.
    #[must_use]
    pub fn new(cells: &Cells) -> Self {
        Self(cells.block(BUCKETS + LADDER_BUCKETS))
    }

    /// Records a time in nanoseconds.
    #[inline]
    pub fn record_ns(&self, ns: u64) {
        let shard = self.0.shard();
        shard.add(SUM, ns);
        shard.add(BUCKETS + ladder_bucket(ns), 1);
    }

    /// Sums up what all threads recorded; the sum is in seconds.
    #[must_use]
    pub fn snapshot(&self) -> HistogramSnapshot {
        let counts = self.0.sums(BUCKETS..BUCKETS + LADDER_BUCKETS);
        HistogramSnapshot::of_times(counts, self.0.sum(SUM))
    }
}

/// A histogram of any numbers, with bounds chosen by its user. A clone is another handle to it.
#[derive(Clone, Debug)]
pub struct ValueHistogram {
    block: Block,
    bounds: Bounds,
}

impl ValueHistogram {
    /// Creates an empty histogram in the given cells.
    #[must_use]
    pub fn new(cells: &Cells, bounds: &Bounds) -> Self {
        let buckets = bounds.as_slice().len() + 1;
        Self {
            block: cells.block(BUCKETS + buckets),
            bounds: bounds.clone(),
        }
    }

    /// Sums up what all threads recorded.
    #[must_use]
    pub fn snapshot(&self) -> HistogramSnapshot {
        let buckets = self.bounds.as_slice().len() + 1;
        let counts = self.block.sums(BUCKETS..BUCKETS + buckets);
        HistogramSnapshot::new(self.bounds.clone(), counts, self.block.sum_f64(SUM))
    }
}

impl HistogramFn for ValueHistogram {
    fn record(&self, value: f64) {
        self.record_many(value, 1);
    }

    /// Numbers that are not finite are not recorded: one of them would make the sum useless for ever.
    fn record_many(&self, value: f64, count: usize) {
        if !value.is_finite() || count == 0 {
            return;
        }
        let shard = self.block.shard();
        shard.add_f64(SUM, value * count as f64);
        shard.add(BUCKETS + self.bounds.bucket(value), count as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_fall_into_their_buckets_and_add_up_in_seconds() {
        let histogram = ShardedHistogram::new(&Cells::new());
        for ns in [0, 1_000, 1_001, 40_000_000_000] {
            histogram.record_ns(ns);
        }
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.count(), 4);
        assert_eq!(snapshot.counts()[..2], [2, 1]);
        assert_eq!(snapshot.counts().last(), Some(&1));
        assert!((snapshot.sum() - 40.000_002_001).abs() < 1e-9);
    }

    #[test]
    fn numbers_that_are_not_finite_do_not_spoil_the_sum() {
        let histogram = ValueHistogram::new(&Cells::new(), &Bounds::new(&[1.0, 2.0]));
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.5] {
            histogram.record(value);
        }
        histogram.record_many(9.0, 3);
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.counts(), [0, 1, 3]);
        assert_eq!(snapshot.sum(), 28.5);
    }

    #[test]
    fn readings_with_the_same_bounds_add_up() {
        let bounds = Bounds::new(&[1.0]);
        let mut one = HistogramSnapshot::new(bounds.clone(), vec![1, 2], 3.0);
        one.merge(HistogramSnapshot::new(bounds.clone(), vec![4], 5.0));
        assert_eq!(one, HistogramSnapshot::new(bounds, vec![5, 2], 8.0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_sum_over_all_threads_is_what_was_recorded(
            per_thread in prop::collection::vec(prop::collection::vec(0_u64..60_000_000_000, 0..200), 1..6)
        ) {
            let histogram = ShardedHistogram::new(&Cells::new());
            thread::scope(|scope| {
                for times in &per_thread {
                    let histogram = &histogram;
                    scope.spawn(move || times.iter().for_each(|ns| histogram.record_ns(*ns)));
                }
            });
            let mut counts = vec![0_u64; LADDER_BUCKETS];
            let mut sum_ns = 0;
            for ns in per_thread.iter().flatten() {
                counts[ladder_bucket(*ns)] += 1;
                sum_ns += ns;
            }
            prop_assert_eq!(histogram.snapshot(), HistogramSnapshot::of_times(counts, sum_ns));
        }
    }
}
