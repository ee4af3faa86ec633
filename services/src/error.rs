//! What this process could not do, for whoever asked it to: never what a caller is told.

use std::fmt;

use roadshow_supervision::{Exit, StartError};

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What was declared contradicts itself, or the settings are wrong: correct them.
    Definition,
    /// Something the node needs could not be started: see to that and start again.
    Start,
    /// The node gave up on itself while it ran: the causes say on what.
    GaveUp,
}

/// Why a node could not be built, started or kept running.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    causes: Vec<String>,
}

impl Error {
    pub(crate) fn definition(problems: Vec<String>) -> Self {
        Error {
            kind: ErrorKind::Definition,
            causes: problems,
        }
    }

    pub(crate) fn start(error: &StartError) -> Self {
        Error {
            kind: ErrorKind::Start,
            causes: error.causes().to_vec(),
        }
    }

    pub(crate) fn gave_up(exit: &Exit) -> Self {
        Error {
            kind: ErrorKind::GaveUp,
            causes: exit.causes.clone(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The chain of causes, outermost first; for [`ErrorKind::Definition`] every problem that was found.
    #[must_use]
    pub fn causes(&self) -> &[String] {
        &self.causes
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.kind == ErrorKind::Definition { "; " } else { ": " };
        f.write_str(&self.causes.join(separator))
    }
}

impl std::error::Error for Error {}
