//! The demo in two processes is one system: calls and events cross, ids survive, and a killed half comes back.

use std::time::Duration;

use roadshow_conformance::broker::BrokerKind;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::http::Connection;
use crate::ledger;
use crate::stage::{Stage, post, run, until};

const CALLS: usize = 20;
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn a_user_is_created_here_and_welcomed_there(kind: BrokerKind) {
    let stage = Stage::new(kind).await;
    let user = stage.start("user", &["--services", "user"]).await;
    let email = stage.start("email", &["--services", "email"]).await;
    let headers = format!("\r\ntraceparent: 00-{TRACE}-00f067aa0ba902b7-01");
    let ada = json!({"name": "Ada", "email": "ada@example.org"});
    let created = post(&user, "/api/v1/users", &headers, &ada).await.expect("an answer");
    assert_eq!(created.status, 201, "{:?}", created.json());
    let correlation = &created.headers["x-correlation-id"];
    let (line, _) = until("the mail is sent", Duration::from_secs(15), async || {
        let log = email.log();
        log.lines()
            .find(|line| line.contains("welcome mail sent"))
            .map(str::to_owned)
    })
    .await;
    let line: Value = serde_json::from_str(&line).expect("a line is JSON");
    assert_eq!(line["to"], "ada@example.org");
    assert_eq!(line["span"]["correlation_id"], **correlation, "{line}");
    assert_eq!(line["span"]["trace_id"], TRACE, "{line}");

    // Each process calls what only the other one serves.
    let id = json!({ "id": created.json()["id"] });
    let found = post(&email, "/_node/call/user/1/get_user", "", &id)
        .await
        .expect("an answer");
    assert_eq!((found.status, found.json()), (200, created.json()));
    let mail = json!({"to": "bob@example.org"});
    let sent = post(&user, "/_node/call/email/1/send_welcome", "", &mail)
        .await
        .expect("an answer");
    assert_eq!((sent.status, &sent.json()["to"]), (200, &mail["to"]));
    let again = post(&email, "/_node/call/user/1/create_user", "", &ada)
        .await
        .expect("an answer");
    assert_eq!((again.status, &again.json()["executed"]), (409, &json!("yes")));
}

#[tokio::test]
async fn a_user_is_created_here_and_welcomed_there_over_nats() {
    a_user_is_created_here_and_welcomed_there(BrokerKind::Nats).await;
}

#[tokio::test]
async fn a_user_is_created_here_and_welcomed_there_over_amqp() {
    a_user_is_created_here_and_welcomed_there(BrokerKind::Rabbit).await;
}

#[tokio::test]
async fn a_user_is_created_here_and_welcomed_there_over_mqtt() {
    a_user_is_created_here_and_welcomed_there(BrokerKind::Mosquitto).await;
}

async fn calls_at_work_on_a_killed_node_end_honestly(kind: BrokerKind) {
    let stage = Stage::new(kind).await;
    let front = stage.start("front", &["--services", "user"]).await;
    let path = stage.ledger();
    let mut probe = stage.start("probe", &["--services", "probe", "--probe", &path]).await;
    assert_eq!(run(&front, "", &json!({"id": "before"})).await.0, 200);
    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        let http = front.http;
        calls.spawn(async move {
            let mut connection = Connection::open(http).await.expect("the gateway listens");
            let input = json!({"id": format!("cut{number}"), "sleep_ms": 20_000});
            let headers = "\r\nx-timeout-ms: 10000";
            let answer = connection.post("/_node/call/probe/1/run", headers, &input, Duration::from_secs(20));
            let answer = answer.await.expect("everybody is answered by the deadline");
            (answer.status, answer.json())
        });
    }
    let starts = |word: &str| {
        ledger::read(path.as_ref())
            .iter()
            .filter(|line| line.id.starts_with(word))
            .count()
    };
    let all_started = async || (starts("cut") == CALLS).then_some(());
    until("every call is at work", Duration::from_secs(10), all_started).await;
    probe.kill().await;
    for (status, problem) in calls.join_all().await {
        assert!(status == 503 || status == 504, "{status} {problem}");
        assert_eq!(problem["executed"], "unknown", "they had started: {problem}");
    }
    let (status, problem) = run(&front, "\r\nx-timeout-ms: 3000", &json!({"id": "nobody"})).await;
    assert!(status == 503 || status == 504, "{status} {problem}");
    if problem["executed"] == "no" {
        assert_eq!(starts("nobody"), 0);
    }
    probe.start().await.expect("it starts again");
    let served = async || {
        let (status, _) = run(&front, "\r\nx-timeout-ms: 2000", &json!({"id": "after"})).await;
        (status == 200).then_some(())
    };
    let ((), took) = until("calls are served again", stage.recovery_max(), served).await;
    println!("served {took:?} after the node was ready");
    assert_eq!(starts("cut"), CALLS, "a call without a key never runs twice");
}

#[tokio::test]
async fn calls_at_work_on_a_killed_node_end_honestly_over_nats() {
    calls_at_work_on_a_killed_node_end_honestly(BrokerKind::Nats).await;
}

#[tokio::test]
async fn calls_at_work_on_a_killed_node_end_honestly_over_amqp() {
    calls_at_work_on_a_killed_node_end_honestly(BrokerKind::Rabbit).await;
}

#[tokio::test]
async fn calls_at_work_on_a_killed_node_end_honestly_over_mqtt() {
    calls_at_work_on_a_killed_node_end_honestly(BrokerKind::Mosquitto).await;
}
