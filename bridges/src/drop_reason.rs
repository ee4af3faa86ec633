//! Why a bridge dropped something: a closed set of words, because each becomes a label of a metric.

use std::fmt;

/// Why a bridge dropped a message, or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// A header that could not be read; its message went on without it. Headers are counted, not messages.
    Header,
    /// A part that could not be read, which was replaced; its message went on.
    Mended,
    /// A message that could not be read at all. A durable subscription may have it among its dead letters.
    Unreadable,
    /// A message that found no room, or was still waiting when its subscriber left: subscribers do not keep up.
    Slow,
    /// A message that nobody hears, or that had nobody left to hear it.
    Unheard,
    /// A message that was kept to be sent again and had to be given up: too old, or too many.
    Expired,
    /// A message that was given up, and is not among the dead letters: it cannot be kept there, or made room for others.
    NoDeadLetter,
}

impl DropReason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Header,
        Self::Mended,
        Self::Unreadable,
        Self::Slow,
        Self::Unheard,
        Self::Expired,
        Self::NoDeadLetter,
    ];

    /// The word for it, as a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Mended => "mended",
            Self::Unreadable => "unreadable",
            Self::Slow => "slow",
            Self::Unheard => "unheard",
            Self::Expired => "expired",
            Self::NoDeadLetter => "no_dead_letter",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
