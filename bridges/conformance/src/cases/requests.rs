//! Requests and replies between nodes: the part of a bridge's behaviour that is written once, above it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use roadshow_bridges::{Code, Envelope, EventBridge, Executed, Kind, Subject, Subscription};
use roadshow_services::{CallOptions, Command};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::case::{Case, Need, case, fact};
use crate::stage::{Stage, send, subscribe};
use crate::troupe::{Ask, Ledger, TROUPE, end, metric};
use crate::wait::{SOON, next, quiet, soon, until, within};

const CALLERS: u64 = 1000;

pub(super) const CASES: &[Case] = &[
    case!(
        "E05c",
        a_call_that_nobody_serves_is_unavailable_at_once,
        [fact!(unroutable)],
        "given no node that serves a command, when it is called, then the caller gets `unavailable`, executed no, within \
         250 ms. The best of 5 counts, for tests share their processors"
    ),
    case!(
        "N01",
        a_node_that_has_started_serves,
        [],
        "given 20 nodes that start one after the other, then the very first call from another node to each is served"
    ),
    case!(
        "E06",
        every_caller_gets_its_own_reply,
        [],
        "given 1,000 concurrent callers and two nodes that serve, then each caller gets exactly its own reply; on a bridge \
         that holds no backlog a caller may be refused as `exhausted`, executed no, and calls again"
    ),
    case!(
        "E07",
        a_call_that_nobody_answers_ends_at_its_deadline,
        [],
        "given a handler that never answers, when calls with deadlines of 500 ms are made, then each ends as `timeout`, \
         executed unknown, never more than 50 ms early and, 5 of 9 of them, less than 50 ms late"
    ),
    case!(
        "E08",
        a_late_reply_is_dropped_and_counted,
        [],
        "given replies that come after their callers gave up, then each is counted, and calls made meanwhile get their own"
    ),
    case!(
        "E10",
        a_reply_that_is_too_large_is_told_at_once,
        [Need::Fact("payload_bytes_max", |capability| capability
            .payload_bytes_max
            .is_some())],
        "given a reply larger than the limit, then the caller gets `internal: reply too large`, executed yes, long before \
         its deadline, and the next call is served"
    ),
    case!(
        "E23",
        a_panic_in_a_handler_is_its_own_only,
        [],
        "given a handler that panics, then its caller gets `internal`, executed unknown, the panic is counted, a handler that \
         runs meanwhile ends in peace, and the next call is served"
    ),
    case!(
        "E27",
        a_reply_goes_to_reply_addresses_only,
        [],
        "given a command whose reply address is an event or a command of ours, then it is not run and nothing is published \
         there"
    ),
    case!(
        "E28b",
        a_command_of_a_later_version_is_answered,
        [],
        "given a command with headers of a later version, then it is answered on its own reply address, with its correlation \
         where the transport has one"
    ),
];

fn ask(id: u64) -> Ask {
    Ask { id, ..Ask::default() }
}

async fn a_call_that_nobody_serves_is_unavailable_at_once(stage: Stage) {
    let caller = stage.caller().await;
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        let failure = soon("an answer", caller.client().call(ask(1)))
            .await
            .expect_err("nobody");
        best = best.min(begun.elapsed());
        assert_eq!(
            (failure.code, failure.executed),
            (Code::Unavailable, Executed::No),
            "{failure:?}"
        );
        assert!(failure.message.contains("troupe.1"), "{failure:?}");
    }
    assert!(best < Duration::from_millis(250), "{best:?}");
    end(caller).await;
}

async fn a_node_that_has_started_serves(stage: Stage) {
    let caller = stage.caller().await;
    for id in 0..20 {
        let ledger = Arc::<Ledger>::default();
        let server = stage.server(&ledger).await;
        let answer = soon("an answer", caller.client().call(ask(id))).await;
        assert_eq!(answer.expect("it has started").id, id);
        end(server).await;
    }
    end(caller).await;
}

