//! The health of a bridge: whether it is ready, and if not, why.

use std::borrow::Cow;
use std::fmt;

/// Whether a bridge is ready, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// Connected, and every subscription confirmed.
    Ready,
    /// Not ready now; the bridge works on it for ever.
    Reconnecting {
        /// What is missing.
        reason: Cow<'static, str>,
    },
    /// Will not become ready by waiting (credentials, a missing permission): correct it and start again.
    Failed {
        /// What has to be corrected.
        reason: Cow<'static, str>,
    },
    /// Was closed.
    Closed,
}

impl Health {
    /// Whether messages flow.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Reconnecting { reason } => write!(f, "reconnecting: {reason}"),
            Self::Failed { reason } => write!(f, "failed: {reason}"),
            Self::Closed => f.write_str("closed"),
        }
    }
}
