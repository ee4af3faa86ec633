//! Streams over HTTP: as events, as a list, for the admin and for our own client; held back, cancelled, drained.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use roadshow_gateway::{ClientError, Gateway, NodeClient};
use roadshow_services::{
    Address, AddressBuf, CallOptions, Code, Context, Executed, Failure, Items, Method, Node, Service, ServiceId,
    Stream, StreamHandler,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::wire::{PATIENCE, Wire, ask, get, post};

const TAP: ServiceId = ServiceId::new("tap", 1);

/// So many numbers, and then perhaps a failure.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Count {
    n: u64,
    fail: Option<String>,
}
impl Stream for Count {
    const ADDRESS: Address = TAP.command("count");
    type Item = Number;
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Number {
    n: u64,
}

/// Texts for as long as somebody listens.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Flood {
    #[serde(default)]
    bytes: usize,
}
impl Stream for Flood {
    const ADDRESS: Address = TAP.command("flood");
    type Item = String;
}

/// One text, and another one once it is let.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Rest {}
impl Stream for Rest {
    const ADDRESS: Address = TAP.command("rest");
    type Item = String;
}

/// For members only.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Secrets {}
impl Stream for Secrets {
    const ADDRESS: Address = TAP.command("secrets");
    type Item = String;
}

#[derive(Debug)]
struct Props {
    produced: watch::Sender<u64>,
    ended: watch::Sender<u64>,
    release: Semaphore,
}

struct Tap(Arc<Props>);

impl StreamHandler<Count> for Tap {
    async fn open(&self, input: Count, items: Items<Number>, _ctx: &Context) -> Result<(), Failure> {
        for n in 1..=input.n {
            items.send(Number { n }).await?;
        }
        match input.fail.as_deref().map(str::parse::<Code>) {
            Some(Ok(code)) => Err(Failure::new(code, "as you wish")),
            Some(Err(_)) => Err(Failure::invalid("no such code")),
            None => Ok(()),
        }
    }
}

impl StreamHandler<Flood> for Tap {
    async fn open(&self, input: Flood, items: Items<String>, _ctx: &Context) -> Result<(), Failure> {
        let text = "x".repeat(input.bytes);
        loop {
            if let Err(failure) = items.send(text.clone()).await {
                self.0.ended.send_modify(|ended| *ended += 1);
                return Err(failure);
            }
            self.0.produced.send_modify(|produced| *produced += 1);
        }
    }
}

impl StreamHandler<Rest> for Tap {
    async fn open(&self, _input: Rest, items: Items<String>, _ctx: &Context) -> Result<(), Failure> {
        items.send("before".to_owned()).await?;
        self.0.release.acquire().await.expect("it is never closed").forget();
        items.send("after".to_owned()).await
    }
}

impl StreamHandler<Secrets> for Tap {
    async fn open(&self, _input: Secrets, _items: Items<String>, _ctx: &Context) -> Result<(), Failure> {
        Ok(())
    }
}

struct Tapped {
    node: Node,
    at: SocketAddr,
    props: Arc<Props>,
}

impl Tapped {
    async fn start() -> Tapped {
        Tapped::with(|gateway| gateway).await
    }

    async fn with(told: impl FnOnce(Gateway) -> Gateway) -> Tapped {
        let props = Arc::new(Props {
            produced: watch::Sender::new(0),
            ended: watch::Sender::new(0),
            release: Semaphore::new(0),
        });
        let own = Arc::clone(&props);
        let tap = Service::new(TAP, move || {
            let props = Arc::clone(&own);
            async move { Ok::<_, Infallible>(Tap(props)) }
        })
        .stream::<Count>(|s| s.http(Method::Get, "/count/{n}").public())
        .stream::<Flood>(|s| s.http(Method::Post, "/flood").public())
        .stream::<Rest>(|s| s.http(Method::Get, "/rest").public())
        .stream::<Secrets>(|s| s.http(Method::Get, "/secrets"));
        let gateway = Gateway::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        let node = Node::builder().component(told(gateway)).service(tap).start().await;
        let node = node.expect("it starts");
        let at = node.view().location(Gateway::NAME).expect("it listens");
        let at = at.parse().expect("an address");
        Tapped { node, at, props }
    }

    async fn ended(&self, streams: u64) {
        let mut ended = self.props.ended.subscribe();
        let wait = ended.wait_for(|ended| *ended == streams);
        timeout(PATIENCE, wait).await.expect("in time").expect("it lives");
    }