async fn every_caller_gets_its_own_reply(stage: Stage) {
    let ledger = Arc::<Ledger>::default();
    let (one, two) = (stage.server(&ledger).await, stage.server(&ledger).await);
    let caller = stage.caller().await;
    let mut calls = JoinSet::new();
    for id in 0..CALLERS {
        let client = caller.client();
        calls.spawn(async move {
            loop {
                match client.call(ask(id)).await {
                    Ok(answer) => return assert_eq!(answer.id, id, "a reply reached another caller"),
                    Err(failure) if failure.code == Code::Exhausted && failure.executed == Executed::No => {}
                    Err(failure) => panic!("call {id} failed: {failure:?}"),
                }
            }
        });
    }
    while let Some(ended) = within(Duration::from_secs(40), "a reply", calls.join_next()).await {
        ended.expect("every caller gets its own reply");
    }
    assert_eq!(ledger.ends(), CALLERS);
    for node in [caller, one, two] {
        end(node).await;
    }
}

async fn a_call_that_nobody_answers_ends_at_its_deadline(stage: Stage) {
    const DEADLINE: Duration = Duration::from_millis(500);
    const SLACK: Duration = Duration::from_millis(50);
    let ledger = Arc::<Ledger>::default();
    let (server, caller) = (stage.server(&ledger).await, stage.caller().await);
    let client = caller.client();
    let mut took = Vec::new();
    for id in 0..9 {
        let begun = Instant::now();
        let input = Ask { hold: true, ..ask(id) };
        let call = client.call_with(input, CallOptions::default().timeout(DEADLINE));
        let failure = soon("the timeout", call).await.expect_err("nobody answers");
        took.push(begun.elapsed());
        assert_eq!(
            (failure.code, failure.executed),
            (Code::Timeout, Executed::Unknown),
            "{failure:?}"
        );
    }
    took.sort_unstable();
    assert!(took[0] + SLACK >= DEADLINE && took[4] <= DEADLINE + SLACK, "{took:?}");
    ledger.release();
    end(caller).await;
    end(server).await;
}

/// Answers a command as a client of the broker would, with the id that it asks for.
async fn answer(stage: &Stage, bridge: &dyn EventBridge, asked: &Envelope) {
    let payload = asked.payload.to_bytes().expect("bytes");
    let id = serde_json::from_slice::<Ask>(&payload).expect("a question").id;
    let answer = serde_json::json!({ "id": id, "filling": "" }).to_string();
    let address = asked.reply_to.clone().expect("a call has a reply address");
    let mut reply = stage.message(Kind::Reply, address, answer);
    reply.transport_correlation.clone_from(&asked.transport_correlation);
    let published = soon("the outcome", bridge.publish(reply)).await;
    assert!(published.is_ok(), "{published:?}");
}

async fn a_late_reply_is_dropped_and_counted(stage: Stage) {
    let (caller, bridge) = (stage.caller().await, stage.bridge().await);
    let root = Subscription::children(stage.namespace.command_root(TROUPE));
    let mut asked = subscribe(&*bridge, root.group("cmd=troupe=1")).await;
    let client = caller.client();
    let mut late = Vec::new();
    for id in 0..5 {
        let options = CallOptions::default().timeout(Duration::from_millis(200));
        let failure = soon("the timeout", client.call_with(ask(id), options)).await;
        assert_eq!(failure.expect_err("late").code, Code::Timeout);
        let delivery = next(&mut asked).await;
        late.push(delivery.shared_envelope());
        delivery.ack();
    }
    let mut late = late.into_iter();
    for id in 100..110 {
        let mut calling = JoinSet::new();
        calling.spawn({
            let client = caller.client();
            async move { client.call(ask(id)).await }
        });
        let delivery = next(&mut asked).await;
        if let Some(late) = late.next() {
            answer(&stage, &*bridge, &late).await;
        }
        answer(&stage, &*bridge, delivery.envelope()).await;
        delivery.ack();
        let answered = soon("an answer", calling.join_next()).await.expect("one task");
        assert_eq!(
            answered.expect("no panic").expect("served").id,
            id,
            "a late reply reached another caller"
        );
    }
    until(SOON, "the late replies are counted", || {
        metric(&caller, "roadshow_late_replies_total") >= 5.0
    })
    .await;
    end(caller).await;
}

