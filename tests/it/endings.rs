//! Ends that are not the usual one: given up in part, killed, called off, dropped, and nothing left behind.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use roadshow::prelude::*;
use roadshow::{Backoff, Budget, Component, Executed, FactoryError, NodeView, PartState, Phase, RunningComponent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lab::{LAB, LIMIT, Lab, Ledger, Work, builder, eventually, lab, node, stop};
use super::lame_bridge::LameBridge;

const DEAF: ServiceId = ServiceId::new("deaf", 1);

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Rang;

impl Event for Rang {
    const NAME: EventName = EventName::new("bell.rang");
}

struct Deaf;

impl EventHandler<Rang> for Deaf {
    async fn receive(&self, _: &Rang, _: &Context) -> Outcome {
        Outcome::Ack
    }
}

#[tokio::test(start_paused = true)]
async fn an_optional_service_that_cannot_subscribe_is_failed_and_the_node_is_ready() {
    let ledger = Arc::new(Ledger::default());
    let bridge = LameBridge {
        refuses: true,
        ..LameBridge::default()
    };
    let deaf = Service::new(DEAF, || async { Ok::<_, std::convert::Infallible>(Deaf) })
        .subscribe::<Rang>(|s| s)
        .optional();
    let start = builder()
        .event_bridge(Arc::new(bridge))
        .service(lab(&ledger, |c| c))
        .service(deaf)
        .start();
    let node = tokio::time::timeout(LIMIT * 30, start)
        .await
        .expect("ready ends")
        .unwrap();
    eventually("its children have stopped", || {
        let tree = node.tree();
        tree.find("services/deaf.1/state")
            .is_none_or(|state| state.state != roadshow::NodeState::Ready)
    })
    .await;
    let readiness = node.readiness();
    let part = readiness
        .parts
        .iter()
        .find(|part| part.name == "service deaf.1")
        .unwrap();
    assert_eq!((part.state, part.optional), (PartState::Failed, true));
    assert!(readiness.ready, "{readiness:?}");
    stop(node).await;
}

/// A lab whose first state comes up, and no other before `works`.
fn once_only(ledger: &Arc<Ledger>, works: &Arc<AtomicBool>) -> Service<Lab> {
    let (ledger, works) = (Arc::clone(ledger), Arc::clone(works));
    Service::new(LAB, move || {
        let ledger = Arc::clone(&ledger);
        let first = ledger.factories.fetch_add(1, Ordering::SeqCst) == 0;
        let works = first || works.load(Ordering::SeqCst);
        async move { if works { Ok(Lab(ledger)) } else { Err("no database") } }
    })
    .command::<Work>(|c| c)
    .exit_budget(slow_restarts())
}

/// Restarts so far apart that a drain must not wait for one.
fn slow_restarts() -> Budget {
    let minute = Duration::from_secs(60);
    Budget::exits()
        .window(100, minute * 60)
        .backoff(Backoff::new(minute, minute).jitter(false).first_immediate(false))
}

#[tokio::test(start_paused = true)]
async fn calls_before_a_service_that_backs_off_do_not_hold_up_a_shutdown() {
    let (ledger, works) = (Arc::new(Ledger::default()), Arc::default());
    let node = builder().service(once_only(&ledger, &works)).start().await.unwrap();
    let work = |panic| Work {
        panic,
        ..Work::default()
    };
    node.client().call(work(true)).await.unwrap_err();
    let client = node.client();
    let waits = tokio::spawn(async move { client.call(work(false)).await });
    eventually("the factory has failed", || node.view().failures().len() > 1).await;
    assert!(!waits.is_finished());
    let started = tokio::time::Instant::now();
    let drained = node.shutdown(Duration::from_secs(20)).await;
    assert!(drained.is_clean(), "{drained:?}");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let refused = waits.await.unwrap().unwrap_err();
    assert_eq!((refused.code, refused.executed), (Code::Unavailable, Executed::No));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_begins_to_back_off_in_the_drain_does_not_hold_it_up() {
    let (ledger, works) = (Arc::new(Ledger::default()), Arc::default());
    let service = once_only(&ledger, &works);
    let node = builder().service(service).start().await.unwrap();
    let (first, second) = (node.client(), node.client());
    let held = tokio::spawn(async move {
        first
            .call(Work {
                id: 1,
                hold: true,
                nest: 1,
                ..Work::default()
            })
            .await
    });
    let crashes = tokio::spawn(async move {
        second
            .call(Work {
                id: 2,
                hold: true,
                panic: true,
                ..Work::default()
            })
            .await
    });
    ledger.wait_for("start", 2).await;
    let view = node.view();
    let started = tokio::time::Instant::now();
    let shutdown = tokio::spawn(node.shutdown(Duration::from_secs(20)));
    eventually("the node drains", || view.phase() == Phase::Draining).await;
    ledger.release();
    crashes.await.unwrap().unwrap_err();
    let drained = shutdown.await.unwrap();
    assert!(drained.is_clean(), "{drained:?}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // Whether its nested call came before the crash or after it, it was answered.
    let _ = held.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_in_the_queue_of_a_node_out_of_time_are_not_started() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c.concurrency(1)).await;
    let calls: Vec<_> = (0..3)
        .map(|id| {
            let client = node.client();
            tokio::spawn(async move {
                client
                    .call(Work {
                        id,
                        hang: true,
                        ..Work::default()
                    })
                    .await
            })
        })
        .collect();
    ledger.wait_for("start", 1).await;
    let drained = node.shutdown(Duration::from_secs(4)).await;
    assert!(!drained.is_clean());
    let mut unstarted = 0;
    for call in calls {
        let failure = call.await.unwrap().unwrap_err();
        assert_eq!(failure.code, Code::Unavailable);
        unstarted += usize::from(failure.executed == Executed::No);
    }
    assert_eq!((unstarted, ledger.count("start")), (2, 1));
}

/// A component that does not stop when it is told to.
#[derive(Debug)]
struct Deafened;

impl Component for Deafened {
    fn name(&self) -> &'static str {
        "deafened"
    }

    fn start(&self, _: NodeView) -> BoxFuture<'_, Result<Box<dyn RunningComponent>, FactoryError>> {
        Box::pin(async { Ok(Box::new(Deafened) as Box<dyn RunningComponent>) })
    }
}

