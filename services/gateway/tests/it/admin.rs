//! The admin routes and who may use them.

use std::sync::atomic::Ordering::SeqCst;

use roadshow_services::config::Secret;

use crate::stage::Staged;
use crate::wire::{Answer, ask, get, post};

async fn with(staged: &Staged, start: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let request = format!(
        "{start} HTTP/1.1\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    ask(staged.at, &request).await
}

const HERE: (&str, &str) = ("host", "localhost:8080");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn any_command_can_be_called_on_somebodys_behalf() {
    let staged = Staged::start().await;
    let headers = [
        HERE,
        JSON,
        ("x-principal", "ada"),
        ("x-tenant", "acme"),
        ("idempotency-key", "k"),
        ("x-timeout-ms", "45000"),
    ];
    let answer = with(&staged, "POST /_node/call/stage/1/who_am_i", &headers, "{}").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let who = answer.json();
    assert_eq!(
        (&who["principal"], &who["tenant"], &who["key"]),
        (&"ada".into(), &"acme".into(), &"k".into())
    );
    assert_eq!(answer.header("x-correlation-id"), who["correlation"].as_str());
    assert!(who["remaining_ms"].as_u64().is_some_and(|ms| ms > 30_000), "{who}");
    let user = with(
        &staged,
        "POST /_node/call/stage/1/get_user",
        &[HERE, JSON],
        r#"{"id":7}"#,
    )
    .await;
    assert_eq!((user.status, &user.json()["name"]), (200, &"Ada".into()));
    let nothing = with(&staged, "POST /_node/call/stage/1/touch", &[HERE, JSON], "{}").await;
    assert_eq!(nothing.status, 204);
    staged.end().await;
}

#[tokio::test]
async fn an_event_is_accepted_and_heard() {
    let staged = Staged::start().await;
    let answer = with(
        &staged,
        "POST /_node/emit/stage.heard",
        &[HERE, JSON],
        r#"{"text":"hi"}"#,
    )
    .await;
    assert_eq!((answer.status, answer.text().as_str()), (202, ""));
    assert!(answer.header("x-correlation-id").is_some());
    staged
        .props
        .until("it is heard", |props| props.heard.load(SeqCst) == 1)
        .await;
    staged.end().await;
}

/// A request, and the status and code with which it is refused.
type Wrong<'a> = (&'a str, Vec<(&'a str, &'a str)>, &'a str, u16, &'a str);

