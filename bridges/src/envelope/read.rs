//! From the headers of a broker's message to an envelope.
//!
//! Anybody may publish on a broker, so nothing here fails: a header that cannot be read is dropped and counted, and what
//! is missing has its default. Every text is bounded before it is kept.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;

use super::content_type::ContentType;
use super::{Envelope, Kind, Payload, header, percent};
use crate::identity::{
    CorrelationId, Identity, KEY_LEN_MAX, MessageId, PRINCIPAL_LEN_MAX, TENANT_LEN_MAX, TRACESTATE_LEN_MAX,
    hash_foreign_id,
};
use crate::names::Subject;

/// The longest sender that is kept, in bytes.
pub(super) const FROM_LEN_MAX: usize = 256;
/// The longest foreign id that is read, in bytes.
const FOREIGN_ID_LEN_MAX: usize = 1024;
/// The longest name of a header of ours.
const NAME_LEN_MAX: usize = 32;
/// The version of this set of headers.
const VERSION: u32 = 1;

/// What the transport itself says about a message.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Arrival {
    /// The subject that it was published to.
    pub subject: Subject,
    /// The kind that the subject implies, for a message without `rs-type`.
    pub usual: Kind,
    /// The id that it gets if it brings none.
    pub fresh_id: MessageId,
    /// Where the transport says that the answer goes.
    pub reply_to: Option<Subject>,
    /// The transport's own correlation; dropped and counted beyond its limit.
    pub transport_correlation: Option<Bytes>,
    /// The body.
    pub payload: Bytes,
}

impl Arrival {
    /// An arrival without reply address.
    pub fn new(subject: Subject, usual: Kind, fresh_id: MessageId, payload: Bytes) -> Self {
        Self {
            subject,
            usual,
            fresh_id,
            reply_to: None,
            transport_correlation: None,
            payload,
        }
    }
}

/// An envelope that was read from headers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Received {
    /// The envelope; what could not be read has its default.
    pub envelope: Envelope,
    /// How many headers (and over-long correlations) were dropped.
    pub dropped: u32,
    /// The version of the sender's headers; more than 1 is a later sender, read as far as we know it.
    pub version: u32,
}

/// The values of the identity that are not in it yet while the headers are read.
struct Reader {
    envelope: Envelope,
    dropped: u32,
    version: u32,
    id: Option<MessageId>,
    correlation: Option<CorrelationId>,
    foreign_id: Option<String>,
    source: Option<String>,
    seen: Seen,
}

/// Which headers of ours came already: the first counts.
#[derive(Default)]
struct Seen(u32);

impl Seen {
    fn first(&mut self, place: usize) -> bool {
        let bit = 1_u32 << place;
        let first = self.0 & bit == 0;
        self.0 |= bit;
        first
    }
}

/// Every header of ours; its place is its bit in [`Seen`].
const OURS: [&str; 23] = [
    header::TYPE,
    header::VERSION,
    header::ID,
    header::CORRELATION,
    header::CAUSATION,
    header::FROM,
    header::TIMEOUT_MS,
    header::SENT,
    header::ATTEMPT,
    header::HOPS,
    header::PRINCIPAL,
    header::TENANT,
    header::KEY,
    header::SCHEMA,
    header::SEQUENCE,
    header::CONTENT_TYPE,
    header::TRACEPARENT,
    header::TRACESTATE,
    header::CE_SPECVERSION,
    header::CE_ID,
    header::CE_SOURCE,
    header::CE_TYPE,
    header::CE_DATACONTENTTYPE,
];

impl Envelope {
    /// Reads the headers of a message that came from a broker. Never fails: see [`Received`].
    ///
    /// Names are compared without regard to case; of two headers with one name of ours the first counts. An event without
    /// our id takes the CloudEvents id (a UUID as it is, any other text as a hash of source and id), so that a message
    /// that a stranger sends twice has one id.
    pub fn from_headers<'a>(arrival: Arrival, headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Received {
        let mut reader = Reader::new(arrival);
        for (name, value) in headers {
            if !reader.read(name, value) {
                reader.dropped = reader.dropped.saturating_add(1);
            }
        }
        reader.finish()
    }
}

impl Reader {
    fn new(arrival: Arrival) -> Self {
        let identity = Identity::root(arrival.fresh_id);
        let mut envelope = Envelope::new(
            arrival.usual,
            arrival.subject,
            identity,
            Payload::Bytes(arrival.payload),
        );
        envelope.reply_to = arrival.reply_to;
        let too_long = |bytes: &Bytes| bytes.len() > super::TRANSPORT_CORRELATION_LEN_MAX;
        let dropped = u32::from(arrival.transport_correlation.as_ref().is_some_and(too_long));
        envelope.transport_correlation = arrival.transport_correlation.filter(|bytes| !too_long(bytes));
        Self {
            envelope,
            dropped,
            version: VERSION,
            id: None,
            correlation: None,
            foreign_id: None,
            source: None,
            seen: Seen::default(),
        }
    }

