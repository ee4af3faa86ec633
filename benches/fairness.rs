//! Whether a timer keeps its beat while others call without a pause: `cargo bench --bench fairness`.
//!
//! 64 callers call a ready handler in tight loops on two workers, which leaves no worker idle; a task beside them ticks
//! every 5 ms. Exits 1 when one tick in a hundred comes more than 2 ms late, of which tokio's timer, which counts whole
//! milliseconds, takes up to one.
//!
//! A program and not a test: its bound is for an optimised build, on a machine that does nothing else. Of three rounds
//! the best counts, since other programs only ever add to it.

#[allow(dead_code, reason = "the benches share a stage, and each uses its part of it")]
mod stage {
    pub(crate) mod messages;
    pub(crate) mod node;
    pub(crate) mod pace;
}

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use roadshow::Node;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use stage::node::{self, ByAddress};
use stage::pace::{Caller, runtime};

const CALLERS: u32 = 64;
const BEAT: Duration = Duration::from_millis(5);
const TICKS: usize = 400;
const ROUNDS: usize = 3;
const LATE_MAX: Duration = Duration::from_millis(2);

/// Ticks beside the callers, and says how late each tick came.
async fn lateness(node: &Node) -> Vec<Duration> {
    let ended = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (mut caller, ended) = (ByAddress(node.client()), Arc::clone(&ended));
        callers.spawn(async move {
            while !ended.load(Ordering::Relaxed) {
                caller.call().await;
            }
        });
    }
    let mut ticking = JoinSet::new();
    ticking.spawn(async move {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut late = Vec::with_capacity(TICKS);
        for _ in 0..TICKS {
            let scheduled = beat.tick().await;
            late.push(Instant::now() - scheduled);
        }
        late
    });
    let late = ticking.join_all().await.concat();
    ended.store(true, Ordering::Relaxed);
    callers.join_all().await;
    late
}

/// Measures one round, prints it, and returns what one tick in a hundred exceeds.
async fn round(node: &Node) -> Duration {
    let mut late = lateness(node).await;
    late.sort_unstable();
    let (p50, p99, longest) = (late[TICKS / 2], late[TICKS * 99 / 100], late[TICKS - 1]);
    println!("{CALLERS} callers, a tick every {BEAT:?}: late by {p50:?} (p50), {p99:?} (p99), {longest:?} (longest)");
    p99
}

fn main() -> ExitCode {
    let best = runtime().block_on(async {
        let node = node::start().await;
        let mut best = Duration::MAX;
        for _ in 0..ROUNDS {
            best = best.min(round(&node).await);
        }
        assert!(node.shutdown(Duration::from_secs(5)).await.is_clean(), "the node stops");
        best
    });
    if best <= LATE_MAX {
        return ExitCode::SUCCESS;
    }
    eprintln!("one tick in a hundred is more than {LATE_MAX:?} late");
    ExitCode::FAILURE
}