    async fn end(self) {
        let drained = self.node.shutdown(Duration::from_secs(10)).await;
        assert!(drained.is_clean(), "{drained:?}");
    }
}

/// The answer to one request, as it comes.
struct Told {
    status: u16,
    headers: HeaderMap,
    body: Incoming,
    text: String,
    connection: JoinHandle<()>,
}

impl Drop for Told {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Told {
    fn request(method: &str, path: &str, json: &'static str) -> Request<Full<Bytes>> {
        let body = Full::new(Bytes::from_static(json.as_bytes()));
        let request = Request::builder()
            .method(method)
            .header("accept", "text/event-stream")
            .header("content-type", "application/json");
        request
            .uri(format!("http://localhost{path}"))
            .body(body)
            .expect("a request")
    }

    async fn over_http1(at: SocketAddr, method: &str, path: &str, json: &'static str) -> Told {
        let stream = TcpStream::connect(at).await.expect("it listens");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("it is spoken");
        let connection = tokio::spawn(async move { drop(connection.await) });
        let mut request = Told::request(method, path, json);
        request
            .headers_mut()
            .insert("host", "localhost".parse().expect("a host"));
        let answer = timeout(PATIENCE, sender.send_request(request)).await.expect("in time");
        Told::new(answer.expect("an answer"), connection)
    }

    async fn over_http2(at: SocketAddr, method: &str, path: &str, json: &'static str) -> Told {
        let stream = TcpStream::connect(at).await.expect("it listens");
        let spoken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (mut sender, connection) = spoken.expect("it is spoken");
        let connection = tokio::spawn(async move { drop(connection.await) });
        let answer = timeout(PATIENCE, sender.send_request(Told::request(method, path, json))).await;
        Told::new(answer.expect("in time").expect("an answer"), connection)
    }

    fn new(answer: http::Response<Incoming>, connection: JoinHandle<()>) -> Told {
        let (parts, body) = answer.into_parts();
        Told {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
            text: String::new(),
            connection,
        }
    }

    /// Reads on until there is something in what was told, or nothing follows.
    async fn until(&mut self, what: &str) -> &str {
        let read = async {
            while !self.text.contains(what) {
                let Some(frame) = self.body.frame().await else { break };
                let Ok(data) = frame.expect("it is not cut").into_data() else {
                    continue;
                };
                self.text.push_str(std::str::from_utf8(&data).expect("UTF-8"));
            }
        };
        timeout(PATIENCE, read).await.expect("it comes in time");
        assert!(self.text.contains(what), "{what} in {}", self.text);
        &self.text
    }

