//! The body of an answer on its way out.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::activity::Sending;

/// What is left to send.
#[derive(Debug)]
pub(crate) struct AnswerBody {
    left: Bytes,
    piece: usize,
    /// Held until everything was handed over.
    _sending: Option<Sending>,
}

impl AnswerBody {
    /// A body that leaves at once.
    pub(crate) fn whole(body: Bytes) -> Self {
        AnswerBody {
            left: body,
            piece: usize::MAX,
            _sending: None,
        }
    }

    /// A body that leaves in pieces, so that what a peer does not take waits here and is known to wait.
    pub(crate) fn in_pieces(body: Bytes, piece: usize, sending: Sending) -> Self {
        AnswerBody {
            left: body,
            piece,
            _sending: Some(sending),
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let piece = self.piece.min(self.left.len());
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
