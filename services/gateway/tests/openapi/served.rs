//! The documents as a node serves them.

use std::net::SocketAddr;
use std::time::Duration;

use roadshow_gateway::Gateway;
use roadshow_services::Node;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::shop::{contracts, shop};

/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer as it came: the head in lower case, and the body.
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        Some(line.split_once(':')?.1.trim())
    }
}

/// Starts a node with a shop.
pub(crate) async fn start(told: impl FnOnce(Gateway) -> Gateway) -> (Node, SocketAddr) {
    let gateway = Gateway::new(SocketAddr::from(([127, 0, 0, 1], 0))).about("Shop", "1.2.3");
    let node = Node::builder().component(told(gateway)).service(shop());
    let node = node.start().await.expect("it starts");
    let at = node.view().location(Gateway::NAME).expect("it listens");
    (node, at.parse().expect("an address"))
}

pub(crate) async fn ask(at: SocketAddr, method: &str, path: &str, host: &str, more: &str) -> Answer {
    let exchange = async {
        let mut stream = TcpStream::connect(at).await.expect("it listens");
        let request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers in UTF-8");
        answer
    };
    let answer = timeout(PATIENCE, exchange).await.expect("in time");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    Answer {
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

const PAGES: [(&str, &str); 3] = [
    ("/openapi.json", "application/json"),
    ("/openapi.yaml", "application/yaml"),
    ("/docs", "text/html; charset=utf-8"),
];

#[tokio::test]
async fn a_document_is_kept_and_asked_for_again() {
    let (node, at) = start(|gateway| gateway).await;
    for (path, content_type) in PAGES {
        let whole = ask(at, "GET", path, "node.example", "").await;
        assert_eq!(
            (whole.status(), whole.header("content-type")),
            ("200", Some(content_type))
        );
        assert_eq!(whole.header("cache-control"), Some("no-cache"));
        let tag = whole.header("etag").expect("a tag");
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 16, "{tag}");

        let head = ask(at, "HEAD", path, "node.example", "").await;
        assert_eq!((head.status(), head.body.as_str()), ("200", ""));
        assert_eq!(head.header("etag"), Some(tag));
        assert_eq!(head.header("content-length"), whole.header("content-length"));

        let more = format!("if-none-match: \"other\", W/{tag}\r\n");
        let unchanged = ask(at, "GET", path, "node.example", &more).await;
        assert_eq!((unchanged.status(), unchanged.body.as_str()), ("304", ""), "{path}");
        assert_eq!(unchanged.header("etag"), Some(tag));
        let changed = ask(at, "GET", path, "node.example", "if-none-match: \"other\"\r\n").await;
        assert_eq!(changed.status(), "200");

        let posted = ask(at, "POST", path, "node.example", "content-length: 0\r\n").await;
        assert_eq!(
            (posted.status(), posted.header("allow")),
            ("405", Some("get, head, options"))
        );
    }
    assert!(node.shutdown(PATIENCE).await.is_clean());
}

#[tokio::test]
async fn the_document_is_that_of_the_same_services_elsewhere() {
    let (node, at) = start(|gateway| gateway).await;
    let served = ask(at, "GET", "/openapi.json", "node.example", "").await;
    let elsewhere = Gateway::new(SocketAddr::from(([0, 0, 0, 0], 1))).about("Shop", "1.2.3");
    let contracts = contracts(&Node::builder().service(shop()));
    assert_eq!(
        served.body,
        elsewhere.openapi(&contracts, &node.view().limits()).to_json()
    );
    let yaml = ask(at, "GET", "/openapi.yaml", "node.example", "").await;
    assert_eq!(
        yaml.body,
        elsewhere.openapi(&contracts, &node.view().limits()).to_yaml()
    );
    assert!(node.shutdown(PATIENCE).await.is_clean());
}

#[tokio::test]
async fn a_node_may_keep_its_documents_to_itself() {
    let (node, at) = start(|gateway| gateway.docs(false)).await;
    for (path, _) in PAGES {
        let answer = ask(at, "GET", path, "node.example", "").await;
        assert_eq!(answer.status(), "404", "{path}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    assert!(node.shutdown(PATIENCE).await.is_clean());
}

#[tokio::test]
async fn readiness_is_json_with_a_line_for_every_part() {
    let (node, at) = start(|gateway| gateway).await;
    let answer = ask(at, "GET", "/readyz", "node.example", "").await;
    let told: Value = serde_json::from_str(&answer.body).expect("it is JSON");
    assert_eq!(told, json!(node.readiness()));
    let parts = told["parts"].as_array().expect("parts").len();
    assert_eq!(answer.body.lines().count(), parts + 2, "{}", answer.body);
    for line in answer.body.lines().skip(1).take(parts) {
        let part: Value = serde_json::from_str(line.trim_end_matches(',')).expect("a part");
        assert!(part["name"].is_string() && part["state"] == "ready", "{line}");
    }
    assert!(node.shutdown(PATIENCE).await.is_clean());
}
