//! How often a message was started in its group, across members and their deaths.
//!
//! The server counts deliveries, and a member's death makes it count messages that nobody had started. So what a living
//! member knows is written down (a start that failed, before the message is given back), and a delivery that
//! ended without a word is not counted; but from then on each start is written down before it happens. Decision 0017.

use std::sync::Arc;

use async_nats::StatusCode;
use bytes::Bytes;
use roadshow_bridges::{Error, Namespace};

use super::api::{Api, LONGEST, outbound};
use super::held::Place;
use super::publish::Answer;
use super::streams::{Needed, Plan};

/// The notes about starts of one namespace. The stream is made when the first note is written.
#[derive(Debug, Clone)]
pub(crate) struct Starts {
    root: Arc<str>,
    pub(crate) stream: Needed,
}

impl Starts {
    pub(crate) fn new(ns: &Namespace, max_bytes: i64) -> Self {
        Self {
            root: format!("{ns}.starts").into(),
            stream: Needed::new(Plan::starts(ns, max_bytes)),
        }
    }

    fn subject(&self, consumer: &str, sequence: u64) -> String {
        format!("{}.{consumer}.{sequence}", self.root)
    }

    /// Writes down that a message was started so often, and waits until that is kept.
    pub(crate) async fn write(&self, api: &Api, consumer: &str, place: Place, starts: u32) -> Result<(), Error> {
        const WHAT: &str = "cannot write down how often a message was started";
        self.stream.make(api).await?;
        let payload = Bytes::from(note(starts, place));
        let message = outbound(self.subject(consumer, place.sequence), None, payload);
        let answer = api.store(message, LONGEST).await;
        let answer = answer.map_err(|error| error.explain(WHAT))?;
        Answer::read(&answer.payload, self.stream.name()).stored(WHAT)
    }

    /// What was written down about a message; `None` if nothing was, or it cannot be read now.
    pub(crate) async fn read(&self, api: &Api, consumer: &str, place: Place) -> Option<u32> {
        // To a question about a stream that is not there, a server gives no answer at all.
        self.stream.make(api).await.ok()?;
        let subject = format!(
            "$JS.API.DIRECT.GET.{}.{}",
            self.stream.name(),
            self.subject(consumer, place.sequence)
        );
        let answer = api.ask_at(subject, Bytes::new()).await.ok()?;
        if answer.status.is_some_and(|status| status != StatusCode::OK) {
            return None;
        }
        read_note(std::str::from_utf8(&answer.payload).ok()?, place)
    }
}

/// A note names the message by the time when it was stored: in a stream that was made anew, its place is another's.
fn note(starts: u32, place: Place) -> String {
    format!("{starts} {}", place.stored_ns)
}

/// How often a message was started, if the note is about it.
fn read_note(note: &str, place: Place) -> Option<u32> {
    let (starts, stored_ns) = note.split_once(' ')?;
    if stored_ns.parse() != Ok(place.stored_ns) {
        return None;
    }
    starts.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_about_one_message_and_not_its_place() {
        let place = |stored_ns| Place { sequence: 1, stored_ns };
        let note = note(3, place(7));
        assert_eq!(read_note(&note, place(7)), Some(3));
        for (note, place) in [
            (note.as_str(), place(8)),
            ("3", place(7)),
            ("", place(7)),
            ("x 7", place(7)),
        ] {
            assert_eq!(read_note(note, place), None, "{note}");
        }
    }
}
