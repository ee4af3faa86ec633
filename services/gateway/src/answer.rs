//! Answers: the few shapes of response that the gateway sends, and the headers that all of them carry.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::content::Content;

/// A response with what it will say.
pub(crate) type Answer = Response<Content>;

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub(crate) const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Nothing that an answer of ours could be taken for may load or run anything, and no page may frame it.
const NOTHING_RUNS: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// As many headers as an answer has as a rule, so that the map is made once.
const HEADERS: usize = 12;

/// An answer with a body. Nobody stores it and nobody guesses its type.
pub(crate) fn content(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Answer {
    let mut answer = empty(status);
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    *answer.body_mut() = Content::Whole(body.into());
    answer
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(CONTENT_SECURITY_POLICY, NOTHING_RUNS);
    headers.insert(REFERRER_POLICY, NO_REFERRER);
    let mut answer = Response::new(Content::default());
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer
}

/// A value as JSON. What cannot be written as JSON is a defect of the value's type: the answer then says so.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => content(status, JSON, body),
        Err(_) => content(
            StatusCode::INTERNAL_SERVER_ERROR,
            TEXT,
            "the answer cannot be encoded\n",
        ),
    }
}
