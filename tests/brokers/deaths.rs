//! A node dies by kill -9 in the middle of its handlers: what may run again does, what may not does not, and messages that
//! only waited beside it are not blamed.

use std::collections::HashMap;
use std::time::Duration;

use roadshow_conformance::broker::BrokerKind;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::http::Connection;
use crate::ledger::{self, Line, Phase};
use crate::stage::{Stage, post, until};

/// Handlers at work on each node at the same time, of commands and of events each.
const CONCURRENCY: &str = "5";
const COMMANDS: usize = 6;
const EVENTS: usize = 20;

async fn what_a_dead_node_had_is_done_elsewhere_or_ends_as_unknown(kind: BrokerKind) {
    let stage = Stage::new(kind).await;
    let path = stage.ledger();
    let flags = [
        "--services",
        "probe",
        "--probe",
        &path,
        "--probe-lease",
        "3s",
        "--probe-concurrency",
        CONCURRENCY,
    ];
    let front = stage.start("front", &["--services", "user"]).await;
    let mut dying = stage.start("dying", &flags).await;
    let living = stage.start("living", &flags).await;

    let mut calls = JoinSet::new();
    for number in 0..COMMANDS {
        for kind in ["keyed", "plain"] {
            calls.spawn(call(front.http, format!("{kind}{number}")));
        }
    }
    for number in 0..EVENTS {
        let event = json!({"id": format!("event{number}"), "sleep_ms": 2_000});
        let taken = post(&front, "/_node/emit/probe.event", "", &event)
            .await
            .expect("an answer");
        assert_eq!(taken.status, 202, "{:?}", taken.json());
    }
    let lines = || ledger::read(path.as_ref());
    let at_work = async || {
        let on_dying = |word: &str| {
            lines()
                .iter()
                .any(|line| line.node == "dying" && line.id.starts_with(word))
        };
        (on_dying("event") && (on_dying("keyed") || on_dying("plain"))).then_some(())
    };
    until(
        "the node that dies has work of both kinds",
        Duration::from_secs(15),
        at_work,
    )
    .await;
    dying.kill().await;
    let at_death = lines();
    dying.start().await.expect("it starts again");

    let answers: HashMap<String, (u16, Value)> = calls.join_all().await.into_iter().collect();
    let done = async || {
        let lines = lines();
        let is_done = |id: String| lines.iter().any(|line| line.id == id && line.is_ok());
        let events = (0..EVENTS).all(|number| is_done(format!("event{number}")));
        let began = |id: &str| at_death.iter().any(|line| line.id == id);
        let keyed = (0..COMMANDS).map(|number| format!("keyed{number}"));
        (events && keyed.filter(|id| began(id)).all(is_done)).then_some(())
    };
    until(
        "every event and every keyed command is done",
        Duration::from_secs(60),
        done,
    )
    .await;
    judge(&lines(), &at_death, &answers);
    drop(living);
}

async fn call(http: std::net::SocketAddr, id: String) -> (String, (u16, Value)) {
    let mut connection = Connection::open(http).await.expect("the gateway listens");
    let key = if id.starts_with("keyed") {
        format!("\r\nidempotency-key: {id}")
    } else {
        String::new()
    };
    let headers = format!("\r\nx-timeout-ms: 20000{key}");
    let input = json!({"id": id, "sleep_ms": 2_000});
    let answer = connection.post("/_node/call/probe/1/run", &headers, &input, Duration::from_secs(25));
    let answer = answer.await.expect("everybody is answered by the deadline");
    (id, (answer.status, answer.json()))
}

fn judge(lines: &[Line], at_death: &[Line], answers: &HashMap<String, (u16, Value)>) {
    let starts = |id: &str| {
        let of_id = |line: &&Line| line.id == id && line.phase == Phase::Start;
        lines.iter().filter(of_id).collect::<Vec<_>>()
    };
    let ended_before = |id: &str| at_death.iter().any(|line| line.id == id && line.is_ok());
    for (id, (status, problem)) in answers.iter().filter(|(id, _)| id.starts_with("plain")) {
        let starts = starts(id);
        assert!(starts.len() <= 1, "{id} has no key and ran {} times", starts.len());
        let was_cut = starts.iter().any(|line| line.node == "dying") && !ended_before(id) && *status != 200;
        if was_cut {
            assert_eq!(problem["executed"], "unknown", "{id}: {status} {problem}");
        }
        if problem["executed"] == "no" {
            assert!(starts.is_empty(), "{id} was told it did not run: {problem}");
        }
    }
    let mut ids: Vec<&str> = lines.iter().map(|line| line.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        for (before, line) in starts(id).iter().enumerate() {
            let attempt = line.attempt as usize;
            assert!(
                attempt <= before + 1,
                "{id} is told attempt {attempt} after {before} starts"
            );
        }
    }
}

#[tokio::test]
async fn what_a_dead_node_had_is_done_elsewhere_or_ends_as_unknown_over_nats() {
    what_a_dead_node_had_is_done_elsewhere_or_ends_as_unknown(BrokerKind::Nats).await;
}

#[tokio::test]
async fn what_a_dead_node_had_is_done_elsewhere_or_ends_as_unknown_over_amqp() {
    what_a_dead_node_had_is_done_elsewhere_or_ends_as_unknown(BrokerKind::Rabbit).await;
}

#[tokio::test]
async fn what_a_dead_node_had_is_done_elsewhere_or_ends_as_unknown_over_mqtt() {
    what_a_dead_node_had_is_done_elsewhere_or_ends_as_unknown(BrokerKind::Mosquitto).await;
}
