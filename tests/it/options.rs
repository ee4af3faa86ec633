//! What an author may say about a command: rules, guards, limits, order, contracts.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use roadshow::prelude::*;
use roadshow::{CallOptions, CommandOptions, Executed, RateLimit};

use super::lab::{LAB, Lab, Ledger, Work, builder, eventually, lab, metric, node, stop};

impl Validate for Work {
    fn validate(&self, violations: &mut Violations) {
        violations.check("id", self.id < 1_000, "must be below 1000");
    }
}

#[tokio::test]
async fn rules_then_guards_then_the_handler_then_guards_on_the_reply() {
    let ledger = Arc::new(Ledger::default());
    let steps = Arc::new(Mutex::new(Vec::new()));
    let step = |name: &'static str| {
        let steps = Arc::clone(&steps);
        move || steps.lock().unwrap().push(name)
    };
    let (first, second, after) = (step("before 1"), step("before 2"), step("after"));
    let node = node(&ledger, |c| {
        c.validate()
            .before(move |_: &Work, _: &Context| {
                first();
                Ok(())
            })
            .before(move |work: &Work, ctx: &Context| {
                second();
                match ctx.principal() {
                    None if work.id == 2 => Err(Failure::unauthenticated("who are you")),
                    _ => Ok(()),
                }
            })
            .after(move |done: &super::lab::Done, _: &Context| {
                after();
                if done.id == 3 {
                    Err(Failure::forbidden("not for you"))
                } else {
                    Ok(())
                }
            })
    })
    .await;
    let client = node.client();
    let call = |id| client.call(Work { id, ..Work::default() });
    call(1).await.unwrap();
    assert_eq!(*steps.lock().unwrap(), ["before 1", "before 2", "after"]);
    let invalid = call(5_000).await.unwrap_err();
    assert_eq!((invalid.code, invalid.executed), (Code::Invalid, Executed::No));
    assert_eq!(invalid.details.unwrap()["fields"][0]["field"], "id");
    let refused = call(2).await.unwrap_err();
    assert_eq!((refused.code, refused.executed), (Code::Unauthenticated, Executed::No));
    assert_eq!(ledger.count("start"), 1);
    let withheld = call(3).await.unwrap_err();
    assert_eq!((withheld.code, withheld.executed), (Code::Forbidden, Executed::Yes));
    assert_eq!(ledger.count("start"), 2);
    stop(node).await;
}

#[tokio::test]
async fn a_rate_limit_refuses_before_anything_runs() {
    let ledger = Arc::new(Ledger::default());
    let limit = RateLimit::per_minute(NonZeroU32::new(2).unwrap());
    let node = node(&ledger, |c| c.rate_limit_per_tenant(limit)).await;
    let client = node.client();
    let call = |tenant: &str| client.call_with(Work::default(), CallOptions::default().tenant(tenant));
    for _ in 0..2 {
        call("acme").await.unwrap();
        call("umbrella").await.unwrap();
    }
    let failure = call("acme").await.unwrap_err();
    assert_eq!((failure.code, failure.executed), (Code::Exhausted, Executed::No));
    assert_eq!(ledger.count("start"), 4);
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_passes_with_the_nodes_time() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c.rate_limit(RateLimit::per_minute(NonZeroU32::MIN))).await;
    let handle = node.client().handle::<Work>().unwrap();
    let call = || handle.call_with(Work::default(), CallOptions::default().principal("ada"));
    assert_eq!(call().await.unwrap().principal.as_deref(), Some("ada"));
    let failure = call().await.unwrap_err();
    assert!(failure.details.unwrap()["retry_after_ms"].as_u64().unwrap() > 50_000);
    tokio::time::advance(Duration::from_secs(61)).await;
    call().await.unwrap();
    stop(node).await;
}

