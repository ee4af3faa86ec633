//! The shape of a command's input: which fields it has and of which kind, read from its schema once, at the start.

use std::collections::{BTreeMap, BTreeSet};

use roadshow_services::SchemaOf;
use roadshow_services::config::nearest;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::kind::{Kind, resolved};

/// How deep the parts of a composed schema are followed.
const DEPTH_MAX: u8 = 8;

/// The fields of an input, with what its schema says of each.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    /// Whether the input is a JSON object.
    pub(crate) object: bool,
    /// Whether it takes names beside those that are known.
    pub(crate) open: bool,
    /// The schemas of each field: several, where parts of a composed schema have the same name.
    pub(crate) schemas: BTreeMap<String, Vec<Value>>,
    /// The fields that every input has.
    pub(crate) required: BTreeSet<String>,
}

impl Fields {
    /// Reads a schema; `definitions` holds what it refers to.
    pub(crate) fn of(schema: &Value, definitions: &Value) -> Fields {
        let mut fields = Fields::default();
        fields.required = fields.add(schema, definitions, 0);
        fields
    }

    /// Adds the fields of a schema and returns which of them it requires.
    fn add(&mut self, schema: &Value, definitions: &Value, depth: u8) -> BTreeSet<String> {
        let schema = resolved(schema, definitions);
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            let known = self.schemas.entry(name.clone()).or_default();
            if !known.contains(property) {
                known.push(property.clone());
            }
        }
        let more = schema.get("additionalProperties");
        self.open |= more.is_some_and(|more| *more != Value::Bool(false)) || says_nothing(schema);
        self.object |= properties.is_some() || schema.get("type").is_some_and(|kind| kind == "object");
        let mut required: BTreeSet<String> = texts(schema.get("required")).collect();
        if depth == DEPTH_MAX {
            return required;
        }
        for word in ["allOf", "anyOf", "oneOf"] {
            let parts = schema.get(word).and_then(Value::as_array).into_iter().flatten();
            let mut of_parts = parts.map(|part| self.add(part, definitions, depth + 1));
            let Some(first) = of_parts.next() else { continue };
            let of_word = of_parts.fold(first, |known, more| match word {
                "allOf" => &known | &more,
                _ => &known & &more,
            });
            required.extend(of_word);
        }
        required
    }
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned)
}

/// The kinds of an input's fields: what a request is read by.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// Whether the input is a JSON object.
    pub(crate) object: bool,
    /// Whether it takes names beside those that are known.
    open: bool,
    fields: BTreeMap<String, Kind>,
}

impl Shape {
    pub(crate) fn of(schema_of: SchemaOf) -> Shape {
        let mut generator = SchemaSettings::draft2020_12().into_generator();
        let schema = schema_of(&mut generator).to_value();
        let definitions = Value::Object(generator.take_definitions(true));
        let fields = Fields::of(&schema, &definitions);
        let kinds = fields.schemas.into_iter();
        Shape {
            object: fields.object,
            open: fields.open,
            fields: kinds
                .map(|(name, schemas)| (name, Kind::of_all(&schemas, &definitions)))
                .collect(),
        }
    }

    /// The kind of the field with this name.
    ///
    /// # Errors
    /// What is wrong with the name, with the nearest known one.
    pub(crate) fn kind(&self, name: &str) -> Result<&Kind, String> {
        if let Some(kind) = self.fields.get(name) {
            return Ok(kind);
        }
        if self.open {
            return Ok(&Kind::Free);
        }
        Err(match nearest(name, self.fields.keys().cloned()) {
            Some(near) => format!("is no field of the input: is {near} meant"),
            None if self.fields.is_empty() => "is not taken: the input has no fields".to_owned(),
            None => {
                let known: Vec<&str> = self.fields.keys().map(String::as_str).collect();
                format!("is no field of the input, which has {}", known.join(", "))
            }
        })
    }
}

/// Whether a schema takes anything at all: `true`, or only words that do not constrain.
pub(crate) fn says_nothing(schema: &Value) -> bool {
    let words = [
        "type",
        "properties",
        "$ref",
        "enum",
        "const",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
    ];
    match schema {
        Value::Bool(taken) => *taken,
        Value::Object(schema) => !words.into_iter().any(|word| schema.contains_key(word)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Plain {
        id: u64,
        name: Option<String>,
        tags: Vec<bool>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Open {
        id: u64,
        #[serde(flatten)]
        more: BTreeMap<String, String>,
    }

    fn shape<T: JsonSchema>() -> Shape {
        Shape::of(|generator| generator.subschema_for::<T>())
    }

    #[test]
    fn fields_have_the_kinds_of_their_types() {
        let shape = shape::<Plain>();
        assert!(shape.object);
        assert_eq!(shape.kind("id"), Ok(&Kind::Integer));
        assert_eq!(shape.kind("name"), Ok(&Kind::Text));
        assert_eq!(shape.kind("tags"), Ok(&Kind::List(Box::new(Kind::Boolean))));
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let problem = shape::<Plain>().kind("nmae").expect_err("unknown");
        assert_eq!(problem, "is no field of the input: is name meant");
        let problem = shape::<Plain>().kind("zebra").expect_err("unknown");
        assert_eq!(problem, "is no field of the input, which has id, name, tags");
        let problem = shape::<()>().kind("id").expect_err("unknown");
        assert_eq!(problem, "is not taken: the input has no fields");
    }

    #[test]
    fn a_field_is_required_if_every_form_of_the_input_requires_it() {
        #[derive(Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "kind")]
        enum Tagged {
            Round { size: u8, radius: f64 },
            Square { size: u8, side: Option<f64> },
        }
        let mut generator = SchemaSettings::draft2020_12().into_generator();
        let schema = generator.subschema_for::<Tagged>().to_value();
        let fields = Fields::of(&schema, &Value::Object(generator.take_definitions(true)));
        let required: Vec<&str> = fields.required.iter().map(String::as_str).collect();
        assert_eq!(required, ["kind", "size"]);
        assert_eq!(fields.schemas["kind"].len(), 2);
        assert_eq!(fields.schemas["size"].len(), 1);
    }

    #[test]
    fn an_open_input_takes_any_name() {
        assert_eq!(shape::<Open>().kind("colour"), Ok(&Kind::Free));
        assert_eq!(shape::<Value>().kind("colour"), Ok(&Kind::Free));
        assert!(!shape::<()>().object);
    }
}
