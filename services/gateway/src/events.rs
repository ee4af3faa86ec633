//! A stream on its way out as server-sent events.
//!
//! An item is taken from its producer only when the connection has room for it, so a client that reads slowly holds the
//! producer back, and one that goes away cancels it. A comment keeps proxies from closing a quiet stream. The last event
//! says how it ended: `end`, or `failure` with the problem; the items have no event name, so that a browser hands them to
//! `onmessage`.

use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use roadshow_services::{EncodedReader, Executed, Failure, NodeView, Phase};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::meters::Streaming;
use crate::problem::Problem;

/// How often it is looked whether the node drains.
const TICK: Duration = Duration::from_millis(500);
/// After so many quiet ticks the stream says that it lives.
const KEEP_ALIVE_TICKS: u32 = 30;
/// How many ticks of a drain a producer has to end by itself, with better words.
const DRAIN_TICKS: u32 = 2;
/// How often a stream says at least that it lives.
pub(crate) const KEEP_ALIVE: Duration = TICK.saturating_mul(KEEP_ALIVE_TICKS);

const COMMENT: Bytes = Bytes::from_static(b": keep-alive\n\n");
const END: Bytes = Bytes::from_static(b"event: end\ndata: {}\n\n");

/// The rest of a stream.
#[derive(Debug)]
pub(crate) struct Events {
    /// Gone once the last event was said.
    reader: Option<EncodedReader>,
    /// The place of the item that was said last, from 1.
    place: u64,
    node: NodeView,
    tick: Pin<Box<Interval>>,
    quiet_ticks: u32,
    drain_ticks: u32,
    _counted: Streaming,
}

impl Events {
    pub(crate) fn new(reader: EncodedReader, node: NodeView, counted: Streaming) -> Self {
        let mut tick = interval(TICK);
        // One tick after a pause says as much as many.
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Events {
            reader: Some(reader),
            place: 0,
            node,
            tick: Box::pin(tick),
            quiet_ticks: 0,
            drain_ticks: 0,
            _counted: counted,
        }
    }

    /// Whether the last event was said.
    pub(crate) fn is_ended(&self) -> bool {
        self.reader.is_none()
    }

    /// The next event or comment.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(reader) = &mut self.reader else {
            return Poll::Ready(None);
        };
        let said = match reader.poll_next(cx) {
            Poll::Ready(Some(Ok(item))) => {
                self.place += 1;
                self.quiet_ticks = 0;
                Some(item_event(self.place, &item))
            }
            Poll::Ready(Some(Err(failure))) => return self.end(failure_event(failure)),
            Poll::Ready(None) => return self.end(END),
            Poll::Pending => None,
        };
        while self.tick.as_mut().poll_tick(cx).is_ready() {
            self.quiet_ticks += 1;
            if matches!(self.node.phase(), Phase::Draining | Phase::Stopped) {
                self.drain_ticks += 1;
            }
        }
        if said.is_some() {
            return Poll::Ready(said);
        }
        if self.drain_ticks >= DRAIN_TICKS {
            return self.end(failure_event(drained()));
        }
        if self.quiet_ticks >= KEEP_ALIVE_TICKS {
            self.quiet_ticks = 0;
            return Poll::Ready(Some(COMMENT));
        }
        Poll::Pending
    }

    fn end(&mut self, last: Bytes) -> Poll<Option<Bytes>> {
        self.reader = None;
        Poll::Ready(Some(last))
    }
}

fn drained() -> Failure {
    Failure::unavailable("this node is shutting down").with_executed(Executed::Unknown)
}

/// An item with its place. Breaks in its JSON, which only a foreign producer makes, become lines of their own: whoever
/// reads events joins them again.
fn item_event(place: u64, item: &[u8]) -> Bytes {
    let mut event = Vec::with_capacity(item.len() + 32);
    event.extend_from_slice(format!("id: {place}\n").as_bytes());
    for line in item.split(|byte| matches!(byte, b'\n' | b'\r')) {
        event.extend_from_slice(b"data: ");
        event.extend_from_slice(line);
        event.push(b'\n');
    }
    event.push(b'\n');
    event.into()
}

fn failure_event(failure: Failure) -> Bytes {
    let problem = Problem::from(failure);
    let mut event = String::from("event: failure\n");
    let data = serde_json::to_string(&problem).unwrap_or_else(|_| "{}".to_owned());
    write!(event, "data: {data}\n\n").expect("a string takes what is written");
    event.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_keeps_its_json_whatever_breaks_are_in_it() {
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        assert_eq!(text(item_event(1, b"{\"a\":1}")), "id: 1\ndata: {\"a\":1}\n\n");
        assert_eq!(
            text(item_event(7, b"[\n1,\r2]")),
            "id: 7\ndata: [\ndata: 1,\ndata: 2]\n\n"
        );
        assert_eq!(text(item_event(2, b"")), "id: 2\ndata: \n\n");
    }

    #[test]
    fn a_failure_is_one_event_with_the_problem() {
        let event = failure_event(Failure::unavailable("gone\naway"));
        let text = std::str::from_utf8(&event).expect("UTF-8");
        let data = text.strip_prefix("event: failure\ndata: ").expect("an event");
        let problem: serde_json::Value = serde_json::from_str(data.trim_end()).expect("one line of JSON");
        assert_eq!(
            (&problem["status"], &problem["code"]),
            (&503.into(), &"unavailable".into())
        );
        assert!(text.ends_with("\n\n") && text.lines().count() == 3, "{text:?}");
    }
}