impl RunningComponent for Deafened {
    fn location(&self) -> Option<String> {
        None
    }

    fn run(self: Box<Self>, _: tokio_util::sync::CancellationToken) -> BoxFuture<'static, Result<(), FactoryError>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_tree_that_had_to_be_killed_is_no_clean_end() {
    let node = builder().component(Deafened).start().await.unwrap();
    let drained = node.shutdown(Duration::from_secs(1)).await;
    assert!(!drained.is_clean(), "{drained:?}");
    assert!(drained.killed.iter().any(|path| path == "node"), "{drained:?}");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_is_called_off_stops_the_tree() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c).await;
    let (client, view) = (node.client(), node.view());
    let call = tokio::spawn(async move {
        client
            .call(Work {
                hang: true,
                ..Work::default()
            })
            .await
    });
    ledger.wait_for("start", 1).await;
    let shutdown = node.shutdown(Duration::from_secs(60));
    assert!(tokio::time::timeout(Duration::from_millis(50), shutdown).await.is_err());
    assert_eq!(view.phase(), Phase::Stopped);
    assert_eq!(call.await.unwrap().unwrap_err().code, Code::Unavailable);
    eventually("the tree has stopped", || {
        let tree = view.tree();
        tree.find("services/lab.1/state")
            .is_none_or(|state| state.state != roadshow::NodeState::Ready)
    })
    .await;
}

/// A node that has served, what one of its guards holds, and a client that is kept.
async fn served() -> (Node, Weak<()>, roadshow::Client) {
    let ledger = Arc::new(Ledger::default());
    let held = Arc::new(());
    let weak = Arc::downgrade(&held);
    let node = node(&ledger, |c| {
        c.before(move |_: &Work, _: &Context| {
            let () = *held;
            Ok(())
        })
    })
    .await;
    for panic in [false, true, false] {
        let _ = node
            .client()
            .call(Work {
                panic,
                ..Work::default()
            })
            .await;
    }
    let client = node.client();
    (node, weak, client)
}

#[tokio::test]
async fn nothing_of_a_stopped_node_stays_alive() {
    let (node, held, client) = served().await;
    assert!(held.upgrade().is_some());
    stop(node).await;
    let refused = client.call(Work::default()).await.unwrap_err();
    assert_eq!((refused.code, refused.executed), (Code::Unavailable, Executed::No));
    eventually("the guard is gone", || held.upgrade().is_none()).await;
}

#[tokio::test]
async fn nothing_of_a_dropped_node_stays_alive() {
    let (node, held, client) = served().await;
    drop(node);
    eventually("the guard is gone", || held.upgrade().is_none()).await;
    drop(client);
}
