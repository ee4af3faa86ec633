//! I5 and I6: everybody gets an answer in time, and "not executed" is the truth.

use super::{Book, Broken, Evidence, Verdict, by_id};
use crate::history::{Act, Outcome};
use crate::schedule::Fault;

/// How long after its deadline an answer may come.
const LATE_MS: u64 = 1_000;

/// I5: every act ends by its deadline plus a second. Excused, and counted, is what was asked of a node that was stopped.
pub(super) fn answered(evidence: &Evidence) -> Verdict {
    let (mut paused, mut offenders) = (0_u64, Vec::new());
    for act in &evidence.acts {
        let due = act.begun_ms + act.budget_ms + LATE_MS;
        let late = match &act.end {
            Some((at, _)) if *at <= due => continue,
            Some((at, _)) => format!("ended {} ms after its deadline", at - (due - LATE_MS)),
            None => "never ended".to_owned(),
        };
        if was_stopped(evidence, act) {
            paused += 1;
        } else {
            offenders.push(format!("{}: {late}", act.id));
        }
    }
    let counted = |wanted: fn(&Outcome) -> bool| {
        let ends = evidence.acts.iter().filter_map(|act| act.end.as_ref());
        ends.filter(|(_, outcome)| wanted(outcome)).count()
    };
    Verdict::new("I5", "every act ends by its deadline and a second")
        .count("ok", counted(|outcome| matches!(outcome, Outcome::Ok)))
        .count("fail", counted(|outcome| matches!(outcome, Outcome::Fail(_))))
        .count("info", counted(|outcome| matches!(outcome, Outcome::Info(_))))
        .count("late while their node was stopped", paused)
        .count("late", offenders.len())
        .against(offenders)
}

fn was_stopped(evidence: &Evidence, act: &Act) -> bool {
    let until = act.begun_ms + act.budget_ms + LATE_MS;
    let stopped = |broken: &Broken| {
        let is_its_node = broken.fault == Fault::NodePause { node: act.node };
        is_its_node && broken.from_ms <= until && act.begun_ms <= broken.to_ms
    };
    evidence.broken.iter().any(stopped)
}

/// I6: an id whose every invocation was told "not executed" has no line in the ledger.
pub(super) fn honest(evidence: &Evidence, book: &Book<'_>) -> Verdict {
    let (mut refused, mut offenders) = (0_u64, Vec::new());
    for (id, acts) in by_id(evidence) {
        if !acts.iter().all(|act| act.is_refused()) {
            continue;
        }
        refused += 1;
        if book.starts(id) > 0 {
            let said: Vec<String> = acts.iter().map(|act| format!("{:?}", act.end)).collect();
            offenders.push(format!(
                "{id}: told it was not executed, and it ran: {}",
                said.join(" ")
            ));
        }
    }
    Verdict::new("I6", "who was told \"not executed\" was not executed")
        .count("told so", refused)
        .count("executed", offenders.len())
        .against(offenders)
}
