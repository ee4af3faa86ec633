//! Hand-made histories: one that nothing violates, and for each invariant some that violate it.

use super::*;
use crate::history::{Kind, Order, Outcome};

const T: u64 = 1_000_000;

fn act(id: &str, kind: Kind, end: Option<Outcome>) -> Act {
    Act {
        id: id.to_owned(),
        kind,
        order: Order::Echo,
        keyed: false,
        node: 0,
        begun_ms: T,
        budget_ms: 4_000,
        end: end.map(|outcome| (T + 10, outcome)),
    }
}

fn call(id: &str, outcome: Outcome) -> Act {
    act(id, Kind::Command, Some(outcome))
}

fn event(id: &str) -> Act {
    act(id, Kind::Event, Some(Outcome::Ok))
}

fn refused() -> Outcome {
    Outcome::Fail("exhausted".to_owned())
}

fn unsure() -> Outcome {
    Outcome::Info("timeout".to_owned())
}

fn line(id: &str, phase: Phase, attempt: u32, outcome: Option<&str>) -> Line {
    Line {
        id: id.to_owned(),
        phase,
        attempt,
        node: "n1".to_owned(),
        t_ms: T + 5,
        outcome: outcome.map(str::to_owned),
    }
}

fn start(id: &str, attempt: u32) -> Line {
    line(id, Phase::Start, attempt, None)
}

fn end(id: &str, outcome: &str) -> Line {
    line(id, Phase::End, 1, Some(outcome))
}

fn ran(id: &str) -> [Line; 2] {
    [start(id, 1), end(id, "ok")]
}

/// Before all else, two calls a second that are answered.
fn evidence(acts: Vec<Act>, lines: Vec<Line>) -> Evidence {
    let (mut baseline, mut ran_before) = (Vec::new(), Vec::new());
    for begun in (2_000..8_000).step_by(500) {
        let id = format!("before{begun}");
        ran_before.extend(ran(&id));
        baseline.push(Act {
            begun_ms: T + begun,
            end: Some((T + begun + 5, Outcome::Ok)),
            ..call(&id, Outcome::Ok)
        });
    }
    Evidence {
        acts: [acts, baseline].concat(),
        lines: [lines, ran_before].concat(),
        ..bare_evidence()
    }
}

fn bare_evidence() -> Evidence {
    Evidence {
        transport: Transport::Nats,
        acts: Vec::new(),
        lines: Vec::new(),
        broken: Vec::new(),
        samples: Vec::new(),
        span_ms: (T, T + 60_000),
    }
}

fn broken(fault: Fault, from: u64, to: u64) -> Broken {
    Broken {
        fault,
        from_ms: T + from,
        to_ms: T + to,
    }
}

/// Which invariants a history violates, by their place in the list.
fn violated(evidence: &Evidence) -> Vec<&'static str> {
    let verdicts = check(evidence);
    verdicts
        .iter()
        .filter(|verdict| !verdict.holds())
        .map(|verdict| verdict.demand)
        .collect()
}

const LOST: &str = "what was acknowledged was handled";
const UNEXPECTED: &str = "what ran was asked for";
const TWICE: &str = "a command without a key is never started twice";
const AGAIN: &str = "an event runs again only if in flight at a fault";
const ATTEMPTS: &str = "an attempt is counted only where a handler started";
const ANSWERED: &str = "every act ends by its deadline and a second";
const HONEST: &str = "who was told \"not executed\" was not executed";
const MEMORY: &str = "memory grows by 128 MiB at most and is given back";
const RECOVERY: &str = "90 % of the former rate in time after each fault";

#[test]
fn a_history_of_a_system_that_keeps_its_promises_violates_nothing() {
    let acts = vec![
        call("a", Outcome::Ok),
        call("b", refused()),
        call("c", unsure()),
        event("e"),
    ];
    let lines = [ran("a").to_vec(), vec![start("c", 1)], ran("e").to_vec()].concat();
    assert_eq!(violated(&evidence(acts, lines)), [] as [&str; 0]);
}

#[test]
fn what_was_acknowledged_and_did_not_end_well_is_lost() {
    let table: [(Act, Vec<Line>, bool); 6] = [
        (event("x"), vec![], true),
        (event("x"), vec![start("x", 1)], true),
        (event("x"), vec![start("x", 1), end("x", "internal")], true),
        (call("x", Outcome::Ok), vec![], true),
        (call("x", unsure()), vec![], false),
        (event("x"), ran("x").to_vec(), false),
    ];
    for (act, lines, is_lost) in table {
        let found = violated(&evidence(vec![act], lines.clone()));
        assert_eq!(found.contains(&LOST), is_lost, "{lines:?}");
    }
}

#[test]
fn a_poison_event_is_lost_only_if_nobody_tried_it() {
    let poison = Act {
        order: Order::Poison,
        ..event("x")
    };
    assert_eq!(violated(&evidence(vec![poison.clone()], vec![])), [LOST]);
    let tried = vec![start("x", 1), end("x", "invalid")];
    assert_eq!(violated(&evidence(vec![poison], tried)), [] as [&str; 0]);
}

