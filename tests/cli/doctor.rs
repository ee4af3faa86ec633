//! `doctor`: every setting with who chose it, and what it says in situations in which `up` would go wrong.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;

use roadshow::config::{Setting, settings};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Ended, Program};
use crate::{Up, binary, run};

/// What must never be printed.
const SECRET: &str = "hunter2";

/// Who gives a setting: the weakest first.
const LAYERS: [&str; 3] = ["file", "env", "flag"];

/// What `layer` (0 for the file) writes for a setting. A kind that is not known here needs a value here.
fn given(setting: &Setting, layer: usize) -> String {
    let by = LAYERS[layer];
    match (setting.name(), setting.kind()) {
        (_, "name") => format!("by-{by}"),
        (_, "list of names") => ["user", "email", "user,email"][layer].to_owned(),
        (_, "url") => format!("nats://u:{SECRET}@{by}"),
        (_, "address or off") => format!("127.0.0.1:700{layer}"),
        // The user of the bridges' URLs: another one would be refused.
        ("bridge.user", _) => "u".to_owned(),
        (_, "secret") => format!("{SECRET}-{by}"),
        (_, "path") => format!("{by}.pem"),
        (_, "list of origins") => format!("https://{by}.example"),
        // Against the default, so that the value alone shows that somebody chose it.
        (_, "true or false") => (setting.default_text() != "true").to_string(),
        (_, "number") => format!("1{layer}"),
        // Never below the default timeout of calls.
        ("call.max_timeout", "duration") => format!("10{}s", layer + 1),
        (_, "duration") => format!("1{}s", layer + 1),
        (_, "size") => format!("{}MiB", layer + 2),
        (_, "text or json") => "json".to_owned(),
        (_, "filter directives") => ["warn", "error", "debug"][layer].to_owned(),
        (_, "list of subjects") => format!("{by}.replies"),
        (name, kind) => panic!("{name} has the new kind {kind}: give it values here"),
    }
}

/// What is shown of a value that was given.
fn shown(setting: &Setting, given: &str) -> String {
    match setting.kind() {
        "secret" => "***".to_owned(),
        "url" => given.replace(&format!("u:{SECRET}"), "***"),
        _ => given.to_owned(),
    }
}

/// A file that gives every setting, one a line.
fn every_setting(folder: &TempDir) -> String {
    let mut text = String::new();
    for setting in settings() {
        let value = given(setting, 0);
        let is_bare = matches!(setting.kind(), "true or false" | "number");
        let value = if is_bare { value } else { format!("{value:?}") };
        writeln!(text, "{} = {value}", setting.name()).expect("a line");
    }
    written(folder, "all.toml", &text)
}

fn written(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

fn doctor(args: &[&str], variables: &[(String, String)]) -> Ended {
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (&**name, &**value)).collect();
    let ended = Program::start_with(&binary(), &[&["doctor"], args].concat(), &variables, "").end();
    assert!(!ended.out.contains(SECRET) && !ended.err.contains(SECRET), "{ended:?}");
    ended
}

fn document(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// What is said in one level.
fn told<'a>(document: &'a Value, level: &str) -> Vec<&'a Value> {
    let findings = document["findings"].as_array().expect("findings");
    findings.iter().filter(|finding| finding["level"] == level).collect()
}

#[test]
fn every_setting_is_shown_with_who_chose_it_and_flags_beat_variables_which_beat_the_file() {
    let folder = TempDir::new().expect("a folder");
    let file = every_setting(&folder);
    let variables: Vec<_> = settings().iter().map(|one| (one.variable(), given(one, 1))).collect();
    let flags: Vec<_> = settings()
        .iter()
        .map(|one| format!("{}={}", one.flag(), given(one, 2)))
        .collect();
    for layer in 0..LAYERS.len() {
        let mut args = vec!["--config", &*file, "--offline"];
        let variables = if layer > 0 { &variables[..] } else { &[] };
        if layer > 1 {
            args.extend(flags.iter().map(String::as_str));
        }
        let ended = doctor(&[&args[..], &["--json"]].concat(), variables);
        // No queue bridge and no store speaks to NATS.
        assert_eq!((ended.code, ended.err.as_str()), (Some(1), ""), "{ended:?}");
        let document = document(&ended);
        let page = doctor(&args, variables).out;
        let rows = document["settings"].as_array().expect("settings");
        assert_eq!(rows.len(), settings().len());
        for (at, (setting, row)) in settings().iter().zip(rows).enumerate() {
            let (origin, text) = match layer {
                0 => (
                    json!({"from": "file", "path": file, "line": at + 1}),
                    format!("{file}:{}", at + 1),
                ),
                1 => (
                    json!({"from": "env", "variable": setting.variable()}),
                    setting.variable(),
                ),
                _ => (json!({"from": "flag", "name": setting.flag()}), setting.flag()),
            };
            let value = shown(setting, &given(setting, layer));
            assert_eq!(row, &json!({"name": setting.name(), "value": value, "origin": origin}));
            let line = page.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let expected = [setting.name(), &value, &text];
            assert!(line.into_iter().any(|line| line == expected), "{expected:?} in\n{page}");
        }
    }
}

