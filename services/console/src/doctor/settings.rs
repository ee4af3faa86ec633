//! Every setting with its effective value and who chose it, and what is odd about who did.

use roadshow_services::config::{Origin, Resolved};
use serde::Serialize;

use super::finding::{Area, Finding};
use super::words::shown;

/// What stands for a value that may be secret.
const HIDDEN: &str = "***";

/// One setting, or one key of a service's section.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) origin: Origin,
}

impl Row {
    /// Whether somebody chose the value.
    pub(super) fn is_chosen(&self) -> bool {
        self.origin != Origin::Default
    }
}

/// The table: settings in their order, then the keys of the services' sections. Nobody here knows which of these are
/// secret, so all of their values are hidden.
pub(super) fn rows(resolved: &Resolved) -> Vec<Row> {
    let settings = resolved.effective().map(|setting| Row {
        name: setting.name.to_owned(),
        value: shown(&setting.value),
        origin: setting.origin,
    });
    let keys = resolved.section_keys().map(|(key, origin)| Row {
        name: shown(key),
        value: HIDDEN.to_owned(),
        origin: origin.clone(),
    });
    settings.chain(keys).collect()
}

/// What is odd about how settings were given.
pub(super) fn findings(resolved: &Resolved) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (bridge, url) = (&resolved.settings().bridge, &resolved.settings().event_bridge);
    if let Err((name, why)) = bridge.access(url) {
        let message = format!("it is set by {}: {why}", shown(&resolved.origin(name).to_string()));
        findings.push(Area::Settings.problem(name, message, "correct it: a node would not start"));
    } else if !bridge.is_empty() && url.scheme() == "memory" {
        findings.push(Area::Settings.note(
            "bridge",
            "the settings of access are not used: the event bridge is in this process",
            "name a broker with event_bridge, or take them out",
        ));
    }
    for name in on_the_command_line(resolved) {
        findings.push(Area::Settings.warning(
            name,
            "a secret on the command line can be read by everybody on this machine, with ps",
            &format!(
                "give it as {}, or in a file that only the node can read",
                variable(name)
            ),
        ));
    }
    for variable in resolved.ignored_variables() {
        findings.push(Area::Settings.note(
            shown(variable),
            "passed over: Kubernetes makes it for a service named roadshow, it is no setting",
            "enableServiceLinks: false keeps such variables away",
        ));
    }
    findings
}

/// Settings with a secret in them that came as a flag.
fn on_the_command_line(resolved: &Resolved) -> impl Iterator<Item = &'static str> {
    with_secrets(resolved).filter(|name| matches!(resolved.origin(name), Origin::Flag { .. }))
}

/// Settings that hold a secret now.
pub(super) fn with_secrets(resolved: &Resolved) -> impl Iterator<Item = &'static str> {
    let settings = resolved.settings();
    let hides = |url: &roadshow_services::config::BridgeUrl| url.to_string().contains(HIDDEN);
    let found = [
        ("http_token", settings.http_token.is_some()),
        ("bridge.password", settings.bridge.password.is_some()),
        ("event_bridge", hides(&settings.event_bridge)),
        ("queue_bridge", hides(&settings.queue_bridge)),
        ("state_store", hides(&settings.state_store)),
    ];
    found.into_iter().filter(|(_, holds)| *holds).map(|(name, _)| name)
}

fn variable(name: &str) -> String {
    let setting = roadshow_services::config::settings()
        .iter()
        .find(|setting| setting.name() == name);
    setting.map_or_else(|| "a variable".to_owned(), roadshow_services::config::Setting::variable)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use roadshow_services::config::Settings;

    use super::*;
    use crate::doctor::finding::Level;

    fn resolved(file: &str, flags: &[(&str, &str)]) -> Resolved {
        let flags: Vec<_> = flags
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        Settings::resolve(Some((Path::new("a.toml"), file)), std::iter::empty(), &flags, None).expect("it is right")
    }

    #[test]
    fn nothing_is_odd_about_the_defaults() {
        assert_eq!(findings(&resolved("", &[])), []);
    }

    #[test]
    fn keys_of_sections_are_listed_without_their_values() {
        let rows = rows(&resolved(
            "[service.mail]\nhost = 'hunter2'\nlogin = {password = 'hunter2'}",
            &[],
        ));
        let keys: Vec<_> = rows.iter().filter(|row| row.name.starts_with("service.")).collect();
        let told: Vec<_> = keys
            .iter()
            .map(|row| (row.name.as_str(), row.value.as_str(), row.origin.to_string()))
            .collect();
        assert_eq!(
            told,
            [
                ("service.mail.host", "***", "a.toml:2".to_owned()),
                ("service.mail.login.password", "***", "a.toml:3".to_owned())
            ]
        );
    }

    #[test]
    fn a_secret_on_the_command_line_is_warned_of_and_not_repeated() {
        let flags = [
            ("http_token", "hunter2"),
            ("event_bridge", "nats://u:hunter2@h"),
            ("queue_bridge", "redis://h"),
        ];
        let found = findings(&resolved("", &flags));
        let subjects: Vec<_> = found.iter().map(|finding| finding.subject.as_str()).collect();
        assert_eq!(subjects, ["http_token", "event_bridge"]);
        assert!(found.iter().all(|finding| finding.level == Level::Warning));
        assert!(!format!("{found:?}").contains("hunter2"));
        assert!(findings(&resolved("http_token = 'hunter2'", &[])).is_empty());
    }

    #[test]
    fn access_that_contradicts_itself_is_a_problem_and_access_to_nothing_a_note() {
        let table = [
            ("bridge.user = 'ada'\nevent_bridge = 'nats://h'", None),
            ("bridge.user = 'ada'", Some((Level::Note, "bridge"))),
            (
                "bridge.password = 'hunter2'\nevent_bridge = 'nats://h'",
                Some((Level::Problem, "bridge.password")),
            ),
            (
                "bridge.cert_file = 'c'\nevent_bridge = 'tls://h'",
                Some((Level::Problem, "bridge.cert_file")),
            ),
        ];
        for (file, expected) in table {
            let found = findings(&resolved(file, &[]));
            let told = found.first().map(|finding| (finding.level, finding.subject.as_str()));
            assert_eq!(
                (found.len(), told),
                (usize::from(expected.is_some()), expected),
                "{file}"
            );
            assert!(!format!("{found:?}").contains("hunter2"));
        }
    }
}
