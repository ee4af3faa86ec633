//! From an envelope to a NATS message and back.
//!
//! Headers are those of `docs/WIRE.md`, written as they are; CloudEvents attributes keep their prefix `ce-`, as the NATS
//! binding asks. The reply address rides in the message's own reply field.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::message::OutboundMessage;
use async_nats::{HeaderMap, HeaderName, Message, StatusCode};
use bytes::Bytes;
use roadshow_bridges::{Arrival, Envelope, Error, Identity, Kind, MessageId, Namespace, Parcel, Subject};
use tokio::time::Instant;

use crate::counters::Counters;
use crate::hex::{from_hex, to_hex};

/// The header by which JetStream knows a message that comes twice.
pub(crate) const NATS_MESSAGE_ID: &str = "Nats-Msg-Id";
/// A foreign header whose value begins or ends with a blank, which every NATS client cuts off: its name and, in hexadecimal
/// digits, its value.
const BLANKS: &str = "rs-blanks";
/// The correlation of another transport that a message passed through, in hexadecimal digits: NATS has none of its own.
const ECHO: &str = "rs-echo";
/// What is kept free of the server's limit for our headers: the server counts them with the payload.
const HEADER_ROOM: usize = 4096;

/// The largest payload beside our headers.
pub(crate) fn payload_bytes_max(max_payload: usize) -> usize {
    max_payload.saturating_sub(HEADER_ROOM)
}

/// Makes messages of envelopes and envelopes of messages.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) namespace: Namespace,
    /// What the subjects of events begin with.
    events: String,
    /// What the subjects of commands begin with.
    commands: String,
    pub(crate) counters: Arc<Counters>,
}

impl Wire {
    pub(crate) fn new(namespace: Namespace, counters: Arc<Counters>) -> Self {
        let events = format!("{namespace}.evt.");
        let commands = format!("{namespace}.cmd.");
        Self {
            namespace,
            events,
            commands,
            counters,
        }
    }

    /// Whether a subject is that of an event of ours: what JetStream keeps.
    pub(crate) fn is_event(&self, subject: &str) -> bool {
        subject.starts_with(&self.events)
    }

    /// Whether a subject is that of a command of ours: one group hears it.
    pub(crate) fn is_command(&self, subject: &str) -> bool {
        subject.starts_with(&self.commands)
    }

    /// Makes a message of an envelope.
    ///
    /// # Errors
    ///
    /// `Rejected` if the payload is too large or cannot be encoded, or the subject is none that may be published to.
    pub(crate) fn encode(&self, envelope: &Envelope, payload_max: usize) -> Result<OutboundMessage, Error> {
        let subject = envelope.subject.as_str();
        if !is_plain(subject)
            || envelope
                .reply_to
                .as_ref()
                .is_some_and(|reply| !is_plain(reply.as_str()))
        {
            return Err(refused(envelope, "a subject in it is not one that NATS can publish to"));
        }
        let payload = envelope.payload.to_bytes()?;
        if payload.len() > payload_max {
            let error = refused(envelope, "the payload is too large");
            return Err(error.with("bytes", payload.len()).with("limit", payload_max));
        }
        let usual = self.namespace.usual_kind(subject);
        let ours = envelope.to_headers(usual);
        let is_bare = ours.is_empty() && envelope.headers.is_empty() && envelope.transport_correlation.is_none();
        let headers = (!is_bare).then(|| headers(ours, envelope));
        Ok(OutboundMessage {
            subject: subject.into(),
            reply: envelope.reply_to.as_ref().map(|reply| reply.as_str().into()),
            payload,
            headers,
        })
    }

    /// Makes a parcel of a message; `None` if it is only a note between server and client.
    pub(crate) fn decode(&self, message: &Message, known: Option<&Subject>) -> Option<Parcel> {
        match message.status {
            Some(StatusCode::NO_RESPONDERS) => return returned(message),
            Some(_) => return None,
            None => {}
        }
        let subject = subject_of(&message.subject, known)?;
        let usual = self.namespace.usual_kind(subject.as_str());
        let fresh_id = MessageId::from_u128(rand::random());
        let mut arrival = Arrival::new(subject, usual, fresh_id, message.payload.clone());
        // An event has no answer; what stands there is where the publisher waits for the server.
        if usual != Kind::Event {
            arrival.reply_to = message
                .reply
                .as_deref()
                .map(|reply| Subject::foreign(reply).unwrap_or_else(|_| Subject::unreadable()));
        }
        let received = match &message.headers {
            Some(map) if !has_rare(map) => Envelope::from_headers(arrival, pairs(map)),
            Some(map) => {
                arrival.transport_correlation = map
                    .get(ECHO)
                    .and_then(|digits| from_hex(digits.as_str()))
                    .map(Bytes::from);
                let blanks = blanks(map);
                let unblanked = pairs(map).filter(|(name, _)| !blanks.iter().any(|(blank, _)| blank == name));
                let blanks = blanks.iter().map(|(name, value)| (*name, value.as_str()));
                Envelope::from_headers(arrival, unblanked.chain(blanks))
            }
            None => Envelope::from_headers(arrival, []),
        };
        self.counters.headers_dropped(received.dropped, &message.subject);
        let since = since(&received.envelope);
        let mut parcel = Parcel::new(Arc::new(received.envelope));
        parcel.since = since;
        Some(parcel)
    }
}

