//! Envelopes as messages of RabbitMQ, and back.
//!
//! Headers are texts in the table of headers. CloudEvents attributes bear the prefix `cloudEvents:`, as the binding for
//! AMQP has it; `cloudEvents_` is read too, for clients that cannot write a colon. What AMQP has a property for is that
//! property: content type, reply address, correlation, and the message id beside our own header.

use std::borrow::Cow;
use std::str;

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::message::Delivery as Message;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use roadshow_bridges::{Arrival, Envelope, Error, Kind, MessageId, Namespace, Received, Subject, header};

use crate::text::short;

/// The prefix of CloudEvents attributes that is written.
const CE_PREFIX: &str = "cloudEvents:";
/// Another one that is read.
const CE_PREFIX_PLAIN: &str = "cloudEvents_";
/// The subject of a message that came back from a tier: there its routing key is the queue's name.
pub(crate) const SUBJECT: &str = "rs-subject";
/// What the headers of a dead letter begin with.
const DEAD_PREFIX: &str = "rs-dead-";
/// The longest reason in a dead letter, in characters.
const REASON_CHARS_MAX: usize = 1024;
/// How a message is kept: across a restart of the broker, or in memory.
const PERSISTENT: u8 = 2;
const TRANSIENT: u8 = 1;

/// A message that is ready to be published.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) exchange: ShortString,
    pub(crate) routing_key: ShortString,
    /// Whether the broker sends it back when no queue wants it.
    pub(crate) mandatory: bool,
    pub(crate) properties: BasicProperties,
    pub(crate) payload: Bytes,
}

/// The properties of an envelope's message, with headers.
///
/// # Errors
///
/// `Rejected` if a reply address is longer than the protocol allows.
pub(crate) fn properties(envelope: &Envelope, namespace: &Namespace) -> Result<BasicProperties, Error> {
    let mut table = FieldTable::default();
    let mut properties = BasicProperties::default();
    for (name, value) in envelope.to_headers(namespace.usual_kind(envelope.subject.as_str())) {
        if name == header::CONTENT_TYPE {
            properties = properties.with_content_type(short("a content type", &value).unwrap_or_default());
            continue;
        }
        insert(&mut table, &spelled(name), value);
    }
    for (name, value) in envelope.headers.iter() {
        insert(&mut table, name, value);
    }
    if !table.inner().is_empty() {
        properties = properties.with_headers(table);
    }
    let id = envelope.identity.id.to_string();
    properties = properties.with_message_id(short("a message id", &id)?);
    let correlation = envelope
        .transport_correlation
        .as_deref()
        .and_then(|bytes| str::from_utf8(bytes).ok());
    if let Some(correlation) = correlation.and_then(|text| ShortString::try_new(text).ok()) {
        properties = properties.with_correlation_id(correlation);
    }
    if let Some(reply_to) = &envelope.reply_to {
        properties = properties.with_reply_to(short("a reply address", reply_to.as_str())?);
    }
    let lasting = matches!(envelope.kind, Kind::Event);
    Ok(properties.with_delivery_mode(if lasting { PERSISTENT } else { TRANSIENT }))
}

/// Adds a header to properties that are made already.
pub(crate) fn with_header(properties: BasicProperties, name: &str, value: &str) -> BasicProperties {
    let mut table = properties.headers().clone().unwrap_or_default();
    insert(&mut table, name, value);
    properties.with_headers(table)
}

/// Says on a dead letter what happened to it.
pub(crate) fn with_cause(properties: BasicProperties, dead: &Cause<'_>) -> BasicProperties {
    let reason: String = dead
        .reason
        .chars()
        .filter(|c| !c.is_control())
        .take(REASON_CHARS_MAX)
        .collect();
    let entries = [
        ("reason", reason),
        ("group", dead.group.to_owned()),
        ("subject", dead.subject.to_owned()),
        ("attempts", dead.attempts.to_string()),
    ];
    let add =
        |properties, (name, value): (&str, String)| with_header(properties, &format!("{DEAD_PREFIX}{name}"), &value);
    entries.into_iter().fold(properties.with_delivery_mode(PERSISTENT), add)
}

/// Why a message is a dead letter.
#[derive(Debug)]
pub(crate) struct Cause<'a> {
    pub(crate) reason: &'a str,
    pub(crate) group: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) attempts: u32,
}

/// The header in the spelling of AMQP.
fn spelled(name: &str) -> Cow<'_, str> {
    match name.strip_prefix(header::CE_PREFIX) {
        Some(attribute) => Cow::Owned(format!("{CE_PREFIX}{attribute}")),
        None => Cow::Borrowed(name),
    }
}

