//! What a configuration is refused for, and in which words.

use super::tests::{errors, pairs};
use super::*;

#[test]
fn what_a_file_says_wrongly_is_named_by_its_line() {
    let table = [
        (
            "\n\nevnt_bridge = \"memory:\"",
            "evnt_bridge",
            3,
            "there is no such setting; did you mean event_bridge",
        ),
        ("zebra = 1", "zebra", 1, "there is no such setting"),
        (
            "[call]\nmax_timout = \"1m\"",
            "call.max_timout",
            2,
            "there is no such setting; did you mean call.max_timeout",
        ),
        ("call = 5", "call", 1, "expected a table of settings"),
        ("service = 1", "service", 1, "expected a table for each service"),
        (
            "service.user = 1",
            "service.user",
            1,
            "expected a table with the service's keys",
        ),
        (
            "[call]\ndefault_timeout = \"2m\"",
            "call.default_timeout",
            2,
            "the default of 2m is longer than the maximum of 1m",
        ),
    ];
    for (file, key, line, why) in table {
        assert_eq!(
            errors(file, &[], &[]),
            [format!("cannot use {key} from roadshow.toml:{line}: {why}")]
        );
    }
}

#[test]
fn a_value_that_cannot_be_read_is_refused_with_what_was_expected() {
    let time = "expected a string with a unit of time, as in \"5s\", found an integer";
    let size = "expected a whole number with a unit of size (B, KiB, MiB, GiB), as in 1MiB";
    let filter = "expected filter directives: 1 to 4096 bytes without control characters";
    let subject = "expected subjects of 1 to 640 visible ASCII characters without spaces";
    let table = [
        ("shutdown_budget", "5", time),
        ("payload_limit", "\"1MB\"", size),
        ("payload_limit", "\"1B\"", "expected a size from 1KiB to 256MiB"),
        ("codec_always", "\"yes\"", "expected true or false"),
        (
            "services",
            "[1]",
            "expected an array of strings, found an array of other things",
        ),
        ("log", "\"xml\"", "expected text or json"),
        ("log_filter", "\"\"", filter),
        (
            "event_bridge",
            "\"broker:pw 1\"",
            "a url has no spaces and no control characters",
        ),
        ("reply_allow", "[\"\"]", subject),
        ("http", "1979-05-27", "expected a string, found a date or time"),
    ];
    for (key, value, why) in table {
        let file = format!("{key} = {value}");
        assert_eq!(
            errors(&file, &[], &[]),
            [format!("cannot use {key} from roadshow.toml:1: {why}")]
        );
    }
}

#[test]
fn variables_and_flags_are_refused_by_name() {
    let unknown = "there is no such setting";
    let variables = [
        (
            "ROADSHOW_EVNT_BRIDGE",
            "x",
            format!("ROADSHOW_EVNT_BRIDGE: {unknown}; did you mean ROADSHOW_EVENT_BRIDGE"),
        ),
        (
            "ROADSHOW_log",
            "json",
            format!("ROADSHOW_log: {unknown}; did you mean ROADSHOW_LOG"),
        ),
        ("ROADSHOW_", "1", format!("ROADSHOW_: {unknown}")),
        ("ROADSHOW_ZEBRA", "1", format!("ROADSHOW_ZEBRA: {unknown}")),
        (
            "ROADSHOW_SHUTDOWN_BUDGET",
            "5",
            "shutdown_budget from ROADSHOW_SHUTDOWN_BUDGET: expected a whole number with a unit of time \
             (us, ms, s, m, h, d), as in 5s"
                .to_owned(),
        ),
        (
            "ROADSHOW_CALL__MAX_TIMEOUT",
            "1s",
            "call.max_timeout from ROADSHOW_CALL__MAX_TIMEOUT: the default of 30s is longer than the maximum of 1s"
                .to_owned(),
        ),
    ];
    for (name, value, message) in variables {
        assert_eq!(errors("", &[(name, value)], &[]), [format!("cannot use {message}")]);
    }
    let flags = [
        (
            "evnt_bridge",
            "x",
            "--evnt-bridge: there is no such setting; did you mean --event-bridge",
        ),
        (
            "start_deadline",
            "0s",
            "start_deadline from --start-deadline: expected a duration from 1ms to 7d",
        ),
        (
            "http",
            "8080",
            "http from --http: expected an address with a port, as in 127.0.0.1:8080 or [::1]:8080, or off",
        ),
    ];
    for (name, value, message) in flags {
        assert_eq!(errors("", &[], &[(name, value)]), [format!("cannot use {message}")]);
    }
}

#[test]
fn names_are_checked_by_the_rules_of_the_wire() {
    let node = &errors("", &[], &[("node_id", "web.example.org")])[0];
    assert!(node.contains("--node-id") && node.contains("web-example-org"), "{node}");
    let namespace = &errors("namespace = \"a b\"", &[], &[])[0];
    assert!(
        namespace.contains("roadshow.toml:1") && namespace.contains("a b"),
        "{namespace}"
    );
    let service = &errors("[service.\"a b\"]\nx = 1", &[], &[])[0];
    assert!(service.contains("service.a b"), "{service}");
}

#[test]
fn a_host_that_is_no_token_is_refused_with_a_suggestion_unless_a_name_was_chosen() {
    let host = Some("web.example.org");
    let error = Settings::resolve(None, std::iter::empty(), &[], host)
        .expect_err("no token")
        .to_string();
    assert!(
        error.contains("--node-id") && error.contains("web-example-org"),
        "{error}"
    );
    let chosen = Settings::resolve(None, std::iter::empty(), &pairs(&[("node_id", "web")]), host);
    assert_eq!(chosen.expect("a name was chosen").settings().node_id.as_str(), "web");
    let taken = Settings::resolve(None, std::iter::empty(), &[], Some("web1")).expect("a token");
    assert_eq!(taken.settings().node_id.as_str(), "web1");
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let file = "zebra = 1\nlog = \"xml\"\n[call]\nmax_timeout = 1";
    let errors = errors(
        file,
        &[("ROADSHOW_ZEBRA", "1"), ("ROADSHOW_HTTP", "x")],
        &[("zebra", "1")],
    );
    assert_eq!(errors.len(), 6, "{errors:#?}");
    assert_eq!(ConfigErrors::EXIT_CODE, 2);
}

#[test]
fn a_wrong_value_is_an_error_even_where_it_is_overridden() {
    assert_eq!(errors("log = \"xml\"", &[], &[("log", "json")]).len(), 1);
}

#[test]
fn breaches_of_the_syntax_are_named_by_line_and_never_quoted() {
    let errors = errors("http_token = \"hunter2\nlog = = 1\n", &[], &[]);
    assert!(!errors.is_empty());
    for error in errors {
        assert!(error.starts_with("cannot use the text from roadshow.toml:"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
