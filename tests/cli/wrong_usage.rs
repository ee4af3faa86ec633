//! Wrong usage: exit code 2, nothing on stdout, and words that say what was meant or what to do.

use crate::program::Program;
use crate::{binary, run};

#[test]
fn wrong_usage_is_told_apart_and_says_what_to_do() {
    let folder = std::env::temp_dir().join(format!("roadshow-cli-usage-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let config = folder.join("bad.toml");
    std::fs::write(&config, "evnt_bridge = 'memory:'\nhttp = 7\n").expect("written");
    let config = config.to_str().expect("UTF-8");
    let table: &[(&[&str], &[&str])] = &[
        (&[], &["Usage: roadshow <COMMAND>"]),
        (&["cal"], &["'call'"]),
        (&["up", "--evnt-bridge", "memory:"], &["--event-bridge"]),
        (&["up", "--services", "usr"], &["no service usr", "did you mean user"]),
        (&["up", "--http", "8080"], &["--http", "127.0.0.1:8080"]),
        (&["up", "--node-id", "my host"], &["my-host"]),
        (&["up", "--log-filter", "a=b"], &["log_filter", "--log-filter"]),
        (
            &["up", "--event-bridge", "redis://u:hunter2@h"],
            &["no adapter for redis:", "memory:"],
        ),
        (
            &["up", "--queue-bridge", "redis://h"],
            &["queue_bridge", "only for memory:"],
        ),
        (
            &["up", "--state-store", "redis://h"],
            &["state_store", "only for memory:"],
        ),
        (&["up", "--config", "/no/such/file.toml"], &["/no/such/file.toml"]),
        (
            &["up", "--config", config],
            &["bad.toml:1", "event_bridge", "bad.toml:2", "found an integer"],
        ),
        (
            &["up", "--probe", "/no/such/folder/ledger"],
            &["--probe", "cannot open"],
        ),
        (&["up", "--probe-waiting", "1"], &["--probe <LEDGER>"]),
        (&["call", "user.create_user", "{}"], &["service.version.command"]),
        (&["call", "user.1.create_user", "{"], &["no JSON", "line 1"]),
        (&["call"], &["<ADDRESS>"]),
        (&["emit", "user.created"], &["the JSON is missing"]),
        (
            &["call", "user.1.get_user", "{'id':1}"],
            &["line 1 column 2", "double quotes"],
        ),
        (
            &["tree", "--node", "localhost:8080"],
            &["did you mean http://localhost:8080?"],
        ),
        (&["tree", "--ca", "/no/such/ca.pem"], &["--ca", "/no/such/ca.pem"]),
        (&["tree", "--watch", "1ms"], &["100ms or more"]),
        (&["completions", "tcsh"], &["possible values", "'zsh'"]),
        (&["call", "user.1.create_user", "@/no/such/file"], &["/no/such/file"]),
        (&["call", "user.1.get_user", "{}", "--timeout", "5"], &["5s"]),
        (
            &["call", "user.1.get_user", "{}", "--node", "ftp://h"],
            &["--node", "http://host:port"],
        ),
        (&["emit", "user..created", "{}"], &["user..created", "character 6"]),
        (
            &["tree", "--event-bridge", "nats://u:hunter2@h"],
            &["about one node", "--node URL"],
        ),
        (&["bench", "--rows", "lokal_call"], &["local_call"]),
    ];
    for (args, expected) in table {
        let ended = run(args);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{args:?}: {ended:?}");
        for text in *expected {
            assert!(ended.err.contains(text), "{args:?}: {text} in {}", ended.err);
        }
        assert!(!ended.err.contains("hunter2"), "{}", ended.err);
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
    }
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn a_variable_that_is_no_setting_is_refused() {
    let variables = [("ROADSHOW_HTPP", "off")];
    let ended = Program::start_with(&binary(), &["up"], &variables, "").end();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("did you mean ROADSHOW_HTTP"), "{}", ended.err);
}

#[test]
fn a_bridge_in_the_environment_is_not_passed_over_by_client_commands() {
    let variables = [("ROADSHOW_EVENT_BRIDGE", "nats://u:hunter2@h")];
    let ended = Program::start_with(&binary(), &["tree"], &variables, "").end();
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
    assert!(ended.err.contains("ROADSHOW_EVENT_BRIDGE") && !ended.err.contains("hunter2"));
}

#[test]
fn help_and_version_are_answers() {
    let table: &[&[&str]] = &[
        &["--help"],
        &["--version"],
        &["up", "--help"],
        &["call", "--help"],
        &["emit", "--help"],
        &["stream", "--help"],
        &["tree", "--help"],
        &["bench", "--help"],
    ];
    for args in table {
        let ended = run(args);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{args:?}");
        assert!(ended.out.contains("roadshow"), "{}", ended.out);
    }
}
