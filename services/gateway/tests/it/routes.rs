//! The routes of commands, request by request.

use std::sync::atomic::Ordering::SeqCst;

use serde_json::json;

use crate::stage::{BODY_LIMIT, Staged};
use crate::table::{ADA, USERS, play, row};
use crate::wire::{Wire, ask};

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
        row(USERS, 201).json(ADA).header("x-timeout-ms", "5000").replies(ada()),
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
        .until("the first starts", |props| props.started.load(SeqCst) == 1)
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
