//! A stream of a node, read over HTTP as server-sent events.
//!
//! Nothing is read ahead of who reads it: what is not asked for waits in the socket and holds the producer back. Dropping
//! the reader closes the connection, which cancels the stream.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use super::ClientError;
use crate::problem::Problem;

/// How long a stream may say nothing, not even that it lives: three times what a node waits.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(45);
/// The longest event, in bytes.
const EVENT_BYTES_MAX: usize = 64 << 20;

pub(super) type Connection = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The items of a stream that a node tells. Dropping it cancels the stream.
#[must_use = "a stream whose reader is dropped is cancelled"]
pub struct NodeStream {
    at: String,
    body: Incoming,
    /// Drives the connection while somebody reads; gone once it has ended.
    connection: Option<Connection>,
    events: Events,
    ended: bool,
}

impl fmt::Debug for NodeStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeStream")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl NodeStream {
    pub(super) fn new(at: String, body: Incoming, connection: Connection) -> Self {
        NodeStream {
            at,
            body,
            connection: Some(connection),
            events: Events::default(),
            ended: false,
        }
    }

    /// The next item in JSON; nothing once the stream has ended well.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with what the stream ended with; the other kinds where the node was lost. Nothing follows.
    ///
    /// # Cancel safety
    /// Dropping the future loses no item.
    pub async fn next(&mut self) -> Option<Result<Bytes, ClientError>> {
        if self.ended {
            return None;
        }
        let next = match timeout(SILENCE_MAX, self.read()).await {
            Ok(next) => next,
            Err(_) => Err(ClientError::Late {
                at: self.at.clone(),
                after: SILENCE_MAX,
            }),
        };
        match next {
            Ok(Some(item)) => Some(Ok(item)),
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }

    async fn read(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            while let Some(event) = self.events.next() {
                match event.name.as_str() {
                    "" => return Ok(Some(event.data)),
                    "end" => return Ok(None),
                    "failure" => return Err(self.failed(&event.data)),
                    // Events of a later version say nothing to this one.
                    _ => {}
                }
            }
            match poll_fn(|cx| self.poll_bytes(cx)).await {
                Some(Ok(bytes)) => self.events.take(&bytes).map_err(|problem| self.stranger(problem))?,
                Some(Err(source)) => return Err(self.lost(source)),
                None => return Err(self.lost("the stream broke off")),
            }
        }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        if let Some(connection) = &mut self.connection
            && connection.as_mut().poll(cx).is_ready()
        {
            // What it brought can still be read.
            self.connection = None;
        }
        loop {
            return match std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Poll::Ready(Some(Ok(data))),
                    Err(_trailers) => continue,
                },
                Some(Err(error)) => Poll::Ready(Some(Err(error))),
                None => Poll::Ready(None),
            };
        }
    }

    fn failed(&self, data: &[u8]) -> ClientError {
        match serde_json::from_slice::<Problem>(data) {
            Ok(problem) => ClientError::Problem(Box::new(problem)),
            Err(_) => self.stranger("its failure is no problem document"),
        }
    }

    fn stranger(&self, problem: &str) -> ClientError {
        ClientError::NotANode {
            at: self.at.clone(),
            problem: problem.to_owned(),
        }
    }

    fn lost(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
        ClientError::Lost {
            at: self.at.clone(),
            source: source.into(),
        }
    }
}

/// One event: its name, and the lines of its data.
#[derive(Debug, Default, PartialEq)]
struct Event {
    name: String,
    data: Bytes,
}

/// Reads events out of pieces of text, wherever these are cut.
#[derive(Debug, Default)]
struct Events {
    rest: BytesMut,
    name: String,
    data: BytesMut,
    has_data: bool,
    /// How many bytes of the event at hand were read.
    size: usize,
    ready: VecDeque<Event>,
}

impl Events {
    fn next(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let mut line = self.rest.split_to(end);
            self.rest.advance(1);
            if line.last() == Some(&b'\r') {
                line.truncate(end - 1);
            }
            self.line(&line);
        }
        if self.size + self.rest.len() > EVENT_BYTES_MAX {
            return Err("one of its events is larger than 64 MiB");
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) {
        self.size += line.len();
        if line.is_empty() {
            self.size = 0;
            let name = std::mem::take(&mut self.name);
            let data = self.data.split().freeze();
            if std::mem::take(&mut self.has_data) {
                self.ready.push_back(Event { name, data });
            }
            return;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => self.name = String::from_utf8_lossy(value).into_owned(),
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.extend_from_slice(b"\n");
                }
                self.data.extend_from_slice(value);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_wherever_they_are_cut() {
        let text = ": keep-alive\n\nid: 1\ndata: {\"a\":1}\n\nid: 2\r\ndata: [\r\ndata:1]\r\n\r\nevent: end\ndata: {}\n\nevent: x\n\n";
        let event = |name: &str, data: &'static str| Event {
            name: name.to_owned(),
            data: Bytes::from_static(data.as_bytes()),
        };
        let expected = [event("", "{\"a\":1}"), event("", "[\n1]"), event("end", "{}")];
        for cut in 0..=text.len() {
            let mut events = Events::default();
            for piece in [&text[..cut], &text[cut..]] {
                events.take(piece.as_bytes()).expect("short events");
            }
            let read: Vec<Event> = std::iter::from_fn(|| events.next()).collect();
            assert_eq!(read, expected, "cut at {cut}");
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut events = Events::default();
        let piece = vec![b'x'; 1 << 20];
        let taken: Result<Vec<()>, _> = (0..=64).map(|_| events.take(&piece)).collect();
        assert!(taken.is_err());
    }
}
