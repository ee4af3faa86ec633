//! The W3C trace context: `traceparent` as numbers.
//!
//! Reading is lenient where the recommendation asks for it (a later version may append fields) and strict elsewhere; a
//! malformed header means no trace, never a refused message.

use std::fmt;
use std::str::FromStr;

use super::hex::{IdText, hex128, parse_hex};
use super::ids::parse_hex128;

/// A text that is not a `traceparent` value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a traceparent is version-traceid-parentid-flags in lower-case hexadecimal digits")]
#[non_exhaustive]
pub struct TraceError;

/// The position of a message in a distributed trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TraceContext {
    /// The trace; 0 means that the message belongs to none.
    pub trace_id: u128,
    /// The span that sent the message.
    pub span_id: u64,
    /// The W3C flags; bit 0 says that the trace is sampled.
    pub flags: u8,
}

impl TraceContext {
    /// Belongs to no trace.
    pub const NONE: Self = Self {
        trace_id: 0,
        span_id: 0,
        flags: 0,
    };

    /// Whether there is a trace: neither the trace nor the span is 0.
    pub const fn is_present(self) -> bool {
        self.trace_id != 0 && self.span_id != 0
    }

    /// Whether somebody upstream decided to record the trace.
    pub const fn is_sampled(self) -> bool {
        self.flags & 1 == 1
    }

    /// The `traceparent` value, without an allocation.
    #[must_use]
    pub fn to_text(self) -> IdText<55> {
        let mut text = IdText::dashes();
        text.put(0, 2, 0);
        text.put(3, 32, self.trace_id);
        text.put(36, 16, u128::from(self.span_id));
        text.put(53, 2, u128::from(self.flags));
        text
    }

    /// The 32 digits of the trace's id, without an allocation.
    #[must_use]
    pub fn trace_id_text(self) -> IdText<32> {
        hex128(self.trace_id)
    }

    /// The same trace, seen from another span.
    #[must_use]
    pub const fn with_span(self, span_id: u64) -> Self {
        Self { span_id, ..self }
    }
}

impl FromStr for TraceContext {
    type Err = TraceError;

    fn from_str(text: &str) -> Result<Self, TraceError> {
        parse(text.as_bytes()).ok_or(TraceError)
    }
}

fn parse(text: &[u8]) -> Option<TraceContext> {
    let dashes = text.get(2)? == &b'-' && text.get(35)? == &b'-' && text.get(52)? == &b'-';
    let version = parse_hex(text.get(0..2)?)?;
    let trace_id = parse_hex128(std::str::from_utf8(text.get(3..35)?).ok()?)?;
    let span_id = parse_hex(text.get(36..52)?)?;
    let flags = parse_hex(text.get(53..55)?)?;
    let tail_allowed = text.len() == 55 || (version > 0 && text[55] == b'-');
    let context = TraceContext {
        trace_id,
        span_id,
        flags: u8::try_from(flags).ok()?,
    };
    (dashes && version != 0xff && tail_allowed && context.is_present()).then_some(context)
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_survives_its_text() {
        let context: TraceContext = SAMPLE.parse().expect("well formed");
        assert!(context.is_present() && context.is_sampled());
        assert_eq!(context.to_string(), SAMPLE);
    }

    #[test]
    fn a_later_version_may_append_fields() {
        let later = SAMPLE.replacen("00", "cc", 1);
        assert!(later.parse::<TraceContext>().is_ok());
        assert!(format!("{later}-what-the-future-holds").parse::<TraceContext>().is_ok());
        assert!(format!("{later}.x").parse::<TraceContext>().is_err());
    }

    #[test]
    fn a_malformed_traceparent_is_refused() {
        let table = [
            String::new(),
            "00".to_owned(),
            SAMPLE[..54].to_owned(),
            format!("{SAMPLE}-"),
            SAMPLE.to_uppercase(),
            SAMPLE.replacen("00", "ff", 1),
            SAMPLE.replace('-', "_"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01".to_owned(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01".to_owned(),
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-1".to_owned(),
        ];
        for text in table {
            assert_eq!(text.parse::<TraceContext>(), Err(TraceError), "{text:?}");
        }
    }
}
