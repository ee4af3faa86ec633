//! I10: after a fault is healed the system does what it did before, within the time that the fault's kind allows.

use super::{Broken, Evidence, Verdict};
use crate::history::{Act, Kind};
use crate::schedule::{BASELINE_MS, Fault, Transport};

/// A second that answers so many hundredths of the baseline counts as recovered.
const PERCENT: u64 = 90;
const SECOND_MS: u64 = 1_000;
/// The generator starts cold.
const WARM_UP_MS: u64 = 2_000;

/// How long a recovery may take: reliability.md 5.4 and the issue, plus one second for the bucket that it is measured in.
pub(super) fn allowed_ms(fault: Fault, transport: Transport) -> u64 {
    let allowed = match (fault, transport) {
        (Fault::BrokerKill, Transport::Amqp) => 20_000,
        (Fault::BrokerKill, _) => 10_000,
        (Fault::BrokerPause | Fault::SlowHandlers | Fault::Delay { .. }, _) => 2_000,
        (Fault::NodeKill { .. } | Fault::NodePause { .. } | Fault::Cut | Fault::SocketKill, _) => 5_000,
        (Fault::Stall, _) => 15_000,
    };
    allowed + SECOND_MS
}

/// How many calls were answered in a second before anything was broken.
fn baseline(evidence: &Evidence) -> u64 {
    let begun = evidence.span_ms.0;
    let seconds = (BASELINE_MS - WARM_UP_MS) / SECOND_MS;
    answered(evidence, begun + WARM_UP_MS, begun + BASELINE_MS) / seconds
}

/// The time from the healing of each fault to the first second with 90 % of the calls that the baseline answered.
pub(crate) fn times(evidence: &Evidence) -> Vec<(Broken, Option<u64>)> {
    let baseline = baseline(evidence);
    let mut times = Vec::new();
    for (place, broken) in evidence.broken.iter().enumerate() {
        let end = evidence
            .broken
            .get(place + 1)
            .map_or(evidence.span_ms.1, |next| next.from_ms);
        let mut from = broken.to_ms;
        let mut took = None;
        while from + SECOND_MS <= end {
            if answered(evidence, from, from + SECOND_MS) * 100 >= baseline * PERCENT {
                took = Some(from - broken.to_ms);
                break;
            }
            from += SECOND_MS / 10;
        }
        times.push((*broken, took));
    }
    times
}

/// Calls that began in these milliseconds and were answered well within a second.
fn answered(evidence: &Evidence, from: u64, to: u64) -> u64 {
    let counts = |act: &&Act| {
        let in_time = act.end.as_ref().is_some_and(|(at, _)| *at <= act.begun_ms + SECOND_MS);
        let plain = act.kind == Kind::Command && act.order.ends_well();
        plain && in_time && act.is_acknowledged() && (from..to).contains(&act.begun_ms)
    };
    evidence.acts.iter().filter(counts).count() as u64
}

/// I10: every recovery is in time. Where nothing was answered before, there is nothing to recover to.
pub(super) fn recovered(evidence: &Evidence) -> Verdict {
    let times = times(evidence);
    let baseline = baseline(evidence);
    let mut offenders = Vec::new();
    if baseline == 0 {
        offenders.push("not one call a second was answered before the first fault".to_owned());
    }
    for (broken, took) in &times {
        let allowed = allowed_ms(broken.fault, evidence.transport);
        let fault = broken.fault;
        match took {
            Some(took) if *took <= allowed => {}
            Some(took) => offenders.push(format!("{fault}: {took} ms, allowed are {allowed}")),
            None => offenders.push(format!("{fault}: not before the next fault or the end")),
        }
    }
    let slowest = times.iter().filter_map(|(_, took)| *took).max().unwrap_or(0);
    Verdict::new("I10", "90 % of the former rate in time after each fault")
        .count("calls a second before", baseline)
        .count("faults", times.len())
        .count("slowest in ms", slowest)
        .against(offenders)
}
