//! The problems that an operation may answer, each once under `components/responses`; and the schema they share.

use http::StatusCode;
use roadshow_services::{Code, Executed, Failure};
use serde_json::{Value, json};

use crate::openapi::document::{Example, Header, MediaType, Ordered, RefOr, Response};
use crate::problem::{Problem, status_of};
use crate::streams::ITEMS_MAX;

/// The media type of problems.
const PROBLEM_JSON: &str = "application/problem+json";
/// The name of the problem's schema.
pub(crate) const PROBLEM: &str = "Problem";

/// A problem that an operation may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// A failure with this code, as a command answers it or the gateway before it.
    Of(Code),
    NotAcceptable,
    /// Neither events nor JSON are taken.
    NoStreamAcceptable,
    /// The list of a stream has a bound; so has the body, if there is one.
    StreamTooLong {
        has_body: bool,
    },
    BodyTooSlow,
    BodyTooLarge,
    NotJson,
    /// Too many calls, where the command says how many are.
    RateLimited,
}

impl Trouble {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Trouble::Of(code) => status_of(code),
            Trouble::NotAcceptable | Trouble::NoStreamAcceptable => StatusCode::NOT_ACCEPTABLE,
            Trouble::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Trouble::BodyTooLarge | Trouble::StreamTooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Trouble::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Trouble::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    fn code(self) -> Code {
        match self {
            Trouble::Of(code) => code,
            Trouble::NotAcceptable | Trouble::NoStreamAcceptable | Trouble::BodyTooLarge | Trouble::NotJson => {
                Code::Invalid
            }
            Trouble::BodyTooSlow => Code::Timeout,
            Trouble::RateLimited | Trouble::StreamTooLong { .. } => Code::Exhausted,
        }
    }

    /// The name of the shared response.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Trouble::Of(Code::Invalid) => "Invalid",
            Trouble::Of(Code::Unauthenticated) => "Unauthenticated",
            Trouble::Of(Code::Forbidden) => "Forbidden",
            Trouble::Of(Code::NotFound) => "NotFound",
            Trouble::Of(Code::Conflict) => "Conflict",
            Trouble::Of(Code::Exhausted) => "Exhausted",
            Trouble::Of(Code::Timeout) => "Timeout",
            Trouble::Of(Code::Unavailable) => "Unavailable",
            Trouble::Of(Code::Internal) => "Internal",
            Trouble::NotAcceptable => "NotAcceptable",
            Trouble::NoStreamAcceptable => "NoStreamAcceptable",
            Trouble::StreamTooLong { has_body: false } => "StreamTooLong",
            Trouble::StreamTooLong { has_body: true } => "BodyOrStreamTooLong",
            Trouble::BodyTooSlow => "BodyTooSlow",
            Trouble::BodyTooLarge => "BodyTooLarge",
            Trouble::NotJson => "NotJson",
            Trouble::RateLimited => "RateLimited",
        }
    }

    /// When it comes, without what a command says of its own.
    fn when(self, body_max: usize) -> String {
        let text = match self {
            Trouble::Of(Code::Invalid) => {
                "The request cannot be read as an input of the command, or breaks one of its rules: `details` names the \
                 fields."
            }
            Trouble::Of(Code::Unauthenticated) => "The caller did not say who it is, or not convincingly.",
            Trouble::Of(Code::Forbidden) => "The caller may not do this.",
            Trouble::Of(Code::NotFound) => "What the request names does not exist.",
            Trouble::Of(Code::Conflict) => "The state does not allow it now: read it again, then decide.",
            Trouble::Of(Code::Exhausted) => "Too many calls are at work or wait already: come again later.",
            Trouble::Of(Code::Timeout) => "No answer came within the time budget: look at `executed` before repeating.",
            Trouble::Of(Code::Unavailable) => {
                "The command cannot be served at the moment, or the node is shutting down: come again later."
            }
            Trouble::Of(Code::Internal) => "The service failed. What happened is in the node's log, not here.",
            Trouble::NotAcceptable => "The `accept` header excludes `application/json`.",
            Trouble::NoStreamAcceptable => {
                "The `accept` header excludes both `text/event-stream` and `application/json`."
            }
            Trouble::StreamTooLong { has_body } => {
                let body = match has_body {
                    true => format!("The body is larger than {body_max} bytes. Or the"),
                    false => "The".to_owned(),
                };
                return format!(
                    "{body} stream says more than fits into a list ({ITEMS_MAX} items, and the node's payload limit): ask \
                     for `text/event-stream`."
                );
            }
            Trouble::BodyTooSlow => "The body did not arrive in time.",
            Trouble::BodyTooLarge => return format!("The body is larger than {body_max} bytes."),
            Trouble::NotJson => "The body is not JSON by its `content-type`, or is compressed.",
            Trouble::RateLimited => {
                "The caller calls faster than the command's rate limit allows, or too many calls are at work: come again \
                 when `retry-after` is over."
            }
        };
        text.to_owned()
    }

    /// Whether the command may have run where it is not the command that answers.
    fn refused(self) -> Executed {
        match self {
            Trouble::Of(Code::Timeout | Code::Internal) | Trouble::StreamTooLong { .. } => Executed::Unknown,
            _ => Executed::No,
        }
    }

    /// The response, with what the command itself says of when it comes.
    pub(crate) fn response(self, body_max: usize, declared: &[&str]) -> Response {
        let mut description = self.when(body_max);
        for (at, when) in declared.iter().enumerate() {
            let gap = if at == 0 { "\n\n" } else { "\n" };
            description.push_str(&format!("{gap}- `{}`: {when}", self.code()));
        }
        let status = self.status();
        let example = match declared.first() {
            Some(when) => problem(status, self.code(), (*when).to_owned(), answered(self.code())),
            None => problem(status, self.code(), self.when(body_max), self.refused()),
        };
        let examples = Ordered::one("problem", Example { value: example });
        let schema = json!({ "$ref": format!("#/components/schemas/{PROBLEM}") });
        Response {
            description,
            headers: headers_of(self),
            content: Ordered::one(PROBLEM_JSON, MediaType { schema, examples }),
            failure: Some((self.code(), declared.iter().map(|when| (*when).to_owned()).collect())),
        }
    }
}

