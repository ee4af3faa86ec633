//! Why a node did not answer as asked.

use std::error::Error;
use std::time::Duration;

use roadshow_services::{Executed, Failure};
use serde::{Serialize, Serializer};

use crate::problem::Problem;

/// What went wrong between a client and a node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The URL names no node: correct it.
    #[error("{url:?} is no URL of a node: {problem}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Certificates that were to be trusted cannot be used: correct the file.
    #[error("{problem}")]
    Trust {
        /// What is wrong, and with which file.
        problem: String,
    },
    /// The node cannot be reached: see whether it runs, and whether it listens there. Nothing was executed.
    #[error("cannot reach the node at {at}: {source}")]
    Unreachable {
        /// Its host and port.
        at: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The connection broke before the answer was complete: look before you repeat, unless the request was a question.
    #[error("lost the connection to the node at {at}: {source}")]
    Lost {
        /// Its host and port.
        at: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// No answer came in time: look before you repeat.
    #[error("the node at {at} did not answer within {after:?}")]
    Late {
        /// Its host and port.
        at: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// What is there does not answer as a node does: see whether the address is right.
    #[error("what is at {at} does not answer as a node does: {problem}")]
    NotANode {
        /// Its host and port.
        at: String,
        /// What was wrong with its answer.
        problem: String,
    },
    /// The node answered no; the code says what to do.
    #[error("{}", .0.failure)]
    Problem(Box<Problem>),
}

impl ClientError {
    /// The node's own answer, if there was one.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            ClientError::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// What happened, as a failure: the node's own where it answered, else one that names the node.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let text = self.to_string();
        match self {
            ClientError::Url { .. } | ClientError::Trust { .. } => Failure::invalid(text).with_executed(Executed::No),
            ClientError::Unreachable { .. } => Failure::unavailable(text).with_executed(Executed::No),
            ClientError::Lost { .. } => Failure::unavailable(text).with_executed(Executed::Unknown),
            ClientError::Late { .. } => Failure::timeout(text).with_executed(Executed::Unknown),
            ClientError::NotANode { .. } => Failure::internal(text).with_executed(Executed::Unknown),
            ClientError::Problem(problem) => problem.failure.clone(),
        }
    }
}

/// The problem document where the node answered with one, else the [failure](ClientError::failure).
impl Serialize for ClientError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ClientError::Problem(problem) => problem.serialize(serializer),
            other => other.failure().serialize(serializer),
        }
    }
}
