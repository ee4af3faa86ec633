//! What a consumer reads: typed items, or items in JSON.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use roadshow_actors::ItemReader;
use roadshow_bridges::{Address, Executed, Failure, codec};
use serde::de::DeserializeOwned;

use crate::dispatch::run_serde;

/// The consumer's half of a stream. Dropping it cancels the stream: its handler is told at once.
#[must_use = "a stream whose reader is dropped is cancelled"]
pub struct StreamReader<T> {
    address: Address,
    source: Source<T>,
}

enum Source<T> {
    Typed(ItemReader<T>),
    Encoded(ItemReader<Bytes>),
    /// An item could not be read: nothing behind it is.
    Ended,
}

impl<T> fmt::Debug for StreamReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamReader")
            .field(&format_args!("{}", self.address))
            .finish()
    }
}

impl<T> StreamReader<T> {
    pub(crate) fn typed(address: Address, reader: ItemReader<T>) -> Self {
        let source = Source::Typed(reader);
        StreamReader { address, source }
    }

    pub(crate) fn encoded(address: Address, reader: ItemReader<Bytes>) -> Self {
        let source = Source::Encoded(reader);
        StreamReader { address, source }
    }
}

impl<T: DeserializeOwned> StreamReader<T> {
    /// Waits for the next item. `None` once the stream has ended well, and for ever after its end; a failure is the last
    /// thing that it says.
    ///
    /// # Cancel safety
    /// Dropping the future loses no item.
    pub async fn next(&mut self) -> Option<Result<T, Failure>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`StreamReader::next`], for a hand-written future.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Failure>>> {
        let bytes = match &mut self.source {
            Source::Typed(reader) => return reader.poll_next(cx),
            Source::Encoded(reader) => match ready!(reader.poll_next(cx)) {
                Some(Ok(bytes)) => bytes,
                Some(Err(failure)) => return Poll::Ready(Some(Err(failure))),
                None => return Poll::Ready(None),
            },
            Source::Ended => return Poll::Ready(None),
        };
        let decoded = run_serde(|| codec::decode_json(&bytes), "decode an item", &self.address);
        if decoded.is_err() {
            self.source = Source::Ended;
        }
        Poll::Ready(Some(
            decoded.map_err(|failure| failure.with_executed(Executed::Unknown)),
        ))
    }

    /// Reads the stream to its end.
    ///
    /// # Errors
    /// The failure that the stream ended with; `exhausted` where it has more than `max_items`, which cancels it.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the stream.
    pub async fn collect_all(mut self, max_items: usize) -> Result<Vec<T>, Failure> {
        let mut items = Vec::new();
        while let Some(item) = self.next().await {
            push(&mut items, item?, max_items)?;
        }
        Ok(items)
    }
}

/// The consumer's half of a stream whose items are JSON. Dropping it cancels the stream.
#[derive(Debug)]
#[must_use = "a stream whose reader is dropped is cancelled"]
pub struct EncodedReader(ItemReader<Bytes>);

impl EncodedReader {
    pub(crate) fn new(reader: ItemReader<Bytes>) -> Self {
        EncodedReader(reader)
    }

    /// As [`StreamReader::next`].
    ///
    /// # Cancel safety
    /// Dropping the future loses no item.
    pub async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        self.0.next().await
    }

    /// As [`EncodedReader::next`], for a hand-written future.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        self.0.poll_next(cx)
    }

    /// As [`StreamReader::collect_all`].
    ///
    /// # Errors
    /// As [`StreamReader::collect_all`].
    ///
    /// # Cancel safety
    /// Dropping the future cancels the stream.
    pub async fn collect_all(mut self, max_items: usize) -> Result<Vec<Bytes>, Failure> {
        let mut items = Vec::new();
        while let Some(item) = self.next().await {
            push(&mut items, item?, max_items)?;
        }
        Ok(items)
    }
}

fn push<T>(items: &mut Vec<T>, item: T, max_items: usize) -> Result<(), Failure> {
    if items.len() == max_items {
        let text = format!("the stream has more than {max_items} items");
        return Err(Failure::exhausted(text).with_executed(Executed::Unknown));
    }
    items.push(item);
    Ok(())
}
