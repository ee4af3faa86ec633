//! Messages that cost the connection: found at the server, kept as dead letters, and taken out of the stream.
//!
//! A message that the client library cannot read comes again over the next connection, and ends that one too: without this,
//! one message of a stranger would deafen every member of its group for ever. No other group could read it either, so it
//! leaves the stream once it is kept.

use std::time::Duration;

use bytes::Bytes;
use roadshow_bridges::Error;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::JetStream;
use super::api::ApiError;
use super::dead;
use super::group::Group;
use super::raw::{Stored, from_base64};
use crate::bridge::Shared;

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What the server has sent to somebody and nobody has acknowledged.
    Sent,
    /// Also what it would send next: each message that is found there saves a connection.
    Next,
}

impl Extent {
    /// At how many messages to look in one go, and for how long. What ended a process is to be found by the next one, which
    /// does not know how far this one came; after a lost connection there is always another time.
    fn bounds(self) -> (usize, Duration) {
        match self {
            Self::Sent => (4096, Duration::from_secs(2)),
            Self::Next => (256, Duration::from_millis(500)),
        }
    }
}

/// The part of a stream that is looked at.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    from: u64,
    /// The last message that was sent to somebody.
    sent: u64,
}

impl JetStream {
    /// Takes out of the stream what no member of the group can read. What is not reached this time is looked at next time.
    pub(crate) async fn clear(&self, shared: &Shared, group: &Group, extent: Extent) {
        match self.look(shared, group, extent).await {
            Ok(0) => {}
            Ok(found) => {
                let group = &group.name;
                tracing::warn!(
                    group,
                    found,
                    "messages that cannot be read were moved to the dead letters"
                );
            }
            Err(error) => {
                let group = &group.name;
                tracing::warn!(%error, group, "cannot look for messages that cannot be read");
            }
        }
    }

    /// As [`JetStream::clear`]; returns how many there were.
    async fn look(&self, shared: &Shared, group: &Group, extent: Extent) -> Result<usize, Error> {
        const WHAT: &str = "cannot read what a stream holds";
        let (messages_max, longest) = extent.bounds();
        let deadline = Instant::now() + longest;
        let place = format!("CONSUMER.INFO.{}.{}", group.stream, group.consumer);
        let info = self.api.call(&place, &Value::Null).await;
        let info = info.map_err(|error| error.explain(WHAT))?;
        let Some(Range { from, sent }) = range(&info, group.looked(), extent) else {
            return Ok(0);
        };
        let (mut next, mut found) = (from, 0);
        for _ in 0..messages_max {
            let stored = self.stored(group, next).await.map_err(|error| error.explain(WHAT))?;
            let Some(stored) = stored.filter(|stored| extent == Extent::Next || stored.seq <= sent) else {
                next = 0;
                break;
            };
            if let Some(why) = stored.trouble() {
                self.remove(shared, group, &stored, why).await?;
                found += 1;
            }
            next = stored.seq + 1;
            group.look_from(next);
            if Instant::now() >= deadline {
                break;
            }
        }
        group.look_from(if next > sent { 0 } else { next });
        Ok(found)
    }

    /// The first message of the group at this place or after it.
    async fn stored(&self, group: &Group, from: u64) -> Result<Option<Stored>, ApiError> {
        let question = json!({"seq": from, "next_by_subj": group.filter()});
        let place = format!("STREAM.MSG.GET.{}", group.stream);
        match self.api.call(&place, &question).await {
            Ok(mut answer) => Ok(serde_json::from_value(answer["message"].take()).ok()),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps a message as a dead letter, and then takes it out of the stream.
    async fn remove(&self, shared: &Shared, group: &Group, stored: &Stored, why: &str) -> Result<(), Error> {
        const WHAT: &str = "cannot take a message that cannot be read out of its stream";
        // Every member of every group that finds it writes the same letter, which is kept once.
        let id = format!("{}:{}:{}:unreadable", group.stream, stored.seq, stored.time);
        let payload = Bytes::from(from_base64(&stored.data).unwrap_or_default());
        let letter = dead::raw(&self.namespace, stored, payload, &group.name, why, id);
        self.keep(shared, letter).await?;
        let place = format!("STREAM.MSG.DELETE.{}", group.stream);
        if let Err(error) = self
            .api
            .call(&place, &json!({"seq": stored.seq, "no_erase": true}))
            .await
        {
            // Of a message that somebody else took out before, a server of 2.9 says what it says of any trouble.
            let first = self.stored(group, stored.seq).await;
            let first = first.map_err(|error| error.explain(WHAT))?;
            if first.is_some_and(|first| first.seq == stored.seq) {
                return Err(error.explain(WHAT));
            }
        }
        shared.wire.counters.message_unreadable(&stored.subject);
        Ok(())
    }
}

/// What of a group is to be looked at; `None` if there is nothing.
fn range(info: &Value, looked: u64, extent: Extent) -> Option<Range> {
    let number = |pointer: &str| info.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let (floor, sent) = (number("/ack_floor/stream_seq"), number("/delivered/stream_seq"));
    let further = extent == Extent::Next && number("/num_pending") > 0;
    if number("/num_ack_pending") == 0 && !further {
        return None;
    }
    let from = if looked > floor && looked <= sent {
        looked
    } else {
        floor + 1
    };
    Some(Range { from, sent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_and_not_acknowledged_is_looked_at_and_where_the_last_look_ended() {
        let info = |unacknowledged: u64, pending: u64| {
            json!({
                "ack_floor": {"stream_seq": 10},
                "delivered": {"stream_seq": 900},
                "num_ack_pending": unacknowledged,
                "num_pending": pending,
            })
        };
        let from = |from| Some(Range { from, sent: 900 });
        let table = [
            (info(1, 0), 0, Extent::Sent, from(11)),
            (info(1, 0), 300, Extent::Sent, from(300)),
            (info(1, 0), 9, Extent::Next, from(11)),
            (info(1, 0), 901, Extent::Next, from(11)),
            (info(0, 1), 0, Extent::Next, from(11)),
            (info(0, 1), 0, Extent::Sent, None),
            (info(0, 0), 0, Extent::Next, None),
        ];
        for (info, looked, extent, expected) in table {
            assert_eq!(range(&info, looked, extent), expected, "{info} {looked} {extent:?}");
        }
    }
}
