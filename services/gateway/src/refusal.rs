//! A refusal: a failure on its way out, with the status and the headers that HTTP wants beside it.
//!
//! Most refusals come from a failure by [`status_of`]; the constructors here are those that only HTTP knows. Nothing ran
//! before any of them, so they all say `executed: no`.

use std::time::Duration;

use http::header::{ACCEPT_ENCODING, ALLOW, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use roadshow_services::{Code, Executed, Failure};

use crate::answer::{self, Answer, PROBLEM_JSON};
use crate::problem::{Problem, status_of};

/// When a caller without better advice may come again.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);

/// Why a request was refused before it reached a command: a few fixed words, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Invalid,
    Unauthenticated,
    Forbidden,
    NotFound,
    Draining,
    Unavailable,
    MethodNotAllowed,
    NotAcceptable,
    BodyTooSlow,
    BodyTooLarge,
    UnsupportedMediaType,
    TooManyHeaders,
    Other,
}

impl Reason {
    pub(crate) const ALL: [Reason; 13] = [
        Reason::Invalid,
        Reason::Unauthenticated,
        Reason::Forbidden,
        Reason::NotFound,
        Reason::Draining,
        Reason::Unavailable,
        Reason::MethodNotAllowed,
        Reason::NotAcceptable,
        Reason::BodyTooSlow,
        Reason::BodyTooLarge,
        Reason::UnsupportedMediaType,
        Reason::TooManyHeaders,
        Reason::Other,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Reason::Invalid => "invalid",
            Reason::Unauthenticated => "unauthenticated",
            Reason::Forbidden => "forbidden",
            Reason::NotFound => "not_found",
            Reason::Draining => "draining",
            Reason::Unavailable => "unavailable",
            Reason::MethodNotAllowed => "method_not_allowed",
            Reason::NotAcceptable => "not_acceptable",
            Reason::BodyTooSlow => "body_too_slow",
            Reason::BodyTooLarge => "body_too_large",
            Reason::UnsupportedMediaType => "unsupported_media_type",
            Reason::TooManyHeaders => "too_many_headers",
            Reason::Other => "other",
        }
    }

    const fn of(code: Code) -> Reason {
        match code {
            Code::Invalid => Reason::Invalid,
            Code::Unauthenticated => Reason::Unauthenticated,
            Code::Forbidden => Reason::Forbidden,
            Code::NotFound => Reason::NotFound,
            Code::Unavailable => Reason::Unavailable,
            _ => Reason::Other,
        }
    }
}

const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// What a rate limit may count by.
const SCOPES: [&str; 3] = ["calls", "principal", "tenant"];

/// A "no" with its status and headers.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    failure: Failure,
    /// None where a command was reached.
    reason: Option<Reason>,
    header: Option<(HeaderName, HeaderValue)>,
    close: bool,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Refusal {
            status: status_of(failure.code),
            failure,
            reason: None,
            header: None,
            close: false,
        }
    }
}

impl Refusal {
    /// A failure that the gateway found before anything ran.
    pub(crate) fn before(failure: Failure) -> Self {
        let reason = Reason::of(failure.code);
        Refusal {
            reason: Some(reason),
            ..failure.with_executed(Executed::No).into()
        }
    }

    fn http(status: StatusCode, reason: Reason, failure: Failure) -> Self {
        Refusal {
            status,
            reason: Some(reason),
            ..Refusal::before(failure)
        }
    }

    /// Why nothing was reached; none where a command was.
    pub(crate) fn reason(&self) -> Option<Reason> {
        self.reason
    }

    fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    /// Ends the connection with the answer, because what follows on it cannot be read as a request.
    pub(crate) fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// 404: there is nothing at this path.
    pub(crate) fn no_such_path() -> Self {
        Refusal::before(Failure::not_found("there is nothing at this path"))
    }

