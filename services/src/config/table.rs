//! All settings, each in one row.
//!
//! A row is everything there is to know of a setting: its name, what may be written, its default, its meaning, how it is
//! put into [`Settings`] and how it is shown. The variable and the flag follow from the name. A new setting is a field
//! and a row.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::gateway;
use super::given::Given;
use super::secret::Secret;
use super::units::{show_duration, show_size};
use super::{LogFormat, Settings};

/// What all our variables begin with.
pub(crate) const PREFIX: &str = "ROADSHOW_";

/// How long a token for the admin routes may be.
const TOKEN_BYTES_MAX: usize = 1_024;

const WEEK: Duration = Duration::from_secs(7 * 86_400);
const ANY_TIME: RangeInclusive<Duration> = Duration::ZERO..=WEEK;
const SOME_TIME: RangeInclusive<Duration> = Duration::from_millis(1)..=WEEK;
const PAYLOAD: RangeInclusive<u64> = 1_024..=256 << 20;
const BODIES: RangeInclusive<u64> = 1_024..=64 << 30;

/// What a setting is when nobody chose it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unset {
    /// This text, read like any other.
    Text(&'static str),
    /// Nothing.
    Nothing,
    /// The name of the host.
    HostName,
}

/// One row of the table of settings.
#[derive(Debug)]
pub struct Setting {
    name: &'static str,
    kind: &'static str,
    pub(crate) unset: Unset,
    meaning: &'static str,
    pub(crate) set: fn(&mut Settings, &Given) -> Result<(), String>,
    pub(crate) show: fn(&Settings) -> String,
}

impl Setting {
    /// Returns the key in the file; a dot separates the table from the key in it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns what may be written, in words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Returns the default as it would be written, or in words.
    #[must_use]
    pub fn default_text(&self) -> &'static str {
        match self.unset {
            Unset::Text("") => "empty",
            Unset::Text(text) => text,
            Unset::Nothing => "none",
            Unset::HostName => "the host's name",
        }
    }

    /// Returns what the setting decides.
    #[must_use]
    pub fn meaning(&self) -> &'static str {
        self.meaning
    }

    /// Returns the environment variable: the name in capitals, with two underscores for the dot.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.replace('.', "__").to_ascii_uppercase())
    }

    /// Returns the flag: the name with dashes.
    #[must_use]
    pub fn flag(&self) -> String {
        format!("--{}", self.name.replace(['.', '_'], "-"))
    }
}

/// Returns all settings in the order in which they are documented.
#[must_use]
pub fn settings() -> &'static [Setting] {
    &TABLE
}

/// Finds a setting by its name.
pub(crate) fn find(name: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.name == name)
}

