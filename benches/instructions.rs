//! Instructions of the hot path, counted by callgrind: the same on a busy machine as on a quiet one.
//!
//! Needs valgrind and the runner of the same version as the library:
//!
//! ```text
//! cargo install gungraun-runner --version 0.20.0 --locked
//! cargo bench --bench instructions
//! ```
//!
//! Each case does its thing [`TIMES`] times on one thread; divide by that. The node is started before the count begins.

#![allow(missing_docs, reason = "gungraun's macros make public items without a page")]
#![allow(clippy::disallowed_methods, reason = "gungraun's `main!` ends the process itself")]

#[allow(dead_code, reason = "the benches share a stage, and each uses its part of it")]
mod stage {
    pub(crate) mod messages;
    pub(crate) mod node;
    pub(crate) mod pace;
    pub(crate) mod subscriber;
}

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use roadshow::Node;
use tokio::runtime::{Builder, Runtime};

use stage::messages::{Ask, AskNested};
use stage::node::{ByAddress, ByHandle};
use stage::pace::Caller;
use stage::subscriber::Emitter;

/// How often a case does its thing.
const TIMES: u32 = 1000;

/// A node on a runtime without other threads, so that every instruction is counted.
struct Quiet {
    runtime: Runtime,
    node: Node,
}

fn quiet() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system makes an event queue")
}

/// Starts a node, and calls it until nothing is done for the first time any more.
fn node() -> Quiet {
    let runtime = quiet();
    let node = runtime.block_on(stage::node::start());
    repeat(&runtime, ByAddress(node.client()));
    Quiet { runtime, node }
}

/// Calls. Stands outside the cases, because callgrind stops counting at a closure that bears the name of its case.
fn repeat<C: Caller>(runtime: &Runtime, mut caller: C) {
    runtime.block_on(async {
        for _ in 0..TIMES {
            caller.call().await;
        }
    });
}

/// Starts a node with a subscriber, and emits to it.
fn emitter() -> (Runtime, Emitter) {
    let runtime = quiet();
    let emitter = runtime.block_on(Emitter::start());
    runtime.block_on(emitter.row(TIMES.into()));
    (runtime, emitter)
}

#[library_benchmark]
#[bench::ready(setup = node)]
fn handle_call(quiet: Quiet) -> Quiet {
    repeat(&quiet.runtime, ByHandle::of(&quiet.node));
    quiet
}

#[library_benchmark]
#[bench::ready(setup = node)]
fn client_call(quiet: Quiet) -> Quiet {
    repeat(&quiet.runtime, ByAddress(quiet.node.client()));
    quiet
}

#[library_benchmark]
#[bench::ready(setup = node)]
fn nested_call(quiet: Quiet) -> Quiet {
    let client = quiet.node.client();
    let reply = quiet.runtime.block_on(client.call(AskNested { times: TIMES }));
    black_box(reply.expect("an answer"));
    quiet
}

#[library_benchmark]
#[bench::one_subscriber(setup = emitter)]
fn typed_emit((runtime, emitter): (Runtime, Emitter)) -> (Runtime, Emitter) {
    runtime.block_on(emitter.row(TIMES.into()));
    (runtime, emitter)
}

// What the machine does for the payloads alone, to subtract.
#[library_benchmark]
fn answer_alone() {
    for _ in 0..TIMES {
        black_box(black_box(Ask::default()).answer());
    }
}

library_benchmark_group!(
    name = hot_path,
    benchmarks = [answer_alone, handle_call, client_call, nested_call, typed_emit]
);

main!(library_benchmark_groups = hot_path);
