//! Configuration as a whole: who wins, what is refused, and that no input breaks it.

use std::path::Path;

use serde::Deserialize;

use super::*;

pub(super) fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

pub(super) fn resolve(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Resolved, ConfigErrors> {
    let file = Some((Path::new("roadshow.toml"), file));
    Settings::resolve(file, pairs(env).into_iter(), &pairs(flags), Some("host"))
}

pub(super) fn errors(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Vec<String> {
    let errors = resolve(file, env, flags).expect_err("something is wrong");
    errors.iter().map(ToString::to_string).collect()
}

fn shown(resolved: &Resolved, name: &str) -> String {
    resolved
        .effective()
        .find(|setting| setting.name == name)
        .expect("a setting")
        .value
}

#[test]
fn without_anything_the_defaults_hold() {
    let resolved = Settings::resolve(None, std::iter::empty(), &[], None).expect("defaults are right");
    assert_eq!(resolved.settings(), &Settings::default());
    let table = [
        ("node_id", "node"),
        ("namespace", "roadshow"),
        ("services", ""),
        ("event_bridge", "memory:"),
        ("queue_bridge", "memory:"),
        ("state_store", "memory:"),
        ("bridge.user", "none"),
        ("bridge.password", "none"),
        ("bridge.ca_file", "none"),
        ("bridge.cert_file", "none"),
        ("bridge.key_file", "none"),
        ("http", "127.0.0.1:8080"),
        ("http_token", "none"),
        ("gateway.tls_cert", "none"),
        ("gateway.tls_key", "none"),
        ("gateway.cors_origins", ""),
        ("gateway.access_log", "false"),
        ("gateway.docs", "true"),
        ("gateway.connections", "1024"),
        ("gateway.header_timeout", "10s"),
        ("gateway.body_timeout", "30s"),
        ("gateway.write_timeout", "30s"),
        ("gateway.bodies_limit", "64MiB"),
        ("log", "text"),
        ("log_filter", "info"),
        ("shutdown_budget", "30s"),
        ("start_deadline", "30s"),
        ("call.default_timeout", "30s"),
        ("call.max_timeout", "1m"),
        ("codec_always", "false"),
        ("strict_contracts", "false"),
        ("payload_limit", "1MiB"),
        ("reply_allow", ""),
    ];
    assert_eq!(table.len(), settings().len());
    for (setting, (name, value)) in resolved.effective().zip(table) {
        assert_eq!(
            (setting.name, setting.value.as_str(), setting.origin),
            (name, value, Origin::Default)
        );
    }
}

#[test]
fn every_source_overrides_the_ones_before_it() {
    let file = "\nlog_filter = \"file\"";
    let env = ("ROADSHOW_LOG_FILTER", "env");
    let flag = ("log_filter", "flag");
    let from_file = Origin::File {
        path: "roadshow.toml".into(),
        line: 2,
    };
    let from_env = Origin::Env {
        variable: "ROADSHOW_LOG_FILTER".to_owned(),
    };
    let from_flag = Origin::Flag {
        name: "--log-filter".to_owned(),
    };
    let table: [(&str, &[_], &[_], &str, Origin); 8] = [
        ("", &[], &[], "info", Origin::Default),
        (file, &[], &[], "file", from_file),
        ("", &[env], &[], "env", from_env.clone()),
        ("", &[], &[flag], "flag", from_flag.clone()),
        (file, &[env], &[], "env", from_env),
        (file, &[], &[flag], "flag", from_flag.clone()),
        ("", &[env], &[flag], "flag", from_flag.clone()),
        (file, &[env], &[flag], "flag", from_flag),
    ];
    for (file, env, flags, value, origin) in table {
        let resolved = resolve(file, env, flags).expect("all of it is right");
        assert_eq!(
            (resolved.settings().log_filter.as_str(), resolved.origin("log_filter")),
            (value, &origin)
        );
    }
}

#[test]
fn every_setting_can_be_given_in_all_three_ways() {
    let values = [
        ("node_id", "a1", "\"a1\""),
        ("namespace", "shop", "\"shop\""),
        ("services", "user,email", "[\"user\", \"email\"]"),
        ("event_bridge", "nats://broker:4222", "\"nats://broker:4222\""),
        ("queue_bridge", "redis://cache", "\"redis://cache\""),
        ("state_store", "redis://cache", "\"redis://cache\""),
        ("bridge.user", "ada", "\"ada\""),
        ("bridge.password", "p @:/", "\"p @:/\""),
        ("bridge.ca_file", "ca.pem", "\"ca.pem\""),
        ("bridge.cert_file", "cert.pem", "\"cert.pem\""),
        ("bridge.key_file", "key.pem", "\"key.pem\""),
        ("http", "off", "\"off\""),
        ("http_token", "hunter2", "\"hunter2\""),
        ("gateway.tls_cert", "cert.pem", "\"cert.pem\""),
        ("gateway.tls_key", "key.pem", "\"key.pem\""),
        (
            "gateway.cors_origins",
            "https://a.example,http://b",
            "[\"https://a.example\", \"http://b\"]",
        ),
        ("gateway.access_log", "true", "true"),
        ("gateway.docs", "false", "false"),
        ("gateway.connections", "64", "64"),
        ("gateway.header_timeout", "1s", "\"1s\""),
        ("gateway.body_timeout", "2s", "\"2s\""),
        ("gateway.write_timeout", "3s", "\"3s\""),
        ("gateway.bodies_limit", "1MiB", "\"1MiB\""),
        ("log", "json", "\"json\""),
        ("log_filter", "debug", "\"debug\""),
        ("shutdown_budget", "5s", "\"5s\""),
        ("start_deadline", "250ms", "\"250ms\""),
        ("call.default_timeout", "1s", "\"1s\""),
        ("call.max_timeout", "1h", "\"1h\""),
        ("codec_always", "true", "true"),
        ("strict_contracts", "true", "true"),
        ("payload_limit", "2MiB", "\"2MiB\""),
        ("reply_allow", "my.replies.>,other", "[\"my.replies.>\", \"other\"]"),
    ];
    assert_eq!(values.len(), settings().len());
    let defaults = Settings::default();
    for (setting, (name, text, written)) in settings().iter().zip(values) {
        assert_eq!(setting.name(), name);
        let by_file = resolve(&format!("{name} = {written}"), &[], &[]).expect(name);
        let by_env = resolve("", &[(&setting.variable(), text)], &[]).expect(name);
        let by_flag = resolve("", &[], &[(name, text)]).expect(name);
        assert_eq!(by_file.settings(), by_env.settings());
        assert_eq!(by_file.settings(), by_flag.settings());
        assert_ne!(by_file.settings(), &defaults, "{name} was put into a field");
        let is_secret = setting.kind() == "secret";
        let expected = if is_secret { "***" } else { text };
        assert_eq!(shown(&by_flag, name), expected);
    }
}

#[test]
fn variables_and_flags_follow_from_the_name() {
    let setting = settings()
        .iter()
        .find(|setting| setting.name() == "call.max_timeout")
        .expect("a setting");
    assert_eq!(setting.variable(), "ROADSHOW_CALL__MAX_TIMEOUT");
    assert_eq!(setting.flag(), "--call-max-timeout");
    assert_eq!((setting.kind(), setting.default_text()), ("duration", "60s"));
    assert!(settings().iter().all(|setting| !setting.meaning().is_empty()));
}

#[test]
fn no_secret_is_printed() {
    let file = "http_token = \"hunter2\"\nbridge.password = \"hunter2\"\nevent_bridge = \"nats://me:hunter2@broker\"\n[service.mail]\npassword = \"hunter2\"";
    let resolved = resolve(file, &[("ROADSHOW_SERVICE__MAIL__PIN", "hunter2")], &[]).expect("it is right");
    let mut printed = format!("{resolved:?} {:?}", resolved.settings());
    resolved
        .effective()
        .for_each(|setting| printed += &format!("{setting:?}"));
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(
        resolved
            .settings()
            .http_token
            .as_ref()
            .is_some_and(|token| token.is("hunter2"))
    );
    let wrong = errors(
        "http_token = \"hunter2 \"",
        &[("ROADSHOW_EVENT_BRIDGE", "hunter2")],
        &[],
    );
    assert!(
        wrong.iter().all(|error| !error.contains("hunter2")) && wrong.len() == 2,
        "{wrong:?}"
    );
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct Mail {
    host: String,
    port: u16,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 25,
        }
    }
}

#[test]
fn a_service_reads_its_own_section() {
    let file = "[service.mail]\nhost = \"smtp\"\n\n[service.user]\nanything = [1, {a = 2}]";
    let resolved = resolve(file, &[("ROADSHOW_SERVICE__MAIL__PORT", "2525")], &[]).expect("it is right");
    assert_eq!(
        resolved.section::<Mail>("mail"),
        Ok(Mail {
            host: "smtp".to_owned(),
            port: 2525
        })
    );
    assert_eq!(
        resolved.section::<Mail>("other"),
        Ok(Mail::default()),
        "a section that is not there is empty"
    );
    assert!(
        resolved
            .raw_section("user")
            .is_some_and(|table| table.contains_key("anything"))
    );
    let error = resolve("[service.mail]\n\nport = 70000", &[], &[])
        .expect("unread")
        .section::<Mail>("mail");
    let error = error.expect_err("the port is too large").to_string();
    assert_eq!(
        error,
        "cannot use service.mail.port from roadshow.toml:3: invalid value, expected u16"
    );
}

#[test]
fn services_that_do_not_exist_are_found_by_who_knows_them() {
    let resolved =
        resolve("services = [\"usr\", \"email\"]\n[service.emial]\nx = 1", &[], &[]).expect("names are right");
    let errors = resolved.check_services(&["user", "email"]).expect_err("two are wrong");
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "cannot use services from roadshow.toml:1: there is no service usr; did you mean user",
            "cannot use service.emial from roadshow.toml:3: there is no such service; did you mean email",
        ]
    );
    assert_eq!(resolved.check_services(&["usr", "email", "emial"]), Ok(()));
}

#[test]
fn variables_of_others_are_left_alone() {
    let env = [
        ("PATH", "x"),
        ("ROADSHOW_CONFIG", "a.toml"),
        ("ROADSHOW_SERVICE_HOST", "10.0.0.1"),
        ("ROADSHOWY", "x"),
    ];
    let resolved = resolve("", &env, &[]).expect("none of them is a setting");
    assert_eq!(
        resolved.ignored_variables().collect::<Vec<_>>(),
        ["ROADSHOW_SERVICE_HOST"]
    );
}

#[test]
fn a_file_of_the_largest_size_is_refused_in_bounded_time_and_words() {
    let mut file = String::new();
    let mut key = 0;
    while file.len() < FILE_BYTES_MAX as usize - 16 {
        file += &format!("evnt{key} = 1\n");
        key += 1;
    }
    let errors = resolve(&file, &[], &[]).expect_err("all keys are unknown");
    assert_eq!(errors.iter().count(), 100);
    assert!(errors.to_string().len() < 20_000);
}
