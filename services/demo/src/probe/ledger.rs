//! The ledger: a file to which every start and every end of a handler is appended, a JSON object a line.
//!
//! A line is one write to a file opened for appending, so that lines of many handlers, and of many processes with one
//! ledger, never mix. The write is made where the handler runs: a hand-over to another thread could lose it in exactly
//! the crash that the ledger is there to show.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use roadshow_services::Context;
use serde::Serialize;

/// What ran.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Command,
    Event,
    Stream,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    Start,
    End,
}

/// One line.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    id: &'a str,
    kind: Kind,
    phase: Phase,
    attempt: u32,
    /// The fencing token of a lease; commands, events and streams hold none.
    fence: Option<u64>,
    node: &'a str,
    incarnation: u64,
    t_ms: u64,
    outcome: Option<&'a str>,
}

impl<'a> Line<'a> {
    pub(crate) fn start(id: &'a str, kind: Kind, ctx: &'a Context) -> Self {
        Line {
            id,
            kind,
            phase: Phase::Start,
            attempt: ctx.attempt(),
            fence: None,
            node: ctx.node_id(),
            incarnation: ctx.incarnation(),
            t_ms: unix_ms(),
            outcome: None,
        }
    }

    pub(crate) fn end(id: &'a str, kind: Kind, ctx: &'a Context, outcome: &'a str) -> Self {
        Line {
            phase: Phase::End,
            outcome: Some(outcome),
            ..Self::start(id, kind, ctx)
        }
    }
}

/// A file that lines are appended to. A clone writes to the same.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<File>);

impl Ledger {
    /// Opens a ledger, or begins one.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self(Arc::new(file)))
    }

    pub(crate) fn write(&self, line: &Line<'_>) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        let written = (&*self.0).write(&bytes)?;
        if written == bytes.len() {
            Ok(())
        } else {
            Err(io::Error::new(
                io::ErrorKind::WriteZero,
                "the disk took a part of the line",
            ))
        }
    }
}

/// Milliseconds of Unix time, by which lines of several machines are compared.
#[expect(
    clippy::disallowed_methods,
    reason = "the ledger is a tester's witness from outside: it bears the machine's time, not the node's"
)]
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
