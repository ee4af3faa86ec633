//! The channel of one stream: a sender for its handler, a reader for its consumer, and the one word that ends it.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use roadshow_bridges::{Executed, Failure};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// What ended a stream.
pub(crate) type Terminal = Result<(), Failure>;

/// The handler's half of a stream.
pub struct ItemSender<T> {
    items: mpsc::Sender<T>,
    /// Cancelled when the node drains.
    drain: CancellationToken,
}

impl<T> Clone for ItemSender<T> {
    fn clone(&self) -> Self {
        ItemSender {
            items: self.items.clone(),
            drain: self.drain.clone(),
        }
    }
}

impl<T> fmt::Debug for ItemSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemSender")
            .field("room", &self.items.capacity())
            .finish_non_exhaustive()
    }
}

impl<T> ItemSender<T> {
    /// Sends one item if there is room for it now.
    ///
    /// # Errors
    /// The item, where there is none.
    pub(crate) fn try_send(&self, item: T) -> Result<(), T> {
        self.items.try_send(item).map_err(mpsc::error::TrySendError::into_inner)
    }

    /// Sends one item, as soon as there is room for it.
    ///
    /// # Errors
    /// `unavailable` once the reader has gone, the stream has ended, or the node drains.
    ///
    /// # Cancel safety
    /// Dropping the future before it resolves sends nothing, and drops the item.
    pub async fn send(&self, item: T) -> Result<(), Failure> {
        if self.drain.is_cancelled() {
            return Err(draining());
        }
        tokio::select! {
            biased;
            sent = self.items.send(item) => sent.map_err(|_item| gone()),
            () = self.drain.cancelled() => Err(draining()),
        }
    }

    /// Whether an item would reach nobody.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.items.is_closed() || self.drain.is_cancelled()
    }
}

fn gone() -> Failure {
    Failure::unavailable("the consumer of the stream has gone").with_executed(Executed::Yes)
}

/// What a stream is told whose node drains.
pub(crate) fn draining() -> Failure {
    Failure::unavailable("this node is shutting down").with_executed(Executed::Yes)
}

/// Refuses a stream on a node that drains: it would be told to end before it began.
pub(crate) fn refuse_drain(drain: &CancellationToken) -> Result<(), Failure> {
    if drain.is_cancelled() {
        return Err(draining().with_executed(Executed::No));
    }
    Ok(())
}

/// What a stream is told that nobody has ended.
pub(crate) fn lost() -> Failure {
    Failure::unavailable("the node stopped before the stream had ended").with_executed(Executed::Unknown)
}

/// The word of a handler that it feeds the stream: from then on the stream is open.
#[derive(Debug)]
#[must_use = "a stream that nobody accepts is not opened"]
pub struct Acceptance(oneshot::Sender<()>);

impl Acceptance {
    /// Opens the stream.
    pub fn accept(self) {
        // Who waited for it may have gone; the handler learns of that when it sends.
        let _ = self.0.send(());
    }
}

/// Where the items of a reader come from, if that is not a handler of this node.
pub(crate) trait Upstream: Send + 'static {
    /// An item was taken: there is room for another one.
    fn taken(&mut self);
}

/// The consumer's half of a stream. Dropping it cancels the stream.
#[must_use = "a stream whose reader is dropped is cancelled"]
pub struct ItemReader<T> {
    items: mpsc::Receiver<T>,
    /// `None` once it has been heard.
    terminal: Option<oneshot::Receiver<Terminal>>,
    /// A failure that is still to be told.
    failed: Option<Failure>,
    upstream: Option<Box<dyn Upstream>>,
}

impl<T> fmt::Debug for ItemReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemReader")
            .field("waiting", &self.items.len())
            .field("ended", &self.terminal.is_none())
            .finish_non_exhaustive()
    }
}

impl<T> ItemReader<T> {
    /// Waits for the next item. `None` once the stream has ended well; a failure is the last thing it says.
    ///
    /// # Cancel safety
    /// Dropping the future loses no item.
    pub async fn next(&mut self) -> Option<Result<T, Failure>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`ItemReader::next`], for a hand-written future.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Failure>>> {
        if let Poll::Ready(item) = self.items.poll_recv(cx) {
            return self.give(item, cx);
        }
        // The word that ends the stream may come while somebody still holds a sender.
        ready!(self.poll_terminal(cx));
        let item = ready!(self.items.poll_recv(cx));
        self.give(item, cx)
    }

    fn give(&mut self, item: Option<T>, cx: &mut Context<'_>) -> Poll<Option<Result<T, Failure>>> {
        if let Some(item) = item {
            if let Some(upstream) = &mut self.upstream {
                upstream.taken();
            }
            return Poll::Ready(Some(Ok(item)));
        }
        ready!(self.poll_terminal(cx));
        Poll::Ready(self.failed.take().map(Err))
    }

    /// Ready once the end has been heard; what was sent before it is still to be read.
    fn poll_terminal(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(terminal) = &mut self.terminal else {
            return Poll::Ready(());
        };
        let end = ready!(std::pin::Pin::new(terminal).poll(cx)).unwrap_or_else(|_gone| Err(lost()));
        self.failed = end.err();
        self.terminal = None;
        self.items.close();
        Poll::Ready(())
    }

    /// Waits until the stream is open.
    ///
    /// # Errors
    /// The failure with which the handler ended before it had sent anything.
    pub(crate) async fn opened(&mut self, accepted: oneshot::Receiver<()>) -> Result<(), Failure> {
        // A handler that refuses lets go of its word first, and says why only then.
        let mut accepted = accepted.fuse();
        let opens = poll_fn(|cx| {
            if let Poll::Ready(Ok(())) = accepted.poll_unpin(cx) {
                return Poll::Ready(true);
            }
            self.poll_terminal(cx).map(|()| false)
        });
        if opens.await || !self.items.is_empty() {
            return Ok(());
        }
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Tells `upstream` of every item that is taken, and drops it with the reader.
    pub(crate) fn with_upstream(mut self, upstream: impl Upstream) -> Self {
        self.upstream = Some(Box::new(upstream));
        self
    }
}

/// The parts of one stream.
pub(crate) struct Parts<T> {
    pub(crate) sender: ItemSender<T>,
    pub(crate) terminal: oneshot::Sender<Terminal>,
    pub(crate) reader: ItemReader<T>,
}

/// A stream with room for `window` items, on a node that cancels `drain` when it drains.
pub(crate) fn parts<T>(window: usize, drain: CancellationToken) -> Parts<T> {
    let (items, received) = mpsc::channel(window.max(1));
    let (terminal, end) = oneshot::channel();
    Parts {
        sender: ItemSender { items, drain },
        terminal,
        reader: ItemReader {
            items: received,
            terminal: Some(end),
            failed: None,
            upstream: None,
        },
    }
}

/// A promise to open a stream, and who waits for it.
pub(crate) fn acceptance() -> (Acceptance, oneshot::Receiver<()>) {
    let (accept, accepted) = oneshot::channel();
    (Acceptance(accept), accepted)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[test]
    fn a_handler_that_lets_go_of_its_acceptance_is_heard_by_its_end() {
        let Parts {
            terminal, mut reader, ..
        } = parts::<u32>(1, CancellationToken::new());
        let (accept, accepted) = acceptance();
        let mut opened = pin!(reader.opened(accepted));
        drop(accept);
        for _ in 0..2 {
            assert!(opened.as_mut().now_or_never().is_none());
        }
        let refused = Failure::conflict("no");
        terminal.send(Err(refused.clone())).unwrap();
        assert_eq!(opened.now_or_never(), Some(Err(refused)));
    }
}
