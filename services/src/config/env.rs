//! Finds the settings among the environment variables.
//!
//! Every variable that begins with `ROADSHOW_` must be known. Two kinds are and yet are no setting: [`CONFIG`], which names
//! the file, and what Kubernetes puts into the environment of every pod for a service that happens to be named
//! `roadshow` (`ROADSHOW_PORT`, `ROADSHOW_SERVICE_HOST` and their like); refusing those would end every such pod.

use super::error::{ConfigError, ConfigErrors};
use super::given::Given;
use super::origin::Origin;
use super::section::{SECTIONS, Sections};
use super::suggest::nearest;
use super::table::{PREFIX, Setting, settings};

/// Names the configuration file, unless a flag does.
pub(crate) const CONFIG: &str = "ROADSHOW_CONFIG";

/// The settings that the environment gives.
#[derive(Debug, Default)]
pub(crate) struct EnvValues {
    pub(crate) given: Vec<(&'static Setting, Origin, Given)>,
    /// Variables of ours by name that belong to Kubernetes.
    pub(crate) ignored: Vec<String>,
}

/// Reads variables; keys of services go into `sections`, where they override the file's.
pub(crate) fn read(
    variables: impl Iterator<Item = (String, String)>,
    sections: &mut Sections,
) -> (EnvValues, ConfigErrors) {
    let mut values = EnvValues::default();
    let mut errors = ConfigErrors::default();
    // An environment has no order; errors should.
    let mut variables: Vec<_> = variables
        .filter(|(name, _)| name.starts_with(PREFIX) && name != CONFIG)
        .collect();
    variables.sort();
    for (name, text) in variables {
        let origin = Origin::Env { variable: name.clone() };
        if let Some(setting) = settings().iter().find(|setting| setting.variable() == name) {
            values.given.push((setting, origin, Given::Text(text)));
        } else if let Some(path) = section_path(&name) {
            if let Err(why) = sections.override_key(&path, &text, &origin) {
                errors.push(ConfigError::new(origin, &name, why));
            }
        } else if is_service_link(&name, &text) {
            values.ignored.push(name);
        } else {
            let near = if errors.is_full() { None } else { near_variable(&name) };
            errors.push(ConfigError::new(origin, &name, "there is no such setting").suggest(near));
        }
    }
    (values, errors)
}

/// Finds the variable of ours that is most like an unknown one; what all have in common does not count.
fn near_variable(name: &str) -> Option<String> {
    let known = settings().iter().map(Setting::variable).chain([CONFIG.to_owned()]);
    let own = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
    nearest(&own(name), known.map(|known| own(&known))).map(|near| format!("{PREFIX}{near}"))
}

/// Splits `ROADSHOW_SERVICE__USER__PORT` into service and keys.
fn section_path(name: &str) -> Option<Vec<&str>> {
    let mut parts = name.strip_prefix(PREFIX)?.split("__");
    let is_section = parts.next()?.eq_ignore_ascii_case(SECTIONS) && name.contains("__");
    is_section.then(|| parts.collect())
}

/// Tells whether Kubernetes makes this variable for a service whose name begins with `roadshow`.
fn is_service_link(name: &str, text: &str) -> bool {
    let is_service = name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT");
    // A bare `…_PORT` could as well be somebody's slip; the text tells.
    let is_link = name.ends_with("_PORT")
        && ["tcp://", "udp://", "sctp://"]
            .iter()
            .any(|link| text.starts_with(link));
    is_service || is_link || is_numbered_port(name)
}

fn is_numbered_port(name: &str) -> bool {
    name.match_indices("_PORT_").any(|(at, found)| {
        let rest = &name[at + found.len()..];
        let protocol = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        protocol.len() < rest.len()
            && ["_TCP", "_UDP", "_SCTP"]
                .iter()
                .any(|known| protocol.starts_with(known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_kubernetes_are_known_by_their_form() {
        let links = [
            ("ROADSHOW_SERVICE_HOST", "10.0.0.1"),
            ("ROADSHOW_SERVICE_PORT", "8080"),
            ("ROADSHOW_SERVICE_PORT_HTTP", "8080"),
            ("ROADSHOW_PORT", "tcp://10.0.0.1:8080"),
            ("ROADSHOW_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("ROADSHOW_PORT_8080_TCP_PROTO", "tcp"),
            ("ROADSHOW_PORT_8080_TCP_PORT", "8080"),
            ("ROADSHOW_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("ROADSHOW_GATEWAY_SERVICE_HOST", "10.0.0.1"),
            ("ROADSHOW_GATEWAY_PORT_53_UDP_ADDR", "10.0.0.1"),
        ];
        for (name, text) in links {
            assert!(is_service_link(name, text), "{name}");
        }
        for name in [
            "ROADSHOW_HTTP_PORT",
            "ROADSHOW_PORT",
            "ROADSHOW_PORT_HTTP",
            "ROADSHOW_REPORT",
            "ROADSHOW_PORT_X_TCP",
        ] {
            assert!(!is_service_link(name, "8080"), "{name}");
        }
    }

    #[test]
    fn a_section_is_told_by_two_underscores() {
        assert_eq!(
            section_path("ROADSHOW_SERVICE__USER__MAX_AGE"),
            Some(vec!["USER", "MAX_AGE"])
        );
        assert_eq!(section_path("ROADSHOW_SERVICE__USER"), Some(vec!["USER"]));
        assert_eq!(section_path("ROADSHOW_SERVICE_HOST"), None);
        assert_eq!(section_path("ROADSHOW_CALL__MAX_TIMEOUT"), None);
        assert_eq!(section_path("ROADSHOW_SERVICE"), None);
    }
}
