//! `call`, `emit` and `tree` against a running node.

use serde_json::{Value, json};

use crate::ledger::Ledger;
use crate::program::Program;
#[cfg(unix)]
use crate::terminal::OnTerminal;
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

/// Runs a line of help in bash, where `roadshow` is our program and the node is ours.
#[cfg(unix)]
fn shell(line: &str, url: &str, folder: &std::path::Path) -> std::process::Output {
    let script = r#"roadshow() { "$BIN" "$@" --node "$NODE"; }; eval "$LINE""#;
    std::process::Command::new("bash")
        .args(["--norc", "-c", script])
        .env("BIN", binary())
        .env("NODE", url)
        .env("LINE", line)
        .env_remove("ROADSHOW_EVENT_BRIDGE")
        .current_dir(folder)
        .output()
        .expect("bash runs")
}

#[cfg(unix)]
#[test]
fn the_examples_in_the_help_of_call_and_emit_work_as_they_stand() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(
        folder.path().join("bob.json"),
        "{\"name\":\"Bob\",\"email\":\"bob@example.org\"}\n",
    )
    .expect("written");
    let up = Up::new(&[]);
    for (command, expected) in [("call", 3), ("emit", 1)] {
        let help = run(&[command, "--help"]).out;
        let lines: Vec<&str> = help
            .lines()
            .filter(|line| line.contains("  ") && line.contains("roadshow "))
            .collect();
        let examples: Vec<&str> = lines
            .into_iter()
            .filter(|line| !line.starts_with("Usage"))
            .map(str::trim)
            .collect();
        assert_eq!(examples.len(), expected, "{help}");
        for line in examples {
            let ended = shell(line, &up.url(), folder.path());
            assert!(ended.status.success() && ended.stderr.is_empty(), "{line}: {ended:?}");
            assert_eq!(ended.stdout.is_empty(), command == "emit", "{line}: {ended:?}");
        }
    }
    assert_eq!(up.stop().code, Some(0));
}

#[test]
fn json_that_is_left_out_comes_from_stdin_and_is_null_where_that_is_empty() {
    let up = Up::new(&[]);
    let url = up.url();
    let given = |args: &[&str], stdin: &str| {
        Program::start_with(&binary(), &[args, &["--node", &url]].concat(), &[], stdin).end()
    };
    let created = given(&["call", "user.1.create_user"], ADA);
    assert_eq!((created.code, created.err.as_str()), (Some(0), ""));
    assert_eq!(
        created.out.lines().count(),
        1,
        "for programs a reply is one line: {}",
        created.out
    );
    let empty = given(&["call", "user.1.create_user"], "");
    assert_eq!((empty.code, empty.out.as_str()), (Some(1), ""));
    assert!(
        json(&empty.err)["message"]
            .as_str()
            .is_some_and(|text| text.contains("null")),
        "{}",
        empty.err
    );
    // An event that says nothing is hardly meant: a pipe that broke looks the same.
    let nothing = given(&["emit", "user.created"], "");
    assert_eq!(nothing.code, Some(2), "{nothing:?}");
    let asked = given(&["call", "user.1.create_user", "-"], " \n");
    assert!(
        asked.code == Some(2) && asked.err.contains("stdin is no JSON: it is empty"),
        "{asked:?}"
    );
    let broken = given(&["emit", "user.created"], "{\n  \"id\": 1,\n}");
    assert!(
        broken.code == Some(2)
            && broken
                .err
                .contains("stdin is no JSON: key must be a string at line 3 column 1"),
        "{broken:?}"
    );
    assert_eq!(up.stop().code, Some(0));
}

#[cfg(unix)]
#[test]
fn on_a_terminal_replies_are_laid_out_and_problems_told_in_words() {
    let up = Up::new(&[]);
    let url = up.url();
    let args = ["call", "user.1.create_user", ADA, "--node", &url];
    let (code, shown) = OnTerminal::start(&args, 80, &[("NO_COLOR", "1")]).end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(
        shown.starts_with("{\r\n  \"id\": \"") && shown.contains("\r\n  \"name\": \"Ada\""),
        "{shown:?}"
    );
    let (code, shown) = OnTerminal::start(&args, 80, &[]).end();
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("\"code\":\"conflict\""), "{shown:?}");
    assert!(shown.contains("\u{1b}[1;31merror:\u{1b}[0m conflict: "), "{shown:?}");
    let (code, shown) = OnTerminal::start(&["call", "user.1.create_user", "--node", &url], 80, &[]).end();
    assert!(
        code == Some(2) && shown.contains("the JSON is missing") && shown.contains("@FILE"),
        "{shown:?}"
    );
    assert_eq!(up.stop().code, Some(0));
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
