//! The routes of commands, request by request.

use serde_json::{Value, json};

use crate::stage::{BODY_LIMIT, Doorman, Staged};
use crate::wire::{Answer, Wire, ask};

/// One request and what must come back.
struct Row {
    start: String,
    headers: Vec<(String, String)>,
    body: String,
    status: u16,
    code: Option<&'static str>,
    executed: &'static str,
    says: &'static str,
    has: Vec<(&'static str, &'static str)>,
    json: Option<Value>,
}

fn row(start: &str, status: u16) -> Row {
    Row {
        start: start.to_owned(),
        headers: vec![("host".to_owned(), "shop.example".to_owned())],
        body: String::new(),
        status,
        code: None,
        executed: "no",
        says: "",
        has: Vec::new(),
        json: None,
    }
}

impl Row {
    fn header(mut self, name: &str, value: &str) -> Row {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn raw(mut self, body: &str) -> Row {
        self.body = body.to_owned();
        self.header("content-length", &body.len().to_string())
    }

    fn json(self, body: &str) -> Row {
        self.raw(body).header("content-type", "application/json")
    }

    fn fails(mut self, code: &'static str, says: &'static str) -> Row {
        (self.code, self.says) = (Some(code), says);
        self
    }

    fn executed(mut self, executed: &'static str) -> Row {
        self.executed = executed;
        self
    }

    fn has(mut self, name: &'static str, value: &'static str) -> Row {
        self.has.push((name, value));
        self
    }

    fn replies(mut self, json: Value) -> Row {
        self.json = Some(json);
        self
    }

    fn request(&self) -> String {
        let headers: String = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        format!("{} HTTP/1.1\r\n{headers}\r\n{}", self.start, self.body)
    }

    fn check(&self, answer: &Answer) {
        let context = format!("{} {:?}\nanswered {answer:?}\n{}", self.start, self.body, answer.text());
        assert_eq!(answer.status, self.status, "{context}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{context}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{context}");
        for (name, value) in &self.has {
            assert_eq!(answer.header(name), Some(*value), "{name}: {context}");
        }
        if let Some(json) = &self.json {
            assert_eq!(answer.header("content-type"), Some("application/json"), "{context}");
            assert_eq!(answer.json(), *json, "{context}");
        }
        assert_eq!(self.code.is_some(), answer.status >= 400, "{context}");
        let Some(code) = self.code else { return };
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{context}"
        );
        let problem = answer.json();
        assert_eq!(problem["type"], "about:blank", "{context}");
        assert_eq!(problem["status"], self.status, "{context}");
        assert!(
            problem["title"].as_str().is_some_and(|title| !title.is_empty()),
            "{context}"
        );
        assert_eq!(problem["code"], code, "{context}");
        // Whether a refusal by validation counts as executed is for the services to say.
        if !self.executed.is_empty() {
            assert_eq!(problem["executed"], self.executed, "{context}");
        }
        assert!(
            problem["message"]
                .as_str()
                .is_some_and(|message| message.contains(self.says)),
            "{context}"
        );
    }
}

async fn play(staged: Staged, rows: Vec<Row>) {
    play_on(&staged, rows).await;
    staged.end().await;
}

async fn play_on(staged: &Staged, rows: Vec<Row>) {
    for row in rows {
        row.check(&ask(staged.at, &row.request()).await);
    }
}

const USERS: &str = "POST /api/v1/users";
const ADA: &str = r#"{"name":"Ada","email":"ada@example.org"}"#;

