//! The body of an answer on its way out.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::activity::{Answering, Sending};
use crate::content::Content;
use crate::events::{Events, KEEP_ALIVE};

/// What is left to send.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    Bytes {
        left: Bytes,
        piece: usize,
        /// Held until everything was handed over.
        _sending: Option<Sending>,
    },
    /// A stream, with what says that its peer takes it.
    Events(Box<(Events, Sending)>),
}

impl AnswerBody {
    /// A body of HTTP/1, whose connection bounds how long a peer may take: it leaves at once.
    pub(crate) fn whole(content: Content, answering: Answering) -> Self {
        match content {
            Content::Whole(left) => AnswerBody::Bytes {
                left,
                piece: usize::MAX,
                _sending: None,
            },
            Content::Events(events) => Self::stream(*events, answering),
        }
    }

    /// A body that leaves in pieces, so that what a peer does not take waits here and is known to wait.
    pub(crate) fn in_pieces(content: Content, piece: usize, answering: Answering) -> Self {
        match content {
            Content::Whole(left) => AnswerBody::Bytes {
                piece,
                _sending: Some(answering.send(left.len())),
                left,
            },
            Content::Events(events) => Self::stream(*events, answering),
        }
    }

    fn stream(events: Events, answering: Answering) -> Self {
        AnswerBody::Events(Box::new((events, answering.stream(KEEP_ALIVE))))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            AnswerBody::Bytes { left, .. } if left.is_empty() => Poll::Ready(None),
            AnswerBody::Bytes { left, piece, .. } => {
                let piece = (*piece).min(left.len());
                Poll::Ready(Some(Ok(Frame::data(left.split_to(piece)))))
            }
            AnswerBody::Events(stream) => {
                let (events, sending) = &mut **stream;
                // It is asked only while its peer has room.
                sending.renew(KEEP_ALIVE);
                let event = ready!(events.poll_next(cx));
                Poll::Ready(event.map(|event| Ok(Frame::data(event))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            AnswerBody::Bytes { left, .. } => left.is_empty(),
            AnswerBody::Events(stream) => stream.0.is_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Bytes { left, .. } => SizeHint::with_exact(left.len() as u64),
            AnswerBody::Events(_) => SizeHint::default(),
        }
    }
}
