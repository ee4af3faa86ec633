//! Overload: the excess is refused at once, and everything stays bounded.

use std::sync::Arc;
use std::time::Duration;

use roadshow::Executed;
use roadshow::prelude::*;

use super::lab::{Ledger, Work, eventually, metric, node, stop};

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_tasks_against_eight_permits_are_refused_at_once_or_served() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c.concurrency(8).waiting(64)).await;
    node.client().call(Work::default()).await.unwrap();
    let before = resident_kib();
    let tasks: Vec<_> = (0..10_000)
        .map(|id| {
            let client = node.client();
            tokio::spawn(async move {
                let started = std::time::Instant::now();
                (
                    client
                        .call(Work {
                            id,
                            hold: true,
                            ..Work::default()
                        })
                        .await,
                    started.elapsed(),
                )
            })
        })
        .collect();
    eventually("all but 72 are refused", || {
        metric(&node, "roadshow_refused_total{") >= 9_928.0
    })
    .await;
    let grown = resident_kib().saturating_sub(before);
    ledger.release();
    let mut refused = Vec::new();
    let mut served = 0;
    for task in tasks {
        match task.await.unwrap() {
            (Ok(_), _) => served += 1,
            (Err(failure), took) => {
                assert_eq!((failure.code, failure.executed), (Code::Exhausted, Executed::No));
                refused.push(took);
            }
        }
    }
    refused.sort_unstable();
    let p99 = refused[refused.len() * 99 / 100];
    println!(
        "served {served}, refused {}, p99 {p99:?}, at work {}, grown {grown} KiB",
        refused.len(),
        ledger.peak()
    );
    assert_eq!((served, refused.len()), (72, 9_928));
    assert!(ledger.peak() <= 8);
    assert!(grown < 32 * 1024, "{grown} KiB");
    // Loose, because tests share the machine: the figure itself is in the bench.
    assert!(p99 < Duration::from_millis(50), "{p99:?}");
    stop(node).await;
}
