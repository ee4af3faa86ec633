//! Crashes, restarts, giving up: what callers and operators see of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use roadshow::prelude::*;
use roadshow::{Budget, ErrorKind, Executed, NodeState, PartState};

use super::lab::{LAB, Lab, Ledger, Work, builder, eventually, lab, metric, node, stop};

const FLAKY: ServiceId = ServiceId::new("flaky", 1);

#[derive(Debug, thiserror::Error)]
#[error("cannot reach the database")]
struct NoDatabase(#[source] std::io::Error);

/// A service whose factory fails until it is told otherwise.
fn flaky(works: &Arc<AtomicBool>, tries: &Arc<AtomicU32>) -> Service<()> {
    let (works, tries) = (Arc::clone(works), Arc::clone(tries));
    Service::new(FLAKY, move || {
        tries.fetch_add(1, Ordering::SeqCst);
        let works = works.load(Ordering::SeqCst);
        async move {
            if works {
                Ok(())
            } else {
                Err(NoDatabase(std::io::Error::other("connection refused")))
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panics_under_load_cost_only_the_calls_that_panicked() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c).await;
    let callers: Vec<_> = (0..64)
        .map(|caller| {
            let client = node.client();
            tokio::spawn(async move {
                let mut panics = 0;
                for n in 0..200 {
                    let panic = caller == 0 && n % 10 == 9;
                    match client
                        .call(Work {
                            id: caller * 1_000 + n,
                            panic,
                            ..Work::default()
                        })
                        .await
                    {
                        Ok(_) => assert!(!panic),
                        Err(failure) => {
                            assert!(panic, "{failure}");
                            assert_eq!((failure.code, failure.executed), (Code::Internal, Executed::Unknown));
                            panics += 1;
                        }
                    }
                }
                panics
            })
        })
        .collect();
    let mut panics = 0;
    for caller in callers {
        panics += caller.await.unwrap();
    }
    assert_eq!(panics, 20);
    assert_eq!(ledger.count("start"), 64 * 200);
    assert_eq!(ledger.count("end"), 64 * 200 - 20);
    // The last call is answered before the supervisor has heard of its panic.
    eventually("every panic was a restart", || {
        metric(&node, "roadshow_supervisor_restarts_total{") >= 20.0 && node.readiness().ready
    })
    .await;
    assert_eq!(metric(&node, "roadshow_supervisor_restarts_total{"), 20.0);
    let state = || node.tree().find("services/lab.1/state").unwrap().clone();
    // The service takes calls before its supervisor has heard that it started.
    eventually("the tree shows it ready", || state().state == NodeState::Ready).await;
    let state = state();
    assert_eq!(state.restarts, 20);
    assert!(state.last_failure.as_deref().unwrap().contains("told to panic"));
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_a_service_that_is_starting() {
    let (works, tries) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let ledger = Arc::new(Ledger::default());
    let (gate, held) = (Arc::clone(&works), Arc::clone(&ledger));
    let late = Service::new(LAB, move || {
        let (gate, held) = (Arc::clone(&gate), Arc::clone(&held));
        async move {
            if gate.load(Ordering::SeqCst) {
                Ok(Lab(held))
            } else {
                Err("not yet")
            }
        }
    })
    .command::<Work>(|c| c);
    let node = builder().service(late).launch().await.unwrap();
    eventually("the service is routed", || node.client().handle::<Work>().is_ok()).await;
    let client = node.client();
    let call = tokio::spawn(async move { client.call(Work::default()).await });
    eventually("it failed once", || !node.view().failures().is_empty()).await;
    let readiness = node.readiness();
    let part = readiness
        .parts
        .iter()
        .find(|part| part.name == "service lab.1")
        .unwrap();
    assert_eq!(part.state, PartState::NotReady);
    assert!(part.reason.as_deref().unwrap().contains("not yet"), "{part:?}");
    works.store(true, Ordering::SeqCst);
    call.await.unwrap().unwrap();
    node.ready().await.unwrap();
    assert!(node.readiness().ready);
    let _: &Arc<AtomicU32> = &tries;
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn a_factory_that_always_fails_ends_the_start_with_the_whole_chain_of_causes() {
    let (works, tries) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let ledger = Arc::new(Ledger::default());
    let started = tokio::time::Instant::now();
    let error = builder()
        .service(lab(&ledger, |c| c))
        .service(flaky(&works, &tries))
        .start()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::GaveUp);
    let text = error.to_string();
    assert!(
        text.contains("flaky.1") && text.contains("cannot reach the database: connection refused"),
        "{text}"
    );
    let tries = tries.load(Ordering::SeqCst);
    assert!((2..=10).contains(&tries), "{tries} tries");
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn the_others_serve_on_without_an_optional_service() {
    let (works, tries) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let ledger = Arc::new(Ledger::default());
    let optional = flaky(&works, &tries).optional();
    let node = builder()
        .service(lab(&ledger, |c| c))
        .service(optional)
        .start()
        .await
        .unwrap();
    node.client().call(Work::default()).await.unwrap();
    let readiness = node.readiness();
    assert!(readiness.ready);
    let part = readiness
        .parts
        .iter()
        .find(|part| part.name == "service flaky.1")
        .unwrap();
    assert_eq!((part.state, part.optional), (PartState::Failed, true));
    assert!(part.reason.as_deref().unwrap().contains("connection refused"));
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_keeps_panicking_takes_the_node_down() {
    let ledger = Arc::new(Ledger::default());
    let budget = Budget::panics().window(3, Duration::from_secs(10));
    let node = builder()
        .service(lab(&ledger, |c| c).panic_budget(budget))
        .start()
        .await
        .unwrap();
    for _ in 0..4 {
        node.client()
            .call(Work {
                panic: true,
                ..Work::default()
            })
            .await
            .unwrap_err();
    }
    let exit = tokio::time::timeout(Duration::from_secs(10), node.wait())
        .await
        .unwrap();
    assert!(exit.gave_up);
    assert!(exit.to_string().contains("told to panic"), "{exit}");
    let refused = node.client().call(Work::default()).await.unwrap_err();
    assert_eq!((refused.code, refused.executed), (Code::Unavailable, Executed::No));
    let _ = node.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn calls_at_work_finish_on_the_state_they_started_with() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c).await;
    let client = node.client();
    let old = tokio::spawn(async move {
        client
            .call(Work {
                id: 1,
                hold: true,
                ..Work::default()
            })
            .await
    });
    ledger.wait_for("start", 1).await;
    node.client()
        .call(Work {
            id: 2,
            panic: true,
            ..Work::default()
        })
        .await
        .unwrap_err();
    let fresh = node
        .client()
        .call(Work {
            id: 3,
            ..Work::default()
        })
        .await
        .unwrap();
    ledger.release();
    let old = old.await.unwrap().unwrap();
    assert_eq!((old.incarnation, fresh.incarnation), (1, 2));
    assert_eq!(ledger.factories.load(Ordering::SeqCst), 2);
    stop(node).await;
}