#[tokio::test]
async fn concurrency_one_makes_a_command_serial() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c.concurrency(1)).await;
    let calls = (0..50).map(|id| {
        let client = node.client();
        async move {
            client
                .call(Work {
                    id,
                    sleep_ms: 1,
                    ..Work::default()
                })
                .await
        }
    });
    assert!(futures_util::future::join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(ledger.peak(), 1);
    stop(node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_with_one_key_keep_their_order_and_others_run_beside_them() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, |c| c.ordered_by(|work| work.lane.clone())).await;
    let client = node.client();
    let held = tokio::spawn(async move {
        client
            .call(Work {
                id: 1,
                hold: true,
                lane: "a".into(),
                ..Work::default()
            })
            .await
    });
    ledger.wait_for("start", 1).await;
    let client = node.client();
    let behind = tokio::spawn(async move {
        client
            .call(Work {
                id: 2,
                lane: "a".into(),
                ..Work::default()
            })
            .await
    });
    eventually("one waits in its lane", || metric(&node, "roadshow_waiting{") >= 1.0).await;
    let lane = (0..).map(|n| format!("lane {n}")).take(40);
    for lane in lane {
        // At most a few of forty keys share the lane that is held.
        let options = CallOptions::default().timeout(Duration::from_millis(500));
        let _ = node
            .client()
            .call_with(
                Work {
                    id: 3,
                    lane,
                    ..Work::default()
                },
                options,
            )
            .await;
    }
    assert!(ledger.count("end") > 30);
    assert!(!ledger.lines().contains(&(2, "start")));
    ledger.release();
    held.await.unwrap().unwrap();
    behind.await.unwrap().unwrap();
    stop(node).await;
}

#[tokio::test]
async fn a_detached_handler_gets_a_task_of_its_own() {
    let ledger = Arc::new(Ledger::default());
    let node = node(&ledger, CommandOptions::detached).await;
    node.client()
        .call(Work {
            panic: true,
            ..Work::default()
        })
        .await
        .unwrap_err();
    assert_eq!(
        node.client()
            .call(Work {
                nest: 3,
                ..Work::default()
            })
            .await
            .unwrap()
            .hops,
        0
    );
    stop(node).await;
}

#[tokio::test]
async fn strict_contracts_refuse_what_was_not_declared() {
    let ledger = Arc::new(Ledger::default());
    let nest = || Work {
        nest: 1,
        ..Work::default()
    };
    let strict = builder()
        .strict_contracts(true)
        .service(lab(&ledger, |c| c))
        .start()
        .await
        .unwrap();
    let ran = ledger.count("start");
    let failure = strict.client().call(nest()).await.unwrap_err();
    // What was refused was not executed; the handler that passes the refusal on was.
    assert_eq!((failure.code, failure.executed), (Code::Forbidden, Executed::Yes));
    assert_eq!(ledger.count("nested not executed"), 1);
    assert_eq!(ledger.count("start"), ran + 1);
    stop(strict).await;
    let declared = lab(&ledger, |c| c).calls::<Work>();
    let node = builder()
        .strict_contracts(true)
        .service(declared)
        .start()
        .await
        .unwrap();
    node.client().call(nest()).await.unwrap();
    stop(node).await;
}

#[tokio::test]
async fn a_service_counts_on_its_own_beside_the_runtime() {
    let ledger = Arc::new(Ledger::default());
    let held = Arc::clone(&ledger);
    let counting = Service::with_setup(LAB, move |setup: roadshow::Setup| {
        let held = Arc::clone(&held);
        let measure = setup.measure();
        measure.describe_gauge("lab_level", "How full the lab is.");
        measure.describe_histogram("lab_items", "Items on the bench.");
        measure.gauge("lab_level", &[]).set(0.5);
        measure.histogram("lab_items", &[]).record(3.0);
        let starts = measure.counter("lab_starts_total", &[("site", "north")]);
        async move {
            starts.increment(1);
            Ok::<_, std::convert::Infallible>(Lab(held))
        }
    })
    .command::<Work>(|c| c);
    let node = builder().service(counting).start().await.unwrap();
    node.client()
        .call(Work {
            panic: true,
            ..Work::default()
        })
        .await
        .unwrap_err();
    node.client().call(Work::default()).await.unwrap();
    assert_eq!(metric(&node, "lab_starts_total{site=\"north\"}"), 2.0);
    assert_eq!(metric(&node, "roadshow_handler_panics_total{"), 1.0);
    let page = node.metrics_text();
    assert!(page.contains("# HELP lab_level How full the lab is."), "{page}");
    assert!(page.contains("# HELP lab_items Items on the bench."), "{page}");
    stop(node).await;
}
