//! The process and its machine: what may be opened, remembered and read, and whether the clock is one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use roadshow_services::config::{HttpListen, Origin, Resolved};
use tracing_subscriber::EnvFilter;

use super::finding::{Area, Finding, Level};
use super::settings;
use super::words::shown;

/// Files that a node has open beside its connections: libraries, log, event loop, listener, bridge, and some to spare.
const OTHER_FILES: u64 = 64;

/// A clock before this moment was never set: 2025 begins.
const CLOCK_MIN_S: u64 = 1_735_689_600;

/// Words in the name of a service's key that make its value a secret.
const SECRET_WORDS: [&str; 6] = ["pass", "pwd", "secret", "token", "cred", "key"];

/// Whether as many connections can be open as the gateway would take.
pub(super) fn open_files(resolved: &Resolved, limits: Option<&str>) -> Option<Finding> {
    let HttpListen::At(_) = resolved.settings().http else {
        return None;
    };
    let connections = resolved.settings().gateway.connections as u64;
    let limit = soft_limit(limits?)?;
    let subject = "open files";
    let Some(limit) = limit else {
        return Some(Area::Surroundings.ok(subject, "no limit"));
    };
    let wanted = connections.saturating_add(OTHER_FILES);
    if wanted <= limit {
        let message = format!("{limit} allowed, gateway.connections is {connections}");
        return Some(Area::Surroundings.ok(subject, message));
    }
    // Who leaves the default alone does not count on so many; who chose a figure does.
    let level = match resolved.origin("gateway.connections") {
        Origin::Default => Level::Note,
        _ => Level::Warning,
    };
    let fitting = limit.saturating_sub(OTHER_FILES).max(1);
    Some(Area::Surroundings.found(
        level,
        subject,
        format!(
            "{limit} allowed, and gateway.connections {connections} needs about {wanted}: later connections would wait"
        ),
        &format!("allow more (ulimit -n {wanted}), or set gateway.connections to {fitting}"),
    ))
}

/// The soft limit of open files: `None` in it is no limit.
fn soft_limit(limits: &str) -> Option<Option<u64>> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    }
}

/// The limits of this process, where the system tells them.
pub(super) fn limits() -> Option<String> {
    fs::read_to_string("/proc/self/limits").ok()
}

/// The memory that this process can have, in bytes: the machine's, or less in a container.
pub(super) fn memory() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| memory_total(&text));
    let container = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|text| text.trim().parse().ok());
    [machine, container].into_iter().flatten().min()
}

fn memory_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

/// Whether the filter of log lines can be read.
pub(super) fn log_filter(resolved: &Resolved) -> Finding {
    let filter = &resolved.settings().log_filter;
    match EnvFilter::builder().parse(filter) {
        Ok(_) => Area::Surroundings.ok("log_filter", shown(filter)),
        Err(error) => Area::Surroundings.problem(
            "log_filter",
            format!(
                "cannot read {} from {}: {error}",
                shown(filter),
                shown(&resolved.origin("log_filter").to_string())
            ),
            "write a level, or targets with levels: info,shop=debug",
        ),
    }
}

/// Whether the wall clock was ever set: log lines and certificates depend on it.
#[expect(
    clippy::disallowed_methods,
    reason = "the machine's clock itself is examined, and no node runs whose clock could be asked"
)]
pub(super) fn clock() -> Finding {
    clock_at(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
    )
}

fn clock_at(unix_s: u64) -> Finding {
    if unix_s >= CLOCK_MIN_S {
        return Area::Surroundings.ok("clock", "is set");
    }
    Area::Surroundings.warning(
        "clock",
        "it is before 2025: log lines lie, and no certificate is valid",
        "set the clock of this machine, and keep it with NTP",
    )
}

/// Files with secrets in them that others can read.
pub(super) fn files(resolved: &Resolved) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in files_with_secrets(resolved) {
        findings.extend(kept(&path, "it holds secrets"));
    }
    if let Ok(Some((_, key))) = resolved.settings().gateway.tls() {
        findings.extend(kept(key, "it is the private key"));
    }
    findings
}

fn files_with_secrets(resolved: &Resolved) -> BTreeSet<PathBuf> {
    let settings = settings::with_secrets(resolved).map(|name| resolved.origin(name));
    let keys = resolved
        .section_keys()
        .filter(|(key, _)| sounds_secret(key))
        .map(|(_, origin)| origin);
    let path = |origin: &Origin| match origin {
        Origin::File { path, .. } => Some(path.clone()),
        _ => None,
    };
    settings.chain(keys).filter_map(path).collect()
}

