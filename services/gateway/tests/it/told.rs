//! What every answer tells beside itself: its id, what a browser may do with it, limits; and what the node keeps of it.

use std::io::Write;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use crate::stage::Staged;
use crate::wire::{Answer, Wire, ask, get, post};

async fn with_id(staged: &Staged, path: &str, id: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nx-request-id: {id}\r\n\r\n");
    ask(staged.at, &request).await
}

#[tokio::test]
async fn every_answer_has_an_id_and_keeps_the_callers() {
    let staged = Staged::start().await;
    let paths = [
        "/api/v1/users/7",
        "/api/v1/users/101",
        "/api/v1/me",
        "/nothing",
        "/healthz",
        "/_node/tree",
    ];
    for path in paths {
        assert_eq!(
            with_id(&staged, path, "my-id.7").await.header("x-request-id"),
            Some("my-id.7"),
            "{path}"
        );
        for bad in ["a b", &"x".repeat(129), "caf\u{e9}"] {
            let answer = with_id(&staged, path, bad).await;
            let fresh = answer.header("x-request-id").expect("an id");
            assert!(
                fresh.len() == 32 && fresh.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{path} {fresh}"
            );
        }
        let (one, other) = (get(staged.at, path).await, get(staged.at, path).await);
        assert_ne!(one.header("x-request-id"), other.header("x-request-id"), "{path}");
    }
    let answer = get(staged.at, "/api/v1/users/7").await;
    assert!(answer.header("x-correlation-id").is_some());
    assert_eq!(answer.header("x-request-id"), answer.header("x-correlation-id"));
    staged.end().await;
}

