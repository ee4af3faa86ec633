//! What an answer holds: bytes that are all there, or a stream that goes on.

use bytes::Bytes;

use crate::events::Events;

/// The content of an answer.
#[derive(Debug)]
pub(crate) enum Content {
    Whole(Bytes),
    Events(Box<Events>),
}

impl Content {
    /// How many bytes it has, as far as that is known when it leaves.
    pub(crate) fn len(&self) -> usize {
        match self {
            Content::Whole(bytes) => bytes.len(),
            Content::Events(_) => 0,
        }
    }
}

impl Default for Content {
    fn default() -> Self {
        Content::Whole(Bytes::new())
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Content::Whole(bytes)
    }
}
