//! The broker is away: at the start, later, and back again. Readiness tells the truth, and calls are served again.

use std::time::Duration;

use roadshow_conformance::broker::BrokerKind;
use serde_json::json;

use crate::stage::{Stage, readiness, run, until};

/// How soon a node says that its broker is lost.
const UNREADY_MAX: Duration = Duration::from_secs(5);

async fn readiness_follows_the_broker(kind: BrokerKind) {
    let mut stage = Stage::new(kind).await;
    stage.broker.kill();
    let (mut front, path) = (stage.node("front", &["--services", "user"]), stage.ledger());
    let mut probe = stage.node("probe", &["--services", "probe", "--probe", &path]);
    front.spawn().expect("it starts");
    probe.spawn().expect("it starts");
    for node in [&front, &probe] {
        let names_the_bridge = async || {
            let (status, text) = readiness(node).await;
            (status == 503 && text.contains("\"name\":\"event bridge\",\"state\":\"not_ready\"")).then_some(())
        };
        until(
            "a node without a broker says so",
            Duration::from_secs(10),
            names_the_bridge,
        )
        .await;
        assert!(node.pid().is_some(), "it waits and does not give up");
    }

    stage.broker.restart().await.expect("the broker starts");
    front.ready().await.unwrap_or_else(|error| panic!("{error}"));
    probe.ready().await.unwrap_or_else(|error| panic!("{error}"));
    served_again(&stage, &front, "appeared").await;

    for turn in ["first", "second"] {
        // allow-sleep: a quorum queue of RabbitMQ 3.10 that is younger than a second does not survive kill -9 of the server
        tokio::time::sleep(Duration::from_secs(2)).await;
        stage.broker.kill();
        for node in [&front, &probe] {
            let unready = async || (readiness(node).await.0 == 503).then_some(());
            let ((), took) = until("a node whose broker is lost says so", UNREADY_MAX, unready).await;
            println!("{turn} outage: not ready after {took:?}");
        }
        stage.broker.restart().await.expect("the broker starts again");
        served_again(&stage, &front, turn).await;
        for node in [&front, &probe] {
            let ready = async || (readiness(node).await.0 == 200).then_some(());
            until("a node is ready again", stage.recovery_max(), ready).await;
        }
    }
    for node in [&mut front, &mut probe] {
        let status = node.stop().await.expect("it ends");
        assert!(status.success(), "{status}: {}", node.log_tail());
    }
}

async fn served_again(stage: &Stage, front: &crate::node::Node, turn: &str) {
    let mut number = 0;
    let served = async || {
        number += 1;
        let input = json!({"id": format!("{turn}{number}")});
        let (status, _) = run(front, "\r\nx-timeout-ms: 1000", &input).await;
        (status == 200).then_some(())
    };
    let ((), took) = until("calls are served", stage.recovery_max(), served).await;
    println!("{turn}: served {took:?} after the broker was back");
}

#[tokio::test]
async fn readiness_follows_the_broker_over_nats() {
    readiness_follows_the_broker(BrokerKind::Nats).await;
}

#[tokio::test]
async fn readiness_follows_the_broker_over_amqp() {
    readiness_follows_the_broker(BrokerKind::Rabbit).await;
}

#[tokio::test]
async fn readiness_follows_the_broker_over_mqtt() {
    readiness_follows_the_broker(BrokerKind::Mosquitto).await;
}
