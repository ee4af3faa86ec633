//! What a bridge drops is a number on the page of metrics.

use std::time::Duration;

use roadshow_conformance::broker::BrokerKind;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::node::Node;
use crate::stage::{Stage, get, until};

/// Publishes a message over NATS with words that no client library would write, and waits until the server has it.
async fn publish(stage: &Stage, subject: &str, headers: &str, payload: &str) {
    let stream = TcpStream::connect(stage.broker.address())
        .await
        .expect("the broker listens");
    let mut stream = BufReader::new(stream);
    let head = format!("NATS/1.0\r\n{headers}\r\n");
    let (head_len, len) = (head.len(), head.len() + payload.len());
    let words = format!(
        "CONNECT {{\"verbose\":false,\"headers\":true}}\r\nHPUB {subject} {head_len} {len}\r\n{head}{payload}\r\nPING\r\n"
    );
    stream.write_all(words.as_bytes()).await.expect("the broker reads");
    let mut lines = stream.lines();
    let answered = async {
        while let Some(line) = lines.next_line().await.expect("the broker writes") {
            assert!(!line.starts_with("-ERR"), "{line}");
            if line == "PONG" {
                return;
            }
        }
        panic!("the broker hangs up");
    };
    tokio::time::timeout(Duration::from_secs(10), answered)
        .await
        .expect("an answer");
}

/// How many a node's page of metrics says were dropped for this reason.
async fn dropped(node: &Node, reason: &str) -> Option<u64> {
    let page = get(node, "/metrics").await.expect("an answer").body;
    let series = format!(r#"roadshow_bridge_dropped_total{{bridge="nats",reason="{reason}"}} "#);
    let page = String::from_utf8_lossy(&page);
    let value = page.lines().find_map(|line| line.strip_prefix(&*series));
    value.map(|value| value.parse().expect("a number"))
}

#[tokio::test]
async fn headers_that_cannot_be_read_are_counted_in_the_metrics() {
    let stage = Stage::new(BrokerKind::Nats).await;
    let path = stage.ledger();
    let node = stage.start("probe", &["--services", "probe", "--probe", &path]).await;
    assert_eq!(dropped(&node, "header").await, Some(0));

    let headers = "rs-attempt: soon\r\nrs-sent: yesterday\r\nx-own: fine\r\n";
    publish(&stage, "roadshow.cmd.probe.1.run", headers, r#"{"id":"a"}"#).await;
    let seen = async || dropped(&node, "header").await.filter(|count| *count > 0);
    let (count, _) = until("they are counted", Duration::from_secs(15), seen).await;
    assert_eq!(count, 2);
    assert_eq!(dropped(&node, "slow").await, Some(0));
}