    /// 405: the path takes other methods.
    pub(crate) fn method_not_allowed(allow: &HeaderValue) -> Self {
        let methods = allow.to_str().unwrap_or_default();
        let failure = Failure::invalid(format!("this path takes {methods}"));
        Refusal::http(StatusCode::METHOD_NOT_ALLOWED, Reason::MethodNotAllowed, failure).header(ALLOW, allow.clone())
    }

    /// 401: the caller did not say who it is.
    pub(crate) fn unauthenticated(message: &'static str) -> Self {
        Refusal::before(Failure::unauthenticated(message))
    }

    /// 406: the caller takes no JSON.
    pub(crate) fn not_acceptable() -> Self {
        let failure = Failure::invalid("this path answers application/json, which the accept header excludes");
        Refusal::http(StatusCode::NOT_ACCEPTABLE, Reason::NotAcceptable, failure)
    }

    /// 408: the body came too slowly.
    pub(crate) fn body_too_slow(limit: Duration) -> Self {
        let text = format!("the body did not arrive within {limit:?}");
        Refusal::http(StatusCode::REQUEST_TIMEOUT, Reason::BodyTooSlow, Failure::timeout(text)).closing()
    }

    /// 413: the body is too large.
    pub(crate) fn body_too_large(limit: usize) -> Self {
        let failure = Failure::invalid(format!("the body is larger than {limit} bytes"))
            .with_details(serde_json::json!({ "limit_bytes": limit }));
        Refusal::http(StatusCode::PAYLOAD_TOO_LARGE, Reason::BodyTooLarge, failure)
    }

    /// 413: a stream has more to say than fits into one answer.
    pub(crate) fn stream_too_long(limit: &str) -> Self {
        let text = format!("the stream says more than {limit}, and a list holds no more: ask for text/event-stream");
        Refusal {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            ..Failure::exhausted(text).with_executed(Executed::Unknown).into()
        }
    }

    /// 406: the caller takes neither events nor JSON.
    pub(crate) fn no_stream_acceptable() -> Self {
        let failure = Failure::invalid(
            "this path answers text/event-stream or application/json, which the accept header excludes",
        );
        Refusal::http(StatusCode::NOT_ACCEPTABLE, Reason::NotAcceptable, failure)
    }

    /// 415: the body is no JSON by its own account.
    pub(crate) fn not_json() -> Self {
        let failure = Failure::invalid("the body must be JSON, and its content-type application/json");
        Refusal::http(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Reason::UnsupportedMediaType,
            failure,
        )
    }

    /// 415: the body is compressed.
    pub(crate) fn encoded() -> Self {
        let failure = Failure::invalid("the body must not be compressed");
        Refusal::http(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Reason::UnsupportedMediaType,
            failure,
        )
        .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
    }

    /// 431: there are too many headers.
    pub(crate) fn too_many_headers(limit: usize) -> Self {
        let failure = Failure::invalid(format!("a request has at most {limit} headers"));
        Refusal::http(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Reason::TooManyHeaders,
            failure,
        )
    }

    /// 501: the body comes in a coding other than chunks.
    pub(crate) fn unknown_coding() -> Self {
        let failure = Failure::invalid("the transfer-encoding of a body must be chunked, and nothing else");
        Refusal::http(StatusCode::NOT_IMPLEMENTED, Reason::Other, failure).closing()
    }

    /// 503: the node drains.
    pub(crate) fn draining() -> Self {
        let failure = Failure::unavailable("this node is shutting down");
        Refusal::http(StatusCode::SERVICE_UNAVAILABLE, Reason::Draining, failure).closing()
    }

