//! `doctor` on services that are declared in the wrong order, in a circle, and without a budget that could be used up.

use serde_json::Value;

use crate::example;
use crate::program::Program;

/// Level, subject and message of everything but what is right.
fn told(args: &[&str], code: i32) -> Vec<String> {
    let line = [&["doctor", "--offline", "--json"], args].concat();
    let ended = Program::start(&example("tangled"), &line).end();
    assert_eq!((ended.code, ended.err.as_str()), (Some(code), ""), "{ended:?}");
    let document: Value = serde_json::from_str(&ended.out).expect("a document");
    let findings = document["findings"].as_array().expect("findings");
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let line = |finding: &Value| {
        ["level", "subject", "message"]
            .map(|key| text(finding, key))
            .join(" | ")
    };
    let wrong = findings.iter().filter(|finding| finding["level"] != "ok");
    wrong.map(line).collect()
}

fn expect(told: &[String], begin: &str) {
    assert!(
        told.iter().any(|line| line.starts_with(begin)),
        "{begin} in\n{}",
        told.join("\n")
    );
}

#[test]
fn services_that_hold_each_other_up_are_named() {
    let told = told(&[], 0);
    for begin in [
        "warning | basket.1 | services call each other in a circle: basket.1 -> stock.1 -> basket.1",
        "warning | report.1 | it calls stock.1, which is declared after it",
        "warning | stock.1 | it calls printer.1.print; nobody serves it here, and the memory bridge reaches nobody else",
        "warning | report.1 | its exit budget allows 5 restarts in 30s, which wait at least 5m: it can never be used up",
        "warning | report.1 | a start that hangs is tried for ever",
        "warning | report.1.count | a handler may run 10m05s (deadline 10m, dropped 5s later)",
        "warning | report.1.count | its deadline is 10m, and a caller who asks for more than call.max_timeout 1m (default)",
    ] {
        expect(&told, begin);
    }
}

#[test]
fn strict_contracts_turn_a_call_that_nobody_serves_into_a_problem() {
    let told = told(&["--strict-contracts"], 1);
    expect(
        &told,
        "problem | stock.1 | it calls printer.1.print; nobody serves it here: with strict_contracts",
    );
}
