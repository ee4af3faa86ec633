//! The problem document: a failure as HTTP tells it (RFC 9457).
//!
//! One total function maps the nine codes to statuses; nothing else in the house does. What happens only in HTTP (no such
//! path, a body that is too large) has a status of its own, see `refusal.rs`.

use std::borrow::Cow;

use http::StatusCode;
use roadshow_services::{Code, Failure};
use serde::{Deserialize, Serialize};

/// The status of a failure that a command answered.
#[must_use]
pub const fn status_of(code: Code) -> StatusCode {
    match code {
        Code::Invalid => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Conflict => StatusCode::CONFLICT,
        Code::Exhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A problem document: `type`, `title`, `status`, and the failure's `code`, `message`, `details` and `executed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Problem {
    /// What kind of problem: always `about:blank`, because the code says it.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// The status in words.
    pub title: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// The failure itself.
    #[serde(flatten)]
    pub failure: Failure,
}

impl Problem {
    /// Tells a failure with a status. The details of an internal failure are left out: they never leave the node.
    pub(crate) fn new(status: StatusCode, mut failure: Failure) -> Self {
        if failure.code == Code::Internal {
            failure.details = None;
        }
        Problem {
            kind: Cow::Borrowed("about:blank"),
            title: Cow::Borrowed(status.canonical_reason().unwrap_or("Problem")),
            status: status.as_u16(),
            failure,
        }
    }
}

/// As the gateway would tell it.
impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Problem::new(status_of(failure.code), failure)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_code_has_the_status_that_the_design_names() {
        let expected = [400, 401, 403, 404, 409, 429, 504, 503, 500];
        for (code, status) in Code::ALL.into_iter().zip(expected) {
            assert_eq!(status_of(code).as_u16(), status, "{code}");
        }
    }

    #[test]
    fn a_problem_has_the_seven_members_and_survives_the_wire() {
        let failure = Failure::conflict("the email is taken").with_details(json!({ "field": "email" }));
        let problem = Problem::new(StatusCode::CONFLICT, failure);
        let written = serde_json::to_value(&problem).expect("it serialises");
        let expected = json!({
            "type": "about:blank", "title": "Conflict", "status": 409, "code": "conflict",
            "message": "the email is taken", "details": { "field": "email" }, "executed": "yes",
        });
        assert_eq!(written, expected);
        assert_eq!(serde_json::from_value::<Problem>(written).expect("it parses"), problem);
    }

    #[test]
    fn details_of_internal_failures_stay_in_the_node() {
        let failure = Failure::internal("the command panicked").with_details(json!({ "cause": "secret" }));
        assert_eq!(
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, failure).failure.details,
            None
        );
    }
}
