//! What becomes of a call that came by a route: its failures, who acts, and its conversation.

use serde_json::{Value, json};

use crate::stage::{Doorman, Staged};
use crate::table::{USERS, play, play_on, row};
use crate::wire::ask;

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
