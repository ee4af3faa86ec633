//! Callers that give up, and handlers that never do.

use std::sync::Arc;
use std::time::Duration;

use roadshow::prelude::*;
use roadshow::{CallOptions, Executed};

use super::lab::{Ledger, Work, eventually, metric, node, stop};

#[tokio::test]
async fn a_caller_that_drops_its_future_never_cuts_a_handler_in_half() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c.concurrency(1)).await;
    let client = node.client();
    let call = tokio::spawn(async move {
        client
            .call(Work {
                id: 1,
                hold: true,
                ..Work::default()
            })
            .await
    });
    ledger.wait_for("start", 1).await;
    call.abort();
    ledger.wait_for("cancelled", 1).await;
    assert_eq!(ledger.count("end"), 0);
    ledger.release();
    ledger.wait_for("end", 1).await;
    // The one permit is back.
    node.client()
        .call(Work {
            id: 2,
            ..Work::default()
        })
        .await
        .unwrap();
    assert_eq!(ledger.lines().iter().filter(|line| **line == (1, "start")).count(), 1);
    stop(node).await;
}

#[tokio::test]
async fn a_caller_that_leaves_the_queue_is_never_served() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c.concurrency(1)).await;
    let client = node.client();
    let holder = tokio::spawn(async move {
        client
            .call(Work {
                id: 1,
                hold: true,
                ..Work::default()
            })
            .await
    });
    ledger.wait_for("start", 1).await;
    let client = node.client();
    let waiter = tokio::spawn(async move {
        client
            .call(Work {
                id: 2,
                ..Work::default()
            })
            .await
    });
    eventually("one waits", || metric(&node, "roadshow_waiting{") >= 1.0).await;
    waiter.abort();
    eventually("nobody waits", || metric(&node, "roadshow_waiting{") < 1.0).await;
    ledger.release();
    holder.await.unwrap().unwrap();
    node.client()
        .call(Work {
            id: 3,
            ..Work::default()
        })
        .await
        .unwrap();
    assert!(!ledger.lines().contains(&(2, "start")));
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_returns_is_dropped_and_its_endpoint_stays_well() {
    let ledger = Arc::new(Ledger::default());
    let options = |c: super::lab::Options| {
        c.concurrency(1)
            .deadline(Duration::from_secs(2))
            .abandon_after(Duration::from_secs(5))
    };
    let node = node(&ledger, options).await;
    let started = tokio::time::Instant::now();
    let failure = node
        .client()
        .call(Work {
            hang: true,
            ..Work::default()
        })
        .await
        .unwrap_err();
    let took = started.elapsed();
    assert_eq!((failure.code, failure.executed), (Code::Timeout, Executed::Unknown));
    assert!(
        took >= Duration::from_secs(2) && took < Duration::from_millis(2_050),
        "{took:?}"
    );
    assert_eq!(ledger.count("gone"), 0);
    ledger.wait_for("gone", 1).await;
    let dropped = started.elapsed();
    assert!(
        dropped >= Duration::from_secs(7) && dropped < Duration::from_millis(7_050),
        "{dropped:?}"
    );
    node.client().call(Work::default()).await.unwrap();
    assert_eq!(metric(&node, "roadshow_abandoned_total{"), 1.0);
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_handler_hears_of_it_and_ends_in_its_own_time() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c.deadline(Duration::from_secs(1))).await;
    let failure = node
        .client()
        .call(Work {
            hold: true,
            ..Work::default()
        })
        .await
        .unwrap_err();
    assert_eq!(failure.code, Code::Timeout);
    ledger.wait_for("cancelled", 1).await;
    ledger.release();
    ledger.wait_for("end", 1).await;
    assert_eq!(metric(&node, "roadshow_abandoned_total{"), 0.0);
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn a_nested_call_cannot_outlive_its_callers_budget() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c.abandon_after(Duration::from_millis(100))).await;
    let started = tokio::time::Instant::now();
    let options = CallOptions::default().timeout(Duration::from_secs(1));
    let failure = node
        .client()
        .call_with(
            Work {
                nest: 1,
                sleep_ms: 700,
                ..Work::default()
            },
            options,
        )
        .await
        .unwrap_err();
    assert_eq!(failure.code, Code::Timeout);
    assert!(started.elapsed() < Duration::from_millis(1_050));
    ledger.wait_for("gone", 2).await;
    assert_eq!(ledger.count("end"), 0);
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_ends_in_the_queue_was_not_executed() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c.concurrency(1)).await;
    let client = node.client();
    let holder = tokio::spawn(async move {
        client
            .call(Work {
                id: 1,
                hold: true,
                ..Work::default()
            })
            .await
    });
    ledger.wait_for("start", 1).await;
    let options = CallOptions::default().timeout(Duration::from_millis(300));
    let failure = node
        .client()
        .call_with(
            Work {
                id: 2,
                ..Work::default()
            },
            options,
        )
        .await
        .unwrap_err();
    assert_eq!((failure.code, failure.executed), (Code::Timeout, Executed::No));
    ledger.release();
    holder.await.unwrap().unwrap();
    stop(node).await;
    assert!(!ledger.lines().contains(&(2, "start")));
}