#[test]
fn an_event_may_be_lost_with_its_sender_only_where_that_is_declared() {
    let table = [
        (Transport::Mqtt, Fault::NodeKill { node: 0 }, false),
        (Transport::Memory, Fault::NodeKill { node: 0 }, false),
        (Transport::Mqtt, Fault::NodeKill { node: 1 }, true),
        (Transport::Mqtt, Fault::BrokerKill, true),
        (Transport::Nats, Fault::NodeKill { node: 0 }, true),
        (Transport::Amqp, Fault::NodeKill { node: 0 }, true),
    ];
    for (transport, fault, is_lost) in table {
        let mut evidence = evidence(vec![event("x")], vec![]);
        evidence.transport = transport;
        evidence.broken = vec![broken(fault, 20, 900)];
        assert_eq!(violated(&evidence).contains(&LOST), is_lost, "{transport:?} {fault}");
        // Killed before the event was emitted: no excuse.
        evidence.broken = vec![broken(fault, 0, 900)];
        evidence.acts[0].begun_ms = T + 901;
        assert!(violated(&evidence).contains(&LOST), "{transport:?} {fault}");
    }
}

#[test]
fn a_kill_excuses_only_what_its_node_may_still_have_had() {
    let table = [
        (Transport::Memory, 3_000, false),
        (Transport::Memory, 3_011, true),
        (Transport::Mqtt, 60_000, false),
        (Transport::Mqtt, 60_011, true),
    ];
    for (transport, killed, is_lost) in table {
        let mut evidence = evidence(vec![event("x")], vec![]);
        evidence.transport = transport;
        evidence.broken = vec![broken(Fault::NodeKill { node: 0 }, killed, killed + 500)];
        assert_eq!(violated(&evidence).contains(&LOST), is_lost, "{transport:?} {killed}");
    }
}

#[test]
fn a_system_that_does_nothing_does_not_pass() {
    assert_eq!(violated(&bare_evidence()), [LOST, RECOVERY]);
    let mut refusing = bare_evidence();
    refusing.acts = (0..100).map(|number| call(&number.to_string(), refused())).collect();
    refusing.broken = vec![broken(Fault::Cut, 10_000, 10_000)];
    assert_eq!(violated(&refusing), [LOST, RECOVERY]);
}

#[test]
fn what_nobody_asked_for_is_unexpected() {
    assert_eq!(violated(&evidence(vec![], ran("x").to_vec())), [UNEXPECTED]);
}

#[test]
fn an_unkeyed_command_that_starts_twice_violates_and_a_keyed_one_is_counted() {
    let twice = || vec![start("x", 1), start("x", 2), end("x", "ok")];
    let unkeyed = call("x", Outcome::Ok);
    assert_eq!(violated(&evidence(vec![unkeyed.clone()], twice())), [TWICE]);
    let keyed = Act { keyed: true, ..unkeyed };
    assert_eq!(violated(&evidence(vec![keyed.clone()], twice())), [] as [&str; 0]);
    let book = evidence(vec![keyed.clone(), keyed], twice());
    let counts = &check(&book)[2].counts;
    assert_eq!(
        counts[1],
        ("keyed and started again", 0),
        "two were asked for: {counts:?}"
    );
}

#[test]
fn an_event_runs_again_only_near_a_fault() {
    let twice = || [ran("x").to_vec(), vec![start("x", 2), end("x", "ok")]].concat();
    let mut evidence = evidence(vec![event("x")], twice());
    assert_eq!(violated(&evidence), [AGAIN]);
    evidence.broken = vec![broken(Fault::Cut, 2_000, 2_000)];
    assert!(!violated(&evidence).contains(&AGAIN));
    evidence.broken = vec![broken(Fault::Cut, 9_000, 9_000)];
    assert!(violated(&evidence).contains(&AGAIN));
}

#[test]
fn a_repeat_is_in_flight_for_itself() {
    let repeat = Act {
        begun_ms: T + 20_000,
        ..event("x")
    };
    let again = |t_ms| {
        [ran("x"), ran("x")]
            .concat()
            .into_iter()
            .map(move |line| Line { t_ms: T + t_ms, ..line })
    };
    let lines: Vec<Line> = ran("x").into_iter().chain(again(20_005)).collect();
    let mut evidence = evidence(vec![event("x"), repeat], lines);
    assert_eq!(violated(&evidence), [AGAIN], "asked for twice, started three times");
    evidence.broken = vec![broken(Fault::Cut, 21_000, 21_000)];
    assert!(!violated(&evidence).contains(&AGAIN));
    evidence.broken = vec![broken(Fault::Cut, 10_000, 10_000)];
    assert!(
        violated(&evidence).contains(&AGAIN),
        "between the two nothing was in flight"
    );
}

#[test]
fn a_neighbour_that_is_told_a_second_attempt_without_a_first_violates() {
    let acts = vec![event("x")];
    let second = vec![start("x", 2), end("x", "ok")];
    assert_eq!(violated(&evidence(acts, second)), [ATTEMPTS]);
}