/// Whether a subject is one place: no wildcard, no empty token, nothing of the server's own.
fn is_plain(subject: &str) -> bool {
    // In one go: it is asked of both subjects of every message. What comes before the first token is a dot.
    let mut before = b'.';
    for byte in subject.bytes() {
        let ends_empty = byte == b'.' && before == b'.';
        if ends_empty || matches!(byte, b'*' | b'>') || !byte.is_ascii_graphic() {
            return false;
        }
        before = byte;
    }
    before != b'.' && !subject.starts_with('$')
}

fn refused(envelope: &Envelope, why: &str) -> Error {
    Error::rejected(format!("cannot publish to {}: {why}", envelope.subject))
}

/// The headers of an envelope as NATS writes them.
pub(crate) fn headers(ours: Vec<(&'static str, String)>, envelope: &Envelope) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in ours {
        // A name that is known to be good is neither checked nor copied.
        map.insert(HeaderName::from_static(name), value);
    }
    for (name, value) in envelope.headers.iter() {
        // The server reads these for itself: a stranger's copy must not steer it.
        if is_servers(name) {
            continue;
        }
        if value.trim().len() < value.len() {
            map.append(BLANKS, format!("{name} {}", to_hex(value.as_bytes())));
        }
        map.append(name, value);
    }
    if let Some(correlation) = &envelope.transport_correlation {
        map.insert(ECHO, to_hex(correlation));
    }
    map
}

/// Headers whose blanks at their ends the way over NATS has cost.
fn blanks(map: &HeaderMap) -> Vec<(&str, String)> {
    let read = |value: &'_ async_nats::HeaderValue| {
        let (name, digits) = value.as_str().split_once(' ')?;
        let value = String::from_utf8(from_hex(digits)?).ok()?;
        Some((name.len(), value))
    };
    map.get_all(BLANKS)
        .filter_map(|entry| read(entry).map(|(len, value)| (&entry.as_str()[..len], value)))
        .collect()
}

/// Whether there is a header that stands for something else. Hashing their names would cost more than looking at all.
fn has_rare(map: &HeaderMap) -> bool {
    map.iter().any(|(name, _)| matches!(name.as_ref(), ECHO | BLANKS))
}

pub(crate) fn is_servers(name: &str) -> bool {
    name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("nats-"))
}

fn pairs(map: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    pairs_with_servers(map).filter(|(name, _)| !is_servers(name) && !matches!(*name, ECHO | BLANKS))
}

fn pairs_with_servers(map: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    map.iter()
        .flat_map(|(name, values)| values.iter().map(move |value| (name.as_ref(), value.as_str())))
}

fn subject_of(subject: &str, known: Option<&Subject>) -> Option<Subject> {
    match known {
        Some(known) if known.as_str() == subject => Some(known.clone()),
        _ => Subject::foreign(subject).ok(),
    }
}

/// A message of ours that came back, because nobody listens to its subject.
fn returned(message: &Message) -> Option<Parcel> {
    let subject = Subject::foreign(&message.subject).ok()?;
    let identity = Identity::root(MessageId::from_u128(rand::random()));
    let envelope = Envelope::new(Kind::Failure, subject, identity, Bytes::new());
    let mut parcel = Parcel::new(Arc::new(envelope));
    parcel.returned = true;
    Some(parcel)
}

/// When a message was sent, where that counts and its sender's clock is believed.
fn since(envelope: &Envelope) -> Option<Instant> {
    envelope.identity.budget?;
    Instant::now().checked_sub(envelope.believed_age(now_ms())?)
}

/// Unix time in milliseconds.
#[expect(
    clippy::disallowed_methods,
    reason = "ages of messages from other machines are told in wall-clock time only"
)]
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// The envelope's budget less what has passed since it was sent, and the time of now.
pub(crate) fn restamp(envelope: &mut Envelope, since: Option<Instant>) {
    if let (Some(budget), Some(since)) = (envelope.identity.budget, since) {
        envelope.identity.budget = Some(budget.saturating_sub(since.elapsed()));
        envelope.sent_ms = Some(now_ms());
    }
}

/// The message id as JetStream gets it.
pub(crate) fn message_id(envelope: &Envelope) -> String {
    envelope.identity.id.to_string()
}

