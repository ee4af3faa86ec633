//! Calls from node to node while something goes wrong: callers that leave, nodes that die, drain or are full.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use roadshow::prelude::*;
use roadshow::{CallOptions, Drained, EventBridge, Executed, MemoryBus, PartState};

use super::exchange::{caller, server};
use super::lab::{Ledger, Options, Work, builder, eventually, lab, metric, stop};
use super::lame_bridge::LameBridge;

/// A node on a bridge that only pushes.
async fn pushed(bus: &MemoryBus, id: &str, ledger: Option<&Arc<Ledger>>, options: fn(Options) -> Options) -> Node {
    let node = builder().node_id(id).event_bridge(Arc::new(LameBridge::pushing(bus)));
    let node = match ledger {
        Some(ledger) => node.service(lab(ledger, options)),
        None => node,
    };
    node.start().await.expect("a node starts")
}

fn hold(id: u64) -> Work {
    Work {
        id,
        hold: true,
        ..Work::default()
    }
}

fn keyed(timeout: Duration) -> CallOptions {
    CallOptions::default().key("k1").timeout(timeout)
}

type Calling = tokio::task::JoinHandle<Result<super::lab::Done, Failure>>;

fn call(node: &Node, work: Work, options: CallOptions) -> Calling {
    let client = node.client();
    tokio::spawn(async move { client.call_with(work, options).await })
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test]
async fn a_caller_that_leaves_calls_its_command_off() {
    for codec_always in [false, true] {
        let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
        let server = server(&bus, "server", &ledger, |c| c).await;
        let caller = caller(&bus, codec_always).await;
        let calling = call(&caller, hold(1), CallOptions::default());
        ledger.wait_for("start", 1).await;
        calling.abort();
        ledger.wait_for("cancelled", 1).await;
        ledger.release();
        stop(caller).await;
        stop(server).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_keyed_command_of_a_node_that_died_is_done_by_another() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let one = server(&bus, "one", &ledger, |c| c).await;
    let caller = caller(&bus, false).await;
    let calling = call(&caller, hold(1), keyed(secs(30)));
    ledger.wait_for("start", 1).await;
    let two = server(&bus, "two", &ledger, |c| c).await;
    drop(one);
    ledger.wait_for("start", 2).await;
    ledger.release();
    assert_eq!(calling.await.unwrap().unwrap().id, 1);
    stop(caller).await;
    stop(two).await;
}

#[tokio::test(start_paused = true)]
async fn where_the_broker_loses_it_the_caller_sends_a_keyed_command_again() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let one = pushed(&bus, "one", Some(&ledger), |c| c).await;
    let caller = pushed(&bus, "caller", None, |c| c).await;
    let calling = call(&caller, hold(1), keyed(secs(30)));
    ledger.wait_for("start", 1).await;
    drop(one);
    let two = pushed(&bus, "two", Some(&ledger), |c| c).await;
    ledger.wait_for("start", 2).await;
    ledger.release();
    assert_eq!(calling.await.unwrap().unwrap().id, 1);
    stop(caller).await;
    stop(two).await;
}

#[tokio::test(start_paused = true)]
async fn a_keyed_command_that_is_at_work_is_not_sent_again() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let server = pushed(&bus, "server", Some(&ledger), |c| c.deadline(Duration::from_secs(60))).await;
    let caller = pushed(&bus, "caller", None, |c| c).await;
    let slow = Work {
        sleep_ms: 30_000,
        ..Work::default()
    };
    call(&caller, slow, keyed(secs(60))).await.unwrap().unwrap();
    assert_eq!(ledger.count("start"), 1);
    assert_eq!(metric(&caller, "roadshow_call_resends_total"), 0.0);
    stop(caller).await;
    stop(server).await;
}

