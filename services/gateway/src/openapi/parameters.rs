//! The headers that any caller may send.

use http::HeaderName;
use serde_json::{Value, json};

use crate::caller_headers::{KEY, TEXT_LEN_MAX, TIMEOUT, TRACEPARENT};
use crate::openapi::Preface;
use crate::openapi::document::{Components, Ordered, Parameter, Place, RefOr};

/// References to the headers of one operation. A key tells two messages with one effect from two effects, which a
/// command that may run twice does not need.
pub(crate) fn headers(preface: &Preface, idempotent: bool, components: &mut Components) -> Vec<RefOr<Parameter>> {
    let mut shared = Vec::new();
    let mut share = |name: &'static str, header: &HeaderName, description: String, schema: Value| {
        if components.parameters.get(name).is_none() {
            components.parameters.push(name, parameter(header, description, schema));
        }
        shared.push(RefOr::to("parameters", name));
    };
    let most = preface.timeout_max.as_millis();
    share(
        "TimeoutMs",
        &TIMEOUT,
        format!("How long there is time for an answer, in milliseconds; more than {most} is cut to {most}."),
        json!({ "type": "integer", "minimum": 1, "maximum": u64::MAX }),
    );
    if !idempotent {
        share(
            "IdempotencyKey",
            &KEY,
            "A text of the caller's choice: two requests with one key mean one effect, where the service keeps to it."
                .to_owned(),
            json!({ "type": "string", "minLength": 1, "maxLength": TEXT_LEN_MAX, "pattern": "^[ -~]*[!-~][ -~]*$" }),
        );
    }
    share(
        "RequestId",
        &HeaderName::from_static("x-request-id"),
        "An id of the request for logs on both sides. One that cannot be used is replaced.".to_owned(),
        json!({ "type": "string" }),
    );
    share(
        "Traceparent",
        &TRACEPARENT,
        "The trace to continue, as W3C Trace Context writes it. One that cannot be read is as good as none.".to_owned(),
        json!({ "type": "string" }),
    );
    shared
}

fn parameter(header: &HeaderName, description: String, schema: Value) -> Parameter {
    Parameter {
        name: header.as_str().to_owned(),
        place: Place::Header,
        description: Some(description),
        required: false,
        style: None,
        explode: None,
        schema: Some(schema),
        content: None::<Ordered<_>>,
        example: None,
    }
}
