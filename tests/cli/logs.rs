//! What a node writes while it runs: the ready line, and log lines from which a conversation can be followed.

use serde_json::Value;

use crate::ledger::Ledger;
use crate::program::Program;
use crate::{Up, binary, web};

#[test]
fn one_line_on_stdout_says_that_the_node_is_ready() {
    let up = Up::new(&["--node-id", "blue"]);
    let at = up.at.clone();
    let ended = up.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.out, format!("ready node=blue http={at}"));
}

#[test]
fn without_http_the_place_is_a_dash() {
    let mut program = Program::start(&binary(), &["up", "--http", "off"]);
    assert_eq!(program.ready(), "-");
    program.signal("INT");
    assert_eq!(program.end().code, Some(0));
}

#[test]
fn settings_come_from_the_environment_and_flags_beat_them() {
    let variables = [("ROADSHOW_HTTP", "off"), ("ROADSHOW_NODE_ID", "green")];
    let mut program = Program::start_with(&binary(), &["up", "--node-id", "blue"], &variables, "");
    assert_eq!(program.ready(), "-");
    program.signal("TERM");
    assert_eq!(program.end().out, "ready node=blue http=-");
}

#[test]
fn the_mail_of_a_user_bears_the_ids_of_the_request_that_created_the_user() {
    let mut up = Up::new(&["--log", "json"]);
    let body = r#"{"name":"Ada","email":"ada@example.org"}"#;
    let answer = web::answer(web::send(&up.at, "POST", "/api/v1/users", body));
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(answer.body.contains("\"id\":"), "{answer:?}");
    let line: Value = serde_json::from_str(&up.program.hears("welcome mail sent")).expect("a line of JSON");
    let span = &line["span"];
    assert_eq!(
        span["correlation_id"].as_str(),
        answer.header("x-correlation-id"),
        "{line}"
    );
    let traceparent = answer.header("traceparent").expect("a trace");
    let trace_id = traceparent.split('-').nth(1);
    assert_eq!(span["trace_id"].as_str(), trace_id, "{line}");
    assert_eq!(up.stop().code, Some(0));
}

#[test]
fn a_panic_is_one_line_with_its_place() {
    let ledger = Ledger::new("panic");
    let mut up = Up::new(&["--log", "json", "--probe", ledger.path()]);
    let ended = up.client(&["call", "probe.1.run", r#"{"id":"a","panic":true}"#]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let line: Value = serde_json::from_str(&up.program.hears("roadshow::panic")).expect("a line of JSON");
    assert!(
        line["location"].as_str().is_some_and(|place| place.contains(".rs:")),
        "{line}"
    );
    let ended = up.stop();
    assert_eq!(ended.code, Some(0));
    let panics = ended.err.lines().filter(|line| line.contains("roadshow::panic"));
    assert_eq!(panics.count(), 1, "{}", ended.err);
    for line in ended.err.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line} is no JSON");
    }
}

#[cfg(unix)]
#[test]
fn a_node_lives_on_when_its_log_cannot_be_written() {
    let ledger = Ledger::new("full-disk");
    let binary = binary();
    let into_the_void = r#"exec "$0" "$@" 2>/dev/full"#;
    let args = [
        "-c",
        into_the_void,
        binary.to_str().expect("a path in UTF-8"),
        "up",
        "--http",
        "127.0.0.1:0",
    ];
    let mut program = Program::start(
        "/bin/sh".as_ref(),
        &[&args[..], &["--gateway-access-log", "--probe", ledger.path()]].concat(),
    );
    let at = program.ready();
    let body = r#"{"id":"a","panic":true}"#;
    let answer = web::answer(web::send(&at, "POST", "/_node/call/probe/1/run", body));
    assert_eq!(answer.status, 500, "{answer:?}");
    assert_eq!(web::answer(web::send(&at, "GET", "/healthz", "")).status, 200);
    program.signal("TERM");
    assert_eq!(program.end().code, Some(0));
}
