//! What becomes of a call that came by a route: its failures, who acts, and its conversation.

use std::future::ready;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use roadshow_gateway::{Authenticate, Caller, RequestHead, SecurityScheme};
use roadshow_services::Failure;
use roadshow_services::config::Secret;
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

/// Lets everybody in as who the header `x-as` says, under the tenant of `x-of`, where `\t` stands for a control character.
struct Naive;

impl Authenticate for Naive {
    fn authenticate<'a>(&'a self, head: &'a RequestHead<'a>) -> BoxFuture<'a, Result<Caller, Failure>> {
        let said = |name| {
            let value: Option<&http::HeaderValue> = head.headers.get(name);
            value.map(|value| value.to_str().expect("text").replace("\\t", "\t"))
        };
        let caller = match said("x-as") {
            Some(principal) => Ok(Caller::principal(principal)),
            None => Err(Failure::unauthenticated("say who you are")),
        };
        let caller = caller.map(|caller| match said("x-of") {
            Some(tenant) => caller.tenant(tenant),
            None => caller,
        });
        ready(caller).boxed()
    }

    fn scheme(&self) -> SecurityScheme {
        SecurityScheme::ApiKey {
            header: "x-as".to_owned(),
        }
    }
}

#[tokio::test]
async fn a_hook_whose_caller_has_no_proper_name_lets_nobody_in() {
    let staged = Staged::with(|gateway| gateway.authenticate(Naive)).await;
    let (longest, too_long) = ("x".repeat(256), "x".repeat(257));
    let me = |principal: &str, status| row("GET /api/v1/me", status).header("x-as", principal);
    let refused = |principal: &str, tenant: &str| {
        me(principal, 500)
            .header("x-of", tenant)
            .executed("no")
            .fails("internal", "the authentication hook")
    };
    let answer = ask(staged.at, &me(&longest, 200).header("x-of", &longest).request()).await;
    assert_eq!(answer.json()["principal"], longest, "it crosses whole");
    let rows = vec![
        me("ada", 200),
        me("Zo\\te", 500).fails("internal", "the authentication hook"),
        refused("", "acme"),
        refused(&too_long, "acme"),
        refused("ada", ""),
        refused("ada", &too_long),
        refused("ada", "ac\\tme"),
    ];
    play(staged, rows).await;
}

#[tokio::test]
async fn a_401_asks_in_the_scheme_of_the_hook_and_at_the_admin_routes_for_a_token() {
    let staged = Staged::with(|gateway| gateway.authenticate(Naive).token(Secret::new("correct-horse"))).await;
    let rows = vec![
        row("GET /api/v1/me", 401)
            .fails("unauthenticated", "say who you are")
            .has("www-authenticate", r#"ApiKey header="x-as""#),
        row("POST /api/v1/fail", 401)
            .json(r#"{"code":"unauthenticated"}"#)
            .executed("yes")
            .fails("unauthenticated", "as you wish")
            .has("www-authenticate", r#"ApiKey header="x-as""#),
        row("GET /_node/tree", 401)
            .header("authorization", "Bearer wrong")
            .fails("unauthenticated", "not the node's token")
            .has("www-authenticate", "Bearer"),
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
