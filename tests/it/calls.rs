//! Calls: typed and encoded, near and nested, and what a caller is told.

use roadshow::prelude::*;
use roadshow::{CallOptions, Executed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lab::{LAB, Ledger, Work, builder, lab, metric, node, stop};
use std::sync::Arc;

#[tokio::test]
async fn every_identity_survives_three_hops_typed_and_encoded() {
    for codec_always in [false, true] {
        let ledger = Arc::new(Ledger::default());
        let node = builder()
            .codec_always(codec_always)
            .service(lab(&ledger, |c| c))
            .start()
            .await
            .unwrap();
        let options = CallOptions::default().principal("ada").tenant("acme").key("k-1");
        let first = node
            .client()
            .call_with(
                Work {
                    nest: 2,
                    ..Work::default()
                },
                options,
            )
            .await
            .unwrap();
        let second = first.nested.as_deref().unwrap();
        let third = second.nested.as_deref().unwrap();
        for (hops, done) in [&first, second, third].into_iter().enumerate() {
            assert_eq!(usize::from(done.hops), hops);
            assert_eq!((&done.correlation, &done.trace), (&first.correlation, &first.trace));
            assert_eq!(done.principal.as_deref(), Some("ada"));
            assert_eq!(done.tenant.as_deref(), Some("acme"));
            assert_eq!(done.key.as_deref(), Some("k-1"));
        }
        assert_eq!(first.causation, None);
        assert!(third.causation.is_some() && third.causation != second.causation);
        stop(node).await;
    }
}

#[tokio::test]
async fn two_conversations_share_nothing() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c).await;
    let one = node.client().call(Work::default()).await.unwrap();
    let other = node.client().call(Work::default()).await.unwrap();
    assert_ne!(one.correlation, other.correlation);
    assert_ne!(one.trace, other.trace);
    stop(node).await;
}

#[tokio::test]
async fn a_handlers_no_was_executed_and_a_panic_is_unknown_without_details() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c).await;
    let no = node
        .client()
        .call(Work {
            fail: true,
            ..Work::default()
        })
        .await
        .unwrap_err();
    assert_eq!((no.code, no.executed), (Code::Conflict, Executed::Yes));
    let crash = node
        .client()
        .call(Work {
            panic: true,
            ..Work::default()
        })
        .await
        .unwrap_err();
    assert_eq!((crash.code, crash.executed), (Code::Internal, Executed::Unknown));
    assert!(!crash.to_string().contains("told to panic") && crash.details.is_none());
    stop(node).await;
}

#[tokio::test]
async fn an_unknown_command_of_a_known_service_is_not_found_and_an_unknown_service_unavailable() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c).await;
    for (address, code) in [
        ("lab.1.rest", Code::NotFound),
        ("lab.2.work", Code::Unavailable),
        ("bar.1.work", Code::Unavailable),
    ] {
        let failure = node
            .client()
            .call_json(&address.parse().unwrap(), "null".into(), CallOptions::default())
            .await
            .unwrap_err();
        assert_eq!((failure.code, failure.executed), (code, Executed::No), "{address}");
    }
    stop(node).await;
}

#[tokio::test]
async fn a_payload_that_does_not_decode_names_the_field_and_is_not_executed() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c).await;
    let address = Work::ADDRESS.to_string().parse().unwrap();
    for (payload, named) in [
        (r#"{"sleep_ms":"soon"}"#, "sleep_ms"),
        (r#"{"slep_ms":1}"#, "slep_ms"),
        ("{", ""),
    ] {
        let failure = node
            .client()
            .call_json(&address, payload.into(), CallOptions::default())
            .await
            .unwrap_err();
        assert_eq!((failure.code, failure.executed), (Code::Invalid, Executed::No));
        assert!(failure.to_string().contains(named), "{failure}");
    }
    assert_eq!(ledger.count("start"), 0);
    stop(node).await;
}

/// The same address as [`Work`], seen by a consumer that cares for less.
#[derive(Serialize, Deserialize, JsonSchema)]
struct NarrowWork {
    id: u64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct NarrowDone {
    id: u64,
}

impl Command for NarrowWork {
    const ADDRESS: Address = LAB.command("work");
    type Reply = NarrowDone;
}

#[tokio::test]
async fn a_consumer_may_declare_a_narrower_type_of_its_own() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c).await;
    assert_eq!(node.client().call(NarrowWork { id: 7 }).await.unwrap().id, 7);
    assert_eq!(metric(&node, "roadshow_typed_fallbacks_total"), 1.0);
    assert!(node.client().handle::<NarrowWork>().is_err());
    stop(node).await;
}

#[tokio::test]
async fn deep_nesting_leaves_the_stack_and_a_loop_is_refused() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c).await;
    let deep = node
        .client()
        .call(Work {
            nest: 31,
            ..Work::default()
        })
        .await
        .unwrap();
    let mut innermost = &deep;
    while let Some(nested) = innermost.nested.as_deref() {
        innermost = nested;
    }
    assert_eq!(innermost.hops, 31);
    let loops = node
        .client()
        .call(Work {
            nest: 32,
            ..Work::default()
        })
        .await
        .unwrap_err();
    assert_eq!(loops.code, Code::Exhausted);
    // The refused call was not executed; the handler that passed its failure on was.
    assert_eq!(loops.executed, Executed::Yes);
    stop(node).await;
}

#[tokio::test]
async fn a_resolved_handle_survives_a_restart() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c).await;
    let handle = node.client().handle::<Work>().unwrap();
    assert_eq!(handle.call(Work::default()).await.unwrap().incarnation, 1);
    handle
        .call(Work {
            panic: true,
            ..Work::default()
        })
        .await
        .unwrap_err();
    assert_eq!(handle.call(Work::default()).await.unwrap().incarnation, 2);
    stop(node).await;
}

#[test]
fn a_caller_off_the_runtime_is_served() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let ledger = Arc::new(Ledger::default());
    let node = runtime.block_on(node(&ledger, |c| c.concurrency(1)));
    let client = node.client();
    let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // A runtime without timers, and one handler that sleeps while the other call waits for its permit.
    let slow = || {
        client.call(Work {
            sleep_ms: 20,
            ..Work::default()
        })
    };
    let (one, two) = other.block_on(async { tokio::join!(slow(), slow()) });
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(ledger.peak(), 1);
    runtime.block_on(stop(node));
}