#[test]
fn a_new_project_has_nothing_to_worry_about() {
    let ended = doctor(&["--http", "127.0.0.1:0", "--json"], &[]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    let document = document(&ended);
    assert_eq!(document["ok"], true);
    assert!(
        told(&document, "warning").is_empty() && told(&document, "problem").is_empty(),
        "{document}"
    );
    for row in document["settings"].as_array().expect("settings") {
        let by = if row["name"] == "http" { "flag" } else { "default" };
        assert_eq!(row["origin"]["from"], by, "{row}");
    }
    let page = doctor(&["--http", "127.0.0.1:0"], &[]).out;
    let last = page.lines().last().expect("a verdict");
    assert!(last.starts_with("no problems") && !page.contains('\u{1b}'), "{page}");
}

#[test]
fn sections_of_services_are_shown_by_their_keys_only() {
    let folder = TempDir::new().expect("a folder");
    let file = written(
        &folder,
        "a.toml",
        "[service.email]\nhost = 'hunter2'\nlogin.password = 'hunter2'\n",
    );
    let variables = [("ROADSHOW_SERVICE__EMAIL__PORT".to_owned(), SECRET.to_owned())];
    let ended = doctor(&["--config", &file, "--offline", "--json"], &variables);
    let document = document(&ended);
    let rows = document["settings"].as_array().expect("settings");
    let keys: Vec<&Value> = rows
        .iter()
        .filter(|row| row["name"].as_str().is_some_and(|name| name.starts_with("service.")))
        .collect();
    let names: Vec<_> = keys
        .iter()
        .map(|row| row["name"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(
        names,
        [
            "service.email.host",
            "service.email.login.password",
            "service.email.port"
        ]
    );
    assert!(keys.iter().all(|row| row["value"] == "***"), "{keys:?}");
    assert_eq!(keys[2]["origin"]["variable"], variables[0].0.as_str());
}

#[test]
fn settings_that_cannot_be_read_end_it_as_they_end_up() {
    let folder = TempDir::new().expect("a folder");
    let broken = written(&folder, "broken.toml", "http = \n");
    let unknown = written(
        &folder,
        "unknown.toml",
        "evnt_bridge = 'memory:'\nhttp_token = 'hunter2 hunter2'\nhttp = 7\n",
    );
    let folder_path = folder.path().to_str().expect("UTF-8");
    let table: &[(&[&str], &[&str])] = &[
        (&["--config", &broken], &["broken.toml:1"]),
        (
            &["--config", &unknown],
            &[
                "unknown.toml:1",
                "did you mean event_bridge",
                "unknown.toml:2",
                "unknown.toml:3",
            ],
        ),
        (&["--config", folder_path], &[folder_path]),
        (&["--config", "/no/such/file.toml"], &["/no/such/file.toml"]),
        (&["--http", "8080"], &["--http", "127.0.0.1:8080"]),
        (&["--grace", "30"], &["--grace", "5s"]),
        (&["--of-line"], &["--offline"]),
    ];
    for (args, expected) in table {
        let ended = doctor(&[*args, &["--json"]].concat(), &[]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{args:?}: {ended:?}");
        for text in *expected {
            assert!(ended.err.contains(text), "{args:?}: {text} in {}", ended.err);
        }
        let by_up = run(&[&["up"], *args].concat());
        if !matches!(args[0], "--grace" | "--of-line") {
            assert_eq!(ended.err, by_up.err, "{args:?}: the same words");
        }
    }
}

/// Runs the doctor on something broken, and returns the findings that are problems.
fn problems(args: &[&str]) -> Vec<(String, String, String)> {
    let ended = doctor(&[args, &["--json"]].concat(), &[]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(1), ""), "{args:?}: {ended:?}");
    let document = document(&ended);
    assert_eq!(document["ok"], false);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let problem = |finding: &Value| {
        (
            text(&finding["subject"]),
            text(&finding["message"]),
            text(&finding["advice"]),
        )
    };
    told(&document, "problem").into_iter().map(problem).collect()
}

/// What doctor says of one problem: about what, and words of its message and of its advice.
type Told = (&'static str, &'static str, &'static str);

#[test]
fn what_would_go_wrong_is_named_with_the_way_out() {
    let table: &[(&[&str], &[Told])] = &[
        (
            &["--grace", "10s"],
            &[(
                "shutdown_budget",
                "the grace period is 10s",
                "33s or more, or set shutdown_budget to 7s",
            )],
        ),
        (
            &["--services", "usr"],
            &[("services", "there is no service usr; did you mean user", "user, email")],
        ),
        (
            &["--event-bridge", "redis://u:hunter2@h"],
            &[("event_bridge", "no adapter for redis:", ".connector")],
        ),
        (
            &["--queue-bridge", "redis://h", "--state-store", "redis://h"],
            &[
                ("queue_bridge", "no adapter for redis:", ""),
                ("state_store", "no adapter for redis:", ""),
            ],
        ),
        (
            &["--gateway-tls-cert", "c.pem"],
            &[("TLS", "gateway.tls_key is not", "set both")],
        ),
        (
            &["--gateway-tls-cert", "/no/c.pem", "--gateway-tls-key", "/no/k.pem"],
            &[("TLS", "/no/c.pem", "PEM files")],
        ),
        (
            &["--log-filter", "a=b"],
            &[("log_filter", "a=b from --log-filter", "info,shop=debug")],
        ),
        (
            &["--http", "192.0.2.1:80"],
            &[("http", "no address of this machine", "127.0.0.1")],
        ),
    ];
    for (args, expected) in table {
        // A free port, unless the address is what is broken.
        let http: &[&str] = if args[0] == "--http" {
            &[]
        } else {
            &["--http", "127.0.0.1:0"]
        };
        let found = problems(&[*args, http].concat());
        assert_eq!(found.len(), expected.len(), "{args:?}: {found:?}");
        for ((subject, message, advice), expected) in found.iter().zip(*expected) {
            assert_eq!(subject, expected.0, "{args:?}");
            assert!(
                message.contains(expected.1) && advice.contains(expected.2),
                "{args:?}: {found:?}"
            );
            assert!(!advice.is_empty(), "{args:?}: a way out");
        }
    }
}

#[test]
fn who_holds_a_taken_port_is_found_out() {
    let up = Up::new(&["--log-filter", "off"]);
    let found = problems(&["--http", &up.at]);
    assert!(
        found[0].1.contains(&up.at) && found[0].1.contains("a roadshow node answers there"),
        "{found:?}"
    );
    assert_eq!(up.stop().code, Some(0));
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = silent.local_addr().expect("an address").to_string();
    let found = problems(&["--http", &at]);
    assert!(found[0].1.contains("says nothing within 3s"), "{found:?}");
    let ended = doctor(&["--http", &at, "--offline"], &[]);
    assert_eq!(ended.code, Some(0), "offline nobody looks: {ended:?}");
}

#[test]
fn what_is_unwise_is_a_warning_and_no_failure() {
    let folder = TempDir::new().expect("a folder");
    let file = written(&folder, "open.toml", "http_token = 'hunter2'\n");
    set_mode(Path::new(&file), 0o644);
    let table: &[(&[&str], &str)] = &[
        (&["--config", &file], "everybody on this machine can read it"),
        (
            &["--config", &file, "--http", "0.0.0.0:0"],
            "http_token travels in clear",
        ),
        (&["--http-token", "hunter2"], "with ps"),
        (&["--shutdown-budget", "5s"], "a drain waits 3.8s of shutdown_budget 5s"),
        (
            &["--call-default-timeout", "20s", "--call-max-timeout", "20s"],
            "call.max_timeout 20s",
        ),
    ];
    for (args, expected) in table {
        let ended = doctor(&[*args, &["--offline", "--json"]].concat(), &[]);
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
        let document = document(&ended);
        let warnings = told(&document, "warning");
        let is_told = warnings.iter().any(|warning| {
            let told = warning["message"]
                .as_str()
                .is_some_and(|message| message.contains(expected));
            told && warning["advice"].as_str().is_some_and(|advice| !advice.is_empty())
        });
        assert!(is_told, "{args:?}: {expected} in {warnings:?}");
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

#[test]
fn a_reader_that_goes_away_is_no_failure_of_ours() {
    let line = format!("{} doctor --offline | head -1", binary().display());
    let output = std::process::Command::new("sh")
        .args(["-c", &line])
        .output()
        .expect("a shell");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Settings\n");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
