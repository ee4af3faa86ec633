//! The headers with which a caller says how long, with which key and in which trace; and, where it is trusted, who acts.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use roadshow_services::{CallOptions, Failure, TraceContext};

/// The longest principal, tenant and key that a header gives, in bytes: less than what the wire takes, and enough for one.
pub(crate) const TEXT_LEN_MAX: usize = 128;
/// The longest trace state that is passed on, in bytes.
const TRACESTATE_LEN_MAX: usize = 512;

pub(crate) const TIMEOUT: HeaderName = HeaderName::from_static("x-timeout-ms");
pub(crate) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(crate) const PRINCIPAL: HeaderName = HeaderName::from_static("x-principal");
pub(crate) const TENANT: HeaderName = HeaderName::from_static("x-tenant");
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
pub(crate) const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");

/// Reads what any caller may say. A budget beyond `timeout_max` is cut to it.
///
/// # Errors
/// `invalid`, with the header named.
pub(crate) fn options(headers: &HeaderMap, timeout_max: Duration) -> Result<CallOptions, Failure> {
    let mut options = CallOptions::default();
    if !headers.keys().any(says_something) {
        return Ok(options);
    }
    options.timeout = timeout(headers)?.map(|timeout| timeout.min(timeout_max));
    options.key = text(headers, &KEY)?;
    options.trace = trace(headers);
    if options.trace.is_some() {
        options.tracestate = tracestate(headers);
    }
    Ok(options)
}

/// Whether a header is one of those that any caller may send; most callers send none.
fn says_something(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "x-timeout-ms" | "idempotency-key" | "traceparent" | "tracestate"
    )
}

/// As [`options`], and who acts: only for callers that are trusted to say so.
///
/// # Errors
/// As [`options`].
pub(crate) fn trusted_options(headers: &HeaderMap, timeout_max: Duration) -> Result<CallOptions, Failure> {
    let mut options = options(headers, timeout_max)?;
    options.principal = text(headers, &PRINCIPAL)?;
    options.tenant = text(headers, &TENANT)?;
    Ok(options)
}

fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Failure> {
    let Some(text) = text(headers, &TIMEOUT)? else {
        return Ok(None);
    };
    match text.parse::<u64>() {
        Ok(ms) if ms > 0 && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Some(Duration::from_millis(ms))),
        _ => Err(Failure::invalid(format!(
            "{TIMEOUT} must be a whole number of milliseconds, at least 1"
        ))),
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Box<str>>, Failure> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Failure::invalid(format!("the header {name} is given more than once")));
    }
    let text = std::str::from_utf8(value.as_bytes()).map(str::trim).unwrap_or_default();
    if text.is_empty() || text.len() > TEXT_LEN_MAX || text.chars().any(char::is_control) {
        return Err(Failure::invalid(format!(
            "the header {name} must be 1 to {TEXT_LEN_MAX} bytes of text in UTF-8"
        )));
    }
    Ok(Some(text.into()))
}

/// The trace to continue. One that cannot be read is as good as none, as W3C asks.
fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all(&TRACEPARENT).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    value.to_str().ok()?.trim().parse().ok()
}

fn tracestate(headers: &HeaderMap) -> Option<Box<str>> {
    let values = headers.get_all(&TRACESTATE).iter();
    let values: Vec<&str> = values.map(|value| value.to_str().ok()).collect::<Option<_>>()?;
    let joined = values.join(",");
    (!joined.is_empty() && joined.len() <= TRACESTATE_LEN_MAX).then(|| joined.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(60);

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a header value"));
        }
        headers
    }

    #[test]
    fn a_budget_is_a_whole_number_up_to_the_maximum() {
        let read = |text| options(&headers(&[("x-timeout-ms", text)]), MAX).map(|options| options.timeout);
        assert_eq!(read("250"), Ok(Some(Duration::from_millis(250))));
        assert_eq!(read("45000"), Ok(Some(Duration::from_secs(45))));
        assert_eq!(read("99999999999"), Ok(Some(MAX)));
        for text in ["0", "-1", "+1", "1.5", "1s", "", "99999999999999999999999"] {
            assert!(read(text).is_err(), "{text:?}");
        }
        assert!(options(&headers(&[("x-timeout-ms", "1"), ("x-timeout-ms", "2")]), MAX).is_err());
    }

    #[test]
    fn only_trusted_callers_say_who_acts() {
        let headers = headers(&[("x-principal", "ada"), ("x-tenant", "acme"), ("idempotency-key", "k1")]);
        let anybody = options(&headers, MAX).expect("nothing is wrong");
        assert_eq!(
            (anybody.principal, anybody.tenant, anybody.key.as_deref()),
            (None, None, Some("k1"))
        );
        let trusted = trusted_options(&headers, MAX).expect("nothing is wrong");
        assert_eq!(
            (trusted.principal.as_deref(), trusted.tenant.as_deref()),
            (Some("ada"), Some("acme"))
        );
    }

    #[test]
    fn a_broken_trace_is_as_good_as_none() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let read = |lines: &[(&'static str, &str)]| {
            let options = options(&headers(lines), MAX).expect("traces are never refused");
            (options.trace.is_some(), options.tracestate.is_some())
        };
        assert_eq!(
            read(&[("traceparent", good), ("tracestate", "a=1"), ("tracestate", "b=2")]),
            (true, true)
        );
        assert_eq!(read(&[("traceparent", "00-zz"), ("tracestate", "a=1")]), (false, false));
        assert_eq!(read(&[("tracestate", "a=1")]), (false, false));
        assert_eq!(read(&[("traceparent", good), ("traceparent", good)]), (false, false));
    }
}
