//! The name of a job queue.

use std::fmt;

use super::token::check_whole;

/// The name of a queue, a constant of the program: one token.
#[derive(Debug, Copy, Clone, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub struct QueueName(&'static str);

impl QueueName {
    /// Names a queue.
    ///
    /// # Panics
    ///
    /// If `name` is not a token. In a constant that is a compile error.
    pub const fn new(name: &'static str) -> Self {
        if let Err(flaw) = check_whole(name) {
            flaw.refuse();
        }
        Self(name)
    }

    /// The name's text.
    pub const fn as_str(&self) -> &'static str {
        self.0
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
