//! Commands from clients that are no node of ours: what they are answered, and where nobody is answered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use roadshow::bridges::memory::{MemoryBridgeSettings, MemoryBusSettings, MemoryEventBridge};
use roadshow::bridges::{
    ContentType, Deliveries, Envelope, EventBridge, Identity, Kind, MessageId, Namespace, Subject, Subscription,
};
use roadshow::config::Settings;
use roadshow::prelude::*;
use roadshow::{Executed, MemoryBus};
use serde_json::{Value, json};

use super::exchange::{caller, server};
use super::lab::{LAB, Ledger, Work, builder, eventually, lab, metric, stop};
use super::lame_bridge::LameBridge;

/// Somebody with a broker's own client.
struct Stranger {
    bridge: MemoryEventBridge,
    sent: u128,
}

impl Stranger {
    fn on(bus: &MemoryBus) -> Self {
        Stranger {
            bridge: MemoryEventBridge::new(bus.clone(), MemoryBridgeSettings::default()),
            sent: 1 << 100,
        }
    }

    async fn listen(&self, subject: &str) -> Deliveries {
        let subject = Subject::foreign(subject).unwrap();
        self.bridge.subscribe(Subscription::new(subject)).await.unwrap()
    }

    /// A command with nothing of ours in it.
    fn command(&mut self, body: &str, reply_to: Option<&str>) -> Envelope {
        self.sent += 1;
        let subject = Namespace::default().command_subject(LAB.command("work"));
        let identity = Identity::root(MessageId::from_u128(self.sent));
        let mut envelope = Envelope::new(Kind::Command, subject, identity, Bytes::from(body.to_owned()));
        envelope.reply_to = reply_to.map(|to| Subject::foreign(to).unwrap());
        envelope.transport_correlation = Some("theirs".into());
        envelope
    }

    async fn send(&mut self, body: &str, reply_to: Option<&str>) {
        let command = self.command(body, reply_to);
        let _ = self.bridge.publish(command).await.unwrap();
    }
}

/// The next answer: its kind, its correlation and its body.
async fn answer(answers: &mut Deliveries) -> (Kind, Value) {
    let delivery = tokio::time::timeout(super::lab::LIMIT, answers.next())
        .await
        .unwrap()
        .unwrap();
    let envelope = delivery.envelope();
    assert_eq!(envelope.transport_correlation.as_deref(), Some(b"theirs".as_slice()));
    let body = serde_json::from_slice(&envelope.payload.to_bytes().unwrap()).unwrap();
    let kind = envelope.kind;
    delivery.ack();
    (kind, body)
}

/// A node that answers at `answers.mine` beside the usual addresses.
async fn friendly(bus: &MemoryBus, ledger: &Arc<Ledger>) -> Node {
    let variables = [("ROADSHOW_REPLY_ALLOW".to_owned(), "answers.mine".to_owned())];
    let settings = Settings::resolve(None, variables.into_iter(), &[], None).unwrap();
    let node = builder().settings(settings).memory_bus(bus).service(lab(ledger, |c| c));
    node.start().await.unwrap()
}

#[tokio::test]
async fn a_stranger_gets_its_reply_and_its_failure_as_json() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let node = friendly(&bus, &ledger).await;
    let mut stranger = Stranger::on(&bus);
    let mut answers = stranger.listen("answers.mine").await;
    stranger.send("{\"id\":7}", Some("answers.mine")).await;
    let (kind, body) = answer(&mut answers).await;
    assert_eq!((kind, &body["id"]), (Kind::Reply, &json!(7)));
    stranger.send("{\"fail\":true}", Some("answers.mine")).await;
    let (kind, body) = answer(&mut answers).await;
    assert_eq!(
        (kind, &body["code"], &body["executed"]),
        (Kind::Failure, &json!("conflict"), &json!("yes"))
    );
    stranger.send("{\"id\":", Some("answers.mine")).await;
    let (kind, body) = answer(&mut answers).await;
    assert_eq!(
        (kind, &body["code"], &body["executed"]),
        (Kind::Failure, &json!("invalid"), &json!("no"))
    );
    let mut odd = stranger.command("{}", Some("answers.mine"));
    odd.content_type = ContentType::Other("text/plain".into());
    let _ = stranger.bridge.publish(odd).await.unwrap();
    let (kind, body) = answer(&mut answers).await;
    assert_eq!(
        (kind, &body["code"], &body["executed"]),
        (Kind::Failure, &json!("invalid"), &json!("no"))
    );
    assert_eq!(ledger.count("start"), 2);
    stop(node).await;
}