    /// Takes one header over; `false` if it had to be dropped.
    fn read(&mut self, name: &str, value: &str) -> bool {
        let ours = (name.len() <= NAME_LEN_MAX)
            .then(|| OURS.iter().position(|candidate| candidate.eq_ignore_ascii_case(name)))
            .flatten();
        match ours {
            Some(place) => self.seen.first(place) && self.read_ours(OURS[place], value).is_some(),
            None => self.envelope.headers.push(name, value),
        }
    }

    fn read_ours(&mut self, name: &'static str, value: &str) -> Option<()> {
        let envelope = &mut self.envelope;
        match name {
            header::TYPE => envelope.kind = value.parse().ok()?,
            header::VERSION => self.version = number(value).filter(|version| *version > 0)?,
            header::ID => self.id = Some(value.parse().ok()?),
            header::CORRELATION => self.correlation = Some(value.parse().ok()?),
            header::CAUSATION => envelope.identity.causation = Some(value.parse().ok()?),
            header::FROM => envelope.from = Some((&*text(value, FROM_LEN_MAX)?).into()),
            header::TIMEOUT_MS => envelope.identity.budget = Some(Duration::from_millis(number(value)?)),
            header::SENT => envelope.sent_ms = Some(number(value)?),
            header::ATTEMPT => envelope.identity.attempt = number(value).filter(|attempt| *attempt > 0)?,
            header::HOPS => envelope.identity.hops = number(value)?,
            header::SCHEMA => envelope.schema = Some(fingerprint(value)?),
            header::SEQUENCE => envelope.sequence = number(value)?,
            header::CONTENT_TYPE => envelope.content_type = ContentType::parse(value)?,
            header::TRACEPARENT => envelope.identity.trace = value.parse().ok()?,
            header::CE_ID => self.foreign_id = Some(text(value, FOREIGN_ID_LEN_MAX)?.into_owned()),
            header::CE_SOURCE => self.source = Some(text(value, FOREIGN_ID_LEN_MAX)?.into_owned()),
            header::CE_TYPE => envelope.event = Some(text(value, FOREIGN_ID_LEN_MAX)?.parse().ok()?),
            header::CE_SPECVERSION => return (value == "1.0").then_some(()),
            header::CE_DATACONTENTTYPE => self.read_data_content_type(value)?,
            other => return self.read_who(other, value),
        }
        Some(())
    }

    fn read_who(&mut self, name: &'static str, value: &str) -> Option<()> {
        let identity = self.envelope.identity.clone();
        self.envelope.identity = match name {
            header::PRINCIPAL => identity.with_principal(text(value, PRINCIPAL_LEN_MAX)?),
            header::TENANT => identity.with_tenant(text(value, TENANT_LEN_MAX)?),
            header::KEY => identity.with_key(text(value, KEY_LEN_MAX)?),
            header::TRACESTATE => {
                let plain = value.len() <= TRACESTATE_LEN_MAX && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
                identity.with_tracestate(plain.then_some(value)?)
            }
            _ => return None,
        };
        Some(())
    }

    /// The transport's own content type counts more than the attribute, whichever came first.
    fn read_data_content_type(&mut self, value: &str) -> Option<()> {
        let content_type = ContentType::parse(value)?;
        if self.envelope.content_type == ContentType::Json {
            self.envelope.content_type = content_type;
        }
        Some(())
    }

    fn finish(mut self) -> Received {
        let foreign = self.foreign_id.map(|id| {
            let source = self.source.as_deref().unwrap_or_default();
            MessageId::from_u128(hash_foreign_id(source, &id))
        });
        let identity = &mut self.envelope.identity;
        identity.id = self.id.or(foreign).unwrap_or(identity.id);
        identity.correlation = self
            .correlation
            .unwrap_or(CorrelationId::from_u128(identity.id.as_u128()));
        let source = self
            .source
            .filter(|source| source.len() <= FROM_LEN_MAX && source != "/");
        if self.envelope.from.is_none() {
            self.envelope.from = source.map(Into::into);
        }
        Received {
            envelope: self.envelope,
            dropped: self.dropped,
            version: self.version,
        }
    }
}

/// Reads a number in its plain spelling: digits only.
fn number<T: FromStr>(value: &str) -> Option<T> {
    let plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if plain { value.parse().ok() } else { None }
}

fn fingerprint(value: &str) -> Option<u64> {
    let plain = value.len() == 16 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    if plain {
        u64::from_str_radix(value, 16).ok()
    } else {
        None
    }
}

