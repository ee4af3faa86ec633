//! The binary form of an envelope, for links between nodes: the only place where bincode meets the wire.
//!
//! The format is ours, not the crate's: two magic bytes, a format version, a byte of flags (0), then the fields in the
//! order of [`Wire`] in bincode's legacy layout (little endian, fixed integers, 64-bit lengths), the payload as opaque
//! bytes at the end. The golden vector in the tests pins it. Texts and the payload are borrowed while decoding, so a
//! length that lies allocates nothing.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::content_type::ContentType;
use super::foreign::{FOREIGN_COUNT_MAX, ForeignHeaders};
use super::read::FROM_LEN_MAX;
use super::{Envelope, Kind, Payload, TRANSPORT_CORRELATION_LEN_MAX};
use crate::error::Error;
use crate::identity::{
    CorrelationId, Identity, KEY_LEN_MAX, MessageId, PRINCIPAL_LEN_MAX, TENANT_LEN_MAX, TRACESTATE_LEN_MAX,
    TraceContext, Who,
};
use crate::names::Subject;

/// The version of the binary form.
pub const FORMAT_VERSION: u8 = 1;
/// The largest envelope in its binary form, in bytes.
pub const ENVELOPE_BYTES_MAX: usize = 16 * 1024 * 1024;

const HEAD: [u8; 4] = [b'R', b'S', FORMAT_VERSION, 0];

/// The legacy layout with the byte limit; the same one encodes and decodes.
const fn layout() -> impl bincode::config::Config {
    bincode::config::legacy().with_limit::<ENVELOPE_BYTES_MAX>()
}

/// The fields in the order of the wire. Adding one is a new format version.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    kind: u8,
    subject: &'a str,
    id: u128,
    correlation: u128,
    causation: Option<u128>,
    trace_id: u128,
    span_id: u64,
    trace_flags: u8,
    budget_ns: Option<u64>,
    attempt: u32,
    hops: u8,
    principal: Option<&'a str>,
    tenant: Option<&'a str>,
    key: Option<&'a str>,
    tracestate: Option<&'a str>,
    from: Option<&'a str>,
    reply_to: Option<&'a str>,
    #[serde(borrow)]
    transport_correlation: Option<Raw<'a>>,
    content_type: &'a str,
    schema: Option<u64>,
    event: Option<&'a str>,
    sequence: u64,
    sent_ms: Option<u64>,
    headers: Vec<(&'a str, &'a str)>,
    payload: Raw<'a>,
}

