//! The operators' page beside a node that is at work: every metric it shows is explained, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use roadshow_bridges::DropReason;
use serde_json::Value;

use crate::program::Program;
use crate::{binary, page, root, web};

pub(crate) const PAGE: &str = "docs/operations.md";
const SOURCES: [&str; 4] = ["actors/src", "bridges/src", "services", "supervision/src"];

/// A family of metrics: its type, its labels, and the values of labels whose values are fixed words.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    labels: BTreeSet<String>,
    words: BTreeSet<String>,
}

/// A row of the page's table.
struct Row {
    kind: String,
    labels: BTreeSet<String>,
    meaning: String,
}

fn documented() -> BTreeMap<String, Row> {
    let text = page(PAGE);
    let rows = text.lines().filter(|line| line.starts_with("| `roadshow_"));
    let rows = rows.map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, kind, labels, meaning, worry, _] = cells[..] else {
            panic!("{line} has five cells");
        };
        assert!(
            !meaning.is_empty() && !worry.is_empty(),
            "{line} says what it means and when to worry"
        );
        let labels = labels.split(", ").filter(|label| !label.is_empty());
        let row = Row {
            kind: kind.to_owned(),
            labels: labels.map(str::to_owned).collect(),
            meaning: meaning.to_owned(),
        };
        (name.trim_matches('`').to_owned(), row)
    });
    rows.collect()
}

/// What a page of metrics shows.
fn families(scraped: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in scraped.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            families.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else if let Some((name, rest)) = line.split_once('{') {
            let labels = rest.split_once('}').expect("labels end").0;
            add_labels(family_of(&mut families, name), labels);
        }
    }
    families
}

fn add_labels(family: &mut Family, labels: &str) {
    for (label, value) in labels.split(',').filter_map(|pair| pair.split_once('=')) {
        if label == "le" {
            continue;
        }
        family.labels.insert(label.to_owned());
        if ["reason", "cause"].contains(&label) {
            family.words.insert(value.trim_matches('"').to_owned());
        }
    }
}

/// The family of a sample: histograms have three kinds of them.
fn family_of<'a>(families: &'a mut BTreeMap<String, Family>, sample: &str) -> &'a mut Family {
    let stem = ["_bucket", "_sum", "_count"]
        .iter()
        .filter_map(|ending| sample.strip_suffix(ending))
        .find(|stem| families.contains_key(*stem));
    families
        .get_mut(stem.unwrap_or(sample))
        .unwrap_or_else(|| panic!("{sample} has a type"))
}

/// A node that has done a bit of everything, and then its metrics.
fn scraped() -> String {
    let ledger = std::env::temp_dir().join(format!("roadshow-docs-metrics-{}", std::process::id()));
    let probe = ledger.to_str().expect("UTF-8");
    let mut node = Program::start(&binary(), &["up", "--http", "127.0.0.1:0", "--probe", probe]);
    let at = node.ready();
    let send = |method, path, body| web::answer(web::send(&at, method, path, body));
    let user = r#"{"name":"Ada","email":"ada@example.org"}"#;
    assert_eq!(send("POST", "/api/v1/users", user).status, 201);
    assert_eq!(send("POST", "/api/v1/users", user).status, 409);
    assert_eq!(send("GET", "/no/such/path", "").status, 404);
    let panic = r#"{"id":"a","panic":true}"#;
    assert_eq!(send("POST", "/_node/call/probe/1/run", panic).status, 500);
    let poison = r#"{"id":"b","fail":"conflict"}"#;
    assert_eq!(send("POST", "/_node/emit/probe.event", poison).status, 202);
    let until = Instant::now() + Duration::from_secs(30);
    let metrics = loop {
        let page = send("GET", "/metrics", "").body;
        let dead = page
            .lines()
            .find(|line| line.starts_with("roadshow_dead_letters_total{service=\"probe.1\""));
        if page.contains("\nroadshow_supervisor_restarts_total{") && dead.is_some_and(|line| line.ends_with(" 1")) {
            break page;
        }
        assert!(
            Instant::now() < until,
            "a restart and a dead letter are counted: {page}"
        );
    };
    node.signal("TERM");
    assert_eq!(node.end().code, Some(0));
    let _ = std::fs::remove_file(&ledger);
    metrics
}

#[test]
fn every_metric_is_explained_with_its_type_and_labels() {
    let documented = documented();
    let mut problems = Vec::new();
    for (name, family) in families(&scraped()) {
        let Some(row) = documented.get(&name) else {
            problems.push(format!(
                "{name} ({}, labels {:?}) has no row",
                family.kind, family.labels
            ));
            continue;
        };
        if row.kind != family.kind {
            problems.push(format!("{name} is a {}, the page says {}", family.kind, row.kind));
        }
        if row.labels != family.labels && !family.labels.is_empty() {
            problems.push(format!(
                "{name} has labels {:?}, the page says {:?}",
                family.labels, row.labels
            ));
        }
        let missing = family
            .words
            .iter()
            .filter(|word| !row.meaning.contains(&format!("`{word}`")));
        problems.extend(missing.map(|word| format!("the row of {name} does not mention `{word}`")));
    }
    assert!(problems.is_empty(), "{PAGE}:\n{}", problems.join("\n"));
}

/// A bridge of memory, as in the scrape, knows a few of them only.
#[test]
fn every_reason_to_drop_a_message_is_explained() {
    let documented = documented();
    let meaning = &documented["roadshow_bridge_dropped_total"].meaning;
    let missing = DropReason::ALL.map(DropReason::as_str).into_iter();
    let missing: Vec<_> = missing.filter(|word| !meaning.contains(&format!("`{word}`"))).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn every_metric_that_the_pages_name_is_in_the_code() {
    let code = sources();
    for path in [PAGE, "README.md", "docs/ARCHITECTURE.md"] {
        let text = page(path);
        let named = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in named.filter(|word| word.starts_with("roadshow_") && is_metric(word)) {
            let stem = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|ending| name.strip_suffix(ending));
            let is_there = [Some(name), stem]
                .into_iter()
                .flatten()
                .any(|name| code.contains(&format!("\"{name}\"")));
            assert!(is_there, "{path} names {name}, which no source does");
        }
    }
}

/// Modules of our crates (in log lines) look like metrics.
fn is_metric(word: &str) -> bool {
    let crates = [
        "actors",
        "bridges",
        "services",
        "supervision",
        "gateway",
        "console",
        "demo",
    ];
    word.strip_prefix("roadshow_")
        .is_some_and(|rest| !rest.is_empty() && !crates.contains(&rest))
}

/// The sources of the crates that count, all in one text.
pub(crate) fn sources() -> String {
    let mut text = String::new();
    let mut folders: Vec<_> = SOURCES.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                text.push_str(&std::fs::read_to_string(&path).expect("a source"));
            }
        }
    }
    text
}

#[test]
fn readiness_is_shown_as_the_program_tells_it() {
    let mut node = Program::start(&binary(), &["up", "--http", "127.0.0.1:0"]);
    let at = node.ready();
    let answer = web::answer(web::send(&at, "GET", "/readyz", ""));
    let text = page(PAGE);
    let (_, from) = text.split_once("<!-- readyz").expect("the mark of the example");
    let (_, from) = from.split_once("```json\n").expect("the example");
    let (shown, _) = from.split_once("```").expect("the end of the example");
    let shown: Value = serde_json::from_str(shown).expect("the example is JSON");
    let told: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!((answer.status, told), (200, shown));
    node.signal("TERM");
    assert_eq!(node.end().code, Some(0));
}
