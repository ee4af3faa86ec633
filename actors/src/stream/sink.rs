//! Where the end of a stream's handler goes: to its reader, as the last thing the stream says.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::items::{Terminal, draining};
use crate::hand_over::{Sink, into_answer};
use crate::running::Ended;

/// Tells the reader how the handler ended, and the handler that its reader has gone or its node drains.
pub(crate) struct StreamSink {
    terminal: oneshot::Sender<Terminal>,
    /// `None` once the node drains.
    drain: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    /// Knows at the end whether the node drains: a handler may notice before this is asked.
    drains: CancellationToken,
}

impl StreamSink {
    pub(crate) fn new(terminal: oneshot::Sender<Terminal>, drain: CancellationToken) -> Self {
        StreamSink {
            terminal,
            drain: Some(Box::pin(drain.clone().cancelled_owned())),
            drains: drain,
        }
    }
}

impl Sink<()> for StreamSink {
    const CRASHES_COUNT: bool = true;
    const TOLD_WHEN_LATE: bool = true;
    const ENDS_WHEN_GONE: bool = true;

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(drain) = &mut self.drain else {
            return Poll::Ready(());
        };
        if drain.as_mut().poll(cx).is_ready() {
            self.drain = None;
            return Poll::Ready(());
        }
        self.terminal.poll_closed(cx)
    }

    fn end(self, ended: Ended<()>) {
        let drained = self.drains.is_cancelled();
        let answer = match into_answer(ended) {
            // It was told to end, and nobody can say whether it had more to send.
            Ok(()) if drained => Err(draining()),
            answer => answer,
        };
        // A reader that has gone needs no answer.
        let _ = self.terminal.send(answer);
    }
}