#[tokio::test]
async fn a_command_with_any_other_reply_address_is_not_run_and_counted() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let node = friendly(&bus, &ledger).await;
    let mut stranger = Stranger::on(&bus);
    let elsewhere = [
        "answers.yours",
        "answers.mine.more",
        "roadshow.evt.user.created",
        "roadshow.cmd.lab.1.work",
        "roadshow.inbox.one",
        "$JS.API.STREAM.DELETE.S",
        "_INBOX.a",
        "answers.*",
        "answers.>",
        "answers/#",
    ];
    for address in elsewhere {
        stranger.send("{}", Some(address)).await;
    }
    let refused = "roadshow_refused_total{";
    eventually("all are counted", || metric(&node, refused) >= elsewhere.len() as f64).await;
    let text = node.metrics_text();
    assert!(text.contains("reason=\"reply_address\"} 10"), "{text}");
    assert_eq!(ledger.count("start"), 0);
    stop(node).await;
}

#[tokio::test]
async fn a_command_without_reply_address_is_run_and_counted() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let node = friendly(&bus, &ledger).await;
    let mut stranger = Stranger::on(&bus);
    stranger.send("{}", None).await;
    ledger.wait_for("end", 1).await;
    assert_eq!(metric(&node, "roadshow_commands_without_reply_total"), 1.0);
    stop(node).await;
}

#[tokio::test]
async fn a_cancel_that_comes_first_keeps_its_command_from_starting() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let node = friendly(&bus, &ledger).await;
    let mut stranger = Stranger::on(&bus);
    let mut answers = stranger.listen("answers.mine").await;
    let called_off = stranger.command("{\"id\":1}", Some("answers.mine"));
    let subject = Namespace::default().cancel_subject(LAB);
    let cancel = Envelope::new(Kind::Cancel, subject, called_off.identity.clone(), Bytes::new());
    let _ = stranger.bridge.publish(cancel).await.unwrap();
    let waiting = || bus.groups().iter().map(|group| group.ready).sum::<usize>();
    eventually("the cancel was heard", || waiting() == 0).await;
    let _ = stranger.bridge.publish(called_off).await.unwrap();
    stranger.send("{\"id\":2}", Some("answers.mine")).await;
    let (_, body) = answer(&mut answers).await;
    assert_eq!(body["id"], json!(2));
    assert_eq!(ledger.lines().first(), Some(&(2, "start")));
    stop(node).await;
}

#[tokio::test]
async fn a_message_that_comes_twice_while_it_is_at_work_is_started_once() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let node = friendly(&bus, &ledger).await;
    let mut stranger = Stranger::on(&bus);
    let mut answers = stranger.listen("answers.mine").await;
    let command = stranger.command("{\"id\":1,\"hold\":true}", Some("answers.mine"));
    for _ in 0..3 {
        let _ = stranger.bridge.publish(command.clone()).await.unwrap();
    }
    ledger.wait_for("start", 1).await;
    eventually("all are taken", || bus.stats().ready == 0).await;
    let mut late = command.clone();
    late.identity.budget = Some(Duration::ZERO);
    let _ = stranger.bridge.publish(late).await.unwrap();
    let mut other = command.clone();
    other.reply_to = None;
    let _ = stranger.bridge.publish(other).await.unwrap();
    let mut other = command;
    other.reply_to = Some(Subject::foreign(&format!("roadshow.inbox.other.i1.c{:032x}", 1)).unwrap());
    let mut others = stranger.listen(other.reply_to.as_ref().unwrap().as_str()).await;
    let _ = stranger.bridge.publish(other).await.unwrap();
    let (kind, body) = answer(&mut others).await;
    assert_eq!(
        (kind, &body["code"], &body["executed"]),
        (Kind::Failure, &json!("conflict"), &json!("unknown"))
    );
    ledger.release();
    assert_eq!(answer(&mut answers).await.0, Kind::Reply);
    stranger.send("{\"id\":2}", Some("answers.mine")).await;
    assert_eq!(answer(&mut answers).await.1["id"], json!(2));
    assert_eq!(ledger.count("start"), 2);
    stop(node).await;
}

