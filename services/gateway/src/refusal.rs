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

/// A "no" with its status and headers.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    failure: Failure,
    header: Option<(HeaderName, HeaderValue)>,
    close: bool,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Refusal {
            status: status_of(failure.code),
            failure,
            header: None,
            close: false,
        }
    }
}

impl Refusal {
    /// A failure that the gateway found before anything ran.
    pub(crate) fn before(failure: Failure) -> Self {
        failure.with_executed(Executed::No).into()
    }

    fn http(status: StatusCode, failure: Failure) -> Self {
        Refusal {
            status,
            ..Refusal::before(failure)
        }
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
        Refusal::http(StatusCode::METHOD_NOT_ALLOWED, failure).header(ALLOW, allow.clone())
    }

    /// 401: the caller did not say who it is.
    pub(crate) fn unauthenticated(message: &'static str) -> Self {
        Refusal::before(Failure::unauthenticated(message))
    }

    /// 406: the caller takes no JSON.
    pub(crate) fn not_acceptable() -> Self {
        let failure = Failure::invalid("this path answers application/json, which the accept header excludes");
        Refusal::http(StatusCode::NOT_ACCEPTABLE, failure)
    }

    /// 408: the body came too slowly.
    pub(crate) fn body_too_slow(limit: Duration) -> Self {
        let text = format!("the body did not arrive within {limit:?}");
        Refusal::http(StatusCode::REQUEST_TIMEOUT, Failure::timeout(text)).closing()
    }

    /// 413: the body is too large.
    pub(crate) fn body_too_large(limit: usize) -> Self {
        let failure = Failure::invalid(format!("the body is larger than {limit} bytes"))
            .with_details(serde_json::json!({ "limit_bytes": limit }));
        Refusal::http(StatusCode::PAYLOAD_TOO_LARGE, failure)
    }

    /// 415: the body is no JSON by its own account.
    pub(crate) fn not_json() -> Self {
        let failure = Failure::invalid("the body must be JSON, and its content-type application/json");
        Refusal::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, failure)
    }

    /// 415: the body is compressed.
    pub(crate) fn encoded() -> Self {
        let failure = Failure::invalid("the body must not be compressed");
        Refusal::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, failure)
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
    }

    /// 503: the node drains.
    pub(crate) fn draining() -> Self {
        Refusal::before(Failure::unavailable("this node is shutting down")).closing()
    }

    pub(crate) fn into_answer(self) -> Answer {
        let retry_after = self.retry_after();
        let Refusal {
            status,
            failure,
            header,
            close,
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

#[cfg(test)]
mod tests {
    use super::*;

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
