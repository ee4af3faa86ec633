//! HTTP/2 on the port of HTTP/1.1: the same answers, and calls that end with their stream.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::stage::Staged;
use crate::wire::{Answer, PATIENCE, ask, get, post};

/// A client that has one connection.
pub(crate) struct Http2 {
    sender: SendRequest<Full<Bytes>>,
    connection: JoinHandle<hyper::Result<()>>,
}

impl Http2 {
    pub(crate) async fn connect(staged: &Staged) -> Http2 {
        Http2::over(TcpStream::connect(staged.at).await.expect("it listens")).await
    }

    pub(crate) async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Http2 {
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("it speaks HTTP/2");
        Http2 {
            sender,
            connection: tokio::spawn(connection),
        }
    }

    pub(crate) fn request(method: Method, target: &str, json: &'static str) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(method).uri(target);
        if !json.is_empty() {
            request = request.header("content-type", "application/json");
        }
        request
            .body(Full::new(Bytes::from_static(json.as_bytes())))
            .expect("a request")
    }

    /// Asks without waiting for the answer.
    pub(crate) fn begin(&self, request: Request<Full<Bytes>>) -> impl Future<Output = Answer> + use<> {
        let mut sender = self.sender.clone();
        async move {
            let asking = async {
                let answer = sender.send_request(request).await.expect("an answer");
                assert_eq!(answer.version(), Version::HTTP_2);
                let (parts, body) = answer.into_parts();
                let text = |value: &http::HeaderValue| value.to_str().expect("text").to_owned();
                Answer {
                    status: parts.status.as_u16(),
                    headers: parts
                        .headers
                        .iter()
                        .map(|(name, value)| (name.to_string(), text(value)))
                        .collect(),
                    body: body.collect().await.expect("a body").to_bytes().to_vec(),
                }
            };
            timeout(PATIENCE, asking).await.expect("an answer comes in time")
        }
    }

    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>) -> Answer {
        self.begin(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Http2::request(Method::GET, &format!("http://localhost{path}"), ""))
            .await
    }

    /// Waits until the other side has ended the connection.
    pub(crate) async fn ended(self) {
        let ended = timeout(PATIENCE, self.connection).await;
        let _how = ended.expect("the connection ends in time").expect("it does not panic");
    }
}

