//! What is learned about a request while it is answered, beside the answer: for counting, for the log, for other origins.

use http::header::HeaderMap;
use http::{HeaderName, HeaderValue};
use roadshow_services::Identity;

use crate::half_open::Heard;
use crate::meters::Meter;

/// The longest request id that is passed on, in bytes.
const REQUEST_ID_LEN_MAX: usize = 128;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// One request on its way through the gateway.
#[derive(Debug)]
pub(crate) struct Visit<'d> {
    /// Where it counts.
    pub(crate) meter: &'d Meter,
    /// Whether it asks for a route that a command declares: only these are for other origins.
    pub(crate) declared: bool,
    /// Who acts, where that is known and wanted.
    pub(crate) principal: Option<Box<str>>,
    /// What the connection wants to know.
    heard: Option<&'d Heard>,
}

impl<'d> Visit<'d> {
    pub(crate) fn new(meter: &'d Meter, heard: Option<&'d Heard>) -> Self {
        Visit {
            meter,
            declared: false,
            principal: None,
            heard,
        }
    }

    /// Says that the whole request was read: what its caller has to wait for now is the answer.
    pub(crate) fn is_heard(&self) {
        if let Some(heard) = self.heard {
            heard.set(true);
        }
    }
}

/// The id by which a caller wants to know its request: visible ASCII, and not much of it.
pub(crate) fn request_id_of(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut ids = headers.get_all(REQUEST_ID).iter();
    let (Some(id), None) = (ids.next(), ids.next()) else {
        return None;
    };
    let length = 1..=REQUEST_ID_LEN_MAX;
    (length.contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)).then_some(id)
}

/// The conversation of an identity, as a header says it.
pub(crate) fn conversation(identity: &Identity) -> HeaderValue {
    HeaderValue::from_str(&identity.correlation.to_text()).expect("an id is made of digits")
}

/// The trace of an identity, as a header says it.
pub(crate) fn trace(identity: &Identity) -> HeaderValue {
    HeaderValue::from_str(&identity.trace.to_text()).expect("a trace is made of digits and dashes")
}

#[cfg(test)]
mod tests {
    use roadshow_services::{CorrelationId, MessageId, TraceContext};

    use super::*;

    #[test]
    fn a_caller_names_its_request_in_visible_ascii() {
        let longest = "x".repeat(128);
        let table = [
            (vec!["a"], true),
            (vec!["9b2e-7f!~"], true),
            (vec![longest.as_str()], true),
            (vec!["a b"], false),
            (vec![""], false),
            (vec!["\u{e9}"], false),
            (vec!["a", "b"], false),
            (vec![], false),
        ];
        for (values, taken) in table {
            let mut headers = HeaderMap::new();
            for value in &values {
                let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header value");
                headers.append(REQUEST_ID, value);
            }
            assert_eq!(request_id_of(&headers).is_some(), taken, "{values:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(
            REQUEST_ID,
            HeaderValue::try_from("x".repeat(129)).expect("a header value"),
        );
        assert!(request_id_of(&headers).is_none());
    }

    #[test]
    fn ids_are_written_as_they_print() {
        let trace: TraceContext = "00-0bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            .parse()
            .expect("a trace");
        let mut identity = Identity::root(MessageId::from_u128(1));
        identity.correlation = CorrelationId::from_u128(0xab);
        identity.trace = trace;
        assert_eq!(super::trace(&identity), trace.to_string());
        assert_eq!(conversation(&identity), identity.correlation.to_string());
    }
}