/// A header in our spelling.
fn unspelled(name: &str) -> Cow<'_, str> {
    let attribute = [CE_PREFIX, CE_PREFIX_PLAIN].into_iter().find_map(|prefix| {
        let head = name.get(..prefix.len())?;
        head.eq_ignore_ascii_case(prefix).then(|| &name[prefix.len()..])
    });
    match attribute {
        Some(attribute) => Cow::Owned(format!("{}{attribute}", header::CE_PREFIX)),
        None => Cow::Borrowed(name),
    }
}

fn insert(table: &mut FieldTable, name: &str, value: impl Into<LongString>) {
    if let Ok(name) = ShortString::try_new(name) {
        table.insert(name, AMQPValue::LongString(value.into()));
    }
}

/// The subject that a message was published to: its routing key, or what its header says where it came by the
/// default exchange, which knows queues only.
pub(crate) fn subject_of(message: &Message) -> Option<Subject> {
    let told = message
        .exchange
        .as_str()
        .is_empty()
        .then(|| header_text(message, SUBJECT))
        .flatten();
    match told {
        Some(subject) => Subject::foreign(&subject).ok(),
        None => Subject::foreign(message.routing_key.as_str()).ok(),
    }
}

fn header_text(message: &Message, name: &str) -> Option<String> {
    let table = message.properties.headers().as_ref()?;
    plain(table.inner().get(name)?).map(Cow::into_owned)
}

/// Reads a message. Nothing fails: what cannot be read is dropped and counted.
pub(crate) fn read(message: Message, subject: Subject, namespace: &Namespace, fresh: MessageId) -> Received {
    let usual = namespace.usual_kind(subject.as_str());
    let mut arrival = Arrival::new(subject, usual, fresh, Bytes::from(message.data));
    let properties = &message.properties;
    let mut dropped = 0;
    if let Some(reply_to) = properties.reply_to().as_ref().filter(|text| !text.as_str().is_empty()) {
        let readable = Subject::foreign(reply_to.as_str());
        dropped += u32::from(readable.is_err());
        arrival.reply_to = Some(readable.unwrap_or_else(|_| Subject::unreadable()));
    }
    let correlation = properties.correlation_id().as_ref();
    arrival.transport_correlation = correlation.map(|text| Bytes::copy_from_slice(text.as_str().as_bytes()));
    let mut headers: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    if let Some(content_type) = properties.content_type() {
        headers.push((
            Cow::Borrowed(header::CONTENT_TYPE),
            Cow::Borrowed(content_type.as_str()),
        ));
    }
    for (name, value) in properties.headers().iter().flat_map(|table| table.inner()) {
        if is_of_the_broker(name.as_str()) {
            continue;
        }
        match plain(value) {
            Some(value) => headers.push((unspelled(name.as_str()), value)),
            None => dropped += 1,
        }
    }
    // A stranger's event has its id where AMQP has it, so that one that is sent twice has one id.
    if let Some(id) = properties.message_id().as_ref().filter(|_| usual == Kind::Event)
        && !headers.iter().any(|(name, _)| is_id(name))
    {
        headers.push((Cow::Borrowed(header::CE_ID), Cow::Borrowed(id.as_str())));
    }
    let headers = headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
    let mut received = Envelope::from_headers(arrival, headers);
    received.dropped += dropped;
    received
}

fn is_id(name: &str) -> bool {
    name.eq_ignore_ascii_case(header::CE_ID) || name.eq_ignore_ascii_case(header::ID)
}

/// Whether a header is a note of the broker, or of this adapter to itself.
fn is_of_the_broker(name: &str) -> bool {
    let notes = ["x-death", "x-first-death-", "x-last-death-", "x-delivery-count"];
    name == SUBJECT || notes.into_iter().any(|note| name.starts_with(note))
}

/// A value as a text, where it is a plain one.
fn plain(value: &AMQPValue) -> Option<Cow<'_, str>> {
    Some(match value {
        AMQPValue::LongString(text) => Cow::Borrowed(str::from_utf8(text.as_bytes()).ok()?),
        AMQPValue::ByteArray(bytes) => Cow::Borrowed(str::from_utf8(bytes.as_slice()).ok()?),
        AMQPValue::ShortString(text) => Cow::Borrowed(text.as_str()),
        AMQPValue::Boolean(value) => Cow::Owned(value.to_string()),
        AMQPValue::ShortShortInt(number) => Cow::Owned(number.to_string()),
        AMQPValue::ShortShortUInt(number) => Cow::Owned(number.to_string()),
        AMQPValue::ShortInt(number) => Cow::Owned(number.to_string()),
        AMQPValue::ShortUInt(number) => Cow::Owned(number.to_string()),
        AMQPValue::LongInt(number) => Cow::Owned(number.to_string()),
        AMQPValue::LongUInt(number) => Cow::Owned(number.to_string()),
        AMQPValue::LongLongInt(number) => Cow::Owned(number.to_string()),
        AMQPValue::Timestamp(number) => Cow::Owned(number.to_string()),
        _ => return None,
    })
}
