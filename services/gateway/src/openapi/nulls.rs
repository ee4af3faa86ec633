//! Schemas without their null: an address cannot say null, and a reply of null is a status of its own.

use serde_json::{Map, Value};

use crate::kind::resolved;
use crate::shape::says_nothing;

/// Splits a schema: what it says of values that are not null, if any are left, and whether it takes null.
pub(crate) fn split(schema: &Value, definitions: &Value) -> (Option<Value>, bool) {
    if says_nothing(schema) {
        return (Some(schema.clone()), true);
    }
    let whole = resolved(schema, definitions);
    match without(whole) {
        // A reference to a schema without null stays a reference.
        (_, false) => (Some(schema.clone()), false),
        (rest, true) => (rest, true),
    }
}

fn without(schema: &Value) -> (Option<Value>, bool) {
    let Value::Object(schema) = schema else {
        return (Some(schema.clone()), false);
    };
    match schema.get("type") {
        Some(Value::String(name)) if name == "null" => return (None, true),
        Some(Value::Array(names)) if names.iter().any(|name| name == "null") => {
            return (Some(typed(schema, names)), true);
        }
        _ => {}
    }
    for word in ["anyOf", "oneOf"] {
        let Some(parts) = schema.get(word).and_then(Value::as_array) else {
            continue;
        };
        let rest: Vec<Value> = parts.iter().filter(|part| !is_null(part)).cloned().collect();
        if rest.len() < parts.len() {
            return (composed(schema, word, rest), true);
        }
    }
    (Some(Value::Object(schema.clone())), false)
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|name| name == "null")
}

/// A schema whose type is one of several, without null.
fn typed(schema: &Map<String, Value>, names: &[Value]) -> Value {
    let mut rest = annotated(schema);
    let mut names: Vec<Value> = names.iter().filter(|name| *name != "null").cloned().collect();
    let one = if names.len() == 1 { names.pop() } else { None };
    rest.insert("type".to_owned(), one.unwrap_or(Value::Array(names)));
    if let Some(Value::Array(values)) = rest.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    Value::Object(rest)
}

/// A composed schema of the parts that are left; of one part, the part itself with what was said of the whole.
fn composed(schema: &Map<String, Value>, word: &str, mut parts: Vec<Value>) -> Option<Value> {
    let mut rest = annotated(schema);
    rest.remove(word);
    match (parts.len(), parts.pop()) {
        (1, Some(Value::Object(part))) => {
            for (word, value) in part {
                rest.entry(word).or_insert(value);
            }
        }
        (_, Some(last)) => {
            parts.push(last);
            rest.insert(word.to_owned(), Value::Array(parts));
        }
        (_, None) => return None,
    }
    Some(Value::Object(rest))
}

fn annotated(schema: &Map<String, Value>) -> Map<String, Value> {
    let mut rest = schema.clone();
    if rest.get("default").is_some_and(Value::is_null) {
        rest.remove("default");
    }
    rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_is_split_off_however_it_is_written() {
        let definitions = json!({
            "User": { "type": "object" },
            "Maybe": { "anyOf": [{ "$ref": "#/components/schemas/User" }, { "type": "null" }] },
        });
        let user = json!({ "$ref": "#/components/schemas/User" });
        let table = [
            (json!({ "type": "null" }), None, true),
            (json!({ "type": "string" }), Some(json!({ "type": "string" })), false),
            (
                json!({ "type": ["string", "null"], "default": null }),
                Some(json!({ "type": "string" })),
                true,
            ),
            (
                json!({ "type": ["string", "null"], "enum": ["a", null] }),
                Some(json!({ "type": "string", "enum": ["a"] })),
                true,
            ),
            (
                json!({ "type": ["string", "integer", "null"] }),
                Some(json!({ "type": ["string", "integer"] })),
                true,
            ),
            (
                json!({ "anyOf": [user, { "type": "null" }], "description": "who" }),
                Some(json!({ "$ref": "#/components/schemas/User", "description": "who" })),
                true,
            ),
            (user.clone(), Some(user.clone()), false),
            (json!({ "$ref": "#/components/schemas/Maybe" }), Some(user), true),
            (json!(true), Some(json!(true)), true),
        ];
        for (schema, rest, takes_null) in table {
            assert_eq!(split(&schema, &definitions), (rest, takes_null), "{schema}");
        }
    }
}
