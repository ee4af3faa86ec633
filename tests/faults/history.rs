//! The history: what the generator asked for, when, and what it was told, as Jepsen writes it.
//!
//! An act is invoked and ends as `ok` (it happened), `fail` (it surely did not) or `info` (nobody knows). Only an answer
//! that says `executed: no` is a `fail`; timeouts and lost connections are `info`.

use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A call, to be answered.
    Command,
    /// An event, to be taken.
    Event,
}

/// What the probe was told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Nothing but to answer.
    Echo,
    /// To take its time.
    Sleep,
    /// To answer with something large that fits.
    Big,
    /// To be asked, or to answer, with more than fits.
    Oversize,
    /// To fail for good.
    Poison,
    /// To panic.
    Panic,
}

impl Order {
    /// Whether the handler ends well when nothing disturbs it.
    pub(crate) fn ends_well(self) -> bool {
        matches!(self, Self::Echo | Self::Sleep | Self::Big)
    }
}

/// How an act ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It happened: the handler answered, well or badly, or the event was taken.
    Ok,
    /// It surely did not happen; the code.
    Fail(String),
    /// Nobody knows; the code, or what the connection said.
    Info(String),
}

/// One act of the generator.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    /// Stands in the ledger. A deliberate repeat has the id of the first.
    pub(crate) id: String,
    /// Call or event.
    pub(crate) kind: Kind,
    /// What the probe was told.
    pub(crate) order: Order,
    /// Whether it bore an idempotency key.
    pub(crate) keyed: bool,
    /// Through which node it came.
    pub(crate) node: usize,
    /// When it began, Unix milliseconds.
    pub(crate) begun_ms: u64,
    /// Its time budget.
    pub(crate) budget_ms: u64,
    /// When and how it ended; none if it never did.
    pub(crate) end: Option<(u64, Outcome)>,
}

impl Act {
    /// Whether the generator was told that it happened.
    pub(crate) fn is_acknowledged(&self) -> bool {
        matches!(self.end, Some((_, Outcome::Ok)))
    }

    /// Whether the generator was told that it surely did not happen.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.end, Some((_, Outcome::Fail(_))))
    }

    fn lines(&self) -> Vec<Value> {
        let kind = format!("{:?} {:?}", self.kind, self.order);
        let mut lines = vec![
            json!({"t_ms": self.begun_ms, "type": "invoke", "f": kind, "id": self.id,
            "keyed": self.keyed, "node": self.node, "budget_ms": self.budget_ms}),
        ];
        if let Some((at, outcome)) = &self.end {
            let (kind, said) = match outcome {
                Outcome::Ok => ("ok", ""),
                Outcome::Fail(said) => ("fail", said.as_str()),
                Outcome::Info(said) => ("info", said.as_str()),
            };
            lines.push(json!({"t_ms": at, "type": kind, "id": self.id, "said": said}));
        }
        lines
    }
}

/// Writes a history, a line for each invocation and each end, in the order of time.
pub(crate) fn write(path: &Path, acts: &[Act]) -> std::io::Result<()> {
    let mut lines: Vec<Value> = acts.iter().flat_map(Act::lines).collect();
    lines.sort_by_key(|line| line["t_ms"].as_u64());
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for line in lines {
        writeln!(file, "{line}")?;
    }
    file.flush()
}
