//! An event to one local subscriber, beside a tokio channel of shared values: `cargo bench --bench event_local`.
//!
//! A row of events is done when its last was taken. No actor library tells faster than the channel under its mailbox,
//! and none of them groups, settles and counts what it delivers, so the channel is a scale and not a bar.

#[allow(dead_code, reason = "the benches share a stage, and each uses its part of it")]
mod stage {
    pub(crate) mod messages;
    pub(crate) mod pace;
    pub(crate) mod subscriber;
}

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use stage::messages::Told;
use stage::pace::runtime;
use stage::subscriber::{Emitter, WAITING_MAX};

/// Sends a row of events to a task of its own, which has taken all when it ends.
async fn through_a_channel(events: u64) -> Duration {
    let started = Instant::now();
    let (sender, mut receiver) = mpsc::channel::<Arc<Told>>(WAITING_MAX);
    let mut both = JoinSet::new();
    both.spawn(async move {
        while let Some(told) = receiver.recv().await {
            std::hint::black_box(told);
        }
    });
    both.spawn(async move {
        for _ in 0..events {
            sender.send(Arc::new(Told::default())).await.expect("the taker lives");
        }
    });
    both.join_all().await;
    started.elapsed()
}

/// Emits a row of events from a worker of the runtime.
async fn through_a_node(emitter: &Emitter, events: u64) -> Duration {
    let started = Instant::now();
    let mut emitting = JoinSet::new();
    emitting.spawn(emitter.row(events));
    emitting.join_all().await;
    started.elapsed()
}

fn event_local(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("event_local");
    group.throughput(Throughput::Elements(1));
    let runtime = runtime();
    let emitter = runtime.block_on(Emitter::start());
    group.bench_function("roadshow_emit", |bencher| {
        bencher.iter_custom(|events| runtime.block_on(through_a_node(&emitter, events)));
    });
    group.bench_function("tokio_mpsc", |bencher| {
        bencher.iter_custom(|events| runtime.block_on(through_a_channel(events)));
    });
    group.finish();
    let drained = runtime.block_on(emitter.node.shutdown(Duration::from_secs(5)));
    assert!(drained.is_clean(), "the node stops cleanly");
}

criterion_group!(benches, event_local);
criterion_main!(benches);
