//! From an envelope to the headers of a broker's message: each left out at its default.

use std::time::Duration;

use super::content_type::ContentType;
use super::{Envelope, Kind, header, percent};
use crate::identity::{KEY_LEN_MAX, PRINCIPAL_LEN_MAX, TENANT_LEN_MAX, TRACESTATE_LEN_MAX, Who};

/// The headers that are being written.
struct Writer(Vec<(&'static str, String)>);

impl Writer {
    fn put(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.push((name, value.into()));
    }

    /// Writes a text, encoded, unless it is missing or beyond its limit.
    fn put_text(&mut self, name: &'static str, value: Option<&str>, len_max: usize) {
        if let Some(value) = value.filter(|value| value.len() <= len_max) {
            self.0.push((name, percent::encode(value)));
        }
    }
}

impl Envelope {
    /// The headers of ours that this message needs on a broker.
    ///
    /// `usual` is the kind that the subject implies (command, event, reply …): it is not written again. A success reply
    /// carries no identity, because its subject or the transport's correlation says whose it is; a failure carries its
    /// type only. Foreign headers are not in the list: the adapter adds [`Envelope::headers`] itself.
    ///
    /// Values are visible ASCII; texts are percent-encoded.
    pub fn to_headers(&self, usual: Kind) -> Vec<(&'static str, String)> {
        let mut writer = Writer(Vec::with_capacity(8));
        if self.kind != usual {
            writer.put(header::TYPE, self.kind.as_str());
        }
        let is_event = self.kind == Kind::Event;
        if is_event || self.content_type != ContentType::Json {
            writer.put(header::CONTENT_TYPE, self.content_type.to_string());
        }
        if let Some(schema) = self.schema {
            writer.put(header::SCHEMA, format!("{schema:016x}"));
        }
        if self.sequence != 0 {
            writer.put(header::SEQUENCE, self.sequence.to_string());
        }
        if matches!(self.kind, Kind::Reply | Kind::Failure) {
            return writer.0;
        }
        if is_event {
            self.write_cloud_event(&mut writer);
        } else {
            writer.put(header::ID, self.identity.id.to_text().as_str());
        }
        self.write_identity(&mut writer);
        writer.0
    }

    fn write_cloud_event(&self, writer: &mut Writer) {
        writer.put(header::CE_SPECVERSION, "1.0");
        writer.put(header::CE_ID, self.identity.id.to_text().as_str());
        let source = format!("/{}", self.from.as_deref().unwrap_or_default());
        writer.put_text(header::CE_SOURCE, Some(&source), super::read::FROM_LEN_MAX + 1);
        if let Some(event) = &self.event {
            writer.put(header::CE_TYPE, event.as_str());
        }
    }

    fn write_identity(&self, writer: &mut Writer) {
        let identity = &self.identity;
        if identity.correlation.as_u128() != identity.id.as_u128() {
            writer.put(header::CORRELATION, identity.correlation.to_text().as_str());
        }
        if let Some(causation) = identity.causation {
            writer.put(header::CAUSATION, causation.to_text().as_str());
        }
        writer.put_text(header::FROM, self.from.as_deref(), super::read::FROM_LEN_MAX);
        if let Some(budget) = identity.budget {
            writer.put(header::TIMEOUT_MS, whole_ms(budget).to_string());
        }
        if let Some(sent) = self.sent_ms {
            writer.put(header::SENT, sent.to_string());
        }
        if identity.attempt > 1 {
            writer.put(header::ATTEMPT, identity.attempt.to_string());
        }
        if identity.hops > 0 {
            writer.put(header::HOPS, identity.hops.to_string());
        }
        if identity.trace.is_present() {
            writer.put(header::TRACEPARENT, identity.trace.to_text().as_str());
        }
        if let Some(who) = identity.who.as_deref() {
            write_who(who, writer);
        }
    }
}

fn write_who(who: &Who, writer: &mut Writer) {
    writer.put_text(header::PRINCIPAL, who.principal.as_deref(), PRINCIPAL_LEN_MAX);
    writer.put_text(header::TENANT, who.tenant.as_deref(), TENANT_LEN_MAX);
    writer.put_text(header::KEY, who.key.as_deref(), KEY_LEN_MAX);
    // The W3C fixes the characters of a trace state, so it is written as it is or not at all.
    let plain = |state: &&str| state.len() <= TRACESTATE_LEN_MAX && state.bytes().all(|b| matches!(b, b' '..=b'~'));
    if let Some(state) = who.tracestate.as_deref().filter(plain) {
        writer.put(header::TRACESTATE, state);
    }
}

/// The budget in whole milliseconds, rounded up so that a small rest does not become "no time left".
fn whole_ms(budget: Duration) -> u64 {
    u64::try_from(budget.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
