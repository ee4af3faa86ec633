//! How a node ends: cleanly, late, or at once.

use std::time::{Duration, Instant};

use crate::ledger::Ledger;
use crate::{Up, web};

#[test]
fn what_is_in_flight_is_answered_before_a_clean_end() {
    let ledger = Ledger::new("clean");
    let up = Up::new(&["--probe", ledger.path()]);
    let body = r#"{"id":"slow","sleep_ms":700,"then_call":{"id":"nested"}}"#;
    let call = web::send(&up.at, "POST", "/_node/call/probe/1/run", body);
    ledger.shows("slow");
    let ended = up.stop();
    let answer = web::answer(call);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains("nested"), "{answer:?}");
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn what_does_not_end_within_the_budget_is_abandoned_and_the_exit_code_says_so() {
    let ledger = Ledger::new("late");
    let up = Up::new(&["--probe", ledger.path(), "--shutdown-budget", "500ms"]);
    let body = r#"{"id":"stuck","sleep_ms":600000}"#;
    let _call = web::send(&up.at, "POST", "/_node/call/probe/1/run", body);
    ledger.shows("stuck");
    let begun = Instant::now();
    let ended = up.stop();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("1 calls and deliveries abandoned"), "{}", ended.err);
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let ledger = Ledger::new(signal);
        let mut up = Up::new(&["--probe", ledger.path()]);
        let body = r#"{"id":"stuck","sleep_ms":600000}"#;
        let _call = web::send(&up.at, "POST", "/_node/call/probe/1/run", body);
        ledger.shows("stuck");
        up.program.signal("TERM");
        up.program.hears("shutting down");
        let begun = Instant::now();
        up.program.signal(signal);
        let ended = up.program.end();
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "at once");
    }
}

#[test]
fn a_taken_port_is_named_with_a_way_out() {
    let up = Up::new(&[]);
    let ended = crate::run(&["up", "--http", &up.at, "--log-filter", "off"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert!(
        ended.err.contains(&up.at) && ended.err.contains("--http"),
        "{}",
        ended.err
    );
    assert_eq!(up.stop().code, Some(0));
}

#[test]
fn a_service_that_panics_too_often_ends_the_node_with_its_causes() {
    let ledger = Ledger::new("gave-up");
    let up = Up::new(&["--probe", ledger.path(), "--log-filter", "off"]);
    // A good answer between two panics keeps restarts immediate; the window of the budget still counts them.
    for n in 0..=200 {
        for body in [
            format!(r#"{{"id":"ok{n}"}}"#),
            format!(r#"{{"id":"bad{n}","panic":true}}"#),
        ] {
            let answer = web::answer(web::send(&up.at, "POST", "/_node/call/probe/1/run", &body));
            assert!([200, 500].contains(&answer.status), "{answer:?}");
        }
    }
    let ended = up.program.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let lines: Vec<&str> = ended.err.lines().collect();
    assert_eq!(lines[0], "error: the node gave up");
    assert!(lines.iter().any(|line| line.contains("probe.1")), "{lines:?}");
    assert!(
        lines
            .last()
            .is_some_and(|line| line.contains("told to panic by bad200")),
        "{lines:?}"
    );
}
