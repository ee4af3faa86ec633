//! The headers of messages, as `docs/WIRE.md` has them; and the body of a failure.

use serde_json::{Map, Value, json};

const NUMBER: &str = "^[0-9]+$";
const HEX_32: &str = "^[0-9a-f]{32}$";

/// Name, meaning and form of every header that a sender may give to a command or an event.
const IDENTITY: [(&str, &str, Option<&str>); 15] = [
    (
        "rs-v",
        "Version of this set of headers; 1 if it is left out",
        Some(NUMBER),
    ),
    (
        "rs-id",
        "Message id; a fresh one on receipt if it is left out",
        Some(HEX_32),
    ),
    (
        "rs-correlation",
        "The conversation; the message id if it is left out",
        Some(HEX_32),
    ),
    ("rs-causation", "The message whose handler sent this one", Some(HEX_32)),
    ("rs-from", "Who sent it, for people", None),
    (
        "rs-timeout-ms",
        "Milliseconds left when it was sent; the endpoint's deadline if it is left out",
        Some(NUMBER),
    ),
    ("rs-sent", "When it was sent, in Unix milliseconds", Some(NUMBER)),
    ("rs-attempt", "Which start of the handler this is, from 1", Some(NUMBER)),
    (
        "rs-hops",
        "Services passed so far; more than 32 are refused",
        Some(NUMBER),
    ),
    ("rs-principal", "On whose behalf", None),
    ("rs-tenant", "For which tenant", None),
    (
        "rs-key",
        "Idempotency key: two messages with one key mean one effect",
        None,
    ),
    (
        "rs-schema",
        "Fingerprint of the payload's schema",
        Some("^[0-9a-f]{16}$"),
    ),
    ("traceparent", "W3C trace context", None),
    ("tracestate", "W3C trace state, passed on untouched", None),
];

/// The attributes of CloudEvents, without their prefix.
const EVENT: [(&str, &str, Option<&str>); 4] = [
    ("specversion", "Version of CloudEvents", Some("^1\\.0$")),
    ("id", "Message id; it stands in place of rs-id", None),
    ("source", "A slash and the sender", None),
    ("type", "The event's name", None),
];

/// The headers of a command. All of them may be left out: a stranger needs none of ours.
pub(super) fn of_commands() -> Value {
    let mut properties = properties(IDENTITY, "");
    properties.insert("rs-type".to_owned(), kind("command"));
    json!({
        "type": "object",
        "description": "Each may be left out. Names are read in any case; other headers are carried along.",
        "properties": properties,
    })
}

/// The headers of an event, with the attributes of CloudEvents as this transport spells them.
pub(super) fn of_events(prefix: &str) -> Value {
    let mut properties = properties(IDENTITY, "");
    properties.remove("rs-id");
    properties.insert("rs-type".to_owned(), kind("event"));
    properties.extend(self::properties(EVENT, prefix));
    json!({
        "type": "object",
        "description": "CloudEvents 1.0 in binary mode. A stranger's event may come without any of them.",
        "properties": properties,
    })
}

/// The header by which a failure differs from a reply.
pub(super) fn of_failures() -> Value {
    json!({
        "type": "object",
        "description": "A successful reply has no headers of ours.",
        "properties": {"rs-type": kind("failure")},
        "required": ["rs-type"],
    })
}

/// The body of a failure.
pub(super) fn failure() -> Value {
    json!({
        "type": "object",
        "description": "An answer that says no",
        "properties": {
            "code": {
                "type": "string",
                "description": "What the caller should do about it",
                "enum": ["invalid", "unauthenticated", "forbidden", "not_found", "conflict", "exhausted", "timeout",
                         "unavailable", "internal"],
            },
            "message": {"type": "string", "description": "For people"},
            "details": {"description": "For programs; left out when there are none"},
            "executed": {
                "type": "string",
                "description": "Whether the handler ran: after no, the message may be sent again",
                "enum": ["no", "yes", "unknown"],
            },
        },
        "required": ["code", "message", "executed"],
    })
}

fn properties<const N: usize>(table: [(&str, &str, Option<&str>); N], prefix: &str) -> Map<String, Value> {
    let property = |(name, meaning, pattern): (&str, &str, Option<&str>)| {
        let mut schema = json!({"type": "string", "description": meaning});
        if let Some(pattern) = pattern {
            schema["pattern"] = pattern.into();
        }
        (format!("{prefix}{name}"), schema)
    };
    table.into_iter().map(property).collect()
}

fn kind(kind: &str) -> Value {
    json!({"type": "string", "const": kind})
}

#[cfg(test)]
mod tests {
    use roadshow_bridges::{Code, Executed};

    use super::*;

    #[test]
    fn every_header_of_the_wire_is_there() {
        let wire = include_str!("../../../../docs/WIRE.md");
        let (_, table) = wire.split_once("## Headers").expect("a section");
        let (table, _) = table.split_once("## Events").expect("a section");
        let commands = of_commands();
        for line in table.lines().filter(|line| line.starts_with("| `")) {
            let name = line.split('`').nth(1).expect("a name");
            // What an encoding and a stream need is said elsewhere.
            if !matches!(name, "content-type" | "rs-seq") {
                assert!(commands["properties"][name].is_object(), "{name}");
            }
        }
    }

    #[test]
    fn the_words_of_a_failure_are_those_of_the_code() {
        let failure = failure();
        let words = |value: &Value| value["enum"].as_array().map_or(0, Vec::len);
        assert_eq!(words(&failure["properties"]["code"]), 9);
        for code in [Code::Invalid, Code::NotFound, Code::Internal] {
            let text = code.to_string();
            let known = failure["properties"]["code"]["enum"].as_array().expect("words");
            assert!(known.contains(&Value::from(text.clone())), "{text}");
        }
        for executed in [Executed::No, Executed::Yes, Executed::Unknown] {
            let text = executed.to_string();
            let known = failure["properties"]["executed"]["enum"].as_array().expect("words");
            assert!(known.contains(&Value::from(text.clone())), "{text}");
        }
    }
}
