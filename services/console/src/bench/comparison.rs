//! Two contenders, measured in turn.
//!
//! Each has a warm-up of its own, and a shorter one before every pass: while the other was at work, caches forgot it.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::contender::{Contender, Side};
use super::error::Error;

/// Throughput passes of each contender.
const ROUNDS: u32 = 5;

/// Passes in all: a warm-up, the rounds and a latency pass, for both.
const PASSES: u32 = 2 * (1 + ROUNDS + 1);

/// The part of a pass, one in so many, that goes by before anything is measured.
const LEAD_IN: u32 = 10;

/// What one contender reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Score {
    /// Calls per second: the median of the rounds.
    pub(super) per_second: f64,
    /// The median latency, in nanoseconds.
    pub(super) p50_ns: u64,
    /// What one call in a hundred exceeds, in nanoseconds.
    pub(super) p99_ns: u64,
    /// What one call in a thousand exceeds, in nanoseconds.
    pub(super) p999_ns: u64,
    /// The longest, in nanoseconds.
    pub(super) max_ns: u64,
}

impl Score {
    fn new(rounds: Vec<f64>, latencies: &Histogram<u64>) -> Self {
        Score {
            per_second: median(rounds),
            p50_ns: latencies.value_at_quantile(0.5),
            p99_ns: latencies.value_at_quantile(0.99),
            p999_ns: latencies.value_at_quantile(0.999),
            max_ns: latencies.max(),
        }
    }
}

/// What both reached, in the same minute on the same machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Comparison {
    pub(super) ours: Score,
    pub(super) baseline: Score,
}

impl Comparison {
    /// Measures for about `length`, in turn, and ends both.
    pub(super) fn run<A, B>(ours: Side<A>, baseline: Side<B>, in_flight: u32, length: Duration) -> Result<Self, Error>
    where
        A: Contender,
        B: Contender,
    {
        let pass = length / PASSES;
        let lead_in = pass / LEAD_IN;
        let rest = pass - lead_in;
        ours.per_second(in_flight, pass)?;
        baseline.per_second(in_flight, pass)?;
        let (mut our_rounds, mut baseline_rounds) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.per_second(in_flight, lead_in)?;
            our_rounds.push(ours.per_second(in_flight, rest)?);
            baseline.per_second(in_flight, lead_in)?;
            baseline_rounds.push(baseline.per_second(in_flight, rest)?);
        }
        ours.per_second(in_flight, lead_in)?;
        let our_latencies = ours.latency(in_flight, rest)?;
        baseline.per_second(in_flight, lead_in)?;
        let baseline_latencies = baseline.latency(in_flight, rest)?;
        let comparison = Comparison {
            ours: Score::new(our_rounds, &our_latencies),
            baseline: Score::new(baseline_rounds, &baseline_latencies),
        };
        ours.stop();
        baseline.stop();
        Ok(comparison)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.get(middle) {
        None => 0.0,
        Some(upper) if values.len() % 2 == 1 => *upper,
        Some(upper) => f64::midpoint(values[middle - 1], *upper),
    }
}

#[cfg(test)]
mod tests {
    use super::super::contender::histogram;
    use super::*;

    #[test]
    fn percentiles_come_from_the_histogram() {
        let mut latencies = histogram();
        for nanoseconds in 1..=1000 {
            latencies.saturating_record(nanoseconds);
        }
        let expected = Score {
            per_second: 2.0,
            p50_ns: 500,
            p99_ns: 990,
            p999_ns: 999,
            max_ns: 1000,
        };
        assert_eq!(Score::new(vec![1.0, 2.0, 3.0], &latencies), expected);
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        let table = [
            (vec![], 0.0),
            (vec![3.0], 3.0),
            (vec![9.0, 1.0, 2.0], 2.0),
            (vec![4.0, 1.0, 100.0, 2.0], 3.0),
        ];
        for (values, expected) in table {
            assert!((median(values.clone()) - expected).abs() < 1e-9, "{values:?}");
        }
    }
}
