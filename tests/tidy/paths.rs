//! No file names a machine: no absolute path of somebody's disk, and no package host but the public one.
//!
//! Both leak where a file was written and break for everybody else. Source files may name hosts (tests talk to made-up
//! ones); settings, scripts and pages may name only those listed here.

use super::source::words_in;
use super::tree::{Finding, TextFile};

/// Hosts that settings, scripts and pages may link to; a host below one of them counts too.
const HOSTS: &[&str] = &[
    "127.0.0.1",
    "localhost",
    "example.com",
    "example.org",
    "apache.org",
    "crates.io",
    "docs.rs",
    "github.com",
    "keepachangelog.com",
    "rust-lang.org",
    "rustsec.org",
    "semver.org",
    "w3.org",
    "nexte.st",
    "erlang.org",
    "cloudevents.io",
];

/// Every breach in one file.
pub(crate) fn findings(file: &TextFile) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        if names_a_disk(line) {
            found.push(Finding::new(&file.path, index + 1, "no absolute path of a machine"));
        }
        let checked = !file.path.ends_with(".rs");
        if let Some(host) = strange_host(line).filter(|_| checked) {
            let rule = format!("host `{host}` is not listed in tests/tidy/paths.rs");
            found.push(Finding::new(&file.path, index + 1, rule));
        }
    }
    found
}

fn names_a_disk(line: &str) -> bool {
    let roots = ["work", "root", "home", "Users"];
    roots.iter().any(|root| {
        words_in(line, root).any(|at| {
            let before = line[..at].strip_suffix('/');
            let starts = before.is_some_and(|before| before.chars().next_back().is_none_or(begins_a_path));
            starts && line[at + root.len()..].starts_with('/')
        })
    })
}

/// True for a character after which a slash begins an absolute path.
fn begins_a_path(before: char) -> bool {
    before.is_whitespace() || "\"'`(=:[<>".contains(before)
}

fn strange_host(line: &str) -> Option<&str> {
    line.match_indices("://").find_map(|(at, _)| {
        let is_web = line[..at].ends_with("http") || line[..at].ends_with("https");
        let rest = &line[at + 3..];
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '.' && c != '-')
            .unwrap_or(rest.len());
        let host = &rest[..end];
        let known = HOSTS
            .iter()
            .any(|known| host == *known || host.strip_suffix(known).is_some_and(|sub| sub.ends_with('.')));
        (is_web && !host.is_empty() && !known).then_some(host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        let file = TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        findings(&file).len()
    }

    #[test]
    fn a_disk_is_found_and_a_route_is_not() {
        let disk = |root: &str| format!("see \"/{root}/me/x.rs\"");
        assert_eq!(count("a.md", &disk("home")), 1);
        assert_eq!(count("a.rs", &disk("root")), 1);
        assert_eq!(count("a.rs", &disk("api")), 0);
        assert_eq!(count("a.md", "the work/home/root folder"), 0);
    }

    #[test]
    fn a_strange_host_is_found_outside_source_files() {
        let strange = concat!("url = \"https", "://mirror.internal/simple\"");
        assert_eq!(count("x.toml", strange), 1);
        assert_eq!(count("x.rs", strange), 0);
        assert_eq!(
            count("x.toml", "registry+https://github.com/rust-lang/crates.io-index"),
            0
        );
        assert_eq!(count("x.md", "https://static.rust-lang.org and nats://broker:4222"), 0);
    }
}
