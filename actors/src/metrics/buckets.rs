//! Which values fall into one bucket of a histogram.
//!
//! Buckets are fixed when a histogram is made, so recording is a search and an addition, and merging the shards of many
//! threads an addition too. Times use one ladder for all, [`LADDER_NS`]: two to three steps per decade from 1 µs to 30 s.
//! Neighbouring bounds differ at least by a factor of two, hence a power-of-two interval contains at most one of
//! them; the position of a value's highest bit and one comparison find its bucket. Users' own histograms may choose
//! bounds by the beginning of their name ([`BucketTable`]) and search linearly.

use std::sync::Arc;

/// Upper bounds of the buckets for times, in nanoseconds, inclusive. Longer times fall into the bucket above the last.
pub const LADDER_NS: [u64; 23] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
];

/// How many cells a histogram of times has: one per bound and one for what is above them all.
pub const LADDER_BUCKETS: usize = LADDER_NS.len() + 1;

/// The most bounds a histogram may have.
pub const BOUNDS_MAX: usize = 64;

/// For a value of `n` significant bits: the first bound that is not below the smallest such value.
const FIRST_BY_BITS: [u8; 65] = first_by_bits();

const fn first_by_bits() -> [u8; 65] {
    let mut table = [0; 65];
    let mut bits = 1;
    while bits < table.len() {
        let smallest = 1_u64 << (bits - 1);
        let mut first = 0;
        while first < LADDER_NS.len() && LADDER_NS[first] < smallest {
            first += 1;
        }
        table[bits] = first as u8;
        bits += 1;
    }
    table
}

/// Returns the index of the bucket of a time, below [`LADDER_BUCKETS`].
#[inline]
#[must_use]
pub fn ladder_bucket(ns: u64) -> usize {
    let bits = (u64::BITS - ns.leading_zeros()) as usize;
    let first = usize::from(FIRST_BY_BITS[bits]);
    match LADDER_NS.get(first) {
        Some(bound) => first + usize::from(ns > *bound),
        None => LADDER_NS.len(),
    }
}

/// Upper bounds of a histogram's buckets: finite, ascending, in the unit of what is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds(Arc<[f64]>);

impl Bounds {
    /// Makes bounds of the given numbers: those that are not finite are left out, the rest sorted, repetitions
    /// removed, and only the first [`BOUNDS_MAX`] kept.
    #[must_use]
    pub fn new(bounds: &[f64]) -> Self {
        let mut bounds: Vec<f64> = bounds.iter().copied().filter(|bound| bound.is_finite()).collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        bounds.truncate(BOUNDS_MAX);
        Self(bounds.into())
    }

    /// The ladder of times, in seconds.
    #[must_use]
    pub fn seconds() -> Self {
        Self(LADDER_NS.iter().map(|ns| *ns as f64 / 1e9).collect())
    }

    /// Returns the bounds in ascending order.
    #[must_use]
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// Returns the index of the bucket of `value`; the number of bounds means above them all.
    #[must_use]
    pub fn bucket(&self, value: f64) -> usize {
        self.0.partition_point(|bound| *bound < value)
    }
}

/// Chooses the bounds of users' histograms by the beginning of their name; the longest match wins, without one the
/// ladder of seconds is used.
#[derive(Clone, Debug)]
pub struct BucketTable {
    by_prefix: Vec<(String, Bounds)>,
    otherwise: Bounds,
}

impl BucketTable {
    /// Creates a table that gives every histogram the ladder of seconds.
    #[must_use]
    pub fn new() -> Self {
        Self {
            by_prefix: Vec::new(),
            otherwise: Bounds::seconds(),
        }
    }

    /// Gives histograms whose name begins with `prefix` these bounds.
    pub fn set(&mut self, prefix: &str, bounds: Bounds) {
        self.by_prefix.retain(|(known, _)| known != prefix);
        self.by_prefix.push((prefix.to_owned(), bounds));
        self.by_prefix
            .sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
    }

    /// Returns the bounds for a histogram of this name.
    #[must_use]
    pub fn bounds(&self, name: &str) -> &Bounds {
        let found = self
            .by_prefix
            .iter()
            .find(|(prefix, _)| name.starts_with(prefix.as_str()));
        found.map_or(&self.otherwise, |(_, bounds)| bounds)
    }
}

impl Default for BucketTable {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_search(ns: u64) -> usize {
        LADDER_NS.partition_point(|bound| *bound < ns)
    }

    #[test]
    fn neighbouring_bounds_are_at_least_a_factor_of_two_apart() {
        assert!(LADDER_NS.windows(2).all(|pair| pair[1] >= 2 * pair[0]));
    }

    #[test]
    fn the_bucket_of_a_bound_is_its_own_and_one_more_is_the_next() {
        for (at, bound) in LADDER_NS.into_iter().enumerate() {
            assert_eq!(ladder_bucket(bound), at);
            assert_eq!(ladder_bucket(bound + 1), at + 1);
            assert_eq!(ladder_bucket(bound - 1), at);
        }
        assert_eq!(ladder_bucket(0), 0);
        assert_eq!(ladder_bucket(u64::MAX), LADDER_NS.len());
    }

    #[test]
    fn every_power_of_two_and_its_neighbours_agree_with_a_search() {
        for shift in 0..u64::BITS {
            let power = 1_u64 << shift;
            for ns in [power - 1, power, power + 1] {
                assert_eq!(ladder_bucket(ns), by_search(ns), "{ns}");
            }
        }
    }

    #[test]
    fn bounds_are_put_in_order_and_freed_of_nonsense() {
        let bounds = Bounds::new(&[5.0, f64::NAN, 1.0, 5.0, f64::INFINITY]);
        assert_eq!(bounds.as_slice(), [1.0, 5.0]);
        assert_eq!(
            [0.5, 1.0, 1.5, 5.0, 9.0].map(|value| bounds.bucket(value)),
            [0, 0, 1, 1, 2]
        );
        let many: Vec<f64> = (0..1_000).map(f64::from).collect();
        assert_eq!(Bounds::new(&many).as_slice().len(), BOUNDS_MAX);
    }

    #[test]
    fn the_longest_matching_prefix_chooses_the_bounds() {
        let mut table = BucketTable::new();
        table.set("shop_", Bounds::new(&[1.0]));
        table.set("shop_basket_", Bounds::new(&[2.0]));
        assert_eq!(table.bounds("shop_basket_items").as_slice(), [2.0]);
        assert_eq!(table.bounds("shop_total").as_slice(), [1.0]);
        assert_eq!(table.bounds("other"), &Bounds::seconds());
    }

    proptest! {
        #[test]
        fn any_time_falls_where_a_search_puts_it(ns: u64, shift in 0_u32..64) {
            prop_assert_eq!(ladder_bucket(ns), by_search(ns));
            prop_assert_eq!(ladder_bucket(ns >> shift), by_search(ns >> shift));
        }
    }
}