#[tokio::test]
async fn what_is_too_large_is_told_at_once_on_both_ways() {
    let mut settings = MemoryBusSettings::default();
    settings.payload_bytes_max = 160;
    let (bus, ledger) = (MemoryBus::new(settings), Arc::new(Ledger::default()));
    let server = server(&bus, "server", &ledger, |c| c).await;
    let caller = caller(&bus, false).await;
    let reply = caller.client().call(Work::default()).await.unwrap_err();
    assert_eq!((reply.code, reply.executed), (Code::Internal, Executed::Yes));
    assert_eq!(reply.message, "reply too large");
    assert_eq!(reply.details.unwrap()["limit"], json!(160));
    assert_eq!(ledger.count("end"), 1);
    let long = Work {
        lane: "x".repeat(1_000),
        ..Work::default()
    };
    let command = caller.client().call(long).await.unwrap_err();
    assert_eq!((command.code, command.executed), (Code::Invalid, Executed::No));
    assert_eq!(command.details.unwrap()["limit"], json!(160));
    assert_eq!(ledger.count("start"), 1);
    stop(caller).await;
    stop(server).await;
}

#[tokio::test]
async fn what_a_broker_can_hold_waits_there_for_a_permit() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let node = server(&bus, "node", &ledger, |c| c.concurrency(10)).await;
    let mut stranger = Stranger::on(&bus);
    for _ in 0..1_000 {
        stranger.send("{\"hold\":true}", None).await;
    }
    ledger.wait_for("start", 10).await;
    eventually("nothing more is taken", || bus.stats().ready >= 980).await;
    assert_eq!((ledger.count("start"), ledger.peak()), (10, 10));
    ledger.release();
    ledger.wait_for("end", 1_000).await;
    assert_eq!(ledger.peak(), 10);
    stop(node).await;
}

#[tokio::test]
async fn what_no_broker_holds_is_refused_at_once_but_for_what_runs_and_waits() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let bridge = Arc::new(LameBridge::pushing(&bus));
    let node = builder()
        .event_bridge(bridge)
        .service(lab(&ledger, |c| c.concurrency(10).waiting(100)));
    let node = node.start().await.unwrap();
    let mut stranger = Stranger::on(&bus);
    let inbox = format!("roadshow.inbox.stranger.i1.c{:032x}", 1);
    let mut answers = stranger.listen(&inbox).await;
    let started = tokio::time::Instant::now();
    let mut refused = 0;
    for round in 0..50 {
        for _ in 0..1_000 {
            stranger.send("{\"hold\":true}", Some(&inbox)).await;
        }
        let expected = if round == 0 { 890 } else { 1_000 };
        for _ in 0..expected {
            let (kind, body) = answer(&mut answers).await;
            assert_eq!(
                (kind, &body["code"], &body["executed"]),
                (Kind::Failure, &json!("exhausted"), &json!("no"))
            );
            refused += 1;
        }
    }
    assert_eq!((refused, ledger.count("start")), (49_890, 10));
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    ledger.release();
    ledger.wait_for("end", 110).await;
    assert_eq!(ledger.peak(), 10);
    stop(node).await;
}
