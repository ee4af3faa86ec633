//! A local call beside the asks of the actor libraries: `cargo bench --bench local_call`.
//!
//! Ready handlers, 128 bytes in, 64 bytes out, two threads each; one caller (`sequential`) and 64. On our side deadline,
//! metrics and the disabled span are on; the others do nothing but ask.

#[allow(dead_code, reason = "the benches share a stage, and each uses its part of it")]
mod stage {
    pub(crate) mod messages;
    pub(crate) mod node;
    pub(crate) mod pace;
}
mod peers {
    pub(crate) mod actix_actor;
    pub(crate) mod kameo_actor;
    pub(crate) mod ractor_call;
    pub(crate) mod xtra_actor;
}

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};

use peers::{actix_actor, kameo_actor, ractor_call, xtra_actor};
use stage::node::{self, ByAddress, ByHandle};
use stage::pace::{Caller, runtime, time};

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn on_tokio<C: Caller>(group: &mut Group<'_>, name: &str, in_flight: u64, start: impl AsyncFnOnce() -> C) {
    let runtime = runtime();
    let caller = runtime.block_on(start());
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|calls| runtime.block_on(time(caller.clone(), in_flight, calls)));
    });
}

fn ours<C: Caller>(group: &mut Group<'_>, name: &str, in_flight: u64, caller_of: fn(&roadshow::Node) -> C) {
    let runtime = runtime();
    let node = runtime.block_on(node::start());
    let caller = caller_of(&node);
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|calls| runtime.block_on(time(caller.clone(), in_flight, calls)));
    });
    let drained = runtime.block_on(node.shutdown(Duration::from_secs(5)));
    assert!(drained.is_clean(), "the node stops cleanly");
}

fn with_actix(group: &mut Group<'_>, in_flight: u64) {
    let stage = actix_actor::Stage::start();
    group.bench_function("actix_send", |bencher| {
        bencher.iter_custom(|calls| stage.time(in_flight, calls));
    });
    stage.stop();
}

fn local_call(criterion: &mut Criterion) {
    for (name, in_flight) in [("sequential", 1), ("64_callers", 64)] {
        let mut group = criterion.benchmark_group(format!("local_call/{name}"));
        group.throughput(Throughput::Elements(1));
        ours(&mut group, "roadshow_handle", in_flight, ByHandle::of);
        ours(&mut group, "roadshow_call", in_flight, |node| ByAddress(node.client()));
        on_tokio(&mut group, "ractor_call", in_flight, ractor_call::Asker::start);
        on_tokio(&mut group, "kameo_ask", in_flight, kameo_actor::Asker::start);
        on_tokio(&mut group, "xtra_send", in_flight, xtra_actor::Asker::start);
        with_actix(&mut group, in_flight);
        group.finish();
    }
}

criterion_group!(benches, local_call);
criterion_main!(benches);