/// Tells whether `name` is a table that holds settings, such as `call`.
pub(crate) fn is_table(name: &str) -> bool {
    TABLE.iter().any(|setting| {
        setting
            .name
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

static TABLE: [Setting; 33] = [
    Setting {
        name: "node_id",
        kind: "name",
        unset: Unset::HostName,
        meaning: "the node's name, unique in its namespace",
        set: |settings, given| put(&mut settings.node_id, given.parsed()),
        show: |settings| settings.node_id.to_string(),
    },
    Setting {
        name: "namespace",
        kind: "name",
        unset: Unset::Text("roadshow"),
        meaning: "the first token of every subject; nodes of different namespaces do not meet",
        set: |settings, given| put(&mut settings.namespace, given.parsed()),
        show: |settings| settings.namespace.to_string(),
    },
    Setting {
        name: "services",
        kind: "list of names",
        unset: Unset::Text(""),
        meaning: "the services that run in this process; empty means all",
        set: |settings, given| put(&mut settings.services, given.list(|name| name.parse().map_err(words))),
        show: |settings| joined(&settings.services),
    },
    Setting {
        name: "event_bridge",
        kind: "url",
        unset: Unset::Text("memory:"),
        meaning: "where commands and events travel",
        set: |settings, given| put(&mut settings.event_bridge, given.parsed()),
        show: |settings| settings.event_bridge.to_string(),
    },
    Setting {
        name: "queue_bridge",
        kind: "url",
        unset: Unset::Text("memory:"),
        meaning: "where jobs wait for workers",
        set: |settings, given| put(&mut settings.queue_bridge, given.parsed()),
        show: |settings| settings.queue_bridge.to_string(),
    },
    Setting {
        name: "state_store",
        kind: "url",
        unset: Unset::Text("memory:"),
        meaning: "where services keep state",
        set: |settings, given| put(&mut settings.state_store, given.parsed()),
        show: |settings| settings.state_store.to_string(),
    },
    Setting {
        name: "bridge.user",
        kind: "text",
        unset: Unset::Nothing,
        meaning: "who the node is to the broker, where the URL does not say it",
        set: |settings, given| put(&mut settings.bridge.user, visible(given, "a user").map(Some)),
        show: |settings| settings.bridge.user.clone().unwrap_or_else(|| "none".to_owned()),
    },
    Setting {
        name: "bridge.password",
        kind: "secret",
        unset: Unset::Nothing,
        meaning: "the password of that user, where the URL does not say it",
        set: |settings, given| put(&mut settings.bridge.password, password(given).map(Some)),
        show: |settings| hidden(settings.bridge.password.as_ref()),
    },
    Setting {
        name: "bridge.ca_file",
        kind: "path",
        unset: Unset::Nothing,
        meaning: "certificates to trust of a broker in place of this machine's: a file in PEM",
        set: |settings, given| put(&mut settings.bridge.ca_file, path(given).map(Some)),
        show: |settings| shown_path(settings.bridge.ca_file.as_deref()),
    },
    Setting {
        name: "bridge.cert_file",
        kind: "path",
        unset: Unset::Nothing,
        meaning: "the node's own certificate chain for a broker that asks for one, in PEM",
        set: |settings, given| put(&mut settings.bridge.cert_file, path(given).map(Some)),
        show: |settings| shown_path(settings.bridge.cert_file.as_deref()),
    },
    Setting {
        name: "bridge.key_file",
        kind: "path",
        unset: Unset::Nothing,
        meaning: "the key of the node's own certificate, in PEM",
        set: |settings, given| put(&mut settings.bridge.key_file, path(given).map(Some)),
        show: |settings| shown_path(settings.bridge.key_file.as_deref()),
    },
    Setting {
        name: "http",
        kind: "address or off",
        unset: Unset::Text("127.0.0.1:8080"),
        meaning: "where the gateway listens",
        set: |settings, given| put(&mut settings.http, given.parsed()),
        show: |settings| settings.http.to_string(),
    },
    Setting {
        name: "http_token",
        kind: "secret",
        unset: Unset::Nothing,
        meaning: "what callers of the admin routes must present; without it they answer on the loopback only",
        set: |settings, given| put(&mut settings.http_token, secret(given).map(Some)),
        show: |settings| hidden(settings.http_token.as_ref()),
    },
    Setting {
        name: "gateway.tls_cert",
        kind: "path",
        unset: Unset::Nothing,
        meaning: "the file with the certificate chain, in PEM; with it the gateway speaks TLS",
        set: |settings, given| put(&mut settings.gateway.tls_cert, path(given).map(Some)),
        show: |settings| shown_path(settings.gateway.tls_cert.as_deref()),
    },
    Setting {
        name: "gateway.tls_key",
        kind: "path",
        unset: Unset::Nothing,
        meaning: "the file with the certificate's private key, in PEM",
        set: |settings, given| put(&mut settings.gateway.tls_key, path(given).map(Some)),
        show: |settings| shown_path(settings.gateway.tls_key.as_deref()),
    },
    Setting {
        name: "gateway.cors_origins",
        kind: "list of origins",
        unset: Unset::Text(""),
        meaning: "origins whose pages may call the declared routes; * means all of them",
        set: |settings, given| put(&mut settings.gateway.cors_origins, given.list(gateway::origin)),
        show: |settings| joined(&settings.gateway.cors_origins),
    },
    Setting {
        name: "gateway.access_log",
        kind: "true or false",
        unset: Unset::Text("false"),
        meaning: "whether every answer is a log line",
        set: |settings, given| put(&mut settings.gateway.access_log, given.boolean()),
        show: |settings| settings.gateway.access_log.to_string(),
    },
    Setting {
        name: "gateway.docs",
        kind: "true or false",
        unset: Unset::Text("true"),
        meaning: "whether /docs, /openapi.json and /openapi.yaml are served",
        set: |settings, given| put(&mut settings.gateway.docs, given.boolean()),
        show: |settings| settings.gateway.docs.to_string(),
    },
    Setting {
        name: "gateway.connections",
        kind: "number",
        unset: Unset::Text("1024"),
        meaning: "how many connections are served at the same time; more wait in the system's queue",
        set: |settings, given| put(&mut settings.gateway.connections, given.number(1..=1_000_000)),
        show: |settings| settings.gateway.connections.to_string(),
    },
    Setting {
        name: "gateway.header_timeout",
        kind: "duration",
        unset: Unset::Text("10s"),
        meaning: "how long a client may take to send a request's head, and rest between requests",
        set: |settings, given| put(&mut settings.gateway.header_timeout, given.duration(SOME_TIME)),
        show: |settings| show_duration(settings.gateway.header_timeout),
    },
    Setting {
        name: "gateway.body_timeout",
        kind: "duration",
        unset: Unset::Text("30s"),
        meaning: "how long a client may take to send a request's body",
        set: |settings, given| put(&mut settings.gateway.body_timeout, given.duration(SOME_TIME)),
        show: |settings| show_duration(settings.gateway.body_timeout),
    },
    Setting {
        name: "gateway.write_timeout",
        kind: "duration",
        unset: Unset::Text("30s"),
        meaning: "how long a client may read nothing of an answer",
        set: |settings, given| put(&mut settings.gateway.write_timeout, given.duration(SOME_TIME)),
        show: |settings| show_duration(settings.gateway.write_timeout),
    },
    Setting {
        name: "gateway.bodies_limit",
        kind: "size",
        unset: Unset::Text("64MiB"),
        meaning: "what the bodies of all requests at work may hold together",
        set: |settings, given| put(&mut settings.gateway.bodies_limit, given.size(BODIES)),
        show: |settings| show_size(settings.gateway.bodies_limit as u64),
    },
    Setting {
        name: "log",
        kind: "text or json",
        unset: Unset::Text("text"),
        meaning: "how log lines are written",
        set: |settings, given| put(&mut settings.log, log_format(given)),
        show: |settings| log_name(settings.log).to_owned(),
    },
    Setting {
        name: "log_filter",
        kind: "filter directives",
        unset: Unset::Text("info"),
        meaning: "which log lines are written, as in info,shop=debug",
        set: |settings, given| put(&mut settings.log_filter, visible(given, "filter directives")),
        show: |settings| settings.log_filter.clone(),
    },
    Setting {
        name: "shutdown_budget",
        kind: "duration",
        unset: Unset::Text("30s"),
        meaning: "how long an orderly shutdown may take; then what is left is killed",
        set: |settings, given| put(&mut settings.shutdown_budget, given.duration(ANY_TIME)),
        show: |settings| show_duration(settings.shutdown_budget),
    },
    Setting {
        name: "start_deadline",
        kind: "duration",
        unset: Unset::Text("30s"),
        meaning: "how long one try to start a service or a bridge may take",
        set: |settings, given| put(&mut settings.start_deadline, given.duration(SOME_TIME)),
        show: |settings| show_duration(settings.start_deadline),
    },
    Setting {
        name: "call.default_timeout",
        kind: "duration",
        unset: Unset::Text("30s"),
        meaning: "the budget of a call to another node for which nobody chose one; a call inside a node has its \
                  command's deadline",
        set: |settings, given| put(&mut settings.call.default_timeout, given.duration(SOME_TIME)),
        show: |settings| show_duration(settings.call.default_timeout),
    },
    Setting {
        name: "call.max_timeout",
        kind: "duration",
        unset: Unset::Text("60s"),
        meaning: "the longest budget that a caller from outside may ask for",
        set: |settings, given| put(&mut settings.call.max_timeout, given.duration(SOME_TIME)),
        show: |settings| show_duration(settings.call.max_timeout),
    },
    Setting {
        name: "codec_always",
        kind: "true or false",
        unset: Unset::Text("false"),
        meaning: "whether payloads are encoded even between services of one process",
        set: |settings, given| put(&mut settings.codec_always, given.boolean()),
        show: |settings| settings.codec_always.to_string(),
    },
    Setting {
        name: "strict_contracts",
        kind: "true or false",
        unset: Unset::Text("false"),
        meaning: "whether a call that its service did not declare is refused",
        set: |settings, given| put(&mut settings.strict_contracts, given.boolean()),
        show: |settings| settings.strict_contracts.to_string(),
    },
    Setting {
        name: "payload_limit",
        kind: "size",
        unset: Unset::Text("1MiB"),
        meaning: "the largest payload that is sent or accepted",
        set: |settings, given| put(&mut settings.payload_limit, given.size(PAYLOAD)),
        show: |settings| show_size(settings.payload_limit as u64),
    },
    Setting {
        name: "reply_allow",
        kind: "list of subjects",
        unset: Unset::Text(""),
        meaning: "reply addresses of foreign clients that are answered beside the usual ones",
        set: |settings, given| put(&mut settings.reply_allow, given.list(subject)),
        show: |settings| joined(&settings.reply_allow),
    },
];

/// Puts a value that could be read into its field.
fn put<T>(field: &mut T, value: Result<T, String>) -> Result<(), String> {
    *field = value?;
    Ok(())
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn joined(entries: &[impl ToString]) -> String {
    entries.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn path(given: &Given) -> Result<PathBuf, String> {
    visible(given, "a path").map(PathBuf::from)
}

fn shown_path(path: Option<&Path>) -> String {
    path.map_or_else(|| "none".to_owned(), |path| path.display().to_string())
}

fn log_format(given: &Given) -> Result<LogFormat, String> {
    match given.text()? {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("expected text or json".to_owned()),
    }
}

fn log_name(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    }
}

/// Reads a text without control characters and of some length.
fn visible(given: &Given, what: &str) -> Result<String, String> {
    let text = given.text()?;
    if text.is_empty() || text.len() > 4_096 || text.chars().any(char::is_control) {
        return Err(format!("expected {what}: 1 to 4096 bytes without control characters"));
    }
    Ok(text.to_owned())
}

/// Reads a text that fits into a header.
fn secret(given: &Given) -> Result<Secret, String> {
    let text = given.text()?;
    if text.is_empty() || text.len() > TOKEN_BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "expected 1 to {TOKEN_BYTES_MAX} visible ASCII characters without spaces"
        ));
    }
    Ok(Secret::new(text))
}

/// Reads a password, which a broker may let hold anything that can be typed.
fn password(given: &Given) -> Result<Secret, String> {
    visible(given, "a password").map(|text| Secret::new(&text))
}

fn hidden(secret: Option<&Secret>) -> String {
    if secret.is_some() { "***" } else { "none" }.to_owned()
}

/// Reads a subject, which may hold what its broker takes for a wildcard.
fn subject(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 640 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("expected subjects of 1 to 640 visible ASCII characters without spaces".to_owned());
    }
    Ok(text.to_owned())
}
