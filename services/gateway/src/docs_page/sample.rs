//! A value that a schema takes, for whoever wants to try: an example where one is declared, else something plausible.

use serde_json::{Map, Value, json};

use crate::openapi::Ordered;

/// How deep a sample goes; deeper values are left out.
const DEPTH_MAX: u8 = 6;

/// Makes a value of a schema.
pub(crate) fn of(schema: &Value, definitions: &Ordered<Value>) -> Value {
    at_depth(schema, definitions, 0)
}

fn at_depth(schema: &Value, definitions: &Ordered<Value>, depth: u8) -> Value {
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    if let Some(name) = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|at| at.rsplit('/').next())
    {
        let definition = definitions.get(name);
        return definition.map_or(Value::Null, |definition| at_depth(definition, definitions, depth + 1));
    }
    let first = |word: &str| schema.get(word)?.as_array()?.first();
    let said = ["example", "const"].into_iter().find_map(|word| schema.get(word));
    if let Some(value) = said.or_else(|| first("examples")).or_else(|| first("enum")) {
        return value.clone();
    }
    if let Some(part) = first("oneOf").or_else(|| first("anyOf")) {
        return merged(at_depth(part, definitions, depth + 1), schema, definitions, depth);
    }
    if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
        let samples = parts.iter().map(|part| at_depth(part, definitions, depth + 1));
        let whole = samples.fold(json!({}), over);
        return merged(whole, schema, definitions, depth);
    }
    let kind = match schema.get("type") {
        Some(Value::Array(names)) => names.first().and_then(Value::as_str),
        kind => kind.and_then(Value::as_str),
    };
    match kind {
        Some("string") => text(schema).into(),
        Some("integer") => schema
            .get("minimum")
            .filter(|least| least.as_i64().is_some_and(|n| n > 1))
            .cloned()
            .unwrap_or(1.into()),
        Some("number") => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
        Some("boolean") => true.into(),
        Some("array") => {
            let item = schema.get("items").map(|item| at_depth(item, definitions, depth + 1));
            Value::Array(item.into_iter().collect())
        }
        Some("null") => Value::Null,
        _ => fields(schema, definitions, depth),
    }
}

/// The fields that stand beside the parts of a composed schema, added to a sample of the parts.
fn merged(sample: Value, schema: &Value, definitions: &Ordered<Value>, depth: u8) -> Value {
    match schema.get("properties") {
        Some(_) => over(sample, fields(schema, definitions, depth)),
        None => sample,
    }
}

fn over(under: Value, over: Value) -> Value {
    match (under, over) {
        (Value::Object(mut under), Value::Object(over)) => {
            under.extend(over);
            Value::Object(under)
        }
        (under, _) => under,
    }
}

/// An object with the fields that every value has.
fn fields(schema: &Value, definitions: &Ordered<Value>, depth: u8) -> Value {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let mut sample = Map::new();
    for name in required.filter_map(Value::as_str) {
        let field = schema.get("properties").and_then(|fields| fields.get(name));
        let value = field.map_or(Value::Null, |field| at_depth(field, definitions, depth + 1));
        sample.insert(name.to_owned(), value);
    }
    Value::Object(sample)
}

fn text(schema: &Value) -> String {
    let known = match schema.get("format").and_then(Value::as_str).unwrap_or_default() {
        "email" => "ada@example.org",
        "uuid" => "9f1c2d3e-4b5a-4678-9abc-def012345678",
        "date-time" => "2030-01-31T12:00:00Z",
        "date" => "2030-01-31",
        "time" => "12:00:00Z",
        "uri" | "url" => "https://example.org/",
        "ipv4" | "ip" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "hostname" => "example.org",
        "duration" => "PT1M",
        _ => "text",
    };
    let chars = |word: &str| {
        schema
            .get(word)
            .and_then(Value::as_u64)
            .and_then(|chars| usize::try_from(chars).ok())
    };
    let least = chars("minLength").unwrap_or(0).min(256);
    let most = chars("maxLength").unwrap_or(usize::MAX);
    known
        .chars()
        .chain(std::iter::repeat('x'))
        .take(least.max(known.len()).min(most))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_something_that_the_schema_takes() {
        let definitions = Ordered(vec![(
            "Tree".to_owned(),
            json!({ "type": "object", "required": ["left"], "properties": { "left": { "$ref": "#/x/Tree" } } }),
        )]);
        let table = [
            (json!({ "type": "string", "format": "email" }), json!("ada@example.org")),
            (
                json!({ "type": "string", "minLength": 6, "maxLength": 8 }),
                json!("textxx"),
            ),
            (json!({ "type": ["string", "null"], "maxLength": 2 }), json!("te")),
            (json!({ "type": "integer", "minimum": 7 }), json!(7)),
            (json!({ "type": "integer", "minimum": 0 }), json!(1)),
            (json!({ "type": "array", "items": { "const": "a" } }), json!(["a"])),
            (
                json!({ "oneOf": [{ "required": ["a"], "properties": { "a": { "type": "boolean" } } }], "required": ["b"],
                        "properties": { "b": { "enum": [3] } } }),
                json!({ "a": true, "b": 3 }),
            ),
            (json!(true), json!({})),
        ];
        for (schema, expected) in table {
            assert_eq!(of(&schema, &definitions), expected, "{schema}");
        }
        let endless = of(&json!({ "$ref": "#/x/Tree" }), &definitions);
        assert!(endless["left"]["left"].is_object() || endless["left"].is_object());
    }
}