#[tokio::test]
async fn good_requests_are_answered_by_their_commands() {
    let ada = || json!({ "id": 7, "name": "Ada" });
    let search = |limit, tags: &[&str], exact, below: Option<f64>| json!({ "q": "a b", "limit": limit, "tags": tags, "exact": exact, "below": below });
    let rows = vec![
        row(USERS, 201).json(ADA).replies(ada()),
        row(USERS, 201)
            .raw(ADA)
            .header("content-type", "application/json; charset=utf-8")
            .replies(ada()),
        row(USERS, 201)
            .raw(ADA)
            .header("content-type", "application/vnd.shop+json")
            .replies(ada()),
        row(USERS, 201)
            .json(ADA)
            .header("accept", "application/json")
            .replies(ada()),
        row(USERS, 201)
            .json(ADA)
            .header("accept", "text/html, */*;q=0.1")
            .replies(ada()),
        row(USERS, 201).json(ADA).header("x-timeout-ms", "250").replies(ada()),
        row(USERS, 201).json(&format!(" \r\n{ADA}")).replies(ada()),
        row("POST /api/v1/users?email=ada%40example.org", 201)
            .json(r#"{"name":"Ada"}"#)
            .replies(ada()),
        row("POST /api/v1/users?email=ada%40example.org&name=Ada", 201).replies(ada()),
        row("GET /api/v1/users/7", 200).replies(ada()),
        row("GET /api/v1/users/%37", 200).replies(ada()),
        row("GET /api/v1/users/7?id=7", 200).replies(ada()),
        row("GET http://shop.example/api/v1/users/7", 200).replies(ada()),
        row("HEAD /api/v1/users/7", 200)
            .has("content-type", "application/json")
            .has("content-length", "21"),
        row("OPTIONS /api/v1/users/7", 204).has("allow", "GET, HEAD, OPTIONS, PUT"),
        row("PUT /api/v1/users/7", 204).json(r#"{"name":"Bea"}"#),
        row("PUT /api/v1/users/7", 204).json(r#"{"name":"Bea","id":7}"#),
        row("DELETE /api/v1/touch", 204),
        row("DELETE /api/v1/touch", 204).header("content-length", "0"),
        row("GET /api/v1/search?q=a+b", 200).replies(search(None, &[], false, None)),
        row("GET /api/v1/search?q=a%20b&limit=3&exact=true&below=1.5", 200).replies(search(
            Some(3),
            &[],
            true,
            Some(1.5),
        )),
        row("GET /api/v1/search?q=a+b&tags=x&tags=y", 200).replies(search(None, &["x", "y"], false, None)),
        row("GET /healthz", 200).has("content-type", "text/plain; charset=utf-8"),
        row("HEAD /healthz", 200),
        row("OPTIONS /readyz", 204).has("allow", "GET, HEAD, OPTIONS"),
        row("GET /metrics", 200).has("content-type", "text/plain; version=0.0.4; charset=utf-8"),
    ];
    play(Staged::start().await, rows).await;
}

#[tokio::test]
async fn bad_requests_are_refused_with_a_problem_that_says_why() {
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(BODY_LIMIT));
    let rows = vec![
        row("GET /", 404).fails("not_found", "nothing at this path"),
        row("GET /api/v1", 404).fails("not_found", "nothing"),
        row("GET /api/v2/users/7", 404).fails("not_found", "nothing"),
        row("GET /api/v1/users/7/", 404).fails("not_found", "nothing"),
        row("GET /api/v1/users/", 404).fails("not_found", "nothing"),
        row("GET /api/v1/../v1/users/7", 404).fails("not_found", "nothing"),
        row("OPTIONS /api/v1/nothing", 404).fails("not_found", "nothing"),
        row("GET /api/v1/users", 405)
            .fails("invalid", "POST")
            .has("allow", "OPTIONS, POST"),
        row("DELETE /api/v1/users/7", 405)
            .fails("invalid", "GET")
            .has("allow", "GET, HEAD, OPTIONS, PUT"),
        row("BREW /api/v1/users", 405)
            .fails("invalid", "POST")
            .has("allow", "OPTIONS, POST"),
        row("POST /healthz", 405)
            .fails("invalid", "GET")
            .has("allow", "GET, HEAD, OPTIONS"),
        row(USERS, 413).json(&large).fails("invalid", "larger than 4096 bytes"),
        row(USERS, 415).raw(ADA).fails("invalid", "content-type"),
        row(USERS, 415)
            .raw(ADA)
            .header("content-type", "text/plain")
            .fails("invalid", "content-type"),
        row(USERS, 415)
            .json(ADA)
            .header("content-encoding", "gzip")
            .fails("invalid", "compressed")
            .has("accept-encoding", "identity"),
        row(USERS, 406)
            .json(ADA)
            .header("accept", "text/html")
            .fails("invalid", "accept"),
        row(USERS, 406)
            .json(ADA)
            .header("accept", "application/json;q=0")
            .fails("invalid", "accept"),
        row(USERS, 400).json("{").fails("invalid", ""),
        row(USERS, 400).json("[]").fails("invalid", "not a list"),
        row(USERS, 400).json("7").fails("invalid", ""),
        row(USERS, 400).json(r#"{"name":"Ada"}"#).fails("invalid", "email"),
        row(USERS, 400)
            .json(r#"{"name":7,"email":"a@b"}"#)
            .fails("invalid", "name"),
        row(USERS, 400).fails("invalid", "name"),
        row("POST /api/v1/users?nmae=Ada", 400)
            .json(ADA)
            .fails("invalid", "is name meant"),
        row("POST /api/v1/users?name=Bea", 400)
            .json(ADA)
            .fails("invalid", "name differs between the address and the body"),
        row("PUT /api/v1/users/7", 400)
            .json(r#"{"id":8,"name":"Bea"}"#)
            .fails("invalid", "id differs"),
        row("GET /api/v1/users/seven", 400).fails("invalid", "id must be an integer"),
        row("GET /api/v1/users/7?id=8", 400).fails("invalid", "id differs between the path and the query"),
        row("GET /api/v1/users/-1", 400).fails("invalid", "id"),
        row("GET /api/v1/users/%FF", 400).fails("invalid", "UTF-8"),
        row("GET /api/v1/users/7?colour=red", 400).fails("invalid", "colour is no field of the input, which has id"),
        row("GET /api/v1/users/7", 400)
            .json("{}")
            .fails("invalid", "takes no body"),
        row("GET /api/v1/search?q=a&limit=many", 400).fails("invalid", "limit must be an integer"),
        row("GET /api/v1/search?q=a&exact=yes", 400).fails("invalid", "exact must be true or false"),
        row("GET /api/v1/search?q=a&q=b", 400).fails("invalid", "q is given more than once"),
        row("GET /api/v1/search?limit=1", 400).fails("invalid", "q"),
        row("DELETE /api/v1/touch?hard=true", 400).fails("invalid", "the input has no fields"),
        row("GET /api/v1/users/7", 400)
            .header("x-timeout-ms", "soon")
            .fails("invalid", "x-timeout-ms"),
        row("GET /api/v1/users/7", 400)
            .header("x-timeout-ms", "0")
            .fails("invalid", "x-timeout-ms"),
        row("GET /api/v1/users/7", 400)
            .header("idempotency-key", "")
            .fails("invalid", "idempotency-key"),
        row("GET /api/v1/users/7", 400)
            .header("host", "other.example")
            .fails("invalid", "one host")
            .has("connection", "close"),
        row("GET /api/v1/me", 401)
            .fails("unauthenticated", "closed")
            .has("www-authenticate", "Bearer"),
        row("GET /api/v1/me", 401)
            .header("x-principal", "root")
            .header("authorization", "Bearer x")
            .fails("unauthenticated", ""),
    ];
    play(Staged::start().await, rows).await;
}

#[tokio::test]
async fn failures_of_commands_become_problems_by_one_mapping() {
    let fail = |code: &str, status| {
        let row = row("POST /api/v1/fail", status).json(&format!(r#"{{"code":"{code}"}}"#));
        row.executed("yes")
    };
    let slow = r#"{"code":"exhausted","retry_after_ms":2500}"#;
    let rows = vec![
        fail("invalid", 400).fails("invalid", "as you wish"),
        fail("unauthenticated", 401)
            .fails("unauthenticated", "as you wish")
            .has("www-authenticate", "Bearer"),
        fail("forbidden", 403).fails("forbidden", "as you wish"),
        fail("not_found", 404).fails("not_found", "as you wish"),
        fail("conflict", 409).fails("conflict", "as you wish"),
        fail("exhausted", 429)
            .fails("exhausted", "as you wish")
            .has("retry-after", "1"),
        row("POST /api/v1/fail", 429)
            .json(slow)
            .executed("yes")
            .fails("exhausted", "")
            .has("retry-after", "3"),
        fail("timeout", 504).fails("timeout", "as you wish"),
        fail("unavailable", 503)
            .fails("unavailable", "as you wish")
            .has("retry-after", "1"),
        fail("internal", 500).fails("internal", "as you wish"),
        fail("panic", 500).executed("unknown").fails("internal", ""),
        row(USERS, 409)
            .json(r#"{"name":"taken","email":"a@b"}"#)
            .executed("yes")
            .fails("conflict", "taken"),
        row(USERS, 400)
            .json(r#"{"name":"Ada","email":"nowhere"}"#)
            .executed("")
            .fails("invalid", "email must be an email address"),
        row("GET /api/v1/users/101", 404)
            .executed("yes")
            .fails("not_found", "there is no user 101"),
        row("POST /api/v1/wait", 504)
            .json("{}")
            .header("x-timeout-ms", "30")
            .executed("unknown")
            .fails("timeout", ""),
    ];
    let staged = Staged::start().await;
    let answer = ask(
        staged.at,
        &row("POST /api/v1/fail", 500).json(r#"{"code":"internal"}"#).request(),
    )
    .await;
    assert_eq!(
        answer.json().get("details"),
        None,
        "details of internal failures stay inside"
    );
    let answer = ask(
        staged.at,
        &row("POST /api/v1/fail", 409).json(r#"{"code":"conflict"}"#).request(),
    )
    .await;
    assert_eq!(answer.json()["details"], json!({ "inside": true }));
    play_on(&staged, rows).await;
    // The handler that nobody waits for any longer.
    staged.props.release.add_permits(1);
    staged.end().await;
}

#[tokio::test]
async fn the_hook_alone_says_who_acts_and_fails_closed() {
    let me = |token: &str, status| {
        row("GET /api/v1/me", status)
            .header("authorization", token)
            .header("x-principal", "root")
    };
    let staged = Staged::with(|gateway| gateway.authenticate(Doorman)).await;
    let answer = ask(staged.at, &me("Bearer ada", 200).request()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        (&answer.json()["principal"], &answer.json()["tenant"]),
        (&json!("ada"), &json!("acme"))
    );
    let leak = ask(staged.at, &me("Bearer leak", 500).request()).await;
    assert!(!leak.text().contains("10.0.0.1"), "{}", leak.text());
    let rows = vec![
        me("Bearer eve", 403).fails("forbidden", "not you"),
        me("Bearer crash", 500).fails("internal", "panicked"),
        me("Basic xyz", 401)
            .fails("unauthenticated", "who are you")
            .has("www-authenticate", "Bearer"),
        row("GET /api/v1/me", 401).fails("unauthenticated", "who are you"),
        // The body is not even read before the caller is known.
        row("POST /api/v1/me", 405).json("{").fails("invalid", "GET"),
    ];
    play(staged, rows).await;
}

#[tokio::test]
async fn a_call_continues_the_callers_trace_and_says_which_conversation_it_was() {
    let staged = Staged::start().await;
    let request = row("GET /api/v1/there", 200)
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .header("idempotency-key", "k-1")
        .header("x-principal", "root")
        .header("x-tenant", "acme")
        .header("x-timeout-ms", "45000");
    let answer = ask(staged.at, &request.request()).await;
    let who = answer.json();
    assert_eq!(
        (&who["principal"], &who["tenant"], &who["key"]),
        (&Value::Null, &Value::Null, &json!("k-1"))
    );
    assert_eq!(answer.header("x-correlation-id"), who["correlation"].as_str());
    assert_eq!(answer.header("traceparent"), who["trace"].as_str());
    let trace = who["trace"].as_str().expect("a trace");
    assert!(
        trace.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && !trace.contains("00f067aa0ba902b7"),
        "{trace}"
    );
    let remaining = who["remaining_ms"].as_u64().expect("a number");
    assert!(
        (30_001..=45_000).contains(&remaining),
        "a caller may lengthen the default of 30 s: {remaining}"
    );

    let endless = row("GET /api/v1/there", 200).header("x-timeout-ms", "3600000");
    let remaining = ask(staged.at, &endless.request()).await.json()["remaining_ms"]
        .as_u64()
        .expect("a number");
    assert!(
        (30_001..=60_000).contains(&remaining),
        "but not beyond the node's maximum: {remaining}"
    );
    staged.end().await;
}

#[tokio::test]
async fn one_connection_carries_many_requests_also_all_at_once() {
    let staged = Staged::start().await;
    let mut wire = Wire::connect(staged.at).await;
    let request = row("GET /api/v1/users/7", 200).request();
    wire.send(request.repeat(3)).await;
    for _ in 0..3 {
        assert_eq!(wire.answer().await.status, 200);
    }
    wire.send(row(USERS, 400).json("{").request()).await;
    assert_eq!(wire.answer().await.status, 400);
    wire.send(&request).await;
    assert_eq!(wire.answer().await.status, 200, "a refusal does not end the connection");
    staged.end().await;
}

#[tokio::test]
async fn a_body_in_chunks_counts_as_it_comes() {
    let staged = Staged::start().await;
    let head = "POST /api/v1/users HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunked = |body: &str| format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    assert_eq!(ask(staged.at, &chunked(ADA)).await.status, 201);
    assert_eq!(ask(staged.at, &chunked(&" ".repeat(BODY_LIMIT + 1))).await.status, 413);
    assert_eq!(ask(staged.at, &chunked(&" ".repeat(BODY_LIMIT * 16))).await.status, 413);
    staged.end().await;
}

#[tokio::test]
async fn who_asks_before_sending_is_told_before_sending() {
    let staged = Staged::start().await;
    let expecting = |length: usize| {
        row(USERS, 0)
            .header("content-type", "application/json")
            .header("content-length", &length.to_string())
            .header("expect", "100-continue")
            .request()
    };
    assert_eq!(ask(staged.at, &expecting(BODY_LIMIT + 1)).await.status, 413);
    let mut wire = Wire::connect(staged.at).await;
    wire.send(expecting(ADA.len())).await;
    assert_eq!(wire.answer_to(true).await.status, 100);
    wire.send(ADA).await;
    assert_eq!(wire.answer().await.status, 201);
    staged.end().await;
}

#[tokio::test]
async fn bodies_together_hold_a_bounded_amount_of_memory() {
    let staged = Staged::with(|gateway| gateway.bodies_limit(100)).await;
    let mut holding = Wire::connect(staged.at).await;
    let body = format!(r#"{{"then":"{}"}}"#, "x".repeat(60));
    holding.send(row("POST /api/v1/wait", 200).json(&body).request()).await;
    staged
        .props
        .until("the first starts", |props| {
            props.started.load(std::sync::atomic::Ordering::SeqCst) == 1
        })
        .await;
    row(USERS, 503)
        .json(ADA)
        .fails("unavailable", "memory")
        .has("retry-after", "1")
        .check(&ask(staged.at, &row(USERS, 503).json(ADA).request()).await);
    staged.props.release.add_permits(1);
    assert_eq!(holding.answer().await.status, 200);
    assert_eq!(ask(staged.at, &row(USERS, 201).json(ADA).request()).await.status, 201);
    staged.end().await;
}