/// Whether the last part of a key's path names a secret.
fn sounds_secret(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key).to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| last.contains(word))
}

#[cfg(unix)]
fn kept(path: &Path, what: &str) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).ok()?.permissions().mode();
    let subject = shown(&path.display().to_string());
    if mode & 0o004 == 0 {
        return Some(Area::Surroundings.ok(subject, format!("{what}, and others cannot read it")));
    }
    Some(Area::Surroundings.warning(
        subject.clone(),
        format!(
            "{what}, and everybody on this machine can read it (mode {:03o})",
            mode & 0o777
        ),
        &format!("chmod o-r {subject}"),
    ))
}

#[cfg(not(unix))]
fn kept(_path: &Path, _what: &str) -> Option<Finding> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::sample::resolved;

    const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units     
Max processes             127168               127168               processes 
Max open files            1024                 1048576              files     
";

    #[test]
    fn the_limit_of_open_files_is_held_against_the_connections() {
        let table = [
            ("", "1024", Some(Level::Note)),
            ("", "1087", Some(Level::Note)),
            ("", "1088", Some(Level::Ok)),
            ("", "unlimited", Some(Level::Ok)),
            ("gateway.connections = 1024", "1024", Some(Level::Warning)),
            ("gateway.connections = 960", "1024", Some(Level::Ok)),
            ("gateway.connections = 1000000", "16", Some(Level::Warning)),
            ("http = 'off'", "16", None),
            ("", "many", None),
        ];
        for (file, limit, expected) in table {
            let limits = LIMITS.replacen("1024 ", limit, 1);
            let found = open_files(&resolved(file), Some(&limits));
            assert_eq!(
                found.as_ref().map(|found| found.level),
                expected,
                "{file} {limit}: {found:?}"
            );
        }
        assert_eq!(open_files(&resolved(""), None), None, "not every system tells it");
        let found = open_files(&resolved(""), Some(LIMITS)).expect("a finding");
        let expected = "allow more (ulimit -n 1088), or set gateway.connections to 960";
        assert_eq!(found.advice.as_deref(), Some(expected));
    }

    #[test]
    fn the_memory_of_a_machine_is_read() {
        assert_eq!(memory_total("MemFree: 1 kB\n"), None);
        assert_eq!(
            memory_total("MemTotal:        2097152 kB\nMemFree: 1 kB"),
            Some(2 << 30)
        );
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_a_problem() {
        assert_eq!(log_filter(&resolved("")).level, Level::Ok);
        let found = log_filter(&resolved("log_filter = 'a=b'"));
        assert!(
            found.level == Level::Problem && found.message.contains("a.toml:1"),
            "{found:?}"
        );
    }

    #[test]
    fn a_clock_that_was_never_set_is_noticed() {
        assert_eq!(clock().level, Level::Ok);
        assert_eq!(
            (clock_at(0).level, clock_at(CLOCK_MIN_S).level),
            (Level::Warning, Level::Ok)
        );
    }

    #[test]
    fn keys_that_sound_like_secrets_are_known() {
        for key in [
            "service.mail.password",
            "service.mail.login.API_TOKEN",
            "service.mail.dbPass",
        ] {
            assert!(sounds_secret(key), "{key}");
        }
        assert!(!sounds_secret("service.passengers.host"), "only the key counts");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_with_a_secret_that_others_can_read_is_warned_of() {
        use std::os::unix::fs::PermissionsExt as _;

        use roadshow_services::config::Settings;

        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("shop.toml");
        let table = [
            ("http_token = 'x'", 0o644, Some(Level::Warning)),
            ("http_token = 'x'", 0o640, Some(Level::Ok)),
            ("event_bridge = 'nats://u:p@h'", 0o604, Some(Level::Warning)),
            ("[service.mail]\npassword = 'x'", 0o644, Some(Level::Warning)),
            ("[service.mail]\nhost = 'x'", 0o644, None),
            ("namespace = 'x'", 0o644, None),
        ];
        for (text, mode, expected) in table {
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
            let resolved = Settings::resolve(Some((&path, text)), std::iter::empty(), &[], None).expect("settings");
            let found = files(&resolved);
            assert_eq!(
                found.first().map(|found| found.level),
                expected,
                "{text} {mode:o}: {found:?}"
            );
        }
    }
}
