//! The probe's ledger, read: what really ran, where, how often and how it ended.

use std::path::Path;

use serde::Deserialize;

/// Start or end of a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// It starts.
    Start,
    /// It ended.
    End,
}

/// A line.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Line {
    /// As the tester chose it.
    pub(crate) id: String,
    /// Start or end.
    pub(crate) phase: Phase,
    /// Which start the node takes it for.
    pub(crate) attempt: u32,
    /// The node.
    pub(crate) node: String,
    /// Unix milliseconds.
    pub(crate) t_ms: u64,
    /// `ok`, a failure's code, or `panic`; at the end only.
    #[serde(default)]
    pub(crate) outcome: Option<String>,
}

impl Line {
    /// Whether a handler ended well.
    pub(crate) fn is_ok(&self) -> bool {
        self.phase == Phase::End && self.outcome.as_deref() == Some("ok")
    }
}

/// Reads a ledger. A last line that a crash cut in half is left out.
pub(crate) fn read(path: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}
