//! One request to a stream's route: server-sent events for whoever asks for them, else a JSON list of all items.
//!
//! A list is gathered before it is sent, so it is bounded by items, bytes and time; what is longer is refused with the
//! advice to take events. Events are bounded by nothing but their client's demand.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};
use roadshow_services::{AddressBuf, CallOptions, EncodedReader, Executed, Failure};
use serde::de::IgnoredAny;
use tokio::time::timeout;

use crate::answer::{self, Answer, JSON};
use crate::api;
use crate::content::Content;
use crate::door::Door;
use crate::events::Events;
use crate::refusal::Refusal;

/// The most items of a list.
pub(crate) const ITEMS_MAX: usize = 10_000;

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
/// Keeps nginx and its like from collecting events.
const UNBUFFERED: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-accel-buffering"),
    HeaderValue::from_static("no"),
);

/// How a stream is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Events,
    List,
}

/// Opens a stream and tells what it says, in which conversation.
pub(crate) async fn open(door: &Door, address: &AddressBuf, input: Bytes, options: &CallOptions, form: Form) -> Answer {
    let outgoing = door.node.client().outgoing(options);
    let identity = outgoing.identity().clone();
    let mut answer = match outgoing.open_json(address, input).await {
        Ok(reader) => match form {
            Form::Events => events(door, reader),
            Form::List => {
                let limits = door.node.limits();
                let time = options.timeout.unwrap_or(limits.timeout_max);
                list(reader, limits.payload_max, time).await
            }
        },
        Err(failure) => Refusal::from(failure).into_answer(),
    };
    api::tell_conversation(&mut answer, &identity);
    answer
}

fn events(door: &Door, reader: EncodedReader) -> Answer {
    let mut answer = answer::empty(StatusCode::OK);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, EVENT_STREAM);
    headers.insert(UNBUFFERED.0, UNBUFFERED.1);
    let events = Events::new(reader, door.node.clone(), door.meters.streaming());
    *answer.body_mut() = Content::Events(Box::new(events));
    answer
}

/// All items as one list; dropping the reader at a bound cancels the producer.
async fn list(reader: EncodedReader, bytes_max: usize, time_max: Duration) -> Answer {
    let gathered = timeout(time_max, gather(reader, bytes_max)).await;
    match gathered.unwrap_or_else(|_| Err(endless(time_max))) {
        Ok(list) => answer::content(StatusCode::OK, JSON, list),
        Err(refusal) => refusal.into_answer(),
    }
}

async fn gather(mut reader: EncodedReader, bytes_max: usize) -> Result<Bytes, Refusal> {
    let mut list = BytesMut::from(&b"["[..]);
    let mut items = 0;
    while let Some(item) = reader.next().await {
        let item = item.map_err(Refusal::from)?;
        if items == ITEMS_MAX {
            return Err(Refusal::stream_too_long(&format!("{ITEMS_MAX} items")));
        }
        if list.len() + item.len() + 2 > bytes_max {
            return Err(Refusal::stream_too_long(&format!("{bytes_max} bytes")));
        }
        if serde_json::from_slice::<IgnoredAny>(&item).is_err() {
            let failure = Failure::internal("the stream said something that is no JSON");
            return Err(failure.with_executed(Executed::Unknown).into());
        }
        if items > 0 {
            list.put_u8(b',');
        }
        list.put(item);
        items += 1;
    }
    list.put_u8(b']');
    Ok(list.freeze())
}

fn endless(time: Duration) -> Refusal {
    let text = format!("the stream did not end within {time:?}: ask for text/event-stream to read it while it goes on");
    Failure::timeout(text).with_executed(Executed::Unknown).into()
}
