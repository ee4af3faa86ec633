//! From the crash of a service to the first call served by its next incarnation, beside a ractor supervisor that respawns
//! its worker: `cargo bench --bench restart`.
//!
//! Factories are ready at once, so that what is measured is the restart alone. Both sides unwind, neither prints.

#[allow(dead_code, reason = "the benches share a stage, and each uses its part of it")]
mod stage {
    pub(crate) mod messages;
    pub(crate) mod node;
    pub(crate) mod pace;
}
mod peers {
    pub(crate) mod ractor_supervisor;
}

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

use peers::ractor_supervisor;
use stage::node::{self, Crasher};
use stage::pace::{runtime, time};

fn restart(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("restart");
    let ours = runtime();
    let node = ours.block_on(node::start());
    let crasher = Crasher(node.client());
    group.bench_function("roadshow", |bencher| {
        bencher.iter_custom(|crashes| ours.block_on(time(crasher.clone(), 1, crashes)));
    });
    let drained = ours.block_on(node.shutdown(Duration::from_secs(5)));
    assert!(drained.is_clean(), "the node stops cleanly");

    let theirs = runtime();
    let crasher = theirs.block_on(ractor_supervisor::Crasher::start());
    group.bench_function("ractor_respawn", |bencher| {
        bencher.iter_custom(|crashes| theirs.block_on(time(crasher.clone(), 1, crashes)));
    });
    group.finish();
}

criterion_group!(benches, restart);
criterion_main!(benches);
