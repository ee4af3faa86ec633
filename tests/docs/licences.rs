//! What we build on may be used as we use it: every dependency's licence is one that `deny.toml` allows.
//!
//! `cargo deny` says the same and more; it is one more binary to fetch, so this much of it runs with the tests. The
//! licences are those that the packages state; their texts are not read.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::{page, root};

/// What `deny.toml` allows.
struct Allowed {
    everywhere: Vec<String>,
    /// Beside those, by the name of the package.
    exceptions: BTreeMap<String, Vec<String>>,
}

fn texts(value: &toml::Value) -> Vec<String> {
    let texts = value.as_array().expect("a list").iter();
    texts.map(|text| text.as_str().expect("a text").to_owned()).collect()
}

impl Allowed {
    fn read() -> Self {
        let deny: toml::Table = page("deny.toml").parse().expect("deny.toml is TOML");
        let licenses = deny["licenses"].as_table().expect("a table");
        let exceptions = licenses.get("exceptions").and_then(toml::Value::as_array);
        let exceptions = exceptions.into_iter().flatten().map(|exception| {
            let package = exception["crate"].as_str().expect("a package");
            (package.to_owned(), texts(&exception["allow"]))
        });
        Allowed {
            everywhere: texts(&licenses["allow"]),
            exceptions: exceptions.collect(),
        }
    }

    fn takes(&self, package: &str, licence: &str) -> bool {
        let exception = self.exceptions.get(package).into_iter().flatten();
        self.everywhere
            .iter()
            .chain(exception)
            .any(|allowed| allowed == licence)
    }
}

/// Whether an expression of licences is satisfied, where `takes` says so of each: `OR` (or the older `/`) needs one side,
/// `AND` both and binds tighter, `WITH` belongs to the licence before it.
fn satisfied(expression: &str, takes: &impl Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let value = any(&words, &mut at, takes);
    assert_eq!(at, words.len(), "{expression} is read to its end");
    value
}

fn is_word(words: &[&str], at: usize, word: &str) -> bool {
    words.get(at).is_some_and(|found| found.eq_ignore_ascii_case(word))
}

fn any(words: &[&str], at: &mut usize, takes: &impl Fn(&str) -> bool) -> bool {
    let mut value = all(words, at, takes);
    while is_word(words, *at, "OR") {
        *at += 1;
        value |= all(words, at, takes);
    }
    value
}

fn all(words: &[&str], at: &mut usize, takes: &impl Fn(&str) -> bool) -> bool {
    let mut value = one(words, at, takes);
    while is_word(words, *at, "AND") {
        *at += 1;
        value &= one(words, at, takes);
    }
    value
}

fn one(words: &[&str], at: &mut usize, takes: &impl Fn(&str) -> bool) -> bool {
    let word = words.get(*at).expect("a licence");
    *at += 1;
    if *word == "(" {
        let value = any(words, at, takes);
        assert!(is_word(words, *at, ")"), "a parenthesis is closed");
        *at += 1;
        return value;
    }
    if is_word(words, *at, "WITH") {
        let exception = words.get(*at + 1).expect("an exception");
        *at += 2;
        return takes(&format!("{word} WITH {exception}"));
    }
    takes(word)
}

/// Every package that is built here, with its licence.
fn packages() -> Vec<(String, Option<String>)> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let rustc = String::from_utf8(rustc.stdout).expect("UTF-8");
    let host = rustc
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("a host");
    // Other platforms' packages need not be on this disk, and nothing is fetched.
    let asked = [
        "metadata",
        "--locked",
        "--offline",
        "--format-version",
        "1",
        "--filter-platform",
        host,
    ];
    let told = Command::new(cargo)
        .args(asked)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    let packages = told["packages"].as_array().expect("packages").iter();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    packages
        .map(|package| (text(&package["name"]).expect("a name"), text(&package["license"])))
        .collect()
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let allowed = Allowed::read();
    let packages = packages();
    assert!(packages.len() > 50, "the packages were read");
    let refused = packages.iter().filter(|(package, licence)| {
        let expression = licence.as_deref().unwrap_or("none");
        !satisfied(expression, &|licence| allowed.takes(package, licence))
    });
    let refused: Vec<_> = refused.collect();
    assert!(refused.is_empty(), "deny.toml does not allow {refused:?}");
    let stale = allowed.exceptions.keys();
    let stale: Vec<_> = stale
        .filter(|name| packages.iter().all(|(package, _)| package != *name))
        .collect();
    assert!(
        stale.is_empty(),
        "deny.toml has exceptions that nothing needs: {stale:?}"
    );
}

#[test]
fn an_expression_is_satisfied_as_it_says() {
    let takes = |licence: &str| ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].contains(&licence);
    let table = [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("GPL-3.0 or MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("MIT AND ISC", true),
        ("(GPL-3.0 OR MIT) AND Unicode-3.0", false),
        ("GPL-3.0 AND X OR MIT", true),
        ("Apache-2.0", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Apache-2.0 WITH LLVM-exception AND (X OR ISC)", true),
    ];
    for (expression, expected) in table {
        assert_eq!(satisfied(expression, &takes), expected, "{expression}");
    }
}
