//! Streams of the demo over HTTP, from the real program: as events and as a list.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::node::Node;
use super::wire::PATIENCE;

/// One request on a connection of its own, read until a text or the end of the connection.
async fn read(node: &Node, request: &str, until: &str) -> String {
    let mut stream = TcpStream::connect(node.at).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut read = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&read).contains(until) {
            if stream.read_buf(&mut read).await.expect("it is not reset") == 0 {
                break;
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("it comes in time");
    let text = String::from_utf8(read).expect("UTF-8");
    assert!(text.contains(until), "{until} in {text}");
    text
}

fn get(path: &str, accept: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: h\r\naccept: {accept}\r\nx-request-id: r-1\r\nconnection: close\r\n\r\n")
}

fn post(path: &str, json: &Value) -> String {
    let body = json.to_string();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn readings_are_watched_as_events_and_a_watcher_that_leaves_is_forgotten() {
    let node = Node::start(&["--services", "sensor"]);
    let record = post("/api/v1/sensors/roof/readings", &json!({"value": 21.5}));
    read(&node, &record, "201").await;
    let text = read(
        &node,
        &get("/api/v1/readings?sensor=roof", "text/event-stream"),
        "id: 1\n",
    )
    .await;
    for expected in [
        "200 OK",
        "content-type: text/event-stream",
        "x-request-id: r-1",
        "\"roof\"",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let refused = read(
        &node,
        &get("/api/v1/readings?sensor=7", "text/event-stream"),
        "\"code\"",
    )
    .await;
    assert!(
        refused.contains("400 Bad Request") && refused.contains("application/problem+json"),
        "{refused}"
    );
    // The watcher has left; what it held would keep the drain from ending.
    node.stop();
}

#[tokio::test]
async fn the_probe_counts_for_the_admin() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = folder.path().join("ledger");
    let node = Node::start(&["--probe", ledger.to_str().expect("UTF-8")]);
    let count = post("/_node/stream/probe/1/count", &json!({"id": "h1", "n": 2}));
    let text = read(&node, &count, "event: end").await;
    for expected in ["id: 1\ndata: {\"number\":1}\n\n", "id: 2\ndata: {\"number\":2}\n\n"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let broken_off = post(
        "/_node/stream/probe/1/count",
        &json!({"id": "h2", "n": 1, "fail": "forbidden"}),
    );
    let text = read(&node, &broken_off, "\"code\":\"forbidden\"").await;
    assert!(
        text.contains("200 OK") && text.contains("event: failure\ndata: {"),
        "{text}"
    );
    let foreign = "POST /_node/stream/probe/1/count HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\
                   content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    let text = read(&node, foreign, "\"code\"").await;
    assert!(text.contains("403 Forbidden"), "{text}");
    node.stop();
}
