//! What kind of value a field takes, and how the text of a path or a query becomes one.
//!
//! Text has no types; the schema of the input knows which are meant. Only what is written without doubt is taken: `7` is
//! an integer, `7.0`, `+7` and `07` are not.

use serde_json::Value;
use serde_json::value::RawValue;

/// The kind of a field's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
    List(Box<Kind>),
    /// The schema allows several kinds: what reads as JSON is JSON, all else is text.
    Free,
}

/// How deep a schema is followed; deeper fields are [`Kind::Free`].
const DEPTH_MAX: u8 = 16;

impl Kind {
    /// The kind that a schema describes; `definitions` holds what it refers to.
    pub(crate) fn of(schema: &Value, definitions: &Value) -> Kind {
        Kind::at_depth(schema, definitions, 0).unwrap_or(Kind::Free)
    }

    /// The kind that several schemas of one field describe together.
    pub(crate) fn of_all(schemas: &[Value], definitions: &Value) -> Kind {
        let mut kinds = schemas.iter().map(|schema| Kind::of(schema, definitions));
        match kinds.next() {
            Some(first) if kinds.all(|kind| kind == first) => first,
            _ => Kind::Free,
        }
    }

    /// `None` for a schema that only takes null.
    fn at_depth(schema: &Value, definitions: &Value, depth: u8) -> Option<Kind> {
        let schema = resolved(schema, definitions);
        if depth > DEPTH_MAX {
            return Some(Kind::Free);
        }
        if let Some(types) = schema.get("type") {
            let mut names = types_of(types).filter(|name| *name != "null");
            let first = names.next()?;
            let rest: Vec<&str> = names.collect();
            return Some(match (first, rest.as_slice()) {
                ("string", _) => Kind::Text,
                (_, rest) if rest.contains(&"string") => Kind::Text,
                ("integer", []) => Kind::Integer,
                ("number", []) | ("integer", ["number"]) => Kind::Number,
                ("boolean", []) => Kind::Boolean,
                ("array", []) => {
                    let item = schema
                        .get("items")
                        .and_then(|items| Kind::at_depth(items, definitions, depth + 1));
                    Kind::List(Box::new(item.unwrap_or(Kind::Free)))
                }
                _ => Kind::Free,
            });
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            return Some(if values.iter().all(Value::is_string) {
                Kind::Text
            } else {
                Kind::Free
            });
        }
        if let Some(value) = schema.get("const") {
            return Some(if value.is_string() { Kind::Text } else { Kind::Free });
        }
        let branches = ["anyOf", "oneOf", "allOf"]
            .into_iter()
            .filter_map(|word| schema.get(word)?.as_array());
        let mut kinds = branches
            .flatten()
            .filter_map(|branch| Kind::at_depth(branch, definitions, depth + 1));
        let first = kinds.next().unwrap_or(Kind::Free);
        Some(if kinds.all(|kind| kind == first) {
            first
        } else {
            Kind::Free
        })
    }

    /// Makes the JSON that a text stands for.
    ///
    /// # Errors
    /// What the field must be instead.
    pub(crate) fn read(&self, text: &str) -> Result<Box<RawValue>, &'static str> {
        match self {
            Kind::Text => Ok(string(text)),
            Kind::Integer => number(text)
                .filter(|_| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'))
                .ok_or("must be an integer"),
            Kind::Number => number(text).ok_or("must be a number"),
            Kind::Boolean if matches!(text, "true" | "false") => raw(text).ok_or("must be true or false"),
            Kind::Boolean => Err("must be true or false"),
            Kind::List(item) => Ok(list(&[item.read(text)?])),
            Kind::Free => Ok(raw(text).unwrap_or_else(|| string(text))),
        }
    }

    /// As [`Kind::read`], written to the end of a JSON text; nothing is, on an error.
    ///
    /// # Errors
    /// As [`Kind::read`].
    pub(crate) fn write(&self, text: &str, json: &mut Vec<u8>) -> Result<(), &'static str> {
        if *self == Kind::Text {
            serde_json::to_writer(json, text).expect("any text is a JSON string");
        } else {
            json.extend_from_slice(self.read(text)?.get().as_bytes());
        }
        Ok(())
    }

    /// As [`Kind::read`], from all the texts given for one name.
    ///
    /// # Errors
    /// As [`Kind::read`]; and several texts for a field that takes one.
    pub(crate) fn read_all(&self, texts: &[String]) -> Result<Box<RawValue>, &'static str> {
        match (self, texts) {
            (Kind::List(item), texts) => {
                let items = texts
                    .iter()
                    .map(|text| item.read(text))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(list(&items))
            }
            (_, [one]) => self.read(one),
            _ => Err("is given more than once"),
        }
    }
}

