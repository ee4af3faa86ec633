//! `call`, `emit` and `tree` against a running node.

use serde_json::{Value, json};

use crate::ledger::Ledger;
use crate::program::Program;
use crate::{Up, binary, run};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text:?} is no JSON: {error}"))
}

const ADA: &str = r#"{"name":"Ada","email":"ada@example.org"}"#;

#[test]
fn a_user_is_created_from_the_shell_and_found_again() {
    let up = Up::new(&[]);
    let created = up.client(&["call", "user.1.create_user", ADA]);
    assert_eq!((created.code, created.err.as_str()), (Some(0), ""));
    let user = json(&created.out);
    assert_eq!(user["name"], "Ada");
    let id = json!({ "id": user["id"] }).to_string();
    let url = up.url();
    let found = Program::start_with(
        &binary(),
        &["call", "user.1.get_user", "-", "--node", &url, "--timeout", "5s"],
        &[],
        &id,
    );
    assert_eq!(json(&found.end().out), user);
    assert_eq!(up.stop().code, Some(0));
}

#[test]
fn a_failure_is_a_problem_on_stderr_and_exit_code_one() {
    let up = Up::new(&[]);
    assert_eq!(up.client(&["call", "user.1.create_user", ADA]).code, Some(0));
    let table = [
        (["call", "user.1.create_user", ADA], "conflict", "yes"),
        (["call", "user.1.create_user", r#"{"name":"Ada"}"#], "invalid", "no"),
        (["call", "user.1.get_user", r#"{"id":"x"}"#], "not_found", "yes"),
        (["call", "user.1.greet", "{}"], "not_found", "no"),
        (["call", "nobody.1.greet", "{}"], "unavailable", "no"),
    ];
    for (args, code, executed) in table {
        let ended = up.client(&args);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{args:?}: {ended:?}");
        let problem = json(&ended.err);
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["executed"], executed, "{problem}");
        assert!(problem["message"].is_string(), "{problem}");
    }
    assert_eq!(up.stop().code, Some(0));
}

#[test]
fn a_node_that_is_not_there_is_named_by_host_and_port() {
    // Bound and let go: nobody listens there now.
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let at = free.expect("a free port").to_string();
    let url = format!("http://{at}");
    for args in [
        &["call", "user.1.get_user", "{}", "--node", &url][..],
        &["emit", "user.created", "{}", "--node", &url],
        &["tree", "--node", &url],
    ] {
        let ended = run(args);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{args:?}");
        let problem = json(&ended.err);
        assert_eq!(
            (&problem["code"], &problem["executed"]),
            (&json!("unavailable"), &json!("no"))
        );
        assert!(
            problem["message"].as_str().is_some_and(|text| text.contains(&at)),
            "{problem}"
        );
    }
}

#[test]
fn an_event_reaches_the_ledger_of_the_probe() {
    let ledger = Ledger::new("event");
    let up = Up::new(&["--probe", ledger.path()]);
    let emitted = up.client(&["emit", "probe.event", r#"{"id":"e1"}"#]);
    assert_eq!((emitted.code, emitted.out.as_str()), (Some(0), ""), "{emitted:?}");
    ledger.shows(r#""phase":"end""#);
    ledger.shows(r#""outcome":"ok""#);
    assert_eq!(up.stop().code, Some(0));
}

#[test]
fn the_tree_is_a_picture_and_on_request_a_document() {
    let up = Up::new(&["--services", "user"]);
    let picture = up.client(&["tree"]);
    assert_eq!(picture.code, Some(0));
    for part in ["gateway", "router", "└─ services", "user.1", "RESTARTS"] {
        assert!(picture.out.contains(part), "{part} in\n{}", picture.out);
    }
    assert!(!picture.out.contains("email.1"), "{}", picture.out);
    let document = json(&up.client(&["tree", "--json"]).out);
    assert_eq!(document["state"], "ready");
    assert!(
        document["children"]
            .as_array()
            .is_some_and(|children| children.len() >= 4)
    );
    assert_eq!(up.stop().code, Some(0));
}
