//! The input of a command, put together from path, query and body by name.
//!
//! A name may come from several places if they agree; where path, query and body contradict each other the request is
//! refused, because one of them is not what its sender believes. Values of the body are carried over as they were
//! written, never through a number type that could round them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use roadshow_services::{Failure, Violations};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::routes::Route;

/// Puts the input together.
///
/// # Errors
/// `invalid`, with every field that is wrong named.
pub(crate) fn merge(route: &Route, values: &[&str], query: Option<&str>, body: Bytes) -> Result<Bytes, Failure> {
    let query = query.unwrap_or_default();
    if values.is_empty() && query.is_empty() {
        return whole_body(route, body);
    }
    if query.is_empty() && body.is_empty() {
        return path_alone(route, values);
    }
    let mut fields = Fields::from_body(&body)?;
    let mut violations = Violations::default();
    for (name, text) in given(route, values, query)? {
        let read = route
            .shape
            .kind(&name)
            .and_then(|kind| kind.read_all(&text).map_err(str::to_owned));
        match read {
            Ok(value) if fields.agrees(&name, &value) => drop(fields.0.insert(name, value)),
            Ok(_) => violations.add(name, "differs between the address and the body"),
            Err(problem) => violations.add(name, problem),
        }
    }
    violations.into_result()?;
    Ok(Bytes::from(
        serde_json::to_vec(&fields.0).expect("JSON values make a JSON object"),
    ))
}

/// The segments of the path, where nothing else brings fields: nothing can contradict them.
fn path_alone(route: &Route, values: &[&str]) -> Result<Bytes, Failure> {
    let mut json = Vec::with_capacity(64);
    let mut violations = Violations::default();
    for (name, value) in route.names.iter().zip(values) {
        let text = match value.contains('%') {
            true => percent_decode_str(value).decode_utf8().map_err(|_| not_utf8())?,
            false => Cow::Borrowed(*value),
        };
        json.push(if json.is_empty() { b'{' } else { b',' });
        serde_json::to_writer(&mut json, name).expect("any text is a JSON string");
        json.push(b':');
        let kind = route.shape.kind(name);
        if let Err(problem) = kind.and_then(|kind| kind.write(&text, &mut json).map_err(str::to_owned)) {
            violations.add(*name, problem);
        }
    }
    violations.into_result()?;
    json.push(b'}');
    Ok(json.into())
}

/// The body as it is, where nothing else brings fields.
fn whole_body(route: &Route, body: Bytes) -> Result<Bytes, Failure> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    match (first, route.shape.object) {
        (None, true) => Ok(Bytes::from_static(b"{}")),
        (None, false) => Ok(Bytes::from_static(b"null")),
        // A list would pass for an object of the same length.
        (Some(b'['), true) => Err(Failure::invalid("the body must be a JSON object, not a list")),
        _ => Ok(body),
    }
}

/// What the address gives: the texts for each name, those of the path first.
fn given(route: &Route, values: &[&str], query: &str) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let mut given = BTreeMap::new();
    for (name, value) in route.names.iter().zip(values) {
        given.insert((*name).to_owned(), vec![decoded(value)?]);
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(&name.replace('+', " "))?, decoded(&value.replace('+', " "))?);
        if route.names.contains(&name.as_str()) {
            if given.get(&name).is_some_and(|texts: &Vec<String>| texts[0] != value) {
                let mut violations = Violations::default();
                violations.add(name, "differs between the path and the query");
                violations.into_result()?;
            }
            continue;
        }
        given.entry(name).or_insert_with(Vec::new).push(value);
    }
    Ok(given)
}

fn decoded(text: &str) -> Result<String, Failure> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(not_utf8()),
    }
}

fn not_utf8() -> Failure {
    Failure::invalid("the address is not in UTF-8 once its percent signs are decoded")
}

/// The fields of a JSON object, each as it was written. An object that has a name twice is refused.
struct Fields(BTreeMap<String, Box<RawValue>>);

