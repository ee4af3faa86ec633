//! I1 to I4: nothing acknowledged is lost, nothing runs that nobody asked for, nothing runs twice without a cause.

use super::{Book, Broken, Evidence, Verdict, by_id, named};
use crate::history::{Act, Kind, Order};
use crate::ledger::Phase;
use crate::schedule::{Fault, OUTBOX_S, Transport};

/// How long before and after a fault a message counts as in flight at it: an acknowledgement is on its way, a connection
/// is found dead.
const NEAR_MS: u64 = 3_000;

/// I1: what was acknowledged was handled. A poison event and one that panics must have been tried; all else ended well.
///
/// Excused, and counted, is what the transport says it loses: with the process of the node that took it (memory, where
/// the process is the broker; MQTT, whose outbox lives in the sender), if it was killed while it may still have had it.
///
/// A run in which nothing was acknowledged shows nothing, and does not pass.
pub(super) fn lost(evidence: &Evidence, book: &Book<'_>) -> Verdict {
    let (mut acknowledged, mut excused, mut offenders) = (0_u64, 0_u64, Vec::new());
    for act in evidence.acts.iter().filter(|act| act.is_acknowledged()) {
        acknowledged += 1;
        let is_done = match (act.order, act.kind) {
            // The gateway or the bridge refuses it; being answered is all there is.
            (Order::Oversize, _) => true,
            (Order::Poison | Order::Panic, _) => book.ends(&act.id) > 0,
            _ => book.ended_well(&act.id),
        };
        if is_done {
            continue;
        }
        if act.kind == Kind::Event && died_with_its_sender(evidence, act) {
            excused += 1;
        } else {
            let starts = book.starts(&act.id);
            offenders.push(format!("{}: acknowledged, started {starts} times, not done", act.id));
        }
    }
    let lost = offenders.len();
    if acknowledged == 0 {
        offenders.push("nothing was acknowledged".to_owned());
    }
    Verdict::new("I1", "what was acknowledged was handled")
        .count("acknowledged", acknowledged)
        .count("lost", lost)
        .count("lost with their sender, as declared", excused)
        .against(offenders)
}

fn died_with_its_sender(evidence: &Evidence, act: &Act) -> bool {
    let kept_ms = match evidence.transport {
        Transport::Memory => NEAR_MS,
        Transport::Mqtt => OUTBOX_S * 1_000,
        Transport::Nats | Transport::Amqp => return false,
    };
    let taken_ms = act.end.as_ref().map_or(act.begun_ms, |(at, _)| *at);
    let killed = |broken: &Broken| {
        let is_its = broken.fault == Fault::NodeKill { node: act.node };
        is_its && broken.to_ms >= act.begun_ms && broken.from_ms <= taken_ms + kept_ms
    };
    evidence.broken.iter().any(killed)
}

/// I2: what ran was asked for.
pub(super) fn unexpected(evidence: &Evidence, book: &Book<'_>) -> Verdict {
    let asked = by_id(evidence);
    let strangers = book.of.keys().filter(|id| !asked.contains_key(*id)).copied();
    let offenders = named(strangers, "ran, and nobody asked for it");
    Verdict::new("I2", "what ran was asked for")
        .count("ids in the ledger", book.of.len())
        .count("unexpected", offenders.len())
        .against(offenders)
}

/// I3 of commands: without a key one invocation is one start at most, whatever breaks. With a key it may be started again
/// (at least once), which is counted.
pub(super) fn repeated_commands(evidence: &Evidence, book: &Book<'_>) -> Verdict {
    let (mut commands, mut keyed_again, mut offenders) = (0_u64, 0_u64, Vec::new());
    for (id, acts) in by_id(evidence) {
        if acts[0].kind != Kind::Command {
            continue;
        }
        commands += 1;
        let starts = book.starts(id);
        if starts <= acts.len() {
            continue;
        }
        if acts.iter().all(|act| act.keyed) {
            keyed_again += 1;
        } else {
            offenders.push(format!(
                "{id}: no key, asked for {} times, started {starts} times",
                acts.len()
            ));
        }
    }
    Verdict::new("I3", "a command without a key is never started twice")
        .count("commands", commands)
        .count("keyed and started again", keyed_again)
        .count("unkeyed and started twice", offenders.len())
        .against(offenders)
}

/// I3 of events: one that ends well, or fails for good, runs a second time only if it was in flight when something broke.
pub(super) fn repeated_events(evidence: &Evidence, book: &Book<'_>) -> Verdict {
    let (mut events, mut again, mut offenders) = (0_u64, 0_u64, Vec::new());
    for (id, acts) in by_id(evidence) {
        let runs_once = |act: &&Act| act.kind == Kind::Event && act.order != Order::Panic;
        if !acts.iter().all(runs_once) {
            continue;
        }
        events += 1;
        let starts = book.starts(id);
        if starts <= acts.len() {
            continue;
        }
        again += 1;
        if !was_in_flight_at_a_fault(evidence, book, id, &acts) {
            offenders.push(format!(
                "{id}: emitted {} times, started {starts} times, no fault near",
                acts.len()
            ));
        }
    }
    Verdict::new("I3", "an event runs again only if in flight at a fault")
        .count("events", events)
        .count("run again", again)
        .count("without a cause", offenders.len())
        .against(offenders)
}

/// A repeat is in flight for itself, from its own beginning to the next end after it.
fn was_in_flight_at_a_fault(evidence: &Evidence, book: &Book<'_>, id: &str, acts: &[&Act]) -> bool {
    acts.iter().any(|act| {
        let done = book.first_end_ms(id, act.begun_ms).unwrap_or(u64::MAX);
        let near =
            |broken: &Broken| broken.from_ms <= done.saturating_add(NEAR_MS) && act.begun_ms <= broken.to_ms + NEAR_MS;
        evidence.broken.iter().any(near)
    })
}

/// Attempts are starts: nobody is told a higher attempt than there were starts, so a neighbour of what died keeps its own.
pub(super) fn attempts(book: &Book<'_>) -> Verdict {
    let (mut second, mut offenders) = (0_u64, Vec::new());
    for (id, lines) in &book.of {
        let starts = lines.iter().filter(|line| line.phase == Phase::Start);
        for (before, line) in starts.enumerate() {
            second += u64::from(line.attempt > 1);
            if line.attempt as usize > before + 1 {
                let attempt = line.attempt;
                offenders.push(format!(
                    "{id}: attempt {attempt} on {} after {before} starts",
                    line.node
                ));
            }
        }
    }
    Verdict::new("I3", "an attempt is counted only where a handler started")
        .count("attempts beyond the first", second)
        .count("counted without a start", offenders.len())
        .against(offenders)
}

/// I4: what ran although its caller was not told so. Reported; it violates nothing.
pub(super) fn recovered(evidence: &Evidence, book: &Book<'_>) -> Verdict {
    let unsure = |act: &&Act| !act.is_acknowledged() && !act.is_refused();
    let unsure: Vec<&Act> = evidence.acts.iter().filter(unsure).collect();
    let ran = unsure.iter().filter(|act| book.starts(&act.id) > 0).count();
    Verdict::new("I4", "what nobody could be sure of (reported)")
        .count("unsure", unsure.len())
        .count("of them ran", ran)
}
