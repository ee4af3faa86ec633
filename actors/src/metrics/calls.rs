//! What one endpoint measures of its calls.
//!
//! [`CallMetrics`] is the handle that the call path keeps from registration on: no name, label or map is touched per call.
//! All numbers of an endpoint are one block of cells, ordered so that a call answered within 50 µs writes to a single
//! cache line: the count of good answers, the sum of handler times and the first buckets are neighbours. The number of
//! handler runs is not kept, it is the sum over the buckets.
//!
//! Calls in flight and callers waiting are not counted here. The gate of the endpoint knows them; it hands
//! [`super::NodeMetrics::watch_load`] a closure that is asked when the page is rendered.

use std::fmt;

use super::buckets::{LADDER_BUCKETS, ladder_bucket};
use super::cells::{Block, Cells};
use super::histogram::HistogramSnapshot;

/// How a call ended, seen from its caller: a good answer or one of the failure codes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The handler answered with a reply.
    Ok,
    /// The input was refused.
    Invalid,
    /// The caller did not say who it is.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// What was asked for does not exist.
    NotFound,
    /// The state of things forbids it now.
    Conflict,
    /// A limit was reached.
    Exhausted,
    /// No answer in time.
    Timeout,
    /// Nobody could serve the call.
    Unavailable,
    /// The service failed.
    Internal,
}

impl Outcome {
    /// Every outcome, in the order of declaration.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Invalid,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::Exhausted,
        Self::Timeout,
        Self::Unavailable,
        Self::Internal,
    ];

    /// Returns the value of the label `outcome`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Exhausted => "exhausted",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a call was turned away before its handler saw it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// All permits are taken and no further caller may wait.
    Full,
    /// A rate limit was reached.
    RateLimited,
    /// The node is shutting down.
    Draining,
    /// The service was given up or does not run yet.
    Failed,
    /// The budget ran out while the call waited.
    Expired,
    /// The call came over too many hops.
    TooManyHops,
    /// The caller did not declare this call and contracts are strict.
    Undeclared,
    /// The reply address is none that this node answers to.
    ReplyAddress,
}

impl Refusal {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 8] = [
        Self::Full,
        Self::RateLimited,
        Self::Draining,
        Self::Failed,
        Self::Expired,
        Self::TooManyHops,
        Self::Undeclared,
        Self::ReplyAddress,
    ];

    /// Returns the value of the label `reason`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::RateLimited => "rate_limited",
            Self::Draining => "draining",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::TooManyHops => "too_many_hops",
            Self::Undeclared => "undeclared",
            Self::ReplyAddress => "reply_address",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// The block of an endpoint. The first eight cells are the cache line of a good and quick answer.
const OK: usize = 0;
const HANDLER_SUM: usize = OK + 1;
const HANDLER_BUCKETS: usize = HANDLER_SUM + 1;
const FAILURES: usize = HANDLER_BUCKETS + LADDER_BUCKETS;
const WAITING_SUM: usize = FAILURES + Outcome::ALL.len() - 1;
const WAITING_BUCKETS: usize = WAITING_SUM + 1;
const REFUSALS: usize = WAITING_BUCKETS + LADDER_BUCKETS;
const PANICS: usize = REFUSALS + Refusal::ALL.len();
const ABANDONED: usize = PANICS + 1;
const CELLS: usize = ABANDONED + 1;

/// The measurements of one endpoint. A clone is another handle to them.
#[derive(Clone, Debug)]
pub struct CallMetrics(Block);

impl CallMetrics {
    /// Creates measurements at zero in the given cells.
    #[must_use]
    pub fn new(cells: &Cells) -> Self {
        Self(cells.block(CELLS))
    }

    /// Records a good answer and how long its handler took, in nanoseconds.
    #[inline]
    pub fn record_ok(&self, handler_ns: u64) {
        let shard = self.0.shard();
        shard.add(OK, 1);
        shard.add(HANDLER_SUM, handler_ns);
        shard.add(HANDLER_BUCKETS + ladder_bucket(handler_ns), 1);
    }

    /// Records an answer of a handler that ran, whatever the answer, and how long it took, in nanoseconds.
    #[inline]
    pub fn record_answer(&self, outcome: Outcome, handler_ns: u64) {
        let shard = self.0.shard();
        shard.add(outcome_cell(outcome), 1);
        shard.add(HANDLER_SUM, handler_ns);
        shard.add(HANDLER_BUCKETS + ladder_bucket(handler_ns), 1);
    }

    /// Records how a call ended for its caller when that is not the end of its handler: a deadline that passed, a
    /// handler that crashed. The handler's time is recorded by [`Self::record_handler`], if it ends.
    pub fn record_outcome(&self, outcome: Outcome) {
        self.0.shard().add(outcome_cell(outcome), 1);
    }

    /// Records only how long a handler took, in nanoseconds, after its caller was already answered.
    pub fn record_handler(&self, handler_ns: u64) {
        let shard = self.0.shard();
        shard.add(HANDLER_SUM, handler_ns);
        shard.add(HANDLER_BUCKETS + ladder_bucket(handler_ns), 1);
    }

    /// Records how long a call waited for its permit or for its service to come back, in nanoseconds. Calls that did
    /// not wait are not recorded, so the count of this histogram is the number of calls that did.
    pub fn record_waiting(&self, waited_ns: u64) {
        let shard = self.0.shard();
        shard.add(WAITING_SUM, waited_ns);
        shard.add(WAITING_BUCKETS + ladder_bucket(waited_ns), 1);
    }