/// Bytes that are written in one piece.
#[derive(Deserialize)]
struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl Envelope {
    /// Writes the envelope as one block for a link.
    ///
    /// # Errors
    ///
    /// `Rejected` if a shared payload cannot be encoded or the whole is larger than [`ENVELOPE_BYTES_MAX`].
    pub fn encode_binary(&self) -> Result<Vec<u8>, Error> {
        let payload = self.payload.to_bytes()?;
        let mut out = Vec::with_capacity(384 + payload.len());
        out.extend_from_slice(&HEAD);
        bincode::serde::encode_into_std_write(self.to_wire(&payload), &mut out, layout())
            .map_err(|error| Error::rejected("cannot encode an envelope").with_source(error))?;
        if out.len() > ENVELOPE_BYTES_MAX {
            return Err(Error::rejected("cannot encode an envelope: it is too large").with("bytes", out.len()));
        }
        Ok(out)
    }

    fn to_wire<'a>(&'a self, payload: &'a Bytes) -> Wire<'a> {
        let identity = &self.identity;
        Wire {
            kind: self.kind.number(),
            subject: self.subject.as_str(),
            id: identity.id.as_u128(),
            correlation: identity.correlation.as_u128(),
            causation: identity.causation.map(MessageId::as_u128),
            trace_id: identity.trace.trace_id,
            span_id: identity.trace.span_id,
            trace_flags: identity.trace.flags,
            budget_ns: identity
                .budget
                .map(|budget| u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX)),
            attempt: identity.attempt,
            hops: identity.hops,
            principal: bounded(identity.principal(), PRINCIPAL_LEN_MAX),
            tenant: bounded(identity.tenant(), TENANT_LEN_MAX),
            key: bounded(identity.key(), KEY_LEN_MAX),
            tracestate: bounded(identity.tracestate(), TRACESTATE_LEN_MAX),
            from: bounded(self.from.as_deref(), FROM_LEN_MAX),
            reply_to: self.reply_to.as_ref().map(Subject::as_str),
            transport_correlation: self.transport_correlation.as_deref().map(Raw),
            content_type: self.content_type.as_str(),
            schema: self.schema,
            event: self.event.as_ref().map(crate::names::EventNameBuf::as_str),
            sequence: self.sequence,
            sent_ms: self.sent_ms,
            headers: self.headers.iter().collect(),
            payload: Raw(payload),
        }
    }

    /// Reads what [`Envelope::encode_binary`] wrote. The payload is copied.
    ///
    /// # Errors
    ///
    /// `Rejected` if the bytes are not one whole envelope of a known format version, name something that is no name, are
    /// followed by further bytes, or are more than [`ENVELOPE_BYTES_MAX`].
    pub fn decode_binary(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > ENVELOPE_BYTES_MAX {
            return Err(refused("it is too large").with("bytes", bytes.len()));
        }
        match bytes.get(..4) {
            Some(head) if head == HEAD => {}
            Some(&[b'R', b'S', version, _]) => return Err(refused("its format is not known").with("version", version)),
            _ => return Err(refused("it does not begin as one")),
        }
        let body = &bytes[4..];
        let (wire, read) = bincode::serde::borrow_decode_from_slice::<Wire<'_>, _>(body, layout())
            .map_err(|error| refused("it is malformed").with_source(error))?;
        if read != body.len() {
            return Err(refused("bytes follow it").with("trailing", body.len() - read));
        }
        wire.into_envelope()
    }
}

fn refused(why: &'static str) -> Error {
    Error::rejected(format!("cannot decode an envelope: {why}"))
}

/// A text that is sent: one beyond its limit stays in the process.
fn bounded(text: Option<&str>, len_max: usize) -> Option<&str> {
    text.filter(|text| text.len() <= len_max)
}

impl Wire<'_> {
    /// Whether every optional text keeps its limit.
    fn is_bounded(&self) -> bool {
        let limits = [
            (self.principal, PRINCIPAL_LEN_MAX),
            (self.tenant, TENANT_LEN_MAX),
            (self.key, KEY_LEN_MAX),
            (self.tracestate, TRACESTATE_LEN_MAX),
            (self.from, FROM_LEN_MAX),
        ];
        let correlation = self.transport_correlation.as_ref().map_or(0, |raw| raw.0.len());
        limits.into_iter().all(|(text, len_max)| bounded(text, len_max) == text)
            && correlation <= TRANSPORT_CORRELATION_LEN_MAX
    }

    fn into_envelope(self) -> Result<Envelope, Error> {
        if !self.is_bounded() {
            return Err(refused("a text in it is too long"));
        }
        let name = |error: crate::NameError| refused("a name in it is wrong").with_source(error);
        let kind = Kind::from_number(self.kind).ok_or_else(|| refused("its kind is not known"))?;
        let subject = Subject::foreign(self.subject).map_err(name)?;
        let identity = self.identity();
        let mut envelope = Envelope::new(
            kind,
            subject,
            identity,
            Payload::Bytes(Bytes::copy_from_slice(self.payload.0)),
        );
        envelope.from = self.from.map(Into::into);
        envelope.reply_to = self.reply_to.map(Subject::foreign).transpose().map_err(name)?;
        envelope.transport_correlation = self.transport_correlation.map(|raw| Bytes::copy_from_slice(raw.0));
        envelope.content_type =
            ContentType::parse(self.content_type).ok_or_else(|| refused("its content type is wrong"))?;
        envelope.schema = self.schema;
        envelope.event = self.event.map(str::parse).transpose().map_err(name)?;
        envelope.sequence = self.sequence;
        envelope.sent_ms = self.sent_ms;
        envelope.headers = foreign(&self.headers)?;
        Ok(envelope)
    }

    fn identity(&self) -> Identity {
        let mut identity = Identity::root(MessageId::from_u128(self.id));
        identity.correlation = CorrelationId::from_u128(self.correlation);
        identity.causation = self.causation.map(MessageId::from_u128);
        identity.trace = TraceContext {
            trace_id: self.trace_id,
            span_id: self.span_id,
            flags: self.trace_flags,
        };
        identity.budget = self.budget_ns.map(Duration::from_nanos);
        identity.attempt = self.attempt.max(1);
        identity.hops = self.hops;
        let owned = |text: Option<&str>| text.map(Into::into);
        let who = Who {
            principal: owned(self.principal),
            tenant: owned(self.tenant),
            key: owned(self.key),
            tracestate: owned(self.tracestate),
        };
        identity.who = (who != Who::default()).then(|| who.into());
        identity
    }
}

