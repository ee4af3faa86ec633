//! The checker: from what was asked for, what the ledger says and what was broken, to what was violated.
//!
//! Every invariant is a pure function of the evidence, with tables of hand-made histories beside it that violate it. They
//! are those of Jepsen's queues, plus one of our own: who is told "not executed" was not executed (I6).

mod calls;
mod delivery;
mod memory;
mod recovery;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use recovery::times as recovery_times;

use super::history::Act;
use super::ledger::{Line, Phase};
use super::schedule::{Fault, Transport};

/// How many offenders are named.
const NAMED_MAX: usize = 12;

/// A fault as it really was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Broken {
    /// What it was.
    pub(crate) fault: Fault,
    /// When it began, Unix milliseconds.
    pub(crate) from_ms: u64,
    /// When it was healed: resumed, started again, flowing.
    pub(crate) to_ms: u64,
}

/// What a node's memory was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// The node.
    pub(crate) node: usize,
    /// Unix milliseconds.
    pub(crate) t_ms: u64,
    /// Resident bytes.
    pub(crate) bytes: u64,
}

/// Everything that the invariants are computed from.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    /// Over what it ran.
    pub(crate) transport: Transport,
    /// What was asked for.
    pub(crate) acts: Vec<Act>,
    /// What ran.
    pub(crate) lines: Vec<Line>,
    /// What was broken.
    pub(crate) broken: Vec<Broken>,
    /// What the nodes held.
    pub(crate) samples: Vec<Sample>,
    /// When the generator began and stopped, Unix milliseconds.
    pub(crate) span_ms: (u64, u64),
}

/// What became of one invariant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it demands, in words.
    pub(crate) demand: &'static str,
    /// What was counted, in the order to show it.
    pub(crate) counts: Vec<(&'static str, u64)>,
    /// Who violates it.
    pub(crate) offenders: Vec<String>,
}

impl Verdict {
    fn new(name: &'static str, demand: &'static str) -> Self {
        Self {
            name,
            demand,
            ..Self::default()
        }
    }

    fn count(mut self, what: &'static str, number: impl TryInto<u64>) -> Self {
        self.counts.push((what, number.try_into().unwrap_or(u64::MAX)));
        self
    }

    fn against(mut self, offenders: impl IntoIterator<Item = String>) -> Self {
        self.offenders.extend(offenders);
        self
    }

    /// Whether nothing violates it.
    pub(crate) fn holds(&self) -> bool {
        self.offenders.is_empty()
    }

    /// As lines for people.
    pub(crate) fn shown(&self) -> String {
        let counts: Vec<String> = self
            .counts
            .iter()
            .map(|(what, number)| format!("{what} {number}"))
            .collect();
        let verdict = if self.holds() { "holds" } else { "VIOLATED" };
        let mut text = format!(
            "{:<4} {verdict:<9} {:<58} {}",
            self.name,
            self.demand,
            counts.join(", ")
        );
        for offender in self.offenders.iter().take(NAMED_MAX) {
            text.push_str(&format!("\n       {offender}"));
        }
        if self.offenders.len() > NAMED_MAX {
            text.push_str(&format!("\n       and {} more", self.offenders.len() - NAMED_MAX));
        }
        text
    }
}

/// Computes every invariant.
pub(crate) fn check(evidence: &Evidence) -> Vec<Verdict> {
    let book = Book::new(evidence);
    vec![
        delivery::lost(evidence, &book),
        delivery::unexpected(evidence, &book),
        delivery::repeated_commands(evidence, &book),
        delivery::repeated_events(evidence, &book),
        delivery::attempts(&book),
        delivery::recovered(evidence, &book),
        calls::answered(evidence),
        calls::honest(evidence, &book),
        memory::bounded(evidence),
        recovery::recovered(evidence),
    ]
}

/// Whether everything that was acknowledged has ended as it should, and memory is given back: there is nothing to wait for.
pub(crate) fn is_quiet(evidence: &Evidence) -> bool {
    let book = Book::new(evidence);
    delivery::lost(evidence, &book).holds() && memory::bounded(evidence).holds()
}

/// Starts and ends by id.
struct Book<'a> {
    of: BTreeMap<&'a str, Vec<&'a Line>>,
}

impl<'a> Book<'a> {
    fn new(evidence: &'a Evidence) -> Self {
        let mut of: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
        for line in &evidence.lines {
            of.entry(&line.id).or_default().push(line);
        }
        Self { of }
    }

    fn lines(&self, id: &str) -> &[&'a Line] {
        self.of.get(id).map_or(&[], Vec::as_slice)
    }

    fn starts(&self, id: &str) -> usize {
        let lines = self.lines(id).iter();
        lines.filter(|line| line.phase == Phase::Start).count()
    }

    fn ends(&self, id: &str) -> usize {
        self.lines(id).len() - self.starts(id)
    }

    fn ended_well(&self, id: &str) -> bool {
        self.lines(id).iter().any(|line| line.is_ok())
    }

    fn first_end_ms(&self, id: &str, from_ms: u64) -> Option<u64> {
        let ends = self.lines(id).iter().filter(|line| line.phase == Phase::End);
        ends.map(|line| line.t_ms).filter(|t_ms| *t_ms >= from_ms).min()
    }
}

/// The acts of each id: more than one where the generator repeated itself on purpose.
fn by_id(evidence: &Evidence) -> BTreeMap<&str, Vec<&Act>> {
    let mut of: BTreeMap<&str, Vec<&Act>> = BTreeMap::new();
    for act in &evidence.acts {
        of.entry(&act.id).or_default().push(act);
    }
    of
}

/// Ids with a word to each.
fn named<'a>(ids: impl IntoIterator<Item = &'a str>, why: &str) -> Vec<String> {
    let ids: BTreeSet<&str> = ids.into_iter().collect();
    ids.into_iter().map(|id| format!("{id}: {why}")).collect()
}