    /// Records a call that was turned away, and what its caller was told.
    pub fn record_refused(&self, refusal: Refusal, outcome: Outcome) {
        let shard = self.0.shard();
        shard.add(REFUSALS + refusal as usize, 1);
        shard.add(outcome_cell(outcome), 1);
    }

    /// Records a handler that panicked. What its caller was told is recorded apart.
    pub fn record_panic(&self) {
        self.0.shard().add(PANICS, 1);
    }

    /// Records a handler whose future was dropped because it went on too long after its deadline.
    pub fn record_abandoned(&self) {
        self.0.shard().add(ABANDONED, 1);
    }

    /// Returns how many calls ended in this way.
    #[must_use]
    pub fn calls(&self, outcome: Outcome) -> u64 {
        self.0.sum(outcome_cell(outcome))
    }

    /// Returns how many calls were turned away for this reason.
    #[must_use]
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.0.sum(REFUSALS + refusal as usize)
    }

    /// Returns how many handlers panicked.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.0.sum(PANICS)
    }

    /// Returns how many handlers were abandoned.
    #[must_use]
    pub fn abandoned(&self) -> u64 {
        self.0.sum(ABANDONED)
    }

    /// Returns the histogram of handler times, in seconds.
    #[must_use]
    pub fn handler_seconds(&self) -> HistogramSnapshot {
        self.times(HANDLER_SUM, HANDLER_BUCKETS)
    }

    /// Returns the histogram of waiting times, in seconds.
    #[must_use]
    pub fn waiting_seconds(&self) -> HistogramSnapshot {
        self.times(WAITING_SUM, WAITING_BUCKETS)
    }

    fn times(&self, sum: usize, buckets: usize) -> HistogramSnapshot {
        HistogramSnapshot::of_times(self.0.sums(buckets..buckets + LADDER_BUCKETS), self.0.sum(sum))
    }
}

#[inline]
fn outcome_cell(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Ok => OK,
        failure => FAILURES + failure as usize - 1,
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_quick_good_answer_writes_to_one_cache_line() {
        assert!(HANDLER_BUCKETS + ladder_bucket(50_000) < 8);
    }

    #[test]
    fn every_measurement_has_a_cell_of_its_own() {
        let calls = CallMetrics::new(&Cells::new());
        for (n, outcome) in Outcome::ALL.into_iter().enumerate() {
            (0..=n).for_each(|_| calls.record_outcome(outcome));
        }
        for (n, refusal) in Refusal::ALL.into_iter().enumerate() {
            (0..=n).for_each(|_| calls.record_refused(refusal, Outcome::Ok));
        }
        calls.record_panic();
        calls.record_panic();
        calls.record_abandoned();
        calls.record_waiting(u64::MAX >> 20);
        let refused: u64 = (1..=Refusal::ALL.len() as u64).sum();
        assert_eq!(calls.calls(Outcome::Ok), 1 + refused);
        for (n, outcome) in Outcome::ALL.into_iter().enumerate().skip(1) {
            assert_eq!(calls.calls(outcome), n as u64 + 1, "{outcome}");
        }
        for (n, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(calls.refused(refusal), n as u64 + 1, "{refusal}");
        }
        assert_eq!((calls.panics(), calls.abandoned()), (2, 1));
        assert_eq!(calls.handler_seconds().count(), 0);
        assert_eq!(calls.waiting_seconds().count(), 1);
    }

    #[derive(Clone, Debug)]
    enum Act {
        Ok(u64),
        Answer(usize, u64),
        Wait(u64),
        Refuse(usize),
        Panic,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (0_u64..1 << 36).prop_map(Act::Ok),
            (0..Outcome::ALL.len(), 0_u64..1 << 36).prop_map(|(outcome, ns)| Act::Answer(outcome, ns)),
            (0_u64..1 << 36).prop_map(Act::Wait),
            (0..Refusal::ALL.len()).prop_map(Act::Refuse),
            Just(Act::Panic),
        ]
    }

    fn perform(calls: &CallMetrics, act: &Act) {
        match *act {
            Act::Ok(ns) => calls.record_ok(ns),
            Act::Answer(outcome, ns) => calls.record_answer(Outcome::ALL[outcome], ns),
            Act::Wait(ns) => calls.record_waiting(ns),
            Act::Refuse(reason) => calls.record_refused(Refusal::ALL[reason], Outcome::Exhausted),
            Act::Panic => calls.record_panic(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn several_threads_record_what_one_thread_would(
            per_thread in prop::collection::vec(prop::collection::vec(act(), 0..100), 1..6)
        ) {
            let cells = Cells::new();
            let (together, alone) = (CallMetrics::new(&cells), CallMetrics::new(&cells));
            thread::scope(|scope| {
                for acts in &per_thread {
                    let together = &together;
                    scope.spawn(move || acts.iter().for_each(|act| perform(together, act)));
                }
            });
            per_thread.iter().flatten().for_each(|act| perform(&alone, act));
            let numbers = |calls: &CallMetrics| calls.0.sums(0..CELLS);
            prop_assert_eq!(numbers(&together), numbers(&alone));
        }
    }
}