    pub(crate) fn into_answer(self) -> Answer {
        let retry_after = self.retry_after();
        let rate_limit = self.rate_limit(retry_after);
        let Refusal {
            status,
            failure,
            header,
            close,
            ..
        } = self;
        let mut answer = answer::json(status, &Problem::new(status, failure));
        let headers = answer.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, PROBLEM_JSON);
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(after) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(after));
        }
        if let Some((policy, limit)) = rate_limit {
            headers.insert(RATE_LIMIT_POLICY, policy);
            headers.insert(RATE_LIMIT, limit);
        }
        if let Some((name, value)) = header {
            headers.insert(name, value);
        }
        if close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    /// In how many seconds to come again, for answers where that helps: what the details say, rounded up.
    fn retry_after(&self) -> Option<u64> {
        if !matches!(self.failure.code, Code::Exhausted | Code::Unavailable) {
            return None;
        }
        let told = self
            .failure
            .details
            .as_ref()
            .and_then(|details| details.get("retry_after_ms")?.as_u64());
        let wait = told.map_or(RETRY_AFTER_DEFAULT, Duration::from_millis);
        Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }
}

/// A rate limit as draft-ietf-httpapi-ratelimit-headers writes it.
impl Refusal {
    /// The limit that was reached and what is left of it, where the details tell of one.
    fn rate_limit(&self, retry_after: Option<u64>) -> Option<(HeaderValue, HeaderValue)> {
        if self.failure.code != Code::Exhausted {
            return None;
        }
        let details = self.failure.details.as_ref()?;
        let scope = details.get("scope")?.as_str()?;
        // The names go into a header: only those that are known.
        let scope = SCOPES.into_iter().find(|known| *known == scope)?;
        let quota = details.get("limit")?.as_u64()?;
        let window = details.get("window_ms")?.as_u64()?.div_ceil(1_000).max(1);
        let again = retry_after?;
        let policy = HeaderValue::try_from(format!("\"{scope}\";q={quota};w={window}")).ok()?;
        let limit = HeaderValue::try_from(format!("\"{scope}\";r=0;t={again}")).ok()?;
        Some((policy, limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_at_their_own_place() {
        for (at, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at, "{}", reason.as_str());
        }
    }

    #[test]
    fn who_is_over_a_limit_learns_which() {
        let told = |details: serde_json::Value| {
            let answer = Refusal::from(Failure::exhausted("too fast").with_details(details)).into_answer();
            let text = |name| {
                answer
                    .headers()
                    .get(name)
                    .map(|value: &HeaderValue| value.to_str().expect("text").to_owned())
            };
            text(RATE_LIMIT_POLICY).zip(text(RATE_LIMIT))
        };
        let limit = serde_json::json!({ "retry_after_ms": 1_200, "limit": 5, "window_ms": 1_500, "scope": "tenant" });
        let expected = ("\"tenant\";q=5;w=2".to_owned(), "\"tenant\";r=0;t=2".to_owned());
        assert_eq!(told(limit.clone()), Some(expected));
        for (name, value) in [
            ("limit", serde_json::json!(null)),
            ("scope", serde_json::json!("a\r\nb: c")),
        ] {
            let mut other = limit.clone();
            other[name] = value;
            assert_eq!(told(other), None, "{name}");
        }
        assert_eq!(told(serde_json::json!({ "retry_after_ms": 1 })), None);
    }

    #[test]
    fn who_is_refused_for_a_while_learns_for_how_long() {
        let after = |failure: Failure| {
            let answer = Refusal::from(failure).into_answer();
            answer
                .headers()
                .get(RETRY_AFTER)
                .map(|value| value.to_str().expect("digits").to_owned())
        };
        let told = |ms: u64| Failure::exhausted("too fast").with_details(serde_json::json!({ "retry_after_ms": ms }));
        assert_eq!(after(told(1)), Some("1".to_owned()));
        assert_eq!(after(told(2000)), Some("2".to_owned()));
        assert_eq!(after(told(2001)), Some("3".to_owned()));
        assert_eq!(after(Failure::exhausted("full")), Some("1".to_owned()));
        assert_eq!(after(Failure::unavailable("down")), Some("1".to_owned()));
        assert_eq!(after(Failure::timeout("late")), None);
    }
}