/// Sends every request of the table, and expects each to be refused as it says.
async fn refused(staged: &Staged, table: &[Wrong<'_>]) {
    for (start, headers, body, status, code) in table {
        let answer = with(staged, start, headers, body).await;
        let context = format!("{start} {headers:?} {body:?}: {}", answer.text());
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (*status, &(*code).into()),
            "{context}"
        );
        assert_eq!(answer.json()["executed"], "no", "{context}");
    }
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused() {
    let staged = Staged::start().await;
    let call = "POST /_node/call/stage/1/get_user";
    let table = [
        (
            "POST /_node/call/stage/1/no_such",
            vec![HERE, JSON],
            "{}",
            404,
            "not_found",
        ),
        (
            "POST /_node/call/nobody/1/get_user",
            vec![HERE, JSON],
            "{}",
            503,
            "unavailable",
        ),
        (
            "POST /_node/call/stage/0/get_user",
            vec![HERE, JSON],
            "{}",
            400,
            "invalid",
        ),
        (
            "POST /_node/call/st.ge/1/get_user",
            vec![HERE, JSON],
            "{}",
            400,
            "invalid",
        ),
        ("POST /_node/call/stage/1", vec![HERE, JSON], "{}", 404, "not_found"),
        (
            "POST /_node/call/stage/1/get_user/x",
            vec![HERE, JSON],
            "{}",
            404,
            "not_found",
        ),
        ("POST /_node/emit/..", vec![HERE, JSON], "{}", 400, "invalid"),
        ("POST /_node/emit/stage.heard", vec![HERE, JSON], "{", 400, "invalid"),
        ("POST /_node/nothing", vec![HERE, JSON], "{}", 404, "not_found"),
        ("GET /_node/call/stage/1/get_user", vec![HERE], "", 405, "invalid"),
        ("POST /_node/tree", vec![HERE, JSON], "{}", 405, "invalid"),
        (call, vec![HERE, JSON], r#"{"id":"x"}"#, 400, "invalid"),
        (call, vec![HERE, JSON], "{", 400, "invalid"),
        (call, vec![HERE, JSON, ("x-timeout-ms", "1.5")], "{}", 400, "invalid"),
        (call, vec![HERE, JSON, ("accept", "text/html")], "{}", 406, "invalid"),
        (call, vec![HERE], r#"{"id":7}"#, 415, "invalid"),
        (call, vec![HERE], "", 415, "invalid"),
        (
            call,
            vec![HERE, ("content-type", "text/plain")],
            r#"{"id":7}"#,
            415,
            "invalid",
        ),
        (
            call,
            vec![HERE, ("content-type", "application/x-www-form-urlencoded")],
            "id=7",
            415,
            "invalid",
        ),
    ];
    refused(&staged, &table).await;
    staged.end().await;
}

#[tokio::test]
async fn who_asks_from_a_foreign_page_or_by_a_foreign_name_is_refused() {
    let staged = Staged::start().await;
    let call = "POST /_node/call/stage/1/get_user";
    let table = [
        (
            call,
            vec![HERE, JSON, ("origin", "http://evil.example")],
            r#"{"id":7}"#,
            403,
            "forbidden",
        ),
        (
            call,
            vec![HERE, JSON, ("origin", "null")],
            r#"{"id":7}"#,
            403,
            "forbidden",
        ),
        (
            call,
            vec![("host", "evil.example"), JSON],
            r#"{"id":7}"#,
            403,
            "forbidden",
        ),
        (
            "GET /_node/tree",
            vec![("host", "evil.example:8080")],
            "",
            403,
            "forbidden",
        ),
        (
            "GET /_node/failures",
            vec![("host", "127.0.0.1.nip.example")],
            "",
            403,
            "forbidden",
        ),
        ("GET http://evil.example/_node/tree", vec![HERE], "", 403, "forbidden"),
    ];
    refused(&staged, &table).await;
    let own = with(
        &staged,
        call,
        &[HERE, JSON, ("origin", "http://localhost:8080")],
        r#"{"id":7}"#,
    )
    .await;
    assert_eq!(own.status, 200);
    staged.end().await;
}

#[tokio::test]
async fn the_token_opens_the_door_and_a_wrong_one_does_not() {
    let staged = Staged::with(|gateway| gateway.token(Secret::new("correct-horse"))).await;
    let elsewhere = ("host", "shop.example");
    let table = [
        (vec![elsewhere, ("authorization", "Bearer correct-horse")], 200),
        (vec![elsewhere, ("authorization", "Bearer wrong-horse")], 401),
        (vec![HERE, ("authorization", "Bearer wrong-horse")], 401),
        (vec![elsewhere], 403),
        (vec![HERE], 200),
    ];
    for (headers, status) in table {
        let answer = with(&staged, "GET /_node/tree", &headers, "").await;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.text());
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
    }
    staged.end().await;
}

#[tokio::test]
async fn the_tree_and_its_failures_are_shown() {
    let staged = Staged::start().await;
    assert_eq!(
        ask(staged.at, &post("/api/v1/fail", r#"{"code":"panic"}"#))
            .await
            .status,
        500
    );
    assert_eq!(get(staged.at, "/api/v1/users/7").await.status, 200);
    let tree = get(staged.at, "/_node/tree").await.json();
    for field in [
        "id",
        "kind",
        "state",
        "restarts",
        "incarnation",
        "uptime_ms",
        "last_failure",
        "children",
    ] {
        assert!(tree.get(field).is_some(), "{field} in {tree}");
    }
    let first = &tree["children"][0];
    assert_eq!((&first["id"], &first["kind"]), (&"gateway".into(), &"component".into()));
    let failures = get(staged.at, "/_node/failures").await.json();
    let failure = &failures.as_array().expect("a list")[0];
    assert_eq!(failure["supervisor"], "node/services/stage.1", "{failures}");
    staged.end().await;
}