/// Follows references into the definitions, a bounded number of times.
pub(crate) fn resolved<'a>(mut schema: &'a Value, definitions: &'a Value) -> &'a Value {
    for _ in 0..DEPTH_MAX {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
            break;
        };
        let name = reference.rsplit('/').next().unwrap_or_default();
        match definitions.get(name) {
            Some(definition) => schema = definition,
            None => break,
        }
    }
    schema
}

fn types_of(types: &Value) -> impl Iterator<Item = &str> {
    let one = types.as_str().into_iter();
    let several = types.as_array().into_iter().flatten().filter_map(Value::as_str);
    one.chain(several)
}

fn raw(json: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(json.to_owned()).ok()
}

fn number(text: &str) -> Option<Box<RawValue>> {
    let begins = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    raw(text).filter(|_| begins && !text.ends_with(char::is_whitespace))
}

fn string(text: &str) -> Box<RawValue> {
    serde_json::value::to_raw_value(text).expect("any text is a JSON string")
}

fn list(items: &[Box<RawValue>]) -> Box<RawValue> {
    serde_json::value::to_raw_value(items).expect("a list of JSON values is a JSON value")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_name_the_kinds() {
        let definitions = json!({
            "Id": { "type": "string", "pattern": "^u" },
            "Level": { "oneOf": [{ "const": "low" }, { "const": "high", "description": "…" }] },
            "Loop": { "$ref": "#/$defs/Loop" },
        });
        let table = [
            (json!({ "type": "string" }), Kind::Text),
            (json!({ "type": ["integer", "null"], "format": "uint8" }), Kind::Integer),
            (json!({ "type": "number" }), Kind::Number),
            (json!({ "type": "boolean" }), Kind::Boolean),
            (json!({ "$ref": "#/$defs/Id" }), Kind::Text),
            (
                json!({ "anyOf": [{ "$ref": "#/$defs/Level" }, { "type": "null" }] }),
                Kind::Text,
            ),
            (
                json!({ "type": "array", "items": { "type": "integer" } }),
                Kind::List(Box::new(Kind::Integer)),
            ),
            (json!({ "type": "object" }), Kind::Free),
            (json!({ "type": ["integer", "string"] }), Kind::Text),
            (json!({ "enum": ["a", "b"] }), Kind::Text),
            (json!({ "$ref": "#/$defs/Loop" }), Kind::Free),
            (json!({ "$ref": "#/$defs/Absent" }), Kind::Free),
            (json!(true), Kind::Free),
        ];
        for (schema, kind) in table {
            assert_eq!(Kind::of(&schema, &definitions), kind, "{schema}");
        }
    }

    #[test]
    fn only_what_is_written_without_doubt_is_taken() {
        let table = [
            (Kind::Text, "7", Some("\"7\"")),
            (Kind::Text, "a\"b", Some("\"a\\\"b\"")),
            (Kind::Integer, "7", Some("7")),
            (Kind::Integer, "-7", Some("-7")),
            (
                Kind::Integer,
                "340282366920938463463374607431768211455",
                Some("340282366920938463463374607431768211455"),
            ),
            (Kind::Integer, "7.0", None),
            (Kind::Integer, "+7", None),
            (Kind::Integer, "07", None),
            (Kind::Integer, " 7", None),
            (Kind::Integer, "7 ", None),
            (Kind::Integer, "", None),
            (Kind::Integer, "-", None),
            (Kind::Number, "7.5e3", Some("7.5e3")),
            (Kind::Number, "NaN", None),
            (Kind::Number, "\"7\"", None),
            (Kind::Boolean, "true", Some("true")),
            (Kind::Boolean, "True", None),
            (Kind::Boolean, "1", None),
            (Kind::List(Box::new(Kind::Integer)), "7", Some("[7]")),
            (Kind::Free, "{\"a\":1}", Some("{\"a\":1}")),
            (Kind::Free, "plain", Some("\"plain\"")),
        ];
        for (kind, text, expected) in table {
            assert_eq!(
                kind.read(text).ok().as_deref().map(RawValue::get),
                expected,
                "{kind:?} {text:?}"
            );
        }
    }

    #[test]
    fn only_lists_take_a_name_twice() {
        let twice = ["1".to_owned(), "2".to_owned()];
        assert!(Kind::Integer.read_all(&twice).is_err());
        let list = Kind::List(Box::new(Kind::Integer)).read_all(&twice).expect("a list");
        assert_eq!(list.get(), "[1,2]");
    }
}