async fn a_reply_that_is_too_large_is_told_at_once(stage: Stage) {
    let limit = stage.bridge().await.capability().payload_bytes_max.expect("declared");
    let ledger = Arc::<Ledger>::default();
    let (server, caller) = (stage.server(&ledger).await, stage.caller().await);
    let input = Ask {
        reply_bytes: limit + 1,
        ..ask(1)
    };
    let begun = Instant::now();
    let failure = soon("an answer", caller.client().call(input))
        .await
        .expect_err("too large");
    assert_eq!(
        (failure.code, failure.executed),
        (Code::Internal, Executed::Yes),
        "{failure:?}"
    );
    assert!(failure.message.contains("too large"), "{failure:?}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(
        soon("an answer", caller.client().call(ask(2)))
            .await
            .expect("served")
            .id,
        2
    );
    end(caller).await;
    end(server).await;
}

async fn a_panic_in_a_handler_is_its_own_only(stage: Stage) {
    let ledger = Arc::<Ledger>::default();
    let (server, caller) = (stage.server(&ledger).await, stage.caller().await);
    let mut other = JoinSet::new();
    other.spawn({
        let client = caller.client();
        async move {
            let input = Ask { hold: true, ..ask(1) };
            client.call(input).await
        }
    });
    until(SOON, "the other handler runs", || ledger.starts() == 1).await;
    let input = Ask { panic: true, ..ask(2) };
    let failure = soon("an answer", caller.client().call(input))
        .await
        .expect_err("it panicked");
    assert_eq!(
        (failure.code, failure.executed),
        (Code::Internal, Executed::Unknown),
        "{failure:?}"
    );
    ledger.release();
    let peaceful = soon("the other answer", other.join_next()).await.expect("one task");
    assert_eq!(peaceful.expect("no panic").expect("served").id, 1);
    assert_eq!(
        soon("an answer", caller.client().call(ask(3)))
            .await
            .expect("served")
            .id,
        3
    );
    assert!(metric(&server, "roadshow_handler_panics_total") >= 1.0);
    end(caller).await;
    end(server).await;
}

async fn a_reply_goes_to_reply_addresses_only(stage: Stage) {
    let ledger = Arc::<Ledger>::default();
    let server = stage.server(&ledger).await;
    let bridge = stage.bridge().await;
    let event = stage.event("conf.victim");
    let mut victim = subscribe(&*bridge, Subscription::new(event.clone())).await;
    let command = stage.command(Ask::ADDRESS);
    let strange = Subject::foreign("somewhere.else").expect("a subject");
    for address in [event, command.clone(), strange] {
        let mut envelope = stage.message(Kind::Command, command.clone(), "{}");
        envelope.reply_to = Some(address);
        send(&*bridge, envelope).await;
    }
    quiet(&mut victim).await;
    let caller = stage.caller().await;
    assert_eq!(
        soon("an answer", caller.client().call(ask(7)))
            .await
            .expect("served")
            .id,
        7
    );
    assert_eq!(
        ledger.starts.load(Ordering::SeqCst),
        1,
        "a command with a strange reply address was run"
    );
    end(caller).await;
    end(server).await;
}

async fn a_command_of_a_later_version_is_answered(stage: Stage) {
    let ledger = Arc::<Ledger>::default();
    let server = stage.server(&ledger).await;
    let bridge = stage.bridge().await;
    let context = stage.context();
    let root = stage.namespace.inbox_root(&context.node, context.incarnation);
    let mut inbox = subscribe(&*bridge, Subscription::children(root)).await;
    let mut envelope = stage.message(
        Kind::Command,
        stage.command(Ask::ADDRESS),
        r#"{"id": 5, "later": true}"#,
    );
    envelope.reply_to = Some(stage.namespace.inbox_subject(&context.node, context.incarnation, 9));
    envelope.transport_correlation = Some("their-own-7".into());
    assert!(envelope.headers.push("rs-v", "9") && envelope.headers.push("rs-later", "x"));
    send(&*bridge, envelope).await;
    let delivery = next(&mut inbox).await;
    let reply = delivery.shared_envelope();
    delivery.ack();
    assert_eq!(reply.kind, Kind::Reply, "{reply:?}");
    let text = reply.payload.to_bytes().expect("bytes");
    assert!(String::from_utf8_lossy(&text).contains("\"id\":5"), "{text:?}");
    let correlation = reply.transport_correlation.as_deref();
    assert!(
        correlation.is_none_or(|echoed| echoed == b"their-own-7"),
        "{correlation:?}"
    );
    end(server).await;
}