/// Reads a text and bounds it; three bytes of an encoded one make one of it.
fn text(value: &str, len_max: usize) -> Option<Cow<'_, str>> {
    if value.is_empty() || value.len() > 3 * len_max {
        return None;
    }
    percent::decode(value).filter(|text| text.len() <= len_max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventName, Namespace, TraceContext};

    fn arrival(usual: Kind) -> Arrival {
        let subject = Namespace::default().event_subject(EventName::new("user.created"));
        Arrival::new(subject, usual, MessageId::from_u128(99), Bytes::from_static(b"{}"))
    }

    fn read(headers: &[(&str, &str)]) -> Received {
        Envelope::from_headers(arrival(Kind::Command), headers.iter().copied())
    }

    fn full_identity() -> Identity {
        let trace = TraceContext {
            trace_id: 5,
            span_id: 6,
            flags: 1,
        };
        let mut identity = Identity::root(MessageId::from_u128(1)).child(MessageId::from_u128(2));
        identity = identity
            .with_principal("Ümit")
            .with_tenant("t 1")
            .with_key("50%")
            .with_tracestate("v=1");
        identity = identity.with_trace(trace).with_budget(Duration::from_millis(1500));
        identity.attempt = 3;
        identity
    }

    #[test]
    fn a_full_envelope_survives_its_headers() {
        for kind in [Kind::Command, Kind::Event, Kind::Frame] {
            let mut sent = Envelope::new(kind, arrival(kind).subject, full_identity(), Bytes::from_static(b"{}"));
            sent.from = Some("user.1".into());
            sent.event = (kind == Kind::Event).then(|| EventName::new("user.created").into());
            sent.content_type = ContentType::Binary;
            (sent.schema, sent.sequence, sent.sent_ms) = (Some(77), 4, Some(1_795_000_000_000));
            let headers = sent.to_headers(Kind::Command);
            let pairs = headers.iter().map(|(name, value)| (*name, value.as_str()));
            let got = Envelope::from_headers(arrival(Kind::Command), pairs);
            assert_eq!((got.dropped, got.version), (0, 1));
            let got = got.envelope;
            assert_eq!((&got.identity, got.kind), (&sent.identity, kind));
            assert_eq!(
                (&got.from, &got.event, got.schema),
                (&sent.from, &sent.event, sent.schema)
            );
            assert_eq!((got.sequence, got.sent_ms), (sent.sequence, sent.sent_ms));
            assert_eq!(got.content_type, sent.content_type);
        }
    }

    #[test]
    fn defaults_are_left_out_and_a_success_reply_carries_nothing() {
        let identity = Identity::root(MessageId::from_u128(1));
        let mut envelope = Envelope::new(Kind::Command, arrival(Kind::Command).subject, identity, Bytes::new());
        let names =
            |envelope: &Envelope, usual| envelope.to_headers(usual).into_iter().map(|h| h.0).collect::<Vec<_>>();
        assert_eq!(names(&envelope, Kind::Command), ["rs-id"]);
        envelope.kind = Kind::Reply;
        assert!(names(&envelope, Kind::Reply).is_empty());
        envelope.kind = Kind::Failure;
        assert_eq!(envelope.to_headers(Kind::Reply), [("rs-type", "failure".to_owned())]);
    }

    #[test]
    fn malformed_headers_are_dropped_and_counted() {
        let long = "p".repeat(PRINCIPAL_LEN_MAX + 1);
        let received = read(&[
            ("rs-type", "teapot"),
            ("rs-id", "xyz"),
            ("rs-attempt", "0"),
            ("rs-hops", "256"),
            ("rs-timeout-ms", "-5"),
            ("rs-sent", "1e9"),
            ("rs-schema", "12"),
            ("rs-principal", &long),
            ("rs-tenant", "a%00b"),
            ("traceparent", "00-zz"),
            ("tracestate", "a=ü"),
            ("content-type", "a\nb"),
            ("ce-type", "not a name"),
            ("x y", "z"),
        ]);
        assert_eq!(received.dropped, 14);
        assert_eq!(received.envelope.identity, Identity::root(MessageId::from_u128(99)));
        assert_eq!(received.envelope.kind, Kind::Command);
    }

    #[test]
    fn the_first_of_two_headers_counts() {
        let received = read(&[("rs-tenant", "a"), ("RS-Tenant", "b")]);
        assert_eq!((received.envelope.identity.tenant(), received.dropped), (Some("a"), 1));
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let received = read(&[("rs-v", "2"), ("rs-new", "x"), ("rs-tenant", "a")]);
        assert_eq!((received.version, received.dropped), (2, 0));
        assert_eq!(received.envelope.identity.tenant(), Some("a"));
        assert_eq!(received.envelope.headers.get("rs-new"), Some("x"));
    }

    #[test]
    fn a_foreign_cloud_event_keeps_one_id_and_its_source() {
        let headers = [
            ("ce-id", "A-1"),
            ("ce-source", "https://shop.example"),
            ("ce-type", "user.created"),
        ];
        let one = Envelope::from_headers(arrival(Kind::Event), headers).envelope;
        let two = Envelope::from_headers(arrival(Kind::Event), headers).envelope;
        assert_eq!(one.identity.id, two.identity.id);
        assert_ne!(one.identity.id, MessageId::from_u128(99));
        assert_eq!(one.from.as_deref(), Some("https://shop.example"));
        assert_eq!(
            one.event.as_ref().map(crate::EventNameBuf::as_str),
            Some("user.created")
        );
    }
}