#[tokio::test]
async fn both_versions_share_a_port_and_answer_alike() {
    let staged = Staged::start().await;
    let http2 = Http2::connect(&staged).await;
    let table = [
        ("/api/v1/users/7", 200),
        ("/api/v1/users/101", 404),
        ("/api/v1/nothing", 404),
        ("/api/v1/me", 401),
        ("/healthz", 200),
        ("/_node/tree", 200),
    ];
    for (path, status) in table {
        let (new, old) = (http2.get(path).await, get(staged.at, path).await);
        assert_eq!((new.status, old.status), (status, status), "{path}");
        if path != "/_node/tree" {
            assert_eq!(new.text(), old.text(), "{path}");
        }
        for name in [
            "content-type",
            "cache-control",
            "content-length",
            "content-security-policy",
        ] {
            if path != "/_node/tree" {
                assert_eq!(new.header(name), old.header(name), "{path} {name}");
            }
        }
        assert_eq!(new.header("connection"), None);
    }
    let create = || Http2::request(Method::POST, "http://h/api/v1/users", r#"{"name":"Ada","email":"a@b"}"#);
    assert_eq!(http2.ask(create()).await.status, 201);
    assert_eq!(
        ask(staged.at, &post("/api/v1/users", r#"{"name":"Ada","email":"a@b"}"#))
            .await
            .status,
        201
    );
    let head = http2
        .ask(Http2::request(Method::HEAD, "http://h/api/v1/users/7", ""))
        .await;
    assert_eq!(
        (head.status, head.header("content-length"), head.text().as_str()),
        (200, Some("21"), "")
    );
    staged.end().await;
}

#[tokio::test]
async fn admin_routes_look_at_the_authority() {
    let staged = Staged::start().await;
    let http2 = Http2::connect(&staged).await;
    for (authority, status) in [("localhost", 200), ("127.0.0.1:8080", 200), ("evil.example", 403)] {
        let target = format!("http://{authority}/_node/tree");
        let answer = http2.ask(Http2::request(Method::GET, &target, "")).await;
        assert_eq!(answer.status, status, "{authority}");
    }
    let mut request = Http2::request(Method::GET, "http://localhost/healthz", "");
    request
        .headers_mut()
        .insert("host", "evil.example".parse().expect("a value"));
    let answer = http2.ask(request).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(http2.get("/healthz").await.status, 200);
    staged.end().await;
}

#[tokio::test]
async fn one_connection_carries_many_calls_at_once() {
    const CALLS: usize = 50;
    let staged = Staged::start().await;
    let http2 = Http2::connect(&staged).await;
    let wait = || Http2::request(Method::POST, "http://h/api/v1/wait", r#"{"then":"done"}"#);
    let calls: Vec<_> = (0..CALLS).map(|_| tokio::spawn(http2.begin(wait()))).collect();
    let props = &staged.props;
    props
        .until("all start", |props| props.started.load(SeqCst) == CALLS)
        .await;
    assert_eq!(
        http2.get("/api/v1/users/7").await.status,
        200,
        "nobody stands in the way"
    );
    props.release.add_permits(CALLS);
    for call in calls {
        let answer = call.await.expect("it does not panic");
        assert_eq!((answer.status, answer.text().as_str()), (200, "\"done\""));
    }
    staged.end().await;
}

#[tokio::test]
async fn a_stream_that_is_reset_cancels_its_call_and_no_other() {
    let staged = Staged::start().await;
    let props = &staged.props;
    let http2 = Http2::connect(&staged).await;
    let wait = Http2::request(Method::POST, "http://h/api/v1/wait", "{}");
    let other = tokio::spawn(http2.begin(wait));
    props
        .until("the other starts", |props| props.started.load(SeqCst) == 1)
        .await;
    let linger = Http2::request(Method::POST, "http://h/api/v1/linger", "{}");
    let call = tokio::spawn(http2.begin(linger));
    props.until("it starts", |props| props.started.load(SeqCst) == 2).await;
    call.abort();
    props
        .until("it learns that nobody waits", |props| props.cancelled.load(SeqCst) == 1)
        .await;
    props.release.add_permits(2);
    assert_eq!(other.await.expect("it does not panic").status, 200);
    props
        .until("it finishes all the same", |props| props.finished.load(SeqCst) == 2)
        .await;
    staged.end().await;
}

#[tokio::test]
async fn a_draining_node_answers_what_is_at_hand_and_says_goodbye() {
    let staged = Staged::start().await;
    let (at, props) = (staged.at, staged.props.clone());
    let http2 = Http2::connect(&staged).await;
    let wait = || Http2::request(Method::POST, "http://h/api/v1/wait", r#"{"then":"done"}"#);
    let call = tokio::spawn(http2.begin(wait()));
    props.until("it starts", |props| props.started.load(SeqCst) == 1).await;
    let node = staged.node;
    let shutdown = tokio::spawn(async move { node.shutdown(Duration::from_secs(15)).await });
    let draining = async { while get(at, "/readyz").await.status != 503 {} };
    timeout(PATIENCE, draining).await.expect("it says that it drains");
    let refused = http2.ask(wait()).await;
    assert_eq!((refused.status, refused.header("connection")), (503, None));
    let goodbye = async {
        let ask = || Http2::request(Method::GET, "http://h/healthz", "");
        while http2.sender.clone().send_request(ask()).await.is_ok() {}
    };
    timeout(PATIENCE, goodbye)
        .await
        .expect("the connection takes no more requests");
    props.release.add_permits(1);
    let answer = call.await.expect("it does not panic");
    assert_eq!((answer.status, answer.text().as_str()), (200, "\"done\""));
    http2.ended().await;
    let drained = shutdown.await.expect("it does not panic");
    assert!(drained.is_clean(), "{drained:?}");
}

#[tokio::test]
async fn a_draining_node_answers_all_streams_of_a_connection_whenever_each_is_done() {
    let staged = Staged::start().await;
    let props = staged.props.clone();
    let http2 = Http2::connect(&staged).await;
    let mut calls = Vec::new();
    for number in 0..4 {
        let wait = Http2::request(Method::POST, "http://h/api/v1/wait", r#"{"then":"done"}"#);
        calls.push(tokio::spawn(http2.begin(wait)));
        let started = |props: &crate::stage::Props| props.started.load(SeqCst) == number + 1;
        props.until("it starts", started).await;
    }
    let (at, node) = (staged.at, staged.node);
    let shutdown = tokio::spawn(async move { node.shutdown(Duration::from_secs(15)).await });
    let draining = async { while get(at, "/readyz").await.status != 503 {} };
    timeout(PATIENCE, draining).await.expect("it says that it drains");
    while !calls.is_empty() {
        props.release.add_permits(1);
        let (answer, _which, others) = futures_util::future::select_all(calls).await;
        assert_eq!(answer.expect("it does not panic").text(), "\"done\"");
        calls = others;
    }
    let drained = shutdown.await.expect("it does not panic");
    assert!(drained.is_clean(), "{drained:?}");
}

#[tokio::test]
async fn a_large_answer_arrives_whole() {
    let staged = Staged::start().await;
    let http2 = Http2::connect(&staged).await;
    let answer = http2.get("/api/v1/blob?bytes=1000000").await;
    assert_eq!((answer.status, answer.body.len()), (200, 1_000_002));
    staged.end().await;
}
