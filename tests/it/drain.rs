//! Shutdown: what is in flight is finished, what is new is refused, and one budget bounds it.

use std::sync::Arc;
use std::time::Duration;

use roadshow::Executed;
use roadshow::prelude::*;

use super::lab::{Ledger, Work, builder, eventually, lab, node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_calls_and_what_descends_from_them_are_answered() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c.concurrency(400)).await;
    let calls: Vec<_> = (0..200)
        .map(|id| {
            let client = node.client();
            let nest = u32::from(id % 2 == 0);
            tokio::spawn(async move {
                client
                    .call(Work {
                        id,
                        hold: true,
                        nest,
                        ..Work::default()
                    })
                    .await
            })
        })
        .collect();
    ledger.wait_for("start", 200).await;
    let client = node.client();
    let view = node.view();
    let shutdown = tokio::spawn(node.shutdown(Duration::from_secs(20)));
    eventually("the node drains", || !view.readiness().ready).await;
    let refused = client.call(Work::default()).await.unwrap_err();
    assert_eq!((refused.code, refused.executed), (Code::Unavailable, Executed::No));
    let name = "lab.noted".parse().unwrap();
    let event = client.emit_json(&name, "{}".into(), roadshow::CallOptions::default());
    let refused = event.await.unwrap_err();
    assert_eq!((refused.code, refused.executed), (Code::Unavailable, Executed::No));
    ledger.release();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let drained = shutdown.await.unwrap();
    assert!(drained.is_clean(), "{drained:?}");
    assert_eq!(ledger.count("end"), 300);
}

#[tokio::test(start_paused = true)]
async fn what_outlasts_the_budget_is_dropped_and_counted() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c).await;
    let client = node.client();
    let call = tokio::spawn(async move {
        client
            .call(Work {
                hang: true,
                ..Work::default()
            })
            .await
    });
    ledger.wait_for("start", 1).await;
    let started = tokio::time::Instant::now();
    let drained = node.shutdown(Duration::from_secs(4)).await;
    assert_eq!(drained.abandoned, 1);
    assert!(!drained.is_clean());
    assert!(started.elapsed() <= Duration::from_secs(4));
    let failure = call.await.unwrap().unwrap_err();
    assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::Unknown));
    assert_eq!(ledger.count("gone"), 1);
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_in_the_queue_are_finished_too() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c.concurrency(1)).await;
    let calls: Vec<_> = (0..5)
        .map(|id| {
            let client = node.client();
            tokio::spawn(async move {
                client
                    .call(Work {
                        id,
                        sleep_ms: 100,
                        ..Work::default()
                    })
                    .await
            })
        })
        .collect();
    ledger.wait_for("start", 1).await;
    let drained = node.shutdown(Duration::from_secs(10)).await;
    assert!(drained.is_clean(), "{drained:?}");
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_node_that_is_dropped_stops_its_tree() {
    let ledger = Arc::new(Ledger::default());
    let node = builder().service(lab(&ledger, |c| c)).start().await.unwrap();
    let (view, client) = (node.view(), node.client());
    drop(node);
    let refused = client.call(Work::default()).await.unwrap_err();
    assert_eq!((refused.code, refused.executed), (Code::Unavailable, Executed::No));
    eventually("the tree has stopped", || {
        let tree = view.tree();
        tree.find("services/lab.1/state")
            .is_none_or(|state| state.state != roadshow::NodeState::Ready)
    })
    .await;
}
