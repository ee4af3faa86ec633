//! What becomes of a delivery, in the words of its handler.

use std::time::Duration;

/// What a handler says about a delivery. It is settled exactly once, by this.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is done.
    Ack,
    /// It failed and may succeed later: by the subscription's retry policy, which also says when to stop.
    Retry {
        /// When to try again; the policy's own delay where this is `None`.
        after: Option<Duration>,
        /// Why, for the log and the dead letter.
        reason: String,
    },
    /// It will never succeed: put it where people look.
    DeadLetter {
        /// Why, for people.
        reason: String,
    },
    /// It is of no interest: forget it.
    Drop,
    /// Nothing can be done now, whatever is delivered: give it back, uncounted, and rest.
    Pause {
        /// How long to take nothing.
        rest: Duration,
    },
}

impl Outcome {
    /// Tries again by the subscription's policy.
    #[must_use]
    pub fn retry(reason: impl Into<String>) -> Self {
        Outcome::Retry {
            after: None,
            reason: reason.into(),
        }
    }

    /// Tries again after `delay`, as long as the subscription's policy allows another attempt.
    #[must_use]
    pub fn retry_after(delay: Duration, reason: impl Into<String>) -> Self {
        Outcome::Retry {
            after: Some(delay),
            reason: reason.into(),
        }
    }

    /// Gives up on the delivery.
    #[must_use]
    pub fn dead_letter(reason: impl Into<String>) -> Self {
        Outcome::DeadLetter { reason: reason.into() }
    }

    /// Gives the delivery back and takes nothing for a while.
    #[must_use]
    pub fn pause(rest: Duration) -> Self {
        Outcome::Pause { rest }
    }
}