/// A problem as it may look.
fn problem(status: StatusCode, code: Code, message: String, executed: Executed) -> Value {
    json!(Problem::new(
        status,
        Failure::new(code, message).with_executed(executed)
    ))
}

/// Whether a command has run that answers a failure on purpose. Rules of the input are asked before it runs.
fn answered(code: Code) -> Executed {
    match code {
        Code::Invalid => Executed::No,
        _ => Executed::Yes,
    }
}

fn headers_of(trouble: Trouble) -> Ordered<RefOr<Header>> {
    let mut names = vec!["x-request-id"];
    match trouble {
        Trouble::Of(Code::Exhausted | Code::Unavailable) => names.push("retry-after"),
        Trouble::RateLimited => names.extend(["retry-after", "ratelimit-policy", "ratelimit"]),
        Trouble::Of(Code::Unauthenticated) => names.push("www-authenticate"),
        _ => {}
    }
    refer(&names)
}

/// References to shared headers.
pub(crate) fn refer(names: &[&str]) -> Ordered<RefOr<Header>> {
    Ordered(
        names
            .iter()
            .map(|name| ((*name).to_owned(), RefOr::to("headers", name)))
            .collect(),
    )
}

/// All headers of answers that are worth a description.
pub(crate) fn headers() -> Ordered<Header> {
    let text = || json!({ "type": "string" });
    let table = [
        (
            "x-request-id",
            "The id of the request: the caller's own, or one that was made for it.",
            text(),
        ),
        (
            "x-correlation-id",
            "The conversation that the call belongs to, as the logs name it.",
            text(),
        ),
        (
            "traceparent",
            "The trace of the call, as W3C Trace Context writes it.",
            text(),
        ),
        (
            "retry-after",
            "In how many seconds to come again.",
            json!({ "type": "integer", "minimum": 0 }),
        ),
        (
            "ratelimit-policy",
            "The limit that was reached, with its window.",
            text(),
        ),
        (
            "ratelimit",
            "What is left of the limit, and when there is more.",
            text(),
        ),
        ("www-authenticate", "How to say who you are.", text()),
    ];
    let header = |(name, description, schema): (&str, &'static str, Value)| {
        let header = Header {
            description,
            required: false,
            schema,
        };
        (name.to_owned(), header)
    };
    Ordered(table.into_iter().map(header).collect())
}

/// The schema of all problems.
pub(crate) fn schema() -> Value {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    json!({
        "type": "object",
        "description": "A failure as HTTP tells it (RFC 9457): `code` says what to do, `message` says why, `executed` says \
                        whether it is safe to repeat the request.",
        "required": ["type", "title", "status", "code", "message", "executed"],
        "properties": {
            "type": { "type": "string", "description": "Always `about:blank`: the code says what kind of problem it is." },
            "title": { "type": "string", "description": "The status in words." },
            "status": { "type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status." },
            "code": {
                "type": "string",
                "enum": codes,
                "description": "What kind of \"no\" it is: invalid, unauthenticated, forbidden, not_found and conflict are \
                                for the caller to put right; exhausted, timeout and unavailable may pass; internal is for \
                                whoever runs the service.",
            },
            "message": { "type": "string", "description": "What is wrong, for a person." },
            "details": { "description": "What is wrong, for a program. Absent where there is nothing to add." },
            "executed": {
                "type": "string",
                "enum": ["no", "yes", "unknown"],
                "description": "Whether the command may have run: after `no` it is safe to repeat the request, after \
                                `unknown` look first.",
            },
        },
    })
}