/// What a message counts for at the server: headers and payload.
pub(crate) fn size(message: &OutboundMessage) -> usize {
    let line = |name: &str, value: &str| name.len() + value.len() + 4;
    let headers = message.headers.iter().flat_map(pairs_with_servers);
    message.payload.len() + 12 + headers.map(|(name, value)| line(name, value)).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use roadshow_bridges::{EventName, Identity};

    fn wire() -> Wire {
        Wire::new(Namespace::default(), Arc::new(Counters::new()))
    }

    fn message(out: OutboundMessage) -> Message {
        Message {
            subject: out.subject,
            reply: out.reply,
            payload: out.payload,
            headers: out.headers,
            status: None,
            description: None,
            length: 0,
        }
    }

    fn event() -> Envelope {
        let subject = Namespace::default().event_subject(EventName::new("a.b"));
        let identity = Identity::root(MessageId::from_u128(7)).with_budget(Duration::from_secs(1));
        Envelope::event(
            subject,
            EventName::new("a.b").into(),
            identity,
            Bytes::from_static(b"{}"),
        )
    }

    #[test]
    fn an_envelope_survives_the_wire() {
        let mut sent = event();
        sent.headers.push("x-own", "ü");
        sent.headers.push("Nats-Rollup", "all");
        sent.sent_ms = Some(now_ms());
        let out = wire().encode(&sent, 100).expect("encodes");
        let headers = out.headers.clone().expect("headers");
        assert_eq!(headers.get("ce-type").map(|value| value.as_str()), Some("a.b"));
        assert!(headers.get("Nats-Rollup").is_none(), "a stranger steers the server");
        let got = wire().decode(&message(out), Some(&sent.subject)).expect("a message");
        assert_eq!(got.envelope.identity, sent.identity);
        assert_eq!(got.envelope.headers.get("x-own"), Some("ü"));
        assert!(got.since.is_some_and(|since| since.elapsed() < Duration::from_secs(5)));
    }

    #[test]
    fn blanks_at_the_ends_of_a_value_and_a_foreign_correlation_survive() {
        let mut sent = event();
        for (name, value) in [("a", " x  y "), ("b", "plain"), ("c", "\u{a0}")] {
            assert!(sent.headers.push(name, value));
        }
        sent.transport_correlation = Some(Bytes::from_static(b"\x00\xff"));
        let mut out = wire().encode(&sent, 100).expect("encodes");
        let trimmed: HeaderMap =
            out.headers
                .iter()
                .flat_map(pairs_with_servers)
                .fold(HeaderMap::new(), |mut map, (name, value)| {
                    map.append(name, value.trim());
                    map
                });
        out.headers = Some(trimmed);
        let got = wire().decode(&message(out), None).expect("a message").envelope;
        let values: Vec<_> = ["a", "b", "c"].map(|name| got.headers.get(name)).to_vec();
        assert_eq!(values, [Some(" x  y "), Some("plain"), Some("\u{a0}")]);
        assert_eq!(
            (got.headers.len(), &got.transport_correlation),
            (3, &sent.transport_correlation)
        );
    }

    #[test]
    fn a_success_reply_has_no_headers_at_all() {
        let subject = Subject::foreign("_INBOX.abc.1").expect("a subject");
        let identity = Identity::root(MessageId::from_u128(7));
        let reply = Envelope::new(Kind::Reply, subject, identity, Bytes::from_static(b"1"));
        assert!(wire().encode(&reply, 100).expect("encodes").headers.is_none());
    }

    #[test]
    fn a_subject_is_one_place_and_not_the_servers() {
        for text in ["a", "roadshow.cmd.user.1.x", "_INBOX.x-Y_z.1", "a.$b"] {
            assert!(is_plain(text), "{text}");
        }
        for text in ["$JS.API.STREAM.DELETE.S", "a.*", "a.>", "a..b", ".a", "a.", "", "a b"] {
            assert!(!is_plain(text), "{text}");
        }
    }

    #[test]
    fn the_servers_notes_are_no_messages_and_a_503_comes_back() {
        let note = |status| {
            let mut note = message(OutboundMessage {
                subject: "roadshow.inbox.n.i1.c0".into(),
                reply: None,
                payload: Bytes::new(),
                headers: None,
            });
            note.status = Some(status);
            wire().decode(&note, None)
        };
        assert!(note(StatusCode::IDLE_HEARTBEAT).is_none());
        let back = note(StatusCode::NO_RESPONDERS).expect("it came back");
        assert!(back.returned && back.envelope.kind == Kind::Failure);
    }

    #[test]
    fn too_large_a_payload_is_refused_with_its_limit() {
        let error = wire().encode(&event(), 1).expect_err("two bytes");
        assert!(error.to_string().contains("bytes: 2, limit: 1"), "{error}");
    }
}