#[tokio::test(start_paused = true)]
async fn an_unkeyed_command_of_a_node_that_died_is_unknown_and_never_runs_twice() {
    for pushes in [false, true] {
        let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
        let (one, caller, two) = if pushes {
            let one = pushed(&bus, "one", Some(&ledger), |c| c).await;
            let caller = pushed(&bus, "caller", None, |c| c).await;
            (one, caller, None)
        } else {
            (
                server(&bus, "one", &ledger, |c| c).await,
                caller(&bus, false).await,
                Some(()),
            )
        };
        let calling = call(&caller, hold(1), CallOptions::default().timeout(secs(20)));
        ledger.wait_for("start", 1).await;
        let two = match two {
            Some(()) => server(&bus, "two", &ledger, |c| c).await,
            None => pushed(&bus, "two", Some(&ledger), |c| c).await,
        };
        drop(one);
        let lost = calling.await.unwrap().unwrap_err();
        assert_eq!(lost.executed, Executed::Unknown, "{lost:?}");
        assert_eq!(ledger.count("start"), 1);
        ledger.release();
        stop(caller).await;
        stop(two).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_answers_what_it_has_and_loses_nothing_of_what_comes() {
    for pushes in [false, true] {
        let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
        let (one, two, caller) = if pushes {
            let one = pushed(&bus, "one", Some(&ledger), |c| c).await;
            let two = pushed(&bus, "two", Some(&ledger), |c| c).await;
            (one, two, pushed(&bus, "caller", None, |c| c).await)
        } else {
            let one = server(&bus, "one", &ledger, |c| c).await;
            let two = server(&bus, "two", &ledger, |c| c).await;
            (one, two, caller(&bus, false).await)
        };
        let held: Vec<_> = (0..20)
            .map(|id| call(&caller, hold(id), CallOptions::default()))
            .collect();
        ledger.wait_for("start", 20).await;
        let view = one.view();
        let draining: tokio::task::JoinHandle<Drained> = tokio::spawn(one.shutdown(secs(20)));
        eventually("one drains", || !view.readiness().ready).await;
        for id in 100..140 {
            let quick = Work { id, ..Work::default() };
            assert_eq!(caller.client().call(quick).await.unwrap().id, id);
        }
        ledger.release();
        for call in held {
            call.await.unwrap().unwrap();
        }
        let drained = draining.await.unwrap();
        assert!(drained.is_clean(), "{drained:?}");
        stop(caller).await;
        stop(two).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_stops_ends_its_calls() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let server = server(&bus, "server", &ledger, |c| c).await;
    let caller = caller(&bus, false).await;
    let calling = call(&caller, hold(1), CallOptions::default());
    ledger.wait_for("start", 1).await;
    let _ = caller.shutdown(secs(2)).await;
    let ended = calling.await.unwrap().unwrap_err();
    assert_eq!((ended.code, ended.executed), (Code::Unavailable, Executed::Unknown));
    ledger.release();
    stop(server).await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_beyond_its_time_is_not_started() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let server = server(&bus, "server", &ledger, |c| c.concurrency(1)).await;
    let caller = caller(&bus, false).await;
    let first = call(&caller, hold(1), CallOptions::default());
    ledger.wait_for("start", 1).await;
    let short = CallOptions::default().timeout(secs(1));
    let second = call(&caller, hold(2), short).await.unwrap().unwrap_err();
    assert_eq!((second.code, second.executed), (Code::Timeout, Executed::Unknown));
    tokio::time::advance(secs(1)).await;
    ledger.release();
    first.await.unwrap().unwrap();
    eventually("the second was looked at", || {
        metric(&server, "roadshow_refused_total{") >= 1.0
    })
    .await;
    assert_eq!(ledger.count("start"), 1);
    stop(caller).await;
    stop(server).await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_another_may_not_repeat_is_tried_once_more() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let full = pushed(&bus, "full", Some(&ledger), |c| c.concurrency(1).waiting(0)).await;
    let caller = pushed(&bus, "caller", None, |c| c).await;
    let held = call(&caller, hold(1), CallOptions::default());
    ledger.wait_for("start", 1).await;
    let refused = call(&caller, hold(2), CallOptions::default())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!((refused.code, refused.executed), (Code::Exhausted, Executed::No));
    assert_eq!(metric(&caller, "roadshow_call_retries_total"), 1.0);
    for id in 3..100 {
        call(&caller, hold(id), CallOptions::default())
            .await
            .unwrap()
            .unwrap_err();
    }
    let retries = metric(&caller, "roadshow_call_retries_total");
    assert!(
        (10.0..=20.0).contains(&retries),
        "a tenth beside what was saved up: {retries}"
    );
    ledger.release();
    held.await.unwrap().unwrap();
    stop(caller).await;
    stop(full).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_hear_itself_is_not_ready_and_asks_for_a_new_connection() {
    let bus = MemoryBus::default();
    let mut bridge = LameBridge::pushing(&bus);
    bridge.lacks = |capability| capability.shared_values = false;
    let (swallows, renewed) = (Arc::clone(&bridge.swallows), Arc::clone(&bridge.renewed));
    let node = builder()
        .event_bridge(Arc::new(bridge) as Arc<dyn EventBridge>)
        .start()
        .await
        .unwrap();
    let state = || {
        let parts = node.readiness().parts.into_iter();
        parts
            .filter(|part| part.name == "event bridge")
            .map(|part| part.state)
            .next()
    };
    eventually("it is ready", || state() == Some(PartState::Ready)).await;
    swallows.store(true, Ordering::SeqCst);
    let deaf = tokio::time::Instant::now();
    eventually("it is not ready", || state() == Some(PartState::NotReady)).await;
    assert!((3..=5).contains(&deaf.elapsed().as_secs()), "{:?}", deaf.elapsed());
    assert_eq!(renewed.load(Ordering::SeqCst), 0);
    eventually("it asks for a new connection", || renewed.load(Ordering::SeqCst) == 1).await;
    assert!((14..=17).contains(&deaf.elapsed().as_secs()), "{:?}", deaf.elapsed());
    swallows.store(false, Ordering::SeqCst);
    eventually("it hears itself again", || state() == Some(PartState::Ready)).await;
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_not_taken_for_a_deaf_connection() {
    let bus = MemoryBus::default();
    let mut bridge = LameBridge::pushing(&bus);
    bridge.lacks = |capability| capability.shared_values = false;
    let (swallows, away, renewed) = (
        Arc::clone(&bridge.swallows),
        Arc::clone(&bridge.away),
        Arc::clone(&bridge.renewed),
    );
    let node = builder().event_bridge(Arc::new(bridge) as Arc<dyn EventBridge>);
    let node = node.start().await.unwrap();
    eventually("it is ready", || node.readiness().ready).await;
    swallows.store(true, Ordering::SeqCst);
    away.store(true, Ordering::SeqCst);
    let since = tokio::time::Instant::now();
    eventually("it is away for long", || since.elapsed() >= secs(18)).await;
    assert_eq!(renewed.load(Ordering::SeqCst), 0, "the bridge reconnects anyway");
    away.store(false, Ordering::SeqCst);
    eventually("it is back for a while", || since.elapsed() >= secs(28)).await;
    assert_eq!(renewed.load(Ordering::SeqCst), 0, "a new connection gets its time");
    eventually("it stays deaf", || renewed.load(Ordering::SeqCst) == 1).await;
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_never_runs_although_nobody_confirmed_the_refusal() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let bridge = LameBridge::pushing(&bus);
    bridge.unsure.store(true, Ordering::SeqCst);
    let full = builder()
        .node_id("full")
        .event_bridge(Arc::new(bridge) as Arc<dyn EventBridge>);
    let full = full.service(lab(&ledger, |c| c.concurrency(1).waiting(0)));
    let full = full.start().await.unwrap();
    let caller = pushed(&bus, "caller", None, |c| c).await;
    let held = call(&caller, hold(1), CallOptions::default());
    ledger.wait_for("start", 1).await;
    let refused = call(&caller, hold(2), keyed(secs(10))).await.unwrap().unwrap_err();
    assert_eq!((refused.code, refused.executed), (Code::Exhausted, Executed::No));
    ledger.release();
    held.await.unwrap().unwrap();
    let since = tokio::time::Instant::now();
    eventually("a copy would have come", || since.elapsed() >= secs(3)).await;
    assert_eq!(ledger.count("start"), 1);
    stop(caller).await;
    stop(full).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_may_be_sent_again_and_never_runs_although_the_node_is_lost_while_it_answers() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let bridge = LameBridge::pushing(&bus);
    bridge.confirms_no_failure.store(true, Ordering::SeqCst);
    let full = builder()
        .node_id("full")
        .event_bridge(Arc::new(bridge) as Arc<dyn EventBridge>);
    let full = full.service(lab(&ledger, |c| c.concurrency(1).waiting(0)));
    let full = full.start().await.unwrap();
    let caller = pushed(&bus, "caller", None, |c| c).await;
    let held = call(&caller, hold(1), CallOptions::default().timeout(secs(5)));
    ledger.wait_for("start", 1).await;
    let refused = call(&caller, hold(2), keyed(secs(5))).await.unwrap().unwrap_err();
    assert_eq!((refused.code, refused.executed), (Code::Exhausted, Executed::No));
    assert_eq!(metric(&caller, "roadshow_call_retries_total"), 1.0);
    let two = pushed(&bus, "two", Some(&ledger), |c| c).await;
    drop(full);
    held.await.unwrap().unwrap_err();
    assert_eq!(ledger.count("start"), 1);
    stop(caller).await;
    stop(two).await;
}

#[tokio::test(start_paused = true)]
async fn a_command_whose_answer_nobody_confirms_is_given_up_after_some_starts() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let bridge = LameBridge::pushing(&bus);
    bridge.unsure.store(true, Ordering::SeqCst);
    let server = builder().event_bridge(Arc::new(bridge) as Arc<dyn EventBridge>);
    let server = server.service(lab(&ledger, |c| c)).start().await.unwrap();
    let caller = pushed(&bus, "caller", None, |c| c).await;
    let fails = Work {
        fail: true,
        ..Work::default()
    };
    call(&caller, fails, keyed(secs(60))).await.unwrap().unwrap_err();
    eventually("it is given up", || {
        metric(&server, "roadshow_commands_given_up_total{") == 1.0
    })
    .await;
    let since = tokio::time::Instant::now();
    eventually("it would have been started again", || since.elapsed() >= secs(3)).await;
    assert_eq!(ledger.count("start"), 5);
    stop(caller).await;
    stop(server).await;
}
