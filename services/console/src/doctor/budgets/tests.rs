//! The arithmetic, by tables.

use roadshow_services::Method;

use super::*;
use crate::doctor::sample::{A, B, Ping, Rang, contracts, resolved, service};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_stop_fits_the_grace_period_or_it_is_a_problem() {
    let table = [
        ("", None, Level::Note, "Kubernetes kills after 30s"),
        ("shutdown_budget = '27s'", None, Level::Ok, "up to 30s"),
        ("shutdown_budget = '28s'", None, Level::Note, "up to 31s"),
        ("", Some(30), Level::Problem, "up to 33s"),
        ("", Some(32), Level::Problem, "up to 33s"),
        ("", Some(33), Level::Ok, "within the grace period of 33s"),
        ("shutdown_budget = '5s'", Some(8), Level::Ok, "up to 8s"),
        ("shutdown_budget = '5s'", Some(7), Level::Problem, "up to 8s"),
        ("shutdown_budget = '7d'", Some(60), Level::Problem, "168h"),
    ];
    for (file, given, level, text) in table {
        let found = grace(&resolved(file), given.map(secs));
        assert_eq!(found.level, level, "{file}: {found:?}");
        assert!(found.message.contains(text), "{file}: {found:?}");
    }
    let found = grace(&resolved(""), Some(secs(30)));
    let expected = "lengthen the grace period to 33s or more, or set shutdown_budget to 27s or less";
    assert_eq!(found.advice.as_deref(), Some(expected));
    let found = grace(&resolved(""), Some(secs(2)));
    assert_eq!(
        found.advice.as_deref(),
        Some("lengthen the grace period to 33s or more")
    );
}

#[test]
fn what_outlasts_the_drain_is_named_with_both_figures() {
    // Deadline and time until dropped of the one command, the setting, and what is said.
    let table = [
        (None, "", Level::Note, "drain"),
        (None, "shutdown_budget = '37s'", Level::Ok, "drain"),
        (None, "shutdown_budget = '36s'", Level::Warning, "drain"),
        (Some((23, 5)), "", Level::Ok, "drain"),
        (Some((24, 5)), "", Level::Warning, "a.1.ping"),
        (Some((3_600, 5)), "shutdown_budget = '2h'", Level::Ok, "drain"),
        (Some((5, 1)), "shutdown_budget = '8s'", Level::Ok, "drain"),
        (Some((5, 1)), "shutdown_budget = '7s'", Level::Warning, "a.1.ping"),
    ];
    for (limits, file, level, subject) in table {
        let services = vec![service(A).command::<Ping<0>>(|c| match limits {
            Some((deadline, abandon)) => c.deadline(secs(deadline)).abandon_after(secs(abandon)),
            None => c,
        })];
        let found = drain(&contracts(services), &resolved(file));
        let [found] = &found[..] else { panic!("{found:?}") };
        assert_eq!(
            (found.level, found.subject.as_str()),
            (level, subject),
            "{limits:?} {file}: {found:?}"
        );
    }
    let slow = contracts(vec![service(A).subscribe::<Rang>(|s| s.deadline(secs(90)))]);
    let found = drain(&slow, &resolved(""));
    let expected =
        "a handler may run 1m35s (deadline 1m30s, dropped 5s later); a drain waits 28s of shutdown_budget 30s";
    assert_eq!(found[0].message, expected);
    assert_eq!(
        found[0].advice.as_deref(),
        Some("shorten its deadline, or set shutdown_budget to 97s")
    );
}

#[test]
fn the_advised_budget_is_the_shortest_that_does() {
    for millis in [1, 40, 999, 5_999, 6_000, 6_001, 28_000, 35_000, 3_600_000] {
        let work = Duration::from_millis(millis);
        let budget = budget_for(work);
        assert!(time_for_work(budget) >= work, "{work:?}");
        assert!(
            time_for_work(budget - Duration::from_millis(3).min(budget)) < work,
            "{work:?}"
        );
    }
}

#[test]
fn a_deadline_beyond_what_callers_may_ask_for_is_warned_of() {
    let with = |deadline| contracts(vec![service(A).command::<Ping<0>>(|c| c.deadline(secs(deadline)))]);
    let table = [
        (60, "", Level::Ok),
        (61, "", Level::Warning),
        (61, "call.max_timeout = '61s'", Level::Ok),
        // Nothing reads the default yet, so nothing is advised about it.
        (31, "event_bridge = 'nats://h'", Level::Ok),
    ];
    for (deadline, file, level) in table {
        let found = timeouts(&with(deadline), &resolved(file));
        assert_eq!(
            (found.len(), found[0].level),
            (1, level),
            "{deadline} {file}: {found:?}"
        );
    }
    let found = timeouts(&with(90), &resolved("call.max_timeout = '80s'"));
    assert!(
        found[0].message.contains("a.toml:1") && found[0].message.contains("1m30s"),
        "{found:?}"
    );
}

#[test]
fn payloads_are_counted_against_the_memory_there_is() {
    let services = || {
        contracts(vec![
            service(A).command::<Ping<0>>(|c| c.concurrency(100).waiting(900).http(Method::Get, "/ping")),
            service(B).subscribe::<Rang>(|s| s.concurrency(36)),
        ])
    };
    let mib = 1 << 20;
    let table = [
        ("", Some(100 * mib), Level::Ok, "100MiB"),
        ("", Some(99 * mib), Level::Note, "this process can have 99MiB"),
        ("", None, Level::Ok, "100MiB"),
        ("event_bridge = 'nats://h'", Some(1_100 * mib), Level::Ok, "1.1GiB"),
        ("event_bridge = 'nats://h'", Some(1_099 * mib), Level::Note, "1.1GiB"),
        (
            "event_bridge = 'nats://h'\npayload_limit = '1KiB'",
            Some(66 * mib),
            Level::Ok,
            "65.0MiB",
        ),
    ];
    for (file, there_is, level, text) in table {
        let found = memory(&services(), &resolved(file), there_is);
        assert_eq!(found.level, level, "{file}: {found:?}");
        assert!(found.message.contains(text), "{file}: {found:?}");
    }
}
