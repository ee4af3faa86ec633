//! Prints what a measurement costs, in nanoseconds, on one thread and on two that write to the same series.
//!
//! `cargo run --release -p roadshow-actors --example metrics_cost`. Each number is the median of 15 runs of a million
//! calls; the time of the empty loop is printed to be taken off. With two threads a locked counter would show the cost
//! of sharing a cache line, which is why one is measured too.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use metrics::{Key, Level, Metadata, Recorder as _};
use roadshow_actors::metrics::{NodeMetrics, Outcome, Process, Refusal, ShardedHistogram};

const CALLS: u64 = 1_000_000;
const RUNS: usize = 15;

fn main() {
    let node = NodeMetrics::default();
    let calls = node.endpoint("probe", 1, "ping");
    let counter = node.counter("sent", &[]);
    let times = ShardedHistogram::new(node.cells());
    let metadata = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
    let facade_counter = node.recorder().register_counter(&Key::from_name("facade"), &metadata);
    let facade_histogram = node
        .recorder()
        .register_histogram(&Key::from_name("facade_seconds"), &metadata);
    let shared = Arc::new(AtomicU64::new(0));

    println!("{:<32}{:>12}{:>12}", "ns per call", "one thread", "two threads");
    row("empty loop", |n| {
        black_box(n);
    });
    row("record_ok, one bucket", |n| calls.record_ok(200 + (n & 0xff)));
    row("record_ok, many buckets", |n| calls.record_ok(spread(n)));
    row("record_answer", |n| {
        calls.record_answer(Outcome::Conflict, 200 + (n & 0xff));
    });
    row("record_refused", |_| {
        calls.record_refused(Refusal::Full, Outcome::Exhausted);
    });
    row("counter", |_| counter.increment());
    row("histogram of times", |n| times.record_ns(spread(n)));
    row("facade counter handle", |_| facade_counter.increment(1));
    row("facade histogram handle", |n| facade_histogram.record(n as f64 * 1e-9));
    row("for comparison: one locked add", |_| {
        shared.fetch_add(1, Ordering::Relaxed);
    });
    hundred_endpoints();
}

/// Times from nanoseconds to seconds, without a pattern that a branch predictor could learn.
fn spread(n: u64) -> u64 {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed >> (30 + (mixed & 0x1f))
}

/// Prints what a page of a hundred endpoints costs to render, and what they cost to keep.
fn hundred_endpoints() {
    let before = Process::read().resident_bytes.unwrap_or(0);
    let node = NodeMetrics::default();
    for version in 1..=100 {
        node.endpoint("probe", version, "ping").record_ok(1_000);
    }
    let kept = Process::read().resident_bytes.unwrap_or(0).saturating_sub(before);
    let begin = Instant::now();
    let page = node.render();
    println!(
        "100 endpoints: {kept} bytes kept, page of {} bytes rendered in {:?}",
        page.len(),
        begin.elapsed()
    );
}

fn row(name: &str, act: impl Fn(u64) + Sync) {
    println!("{name:<32}{:>12.2}{:>12.2}", median(1, &act), median(2, &act));
}

fn median(threads: usize, act: &(impl Fn(u64) + Sync)) -> f64 {
    let mut runs: Vec<f64> = (0..RUNS).map(|_| run(threads, act)).collect();
    runs.sort_by(f64::total_cmp);
    runs[RUNS / 2]
}

/// Returns nanoseconds per call and thread.
fn run(threads: usize, act: &(impl Fn(u64) + Sync)) -> f64 {
    let begin = Barrier::new(threads);
    let slowest = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    act(0);
                    begin.wait();
                    let begin = Instant::now();
                    for n in 0..CALLS {
                        act(black_box(n));
                    }
                    begin.elapsed()
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("no measurement panics"))
            .max()
    });
    slowest.map_or(0.0, |time| time.as_nanos() as f64 / CALLS as f64)
}
