//! How contenders are driven: the same loops for ours and for theirs.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// Workers of a runtime that is measured.
const WORKERS: usize = 2;

/// One of many callers. Each task has a clone.
pub(crate) trait Caller: Clone + Send + 'static {
    /// Calls once, and waits for the answer.
    fn call(&mut self) -> impl Future<Output = ()> + Send;
}

/// A runtime with two workers, as every contender gets.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .expect("the system starts two threads")
}

/// How long `calls` calls take that `in_flight` callers share. Runs in tasks, never in the caller's own thread.
pub(crate) async fn time<C: Caller>(caller: C, in_flight: u64, calls: u64) -> Duration {
    let started = Instant::now();
    let mut callers = JoinSet::new();
    for n in 0..in_flight {
        let share = calls / in_flight + u64::from(n < calls % in_flight);
        let mut caller = caller.clone();
        callers.spawn(async move {
            for _ in 0..share {
                caller.call().await;
            }
        });
    }
    callers.join_all().await;
    started.elapsed()
}
