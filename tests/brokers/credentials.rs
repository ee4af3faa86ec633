//! Credentials: wrong ones end the program at once with a clear line, and no output ever holds one.

use std::time::{Duration, Instant};

use roadshow_conformance::broker::{BrokerKind, BrokerOptions};
use serde_json::json;

use crate::stage::{Stage, get, run};

/// In a password, and nowhere else.
const CANARY: &str = "cAnArY-7f3a";
const WRONG: &str = "cAnArY-wrong";

async fn credentials_are_believed_or_refused_and_never_shown(kind: BrokerKind) {
    let stage = Stage::with(kind, BrokerOptions::default().user("ada", CANARY)).await;
    let url = stage.broker.url();
    assert!(url.contains(CANARY), "the URL is the one with the password");

    for (name, password) in [("wrong", WRONG), ("empty", "")] {
        let mut refused = stage.node_at(&url.replace(CANARY, password), name, &["--services", "user"]);
        let begun = Instant::now();
        refused.spawn().expect("it starts");
        let status = refused.ended(Duration::from_secs(10)).await.expect("it ends by itself");
        let (took, said) = (begun.elapsed(), refused.log());
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(took < Duration::from_secs(5), "{took:?}: {said}");
        assert!(!said.contains("cAnArY"), "{said}");
        let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error")).collect();
        assert_eq!(errors.len(), 1, "one clear line: {said}");
        println!("{errors:?} after {took:?}");
    }

    let path = stage.ledger();
    let flags = ["--services", "user,probe", "--probe", &path, "--log-filter", "trace"];
    let mut node = stage.start("right", &flags).await;
    assert_eq!(run(&node, "", &json!({"id": "x"})).await.0, 200);
    for page in ["/metrics", "/readyz", "/_node/tree", "/_node/failures", "/openapi.json"] {
        let text = get(&node, page).await.expect("an answer").body;
        assert!(!String::from_utf8_lossy(&text).contains("cAnArY"), "{page}");
    }
    assert!(node.stop().await.expect("it ends").success());
    let log = node.log();
    let leak = log.lines().find(|line| line.contains("cAnArY"));
    assert_eq!(leak, None, "no line of the log holds the password");
}

#[tokio::test]
async fn credentials_are_believed_or_refused_and_never_shown_over_nats() {
    credentials_are_believed_or_refused_and_never_shown(BrokerKind::Nats).await;
}

#[tokio::test]
async fn credentials_are_believed_or_refused_and_never_shown_over_amqp() {
    credentials_are_believed_or_refused_and_never_shown(BrokerKind::Rabbit).await;
}

#[tokio::test]
async fn credentials_are_believed_or_refused_and_never_shown_over_mqtt() {
    credentials_are_believed_or_refused_and_never_shown(BrokerKind::Mosquitto).await;
}
