//! Calls from node to node over one bus: who answers, what is answered where nobody does, and that each gets their own.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use roadshow::prelude::*;
use roadshow::{CallOptions, Executed, MemoryBus};

use super::lab::{Ledger, Options, Work, builder, lab, metric, stop};

/// A node on `bus` that serves the lab.
pub(crate) async fn server(
    bus: &MemoryBus,
    id: &str,
    ledger: &Arc<Ledger>,
    options: impl FnOnce(Options) -> Options,
) -> Node {
    let node = builder().node_id(id).memory_bus(bus).service(lab(ledger, options));
    node.start().await.expect("a lab starts")
}

/// A node on `bus` that serves nothing.
pub(crate) async fn caller(bus: &MemoryBus, codec_always: bool) -> Node {
    let node = builder().node_id("caller").memory_bus(bus).codec_always(codec_always);
    node.start().await.expect("a node without services starts")
}

fn work(id: u64) -> Work {
    Work { id, ..Work::default() }
}

#[tokio::test]
async fn a_call_is_answered_by_the_node_that_serves_it() {
    for codec_always in [false, true] {
        let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
        let server = server(&bus, "server", &ledger, |c| c).await;
        let caller = caller(&bus, codec_always).await;
        let options = CallOptions::default().principal("ada").tenant("t1").key("k1");
        let done = caller.client().call_with(work(7), options).await.unwrap();
        assert_eq!((done.id, done.hops), (7, 0));
        let who = (done.principal.as_deref(), done.tenant.as_deref(), done.key.as_deref());
        assert_eq!(who, (Some("ada"), Some("t1"), Some("k1")));
        let failed = caller.client().call(Work { fail: true, ..work(8) }).await.unwrap_err();
        assert_eq!((failed.code, failed.executed), (Code::Conflict, Executed::Yes));
        let panicked = caller.client().call(Work { panic: true, ..work(9) }).await.unwrap_err();
        assert_eq!((panicked.code, panicked.executed), (Code::Internal, Executed::Unknown));
        stop(caller).await;
        stop(server).await;
    }
}

#[tokio::test]
async fn an_instance_in_this_process_is_preferred() {
    let bus = MemoryBus::default();
    let (here, there) = (Arc::new(Ledger::default()), Arc::new(Ledger::default()));
    let near = server(&bus, "near", &here, |c| c).await;
    let far = server(&bus, "far", &there, |c| c).await;
    for id in 0..50 {
        near.client().call(work(id)).await.unwrap();
    }
    assert_eq!((here.count("start"), there.count("start")), (50, 0));
    stop(near).await;
    stop(far).await;
}

#[tokio::test]
async fn what_nobody_serves_is_unavailable_and_an_unknown_command_is_not_found() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let caller = caller(&bus, false).await;
    let nobody = caller.client().call(work(1)).await.unwrap_err();
    assert_eq!((nobody.code, nobody.executed), (Code::Unavailable, Executed::No));
    assert_eq!(nobody.message, "no instance of lab.1");
    let server = server(&bus, "server", &ledger, |c| c).await;
    let address = "lab.1.play".parse().unwrap();
    let client = caller.client();
    let unknown = client.call_json(&address, "{}".into(), CallOptions::default());
    let unknown = unknown.await.unwrap_err();
    assert_eq!((unknown.code, unknown.executed), (Code::NotFound, Executed::No));
    let address = "lab.1.work".parse().unwrap();
    let broken = client.call_json(&address, "{\"id\":\"x\"}".into(), CallOptions::default());
    let broken = broken.await.unwrap_err();
    assert_eq!((broken.code, broken.executed), (Code::Invalid, Executed::No));
    assert_eq!(ledger.count("start"), 0);
    stop(caller).await;
    stop(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_get_their_own_answers() {
    for codec_always in [false, true] {
        let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
        let one = server(&bus, "one", &ledger, |c| c).await;
        let two = server(&bus, "two", &ledger, |c| c).await;
        let caller = caller(&bus, codec_always).await;
        let calls = (0..1_000).map(|id| {
            let client = caller.client();
            tokio::spawn(async move { client.call(work(id)).await.unwrap().id == id })
        });
        let own = join_all(calls).await.into_iter().filter(|own| *own.as_ref().unwrap());
        assert_eq!(own.count(), 1_000);
        assert_eq!(ledger.count("end"), 1_000);
        assert_eq!(metric(&caller, "roadshow_late_replies_total"), 0.0);
        for node in [caller, one, two] {
            stop(node).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_is_answered_at_its_deadline_and_the_late_reply_is_counted() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let server = server(&bus, "server", &ledger, |c| c).await;
    let caller = caller(&bus, false).await;
    let asked = tokio::time::Instant::now();
    let options = CallOptions::default().timeout(Duration::from_millis(500));
    let late = caller
        .client()
        .call_with(Work { hold: true, ..work(1) }, options)
        .await
        .unwrap_err();
    let took = asked.elapsed();
    assert_eq!((late.code, late.executed), (Code::Timeout, Executed::Unknown));
    assert!((450..=550).contains(&took.as_millis()), "{took:?}");
    ledger.release();
    ledger.wait_for("end", 1).await;
    super::lab::eventually("the late answer is counted", || {
        metric(&caller, "roadshow_late_replies_total") >= 1.0
    })
    .await;
    stop(caller).await;
    stop(server).await;
}
