//! What a request brings: the fields of the input as parameters of path and query, and the rest as a body, just as
//! `input.rs` of the gateway takes them apart.

use roadshow_services::CommandNotes;
use serde_json::{Map, Value, json};

use crate::kind::{Kind, resolved};
use crate::openapi::document::{Example, MediaType, Ordered, Parameter, Place, RequestBody};
use crate::openapi::nulls;
use crate::shape::Fields;

/// How deep the parts of a composed body are followed to take fields of the path out of them.
const DEPTH_MAX: u8 = 8;
/// The media type of bodies and of fields that are JSON in a text.
pub(crate) const JSON: &str = "application/json";

/// The input of one command or stream.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    notes: &'a CommandNotes,
    schema: &'a Value,
    definitions: &'a Value,
    fields: Fields,
    /// Fields that the path brings, each under the name that the path's template has for it.
    path: Vec<(String, &'static str)>,
}

impl<'a> Input<'a> {
    pub(crate) fn new(
        notes: &'a CommandNotes,
        schema: &'a Value,
        definitions: &'a Value,
        path: Vec<(String, &'static str)>,
    ) -> Self {
        Input {
            notes,
            schema,
            definitions,
            fields: Fields::of(schema, definitions),
            path,
        }
    }

    /// The parameters of the path, in its order.
    pub(crate) fn path_parameters(&self) -> Vec<Parameter> {
        let parameter = |(name, field): &(String, &str)| {
            let mut parameter = self.parameter(field, Place::Path);
            parameter.name.clone_from(name);
            parameter.required = true;
            parameter
        };
        self.path.iter().map(parameter).collect()
    }

    /// The parameters of the query, for methods without a body: those that every request brings first.
    pub(crate) fn query_parameters(&self) -> Vec<Parameter> {
        let is_free = |name: &&String| !self.path.iter().any(|(_, field)| field == name);
        let free = self.fields.schemas.keys().filter(is_free);
        let mut parameters: Vec<Parameter> = free.map(|name| self.parameter(name, Place::Query)).collect();
        parameters.sort_by_key(|parameter| !parameter.required);
        if self.fields.open {
            parameters.push(any_other());
        }
        parameters
    }

    fn parameter(&self, field: &str, place: Place) -> Parameter {
        let schemas = self.fields.schemas.get(field).map(Vec::as_slice).unwrap_or_default();
        let kind = Kind::of_all(schemas, self.definitions);
        let required = self.fields.required.contains(field);
        let mut schema = self.schema_of_text(schemas);
        let description = take_description(&mut schema).or_else(|| {
            Some(
                resolved(&schema, self.definitions)
                    .get("description")?
                    .as_str()?
                    .to_owned(),
            )
        });
        let inner = resolved(&schema, self.definitions).clone();
        if let (Value::Object(inline), None) = (&mut schema, inner.get("$ref")) {
            // An empty list is a name that is not there, and an empty segment another path.
            match (&kind, place) {
                (Kind::List(_), _) if required => drop(inline.entry("minItems").or_insert(1.into())),
                (Kind::Text, Place::Path) if !says_which(&inner) => drop(inline.entry("minLength").or_insert(1.into())),
                _ => {}
            }
        }
        let is_json = kind == Kind::Free;
        let is_list = matches!(kind, Kind::List(_));
        Parameter {
            name: field.to_owned(),
            place,
            description,
            required,
            style: (is_list && place == Place::Query).then_some("form"),
            explode: (is_list && place == Place::Query).then_some(true),
            example: self.example(field),
            content: is_json.then(|| Ordered::one(JSON, media(schema.clone(), Ordered::default()))),
            schema: (!is_json).then_some(schema),
        }
    }

    /// One schema for a field of an address, which cannot say null.
    fn schema_of_text(&self, schemas: &[Value]) -> Value {
        let rest = |schema: &Value| nulls::split(schema, self.definitions).0;
        let mut rest: Vec<Value> = schemas.iter().filter_map(rest).collect();
        match rest.len() {
            0 => json!({}),
            1 => rest.remove(0),
            _ => json!({ "anyOf": rest }),
        }
    }

    fn example(&self, field: &str) -> Option<Value> {
        let mut examples = self.notes.examples.iter();
        examples.find_map(|example| example.input.get(field).filter(|value| !value.is_null()).cloned())
    }

    /// The body, for methods that bring one: `None` where nothing is left for it.
    pub(crate) fn body(&self) -> Option<RequestBody> {
        let (Some(rest), takes_null) = nulls::split(self.schema, self.definitions) else {
            return None;
        };
        let names: Vec<&str> = self.path.iter().map(|(_, field)| *field).collect();
        let is_left = |name: &String| !names.contains(&name.as_str());
        if !names.is_empty() && !self.fields.open && !self.fields.schemas.keys().any(is_left) {
            return None;
        }
        let schema = if names.is_empty() {
            rest
        } else {
            without_fields(&rest, &names, self.definitions, 0)
        };
        // Nothing at all is read as an object without fields, and as null where the input is no object.
        let may_be_empty = match self.fields.object {
            true => !self.fields.required.iter().any(is_left),
            false => takes_null,
        };
        Some(RequestBody {
            required: !may_be_empty,
            content: Ordered::one(JSON, media(schema, self.body_examples(&names))),
        })
    }

    fn body_examples(&self, names: &[&str]) -> Ordered<Example> {
        let without_path = |input: &Value| {
            let mut input = input.clone();
            if let Value::Object(members) = &mut input {
                members.retain(|name, _| !names.contains(&name.as_str()));
            }
            input
        };
        let inputs = self.notes.examples.iter();
        examples(inputs.map(|example| without_path(&example.input)))
    }
}

/// Examples under names: they have none of their own.
pub(crate) fn examples(values: impl Iterator<Item = Value>) -> Ordered<Example> {
    let named = values.enumerate();
    let named = named.map(|(at, value)| (format!("example_{}", at + 1), Example { value }));
    Ordered(named.collect())
}

pub(crate) fn media(schema: Value, examples: Ordered<Example>) -> MediaType {
    MediaType { schema, examples }
}

/// Says that names beside the known ones are taken.
fn any_other() -> Parameter {
    Parameter {
        name: "others".to_owned(),
        place: Place::Query,
        description: Some("Any other names: each is a field of the input.".to_owned()),
        required: false,
        style: Some("form"),
        explode: Some(true),
        schema: Some(json!({ "type": "object", "additionalProperties": true })),
        content: None,
        example: None,
    }
}

/// Whether a schema says more of a text than that it is one.
fn says_which(schema: &Value) -> bool {
    ["enum", "const", "oneOf", "anyOf", "format", "pattern"]
        .into_iter()
        .any(|word| schema.get(word).is_some())
}

fn take_description(schema: &mut Value) -> Option<String> {
    match schema.as_object_mut()?.remove("description")? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// A schema without some of its fields. What it refers to is written out, because the definition still has them.
fn without_fields(schema: &Value, names: &[&str], definitions: &Value, depth: u8) -> Value {
    let Value::Object(mut members) = resolved(schema, definitions).clone() else {
        return schema.clone();
    };
    if let Some(Value::Object(properties)) = members.get_mut("properties") {
        properties.retain(|name, _| !names.contains(&name.as_str()));
    }
    if let Some(Value::Array(required)) = members.get_mut("required") {
        required.retain(|name| !name.as_str().is_some_and(|name| names.contains(&name)));
        if required.is_empty() {
            members.remove("required");
        }
    }
    if depth < DEPTH_MAX {
        for word in ["allOf", "anyOf", "oneOf"] {
            if let Some(Value::Array(parts)) = members.get_mut(word) {
                for part in parts.iter_mut() {
                    *part = without_fields(part, names, definitions, depth + 1);
                }
            }
        }
    }
    drop_description(&mut members, depth);
    Value::Object(members)
}

/// The description of the whole input is the operation's.
fn drop_description(members: &mut Map<String, Value>, depth: u8) {
    if depth == 0 {
        members.remove("description");
    }
}