impl Fields {
    fn from_body(body: &[u8]) -> Result<Fields, Failure> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Fields(BTreeMap::new()));
        }
        serde_json::from_slice(body)
            .map_err(|error| Failure::invalid(format!("cannot read the body as a JSON object: {error}")))
    }

    /// Whether a field is absent or says the same.
    fn agrees(&self, name: &str, value: &RawValue) -> bool {
        let parsed = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).ok();
        self.0
            .get(name)
            .is_none_or(|own| own.get() == value.get() || parsed(own).is_some_and(|own| Some(own) == parsed(value)))
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the field {name} is there twice")));
            }
            fields.insert(name, value);
        }
        Ok(Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use schemars::JsonSchema;
    use serde::Serialize;

    use super::*;
    use crate::shape::Shape;

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Change {
        id: u64,
        name: String,
        weight: f64,
        tags: Vec<String>,
    }

    fn route(names: Vec<&'static str>, shape: Shape) -> Route {
        Route {
            address: "shop.1.change".parse().expect("an address"),
            streams: false,
            number: 0,
            method: Method::PUT,
            public: true,
            status: StatusCode::OK,
            has_body: true,
            names,
            shape,
        }
    }

    fn merged(values: &[&str], query: &str, body: &'static str) -> Result<String, String> {
        let names = if values.is_empty() { vec![] } else { vec!["id"] };
        let route = route(names, Shape::of(|generator| generator.subschema_for::<Change>()));
        let merged = merge(&route, values, Some(query), Bytes::from_static(body.as_bytes()));
        merged
            .map(|bytes| String::from_utf8(bytes.to_vec()).expect("JSON is UTF-8"))
            .map_err(|failure| failure.message.into_owned())
    }

    #[test]
    fn path_query_and_body_are_merged_by_name() {
        let table = [
            (merged(&[], "", ""), Ok("{}")),
            (merged(&[], "", r#" {"id": 1}"#), Ok(r#" {"id": 1}"#)),
            (merged(&["7"], "", r#"{"name":"a"}"#), Ok(r#"{"id":7,"name":"a"}"#)),
            (merged(&["7"], "", r#"{"id":7}"#), Ok(r#"{"id":7}"#)),
            (merged(&["7"], "id=7", ""), Ok(r#"{"id":7}"#)),
            (merged(&["7"], "", ""), Ok(r#"{"id":7}"#)),
            (merged(&["%37"], "", ""), Ok(r#"{"id":7}"#)),
            (merged(&[], "name=a+b%20c", ""), Ok(r#"{"name":"a b c"}"#)),
            (merged(&[], "tags=a&tags=b", ""), Ok(r#"{"tags":["a","b"]}"#)),
            (merged(&[], "&name&", ""), Ok(r#"{"name":""}"#)),
            (
                merged(&["7"], "", r#"{"weight":1.10}"#),
                Ok(r#"{"id":7,"weight":1.10}"#),
            ),
        ];
        for (merged, expected) in table {
            assert_eq!(merged.as_deref(), expected.as_ref().map(|json| *json));
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused_and_named() {
        let table = [
            (
                merged(&["7"], "", r#"{"id":8}"#),
                "id differs between the address and the body",
            ),
            (merged(&["7"], "id=8", ""), "id differs between the path and the query"),
            (merged(&["seven"], "", ""), "id must be an integer"),
            (
                merged(&[], "nmae=x", ""),
                "nmae is no field of the input: is name meant",
            ),
            (merged(&[], "name=a&name=b", ""), "name is given more than once"),
            (merged(&[], "", "[1,2,3]"), "the body must be a JSON object, not a list"),
            (
                merged(&["%FF"], "", ""),
                "the address is not in UTF-8 once its percent signs are decoded",
            ),
        ];
        for (merged, expected) in table {
            assert_eq!(merged.expect_err(expected), expected);
        }
        let twice = merged(&["7"], "", r#"{"name":"a","name":"b"}"#).expect_err("twice");
        assert!(twice.contains("the field name is there twice"), "{twice}");
    }

    #[test]
    fn an_input_without_fields_is_null() {
        let route = route(Vec::new(), Shape::of(|generator| generator.subschema_for::<()>()));
        assert_eq!(
            merge(&route, &[], None, Bytes::new()).expect("nothing is wrong"),
            "null"
        );
        assert!(merge(&route, &[], Some("a=1"), Bytes::new()).is_err());
    }
}