#[test]
fn an_answer_that_is_late_or_never_comes_violates_unless_its_node_was_stopped() {
    let late = Act {
        end: Some((T + 5_001, unsure())),
        ..call("x", unsure())
    };
    let in_time = Act {
        end: Some((T + 5_000, unsure())),
        ..late.clone()
    };
    let never = act("x", Kind::Command, None);
    for (act, expected) in [(late.clone(), true), (in_time, false), (never, true)] {
        let found = violated(&evidence(vec![act], vec![]));
        assert_eq!(found.contains(&ANSWERED), expected);
    }
    let mut evidence = evidence(vec![late], vec![]);
    evidence.broken = vec![broken(Fault::NodePause { node: 1 }, 0, 4_000)];
    assert!(violated(&evidence).contains(&ANSWERED), "another node was stopped");
    evidence.broken = vec![broken(Fault::NodePause { node: 0 }, 0, 4_000)];
    assert!(!violated(&evidence).contains(&ANSWERED));
}

#[test]
fn a_refusal_that_ran_is_a_lie_and_a_repeat_that_ran_is_none() {
    let refusal = call("x", refused());
    assert_eq!(violated(&evidence(vec![refusal], vec![start("x", 1)])), [HONEST]);
    let keyed = |outcome| Act {
        keyed: true,
        ..call("x", outcome)
    };
    let repeat = vec![keyed(refused()), keyed(Outcome::Ok)];
    assert_eq!(violated(&evidence(repeat, ran("x").to_vec())), [] as [&str; 0]);
}

#[test]
fn memory_that_grows_too_far_or_is_kept_violates() {
    let mib = |node, t_ms, mib: u64| Sample {
        node,
        t_ms: T + t_ms,
        bytes: mib << 20,
    };
    let table = [
        (vec![mib(1, 0, 30), mib(1, 9_000, 150), mib(1, 50_000, 60)], false),
        (vec![mib(1, 0, 30), mib(1, 9_000, 159), mib(1, 50_000, 31)], true),
        (vec![mib(1, 0, 30), mib(1, 9_000, 35), mib(1, 50_000, 63)], true),
        (
            vec![mib(0, 0, 300), mib(1, 0, 30), mib(1, 9_000, 31), mib(0, 9_000, 301)],
            false,
        ),
    ];
    for (samples, expected) in table {
        let mut evidence = evidence(vec![], vec![]);
        evidence.samples = samples;
        assert_eq!(
            violated(&evidence).contains(&MEMORY),
            expected,
            "{:?}",
            evidence.samples
        );
    }
}

/// Ten calls a second, but none between these milliseconds.
fn calls_but_from(from: u64, to: u64) -> Evidence {
    let mut acts = Vec::new();
    let mut lines = Vec::new();
    for begun in (0..60_000).step_by(100).filter(|begun| !(from..to).contains(begun)) {
        let id = format!("c{begun}");
        acts.push(Act {
            begun_ms: T + begun,
            end: Some((T + begun + 5, Outcome::Ok)),
            ..call(&id, Outcome::Ok)
        });
        lines.extend(ran(&id));
    }
    Evidence {
        acts,
        lines,
        ..bare_evidence()
    }
}

#[test]
fn a_recovery_is_timed_from_the_healing_to_the_first_full_second() {
    let mut evidence = calls_but_from(10_000, 14_000);
    evidence.broken = vec![broken(Fault::Cut, 10_000, 10_000)];
    let took = recovery::times(&evidence)[0].1.expect("it recovers");
    assert!((3_900..=4_100).contains(&took), "{took}");
    assert_eq!(violated(&evidence), [] as [&str; 0]);
}

#[test]
fn a_recovery_that_is_late_or_never_comes_violates() {
    let mut late = calls_but_from(10_000, 17_000);
    late.broken = vec![broken(Fault::Cut, 10_000, 10_000)];
    assert_eq!(violated(&late), [RECOVERY]);
    // What RabbitMQ may take another broker may not.
    let mut broker = calls_but_from(10_000, 26_000);
    broker.broken = vec![broken(Fault::BrokerKill, 10_000, 11_000)];
    assert_eq!(violated(&broker), [RECOVERY]);
    broker.transport = Transport::Amqp;
    assert_eq!(violated(&broker), [] as [&str; 0]);
    let mut never = calls_but_from(10_000, 60_000);
    never.broken = vec![broken(Fault::Cut, 10_000, 10_000)];
    assert_eq!(violated(&never), [RECOVERY]);
}

#[test]
fn a_verdict_names_its_first_offenders_and_counts_the_rest() {
    let verdict = Verdict::new("I0", "holds")
        .count("things", 3_u64)
        .against((0..20).map(|n| format!("x{n}")));
    let shown = verdict.shown();
    assert!(shown.contains("VIOLATED") && shown.contains("things 3"), "{shown}");
    assert!(
        shown.contains("x11") && !shown.contains("x12") && shown.ends_with("and 8 more"),
        "{shown}"
    );
}