fn foreign(headers: &[(&str, &str)]) -> Result<ForeignHeaders, Error> {
    if headers.len() > FOREIGN_COUNT_MAX {
        return Err(refused("it has too many foreign headers").with("count", headers.len()));
    }
    let mut kept = ForeignHeaders::default();
    for (name, value) in headers {
        if !kept.push(name, value) {
            return Err(refused("a foreign header is wrong"));
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventName, Namespace};

    fn sample() -> Envelope {
        let subject = Namespace::default().event_subject(EventName::new("a.b"));
        let mut identity = Identity::root(MessageId::from_u128(1)).with_principal("ada");
        identity.budget = Some(Duration::from_nanos(5));
        let mut envelope = Envelope::event(
            subject,
            EventName::new("a.b").into(),
            identity,
            Bytes::from_static(b"{}"),
        );
        envelope.headers.push("x", "y");
        envelope
    }

    /// The bytes of [`sample`], field by field; a change here is a new format version.
    fn golden() -> Vec<u8> {
        let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
        let some = |text_: &str| [&[1][..], &text(text_)].concat();
        [
            b"RS\x01\x00".to_vec(),
            vec![1],
            text("roadshow.evt.a.b"),
            1_u128.to_le_bytes().to_vec(),
            1_u128.to_le_bytes().to_vec(),
            vec![0],
            vec![0; 16 + 8 + 1],
            [&[1][..], &5_u64.to_le_bytes()].concat(),
            1_u32.to_le_bytes().to_vec(),
            vec![0],
            some("ada"),
            vec![0; 6],
            text("application/json"),
            vec![0],
            some("a.b"),
            vec![0; 8],
            vec![0],
            [&1_u64.to_le_bytes()[..], &text("x"), &text("y")].concat(),
            text("{}"),
        ]
        .concat()
    }

    #[test]
    fn the_bytes_on_the_wire_are_these() {
        assert_eq!(sample().encode_binary().expect("encodes"), golden());
    }

    #[test]
    fn an_envelope_survives_its_bytes() {
        let got = Envelope::decode_binary(&golden()).expect("decodes");
        let sent = sample();
        assert_eq!(
            (&got.identity, &got.subject, got.kind),
            (&sent.identity, &sent.subject, sent.kind)
        );
        assert_eq!((&got.event, &got.headers), (&sent.event, &sent.headers));
        assert_eq!(got.payload.to_bytes().expect("bytes"), "{}");
    }

    #[test]
    fn every_cut_and_every_trailing_byte_is_refused() {
        let bytes = golden();
        for len in 0..bytes.len() {
            assert!(Envelope::decode_binary(&bytes[..len]).is_err(), "{len}");
        }
        assert!(Envelope::decode_binary(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn a_text_beyond_its_limit_is_not_sent() {
        let mut envelope = sample();
        envelope.identity = envelope.identity.with_tenant("t".repeat(TENANT_LEN_MAX + 1));
        let bytes = envelope.encode_binary().expect("encodes");
        let got = Envelope::decode_binary(&bytes).expect("decodes");
        assert_eq!((got.identity.tenant(), got.identity.principal()), (None, Some("ada")));
    }

    #[test]
    fn another_format_version_is_named() {
        let mut bytes = golden();
        bytes[2] = 9;
        let error = Envelope::decode_binary(&bytes).expect_err("a later format");
        assert!(error.to_string().contains("version: 9"), "{error}");
    }
}
