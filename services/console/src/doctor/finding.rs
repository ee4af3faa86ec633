//! A finding: one thing that was looked at, what was seen, and what to do about it.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// It is as it should be.
    Ok,
    /// It works; whoever runs the node should know.
    Note,
    /// It works until the day it matters.
    Warning,
    /// A node would not start, or would not do what it was told to.
    Problem,
}

impl Level {
    /// The mark in front of a line.
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// Which part of the examination it belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Area {
    Settings,
    Definitions,
    Surroundings,
    Budgets,
}

impl Area {
    /// All of them, in the order in which they are shown.
    pub(super) const ALL: [Self; 4] = [Self::Settings, Self::Definitions, Self::Surroundings, Self::Budgets];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Settings => "Settings",
            Self::Definitions => "Definitions",
            Self::Surroundings => "Surroundings",
            Self::Budgets => "Budgets",
        }
    }

    /// What is as it should be needs no advice; everything else has some.
    pub(super) fn ok(self, subject: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding {
            level: Level::Ok,
            area: self,
            subject: subject.into(),
            message: message.into(),
            advice: None,
        }
    }

    pub(super) fn note(self, subject: impl Into<String>, message: impl Into<String>, advice: &str) -> Finding {
        self.found(Level::Note, subject, message, advice)
    }

    pub(super) fn warning(self, subject: impl Into<String>, message: impl Into<String>, advice: &str) -> Finding {
        self.found(Level::Warning, subject, message, advice)
    }

    pub(super) fn problem(self, subject: impl Into<String>, message: impl Into<String>, advice: &str) -> Finding {
        self.found(Level::Problem, subject, message, advice)
    }

    /// A finding of a level that was computed; not for [`Level::Ok`].
    pub(super) fn found(
        self,
        level: Level,
        subject: impl Into<String>,
        message: impl Into<String>,
        advice: &str,
    ) -> Finding {
        Finding {
            level,
            advice: Some(advice.to_owned()),
            ..self.ok(subject, message)
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    pub(super) area: Area,
    /// The setting, service, endpoint or file.
    pub(super) subject: String,
    /// What was seen.
    pub(super) message: String,
    /// What to change; nothing where all is well.
    pub(super) advice: Option<String>,
}
