//! The parts of an OpenAPI document that we write, as thin structures: what is a member here is a member there.
//!
//! Schemas stay JSON values, as schemars makes them. Maps keep the order in which they are put together, so that the
//! document of the same services is the same text everywhere.

use roadshow_services::Code;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// A map in the order of its making.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ordered<V>(pub(crate) Vec<(String, V)>);

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Ordered(Vec::new())
    }
}

impl<V> Ordered<V> {
    pub(crate) fn one(name: impl Into<String>, value: V) -> Self {
        Ordered(vec![(name.into(), value)])
    }

    pub(crate) fn push(&mut self, name: impl Into<String>, value: V) {
        self.0.push((name.into(), value));
    }

    pub(crate) fn get(&self, name: &str) -> Option<&V> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V: Serialize> Serialize for Ordered<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// A part of the document, or where it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum RefOr<T> {
    Ref {
        #[serde(rename = "$ref")]
        reference: String,
    },
    Here(T),
}

impl<T> RefOr<T> {
    pub(crate) fn to(section: &str, name: &str) -> Self {
        RefOr::Ref {
            reference: format!("#/components/{section}/{name}"),
        }
    }

    /// The part, looked up where the reference points.
    pub(crate) fn resolve<'a>(&'a self, section: &'a Ordered<T>) -> Option<&'a T> {
        match self {
            RefOr::Ref { reference } => section.get(reference.rsplit('/').next()?),
            RefOr::Here(part) => Some(part),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Heading {
    pub(crate) title: String,
    pub(crate) version: String,
    pub(crate) description: &'static str,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Server {
    pub(crate) url: &'static str,
    pub(crate) description: &'static str,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Tag {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
}

/// What stands at one path: one operation per method.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct PathItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) get: Option<Operation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) post: Option<Operation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) put: Option<Operation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) patch: Option<Operation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delete: Option<Operation>,
}

impl PathItem {
    /// The operations with their methods, in the order in which they are written.
    pub(crate) fn operations(&self) -> impl Iterator<Item = (&'static str, &Operation)> {
        let all = [
            ("GET", &self.get),
            ("POST", &self.post),
            ("PUT", &self.put),
            ("PATCH", &self.patch),
            ("DELETE", &self.delete),
        ];
        all.into_iter()
            .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Operation {
    pub(crate) tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) summary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    pub(crate) operation_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) parameters: Vec<RefOr<Parameter>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_body: Option<RequestBody>,
    pub(crate) responses: Ordered<RefOr<Response>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) deprecated: bool,
    /// Empty: no scheme is needed.
    pub(crate) security: Vec<Ordered<[String; 0]>>,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    Path,
    Query,
    Header,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    #[serde(rename = "in")]
    pub(crate) place: Place,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    pub(crate) required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) style: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) explode: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) schema: Option<Value>,
    /// In place of a schema: the text is a document of a media type of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<Ordered<MediaType>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) example: Option<Value>,
}

impl Parameter {
    pub(crate) fn is_path(&self) -> bool {
        self.place == Place::Path
    }

    /// The schema of the value, wherever it is said.
    pub(crate) fn value_schema(&self) -> Option<&Value> {
        let of_content = || self.content.as_ref().and_then(|content| content.iter().next());
        self.schema
            .as_ref()
            .or_else(|| of_content().map(|(_, media)| &media.schema))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct RequestBody {
    pub(crate) required: bool,
    pub(crate) content: Ordered<MediaType>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct MediaType {
    pub(crate) schema: Value,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(crate) examples: Ordered<Example>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Example {
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Response {
    pub(crate) description: String,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(crate) headers: Ordered<RefOr<Header>>,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(crate) content: Ordered<MediaType>,
    /// The failure that it is, with when the command itself answers it.
    #[serde(skip)]
    pub(crate) failure: Option<(Code, Vec<String>)>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Header {
    pub(crate) description: &'static str,
    pub(crate) required: bool,
    pub(crate) schema: Value,
}

/// What operations share.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Components {
    pub(crate) schemas: Ordered<Value>,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(crate) parameters: Ordered<Parameter>,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(crate) headers: Ordered<Header>,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(crate) responses: Ordered<Response>,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(crate) security_schemes: Ordered<Value>,
}