    async fn all(mut self) -> String {
        let read = async {
            while let Some(frame) = self.body.frame().await {
                let Ok(data) = frame.expect("it is not cut").into_data() else {
                    continue;
                };
                self.text.push_str(std::str::from_utf8(&data).expect("UTF-8"));
            }
        };
        timeout(PATIENCE, read).await.expect("it ends in time");
        std::mem::take(&mut self.text)
    }
}

/// What the last event of a text says, which is a failure.
fn failure(text: &str) -> Value {
    let told = text.rsplit_once("event: failure\ndata: ");
    let (_, last) =
        told.unwrap_or_else(|| panic!("no failure at the end of {:?}", &text[text.len().saturating_sub(200)..]));
    serde_json::from_str(last.trim_end()).expect("one line of JSON")
}

#[tokio::test]
async fn events_have_places_and_the_last_one_says_how_it_ended() {
    let tapped = Tapped::start().await;
    let expected = "id: 1\ndata: {\"n\":1}\n\nid: 2\ndata: {\"n\":2}\n\nevent: end\ndata: {}\n\n";
    for version in [1, 2] {
        let told = match version {
            1 => Told::over_http1(tapped.at, "GET", "/api/v1/count/2", "").await,
            _ => Told::over_http2(tapped.at, "GET", "/api/v1/count/2", "").await,
        };
        assert_eq!(told.status, 200);
        let headers = [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-store"),
            ("x-accel-buffering", "no"),
        ];
        for (name, value) in headers {
            assert_eq!(
                told.headers.get(name).map(|value| value.as_bytes()),
                Some(value.as_bytes())
            );
        }
        for name in ["x-request-id", "x-correlation-id", "traceparent"] {
            assert!(told.headers.contains_key(name), "{name}");
        }
        assert!(!told.headers.contains_key("content-length"));
        assert_eq!(told.all().await, expected, "HTTP/{version}");
    }
    let told = Told::over_http1(tapped.at, "GET", "/api/v1/count/1?fail=conflict", "").await;
    assert_eq!(told.status, 200, "it had begun");
    let text = told.all().await;
    assert!(text.starts_with("id: 1\ndata: {\"n\":1}\n\nevent: failure\n"), "{text}");
    let problem = failure(&text);
    assert_eq!(
        (&problem["status"], &problem["code"], &problem["message"]),
        (&json!(409), &json!("conflict"), &json!("as you wish"))
    );
    tapped.end().await;
}

#[tokio::test]
async fn whoever_asks_for_json_gets_a_list_or_a_problem() {
    let tapped = Tapped::start().await;
    let at = tapped.at;
    let table = [
        ("/api/v1/count/0", 200, json!([])),
        ("/api/v1/count/2", 200, json!([{"n": 1}, {"n": 2}])),
        ("/api/v1/count/10000", 200, Value::Null),
        ("/api/v1/count/10001", 413, json!("exhausted")),
        ("/api/v1/count/3?fail=not_found", 404, json!("not_found")),
        ("/api/v1/count/x", 400, json!("invalid")),
        ("/api/v1/secrets", 401, json!("unauthenticated")),
    ];
    for (path, status, expected) in table {
        let answer = get(at, path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        let said = answer.json();
        match status {
            200 if expected.is_null() => assert_eq!(said.as_array().map(Vec::len), Some(10_000)),
            200 => assert_eq!(said, expected, "{path}"),
            _ => assert_eq!(said["code"], expected, "{path}: {said}"),
        }
        if status == 413 {
            assert_eq!(said["executed"], "unknown");
            assert!(answer.text().contains("text/event-stream"), "{said}");
        }
    }
    let accept = |accept: &str| format!("GET /api/v1/count/1 HTTP/1.1\r\nhost: h\r\naccept: {accept}\r\n\r\n");
    assert_eq!(ask(at, &accept("text/html")).await.status, 406);
    assert_eq!(ask(at, &accept("*/*")).await.json(), json!([{"n": 1}]));
    let endless = "POST /api/v1/flood HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\nx-timeout-ms: 2000\r\n";
    let endless = ask(at, &format!("{endless}content-length: 2\r\n\r\n{{}}")).await;
    let code = endless.json()["code"].clone();
    assert!(code == "timeout" || code == "exhausted", "{}", endless.text());
    assert!(endless.text().contains("text/event-stream"), "{}", endless.text());
    tapped.ended(1).await;
    let metrics = get(at, "/metrics").await.text();
    assert!(
        metrics.contains("roadshow_http_requests_total{route=\"/api/v1/count/{n}\""),
        "{metrics}"
    );
    tapped.end().await;
}

#[tokio::test]
async fn an_opening_that_is_refused_is_a_problem_for_those_too_who_want_events() {
    let tapped = Tapped::start().await;
    let refused = Told::over_http1(tapped.at, "GET", "/api/v1/secrets", "").await;
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.headers.get("content-type").map(|value| value.as_bytes()),
        Some(&b"application/problem+json"[..])
    );
    let refused = Told::over_http1(tapped.at, "GET", "/api/v1/count/x", "").await;
    assert_eq!(refused.status, 400);
    tapped.end().await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_the_producer_back_and_one_that_goes_away_cancels_it() {
    const ITEM: u64 = 64 << 10;
    // What the producer may be ahead of, and what the sockets of a machine take at most.
    const AHEAD_MAX: u64 = (64 << 20) / ITEM;
    let tapped = Tapped::start().await;
    for round in 1..=2 {
        tapped.props.produced.send_replace(0);
        let path = "/api/v1/flood";
        let mut told = match round {
            1 => Told::over_http1(tapped.at, "POST", path, r#"{"bytes":65536}"#).await,
            _ => Told::over_http2(tapped.at, "POST", path, r#"{"bytes":65536}"#).await,
        };
        told.until("id: 1\n").await;
        let mut produced = tapped.props.produced.subscribe();
        let overrun = produced.wait_for(|produced| *produced > AHEAD_MAX);
        assert!(
            timeout(Duration::from_secs(1), overrun).await.is_err(),
            "it is held back"
        );
        drop(told);
        tapped.ended(round).await;
    }
    tapped.end().await;
}

#[tokio::test]
async fn a_quiet_stream_outlives_the_rest_that_a_connection_may_take() {
    let tapped = Tapped::with(|gateway| gateway.header_timeout(Duration::from_secs(1))).await;
    for version in [1, 2] {
        let mut told = match version {
            1 => Told::over_http1(tapped.at, "GET", "/api/v1/rest", "").await,
            _ => Told::over_http2(tapped.at, "GET", "/api/v1/rest", "").await,
        };
        told.until("\"before\"").await;
        let more = timeout(Duration::from_secs(3), told.until("\"after\"")).await;
        assert!(more.is_err(), "HTTP/{version}: it neither goes on nor is cut");
        tapped.props.release.add_permits(1);
        told.until("\"after\"").await;
        assert!(told.all().await.ends_with("event: end\ndata: {}\n\n"));
    }
    tapped.end().await;
}

#[tokio::test]
async fn a_drain_ends_events_with_words_and_is_not_held_up_by_them() {
    let tapped = Tapped::start().await;
    let mut told = Vec::new();
    told.push(Told::over_http1(tapped.at, "POST", "/api/v1/flood", r#"{"bytes":1}"#).await);
    told.push(Told::over_http2(tapped.at, "POST", "/api/v1/flood", r#"{"bytes":1}"#).await);
    for told in &mut told {
        told.until("id: 1\n").await;
    }
    let node = tapped.node;
    let shutdown = tokio::spawn(async move { node.shutdown(Duration::from_secs(10)).await });
    for told in told {
        let text = told.all().await;
        let problem = failure(&text);
        assert_eq!(
            (&problem["code"], &problem["status"]),
            (&json!("unavailable"), &json!(503))
        );
    }
    let drained = timeout(PATIENCE, shutdown).await.expect("in time").expect("no panic");
    assert!(drained.is_clean(), "{drained:?}");
}

#[tokio::test]
async fn the_admin_reads_any_stream_as_events() {
    let tapped = Tapped::start().await;
    let mut wire = Wire::connect(tapped.at).await;
    wire.send(post("/_node/stream/tap/1/nothing", "{}")).await;
    assert_eq!(wire.answer().await.status, 404);
    wire.send(post("/_node/stream/tap/1", "{}")).await;
    assert_eq!(wire.answer().await.status, 404);
    let told = Told::over_http1(tapped.at, "POST", "/_node/stream/tap/1/count", r#"{"n":1}"#).await;
    assert_eq!(told.all().await, "id: 1\ndata: {\"n\":1}\n\nevent: end\ndata: {}\n\n");
    tapped.end().await;
}

#[tokio::test]
async fn our_own_client_reads_items_and_cancels_by_dropping_them() {
    let tapped = Tapped::start().await;
    let client = NodeClient::new(&format!("http://{}", tapped.at)).expect("a URL");
    let address = |stream: &str| -> AddressBuf { format!("tap.1.{stream}").parse().expect("an address") };
    let open = |stream: &str, json: &'static str| {
        let (client, address) = (client.clone(), address(stream));
        async move {
            client
                .stream(&address, Bytes::from_static(json.as_bytes()), CallOptions::default())
                .await
        }
    };
    let mut count = open("count", r#"{"n":2,"fail":"conflict"}"#).await.expect("it opens");
    for n in 1..=2 {
        let item = count.next().await.expect("an item").expect("no failure");
        assert_eq!(item, format!("{{\"n\":{n}}}"));
    }
    let error = count.next().await.expect("an end").expect_err("a failure");
    let problem = error.problem().expect("the node's own");
    assert_eq!(
        (problem.failure.code, problem.failure.executed),
        (Code::Conflict, Executed::Yes)
    );
    assert!(count.next().await.is_none(), "nothing follows");

    let mut flood = open("flood", r#"{"bytes":10}"#).await.expect("it opens");
    assert!(flood.next().await.is_some_and(|item| item.is_ok()));
    drop(flood);
    tapped.ended(1).await;

    let refused = open("count", r#"{"n":"x"}"#).await.expect_err("no number");
    assert!(
        matches!(&refused, ClientError::Problem(problem) if problem.status == 400),
        "{refused}"
    );
    tapped.end().await;
    let gone = open("count", r#"{"n":1}"#).await.expect_err("nobody is there");
    assert!(matches!(gone, ClientError::Unreachable { .. }), "{gone}");
}