#[tokio::test]
async fn every_answer_says_what_a_browser_may_do_with_it() {
    let staged = Staged::start().await;
    for path in [
        "/api/v1/users/7",
        "/api/v1/me",
        "/nothing",
        "/healthz",
        "/metrics",
        "/_node/tree",
    ] {
        let answer = get(staged.at, path).await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        let policy = answer.header("content-security-policy");
        assert_eq!(policy, Some("default-src 'none'; frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("strict-transport-security"), None, "{path}");
    }
    staged.end().await;
}

#[tokio::test]
async fn who_is_over_a_rate_limit_learns_which_and_for_how_long() {
    let staged = Staged::start().await;
    let call = || {
        ask(
            staged.at,
            "POST /api/v1/scarce HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n",
        )
    };
    assert_eq!(call().await.status, 204);
    let refused = call().await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert_eq!(refused.header("ratelimit-policy"), Some("\"calls\";q=1;w=60"));
    let seconds = refused.header("retry-after").expect("a time");
    assert!((1..=60).contains(&seconds.parse().expect("seconds")), "{seconds}");
    assert_eq!(
        refused.header("ratelimit"),
        Some(format!("\"calls\";r=0;t={seconds}").as_str())
    );
    // Full for another reason: nothing is known of a limit.
    let full = ask(
        staged.at,
        &post("/api/v1/fail", r#"{"code":"exhausted","retry_after_ms":5}"#),
    )
    .await;
    assert_eq!((full.status, full.header("ratelimit")), (429, None));
    staged.end().await;
}

#[tokio::test]
async fn answers_and_refusals_are_counted_by_route() {
    let staged = Staged::start().await;
    get(staged.at, "/api/v1/users/7").await;
    get(staged.at, "/api/v1/users/8").await;
    get(staged.at, "/api/v1/users/101").await;
    get(staged.at, "/api/v1/me").await;
    get(staged.at, "/nothing/at/all").await;
    ask(staged.at, "BREW /api/v1/users/7 HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let large = "x".repeat(5_000);
    ask(staged.at, &post("/api/v1/users", &large)).await;
    let page = get(staged.at, "/metrics").await.text();
    let expected = [
        r#"roadshow_http_requests_total{route="/api/v1/users/{id}",method="GET",status="2xx"} 2"#,
        r#"roadshow_http_requests_total{route="/api/v1/users/{id}",method="GET",status="4xx"} 1"#,
        r#"roadshow_http_requests_total{route="/api/v1/users/{id}",method="other",status="4xx"} 1"#,
        r#"roadshow_http_requests_total{route="none",method="GET",status="4xx"} 1"#,
        r#"roadshow_http_request_seconds_count{route="/api/v1/users/{id}"} 4"#,
        r#"roadshow_http_refused_total{reason="unauthenticated"} 1"#,
        r#"roadshow_http_refused_total{reason="not_found"} 1"#,
        r#"roadshow_http_refused_total{reason="method_not_allowed"} 1"#,
        r#"roadshow_http_refused_total{reason="body_too_large"} 1"#,
        "roadshow_http_connections 1",
    ];
    for line in expected {
        assert!(page.lines().any(|known| known == line), "{line} in\n{page}");
    }
    for name in ["requests_total", "request_seconds", "connections", "refused_total"] {
        assert!(page.contains(&format!("# HELP roadshow_http_{name} ")), "{name}");
    }
    staged.end().await;
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Kept {
    type Writer = Kept;

    fn make_writer(&'w self) -> Kept {
        self.clone()
    }
}

impl Kept {
    fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text");
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        lines
            .filter(|line: &Value| line["target"] == "roadshow::access")
            .collect()
    }
}

#[tokio::test]
async fn the_access_log_says_who_asked_for_what_and_no_secret() {
    let kept = Kept::default();
    let subscriber = tracing_subscriber::fmt().json().with_writer(kept.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let quiet = Staged::start().await;
    get(quiet.at, "/healthz").await;
    quiet.end().await;
    assert!(kept.lines().is_empty(), "off unless asked for");

    let staged = Staged::with(|gateway| gateway.authenticate(crate::stage::Doorman).access_log(true)).await;
    let request = "GET /api/v1/me?token=hunter2 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ada\r\n\
                   cookie: hunter2\r\nx-request-id: my-id\r\n\r\n";
    assert_eq!(ask(staged.at, request).await.status, 400);
    let request = request.replace("?token=hunter2", "");
    assert_eq!(ask(staged.at, &request).await.status, 200);
    get(staged.at, "/a%0d%0ab?hunter2").await;
    staged.end().await;

    let lines = kept.lines();
    let text = format!("{lines:?}");
    assert!(!text.contains("hunter2") && !text.contains("Bearer"), "{text}");
    assert_eq!(lines.len(), 3, "{text}");
    let line = &lines[1]["fields"];
    assert_eq!(
        (&line["method"], &line["path"]),
        (&"GET".into(), &"/api/v1/me".into()),
        "{line}"
    );
    assert_eq!(
        (&line["route"], &line["status"]),
        (&"/api/v1/me".into(), &200.into()),
        "{line}"
    );
    assert_eq!(
        (&line["principal"], &line["request_id"]),
        (&"ada".into(), &"my-id".into()),
        "{line}"
    );
    assert!(line["duration_ms"].as_f64().is_some_and(|ms| ms >= 0.0), "{line}");
    assert!(line["bytes_out"].as_u64().is_some_and(|bytes| bytes > 0), "{line}");
    assert!(line["trace"].as_str().is_some_and(|trace| trace.len() == 32), "{line}");
    assert!(
        line["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")),
        "{line}"
    );
    let line = &lines[2]["fields"];
    assert_eq!(
        (&line["path"], &line["route"]),
        (&"/a%0d%0ab".into(), &"none".into()),
        "{line}"
    );
}

#[tokio::test]
async fn a_request_whose_caller_hangs_up_leaves_one_line_and_one_count() {
    let kept = Kept::default();
    let subscriber = tracing_subscriber::fmt().json().with_writer(kept.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let staged = Staged::with(|gateway| gateway.access_log(true)).await;
    let props = &staged.props;
    let mut wire = Wire::connect(staged.at).await;
    wire.send(post("/api/v1/linger", "{}").replace("\r\n\r\n", "\r\nx-request-id: my-id\r\n\r\n"))
        .await;
    props.until("it starts", |props| props.started.load(SeqCst) == 1).await;
    drop(wire);
    props
        .until("it learns that nobody waits", |props| props.cancelled.load(SeqCst) == 1)
        .await;
    let page = get(staged.at, "/metrics").await.text();
    let expected = [
        r#"roadshow_http_requests_total{route="/api/v1/linger",method="POST",status="none"} 1"#,
        r#"roadshow_http_request_seconds_count{route="/api/v1/linger"} 1"#,
    ];
    for line in expected {
        assert!(page.lines().any(|known| known == line), "{line} in\n{page}");
    }
    props.release.add_permits(1);
    props
        .until("it finishes", |props| props.finished.load(SeqCst) == 1)
        .await;
    staged.end().await;

    let lines = kept.lines();
    let lines: Vec<_> = lines.iter().map(|line| &line["fields"]).collect();
    assert_eq!(lines.len(), 2, "it and the metrics: {lines:?}");
    let line = lines[0];
    assert_eq!(
        (&line["message"], &line["status"], &line["route"]),
        (&"abandoned".into(), &"abandoned".into(), &"/api/v1/linger".into()),
        "{line}"
    );
    assert_eq!(line["request_id"], "my-id", "{line}");
    assert!(line["duration_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{line}");
    assert_eq!(lines[1]["status"], 200, "{lines:?}");
}
