//! A contender: something that is called, on a runtime of its own, as often as it can answer.
//!
//! Ours and the baselines go through the same loops, so that what differs is what is called and nothing else.
//! Throughput and latency are separate passes: a clock read costs as much as a tenth of a call.

use std::future::Future;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::error::Error;

/// Workers of every runtime that is measured.
const WORKERS: usize = 2;

/// The longest latency that is told apart from longer ones: a minute.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// One of many callers. Each task has a clone.
pub(super) trait Caller: Clone + Send + 'static {
    /// Calls between two looks at the clock of a throughput pass: a look costs as much as a tenth of a local call.
    const BATCH: u64 = 64;

    /// How many callers a latency pass has, where the throughput passes have `in_flight`.
    fn callers_when_timed(in_flight: u32) -> u32 {
        in_flight
    }

    /// Calls once, and waits for the answer.
    fn call(&mut self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Calls once, and says how many nanoseconds passed until it had its effect.
    fn timed(&mut self) -> impl Future<Output = Result<u64, Error>> + Send {
        async {
            let started = Instant::now();
            self.call().await?;
            Ok(nanoseconds(started.elapsed()))
        }
    }

    /// Waits until every call has had its effect. For callers that do not wait for it in `call`.
    fn settled(self) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }
}

/// Something that callers can be made for.
pub(super) trait Contender: Sized {
    /// How it is called.
    type Caller: Caller;

    /// A caller to be cloned.
    fn caller(&self) -> Self::Caller;

    /// Ends it. Whatever is left ends with the runtime.
    fn stop(self) -> impl Future<Output = ()> {
        async {}
    }
}

/// A contender on its runtime.
#[derive(Debug)]
pub(super) struct Side<C> {
    runtime: Runtime,
    contender: C,
}

impl<C: Contender> Side<C> {
    /// Starts a contender on a runtime with two workers.
    pub(super) fn start<F>(starting: F) -> Result<Self, Error>
    where
        F: Future<Output = Result<C, Error>>,
    {
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .enable_all()
            .build()
            .map_err(|cause| Error::new("starting a runtime", cause))?;
        let contender = runtime.block_on(starting)?;
        Ok(Side { runtime, contender })
    }

    /// Answered calls per second of `in_flight` callers in tight loops, over `length`.
    pub(super) fn per_second(&self, in_flight: u32, length: Duration) -> Result<f64, Error> {
        let caller = self.contender.caller();
        self.runtime.block_on(async {
            let started = Instant::now();
            let counts = spread(&caller, in_flight, |caller| count(caller, started + length)).await?;
            caller.settled().await?;
            let calls: u64 = counts.iter().sum();
            Ok(calls as f64 / started.elapsed().as_secs_f64())
        })
    }

    /// How long each call takes while `in_flight` callers call in tight loops, over `length`.
    pub(super) fn latency(&self, in_flight: u32, length: Duration) -> Result<Histogram<u64>, Error> {
        let caller = self.contender.caller();
        self.runtime.block_on(async {
            let until = Instant::now() + length;
            let mut all = histogram();
            let callers = C::Caller::callers_when_timed(in_flight);
            for one in spread(&caller, callers, |caller| time(caller, until)).await? {
                all.add(one).map_err(|cause| Error::new("adding up latencies", cause))?;
            }
            Ok(all)
        })
    }

    /// Ends contender and runtime.
    pub(super) fn stop(self) {
        self.runtime.block_on(self.contender.stop());
    }
}

/// Runs `work` for each of `callers` clones, all at the same time.
async fn spread<C, F, T>(caller: &C, callers: u32, work: impl Fn(C) -> F) -> Result<Vec<T>, Error>
where
    C: Caller,
    F: Future<Output = Result<T, Error>> + Send + 'static,
    T: Send + 'static,
{
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        tasks.spawn(work(caller.clone()));
    }
    let mut results = Vec::with_capacity(tasks.len());
    while let Some(ended) = tasks.join_next().await {
        results.push(ended.map_err(|cause| Error::new("waiting for a caller", cause))??);
    }
    Ok(results)
}

async fn count<C: Caller>(mut caller: C, until: Instant) -> Result<u64, Error> {
    let mut calls = 0;
    while Instant::now() < until {
        for _ in 0..C::BATCH {
            caller.call().await?;
        }
        calls += C::BATCH;
    }
    Ok(calls)
}

async fn time<C: Caller>(mut caller: C, until: Instant) -> Result<Histogram<u64>, Error> {
    let mut latencies = histogram();
    while Instant::now() < until {
        latencies.saturating_record(caller.timed().await?);
    }
    Ok(latencies)
}

/// Nothing yet, with three digits of whatever comes.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("one to a minute in three digits is a range")
}

/// A duration as nanoseconds, up to 584 years.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
