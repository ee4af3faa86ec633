//! The OpenAPI document of a node: a pure function from what its commands and streams promise.
//!
//! It says what the gateway does, not what it might do: parameters are read from the input's schema by the same walk that
//! the routing table uses, and every problem that stands in it can come. Its text is the same for the same services,
//! wherever it is made.
//!
//! Deliberately not in it: health, metrics and the admin routes, which are for whoever runs a node.

mod document;
mod input;
mod nulls;
mod operation;
mod parameters;
mod problems;
mod schemas;
mod security;
mod served;
mod yaml;

use std::collections::BTreeMap;
use std::time::Duration;

use roadshow_services::{Method, NodeLimits, ServiceContract};
use serde::Serialize;

pub(crate) use document::{Components, MediaType, Operation, Ordered, Parameter, Place, RefOr, Response, Tag};
use document::{Heading, PathItem, Server};
use operation::Described;
pub(crate) use schemas::bounds;
use schemas::{Schemas, ServiceSchemas};
pub use security::SecurityScheme;
pub(crate) use served::{Documents, tag_of, tagged};

/// The version of OpenAPI that documents are written in.
const VERSION: &str = "3.1.0";
const DESCRIPTION: &str = "Every answer that is not a reply is a problem document (RFC 9457): its `code` says what to do, \
                           and its `executed` whether the request may be repeated.";

/// What a document says beside what the commands promise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preface {
    /// What the document is about.
    pub title: String,
    /// Its version.
    pub version: String,
    /// How callers say who they are at routes that are not public.
    pub security: SecurityScheme,
    /// The longest time budget that a caller may ask for.
    pub timeout_max: Duration,
    /// The largest body, in bytes.
    pub body_max: usize,
}

impl Preface {
    /// A title and a version, a bearer token for closed routes, and the limits that a node has by default.
    #[must_use]
    pub fn new(title: impl Into<String>, version: impl Into<String>) -> Self {
        let limits = NodeLimits::default();
        Preface {
            title: title.into(),
            version: version.into(),
            security: SecurityScheme::default(),
            timeout_max: limits.timeout_max,
            body_max: limits.payload_max,
        }
    }
}

/// An OpenAPI 3.1 document.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpenApi {
    openapi: &'static str,
    pub(crate) info: Heading,
    servers: Vec<Server>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) paths: Ordered<PathItem>,
    pub(crate) components: Components,
    #[serde(skip)]
    pub(crate) security: SecurityScheme,
}

impl OpenApi {
    /// The document as JSON: indented, with a line end.
    ///
    /// # Panics
    /// Never: everything in it is JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a document is made of JSON");
        text.push('\n');
        text
    }

    /// The same document as YAML.
    ///
    /// # Panics
    /// Never: everything in it is JSON.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        // Read again as text, because the order of what is written is the document's and not a map's.
        yaml::from_json(&self.to_json())
    }
}

/// Writes a JSON text as YAML: members keep their order, numbers their text.
///
/// # Panics
/// If the text is no JSON.
#[must_use]
pub fn yaml_of_json(json: &str) -> String {
    yaml::from_json(json)
}

/// Describes the commands and streams that declare a route: services in the order of their names, then paths, then methods.
///
/// ```
/// # use roadshow_gateway::{Preface, openapi};
/// let document = openapi(&Preface::new("shop", "1.0.0"), &[]);
/// assert!(document.to_json().starts_with("{\n  \"openapi\": \"3.1.0\",\n"));
/// ```
#[must_use]
pub fn openapi(preface: &Preface, services: &[ServiceContract]) -> OpenApi {
    let mut services: Vec<&ServiceContract> = services.iter().collect();
    services.sort_by(|a, b| (a.id.name(), a.id.version()).cmp(&(b.id.name(), b.id.version())));
    let mut schemas = Schemas::with(problems::PROBLEM, problems::schema());
    let described: Vec<Described<'_>> = services
        .iter()
        .flat_map(|service| describe(service, &mut schemas))
        .collect();
    let mut components = Components {
        headers: problems::headers(),
        ..Components::default()
    };
    let mut paths = Paths::default();
    for described in &described {
        let (at, path) = paths.place(described);
        let operation = described.operation(preface, schemas.definitions(), path, &mut components);
        paths.put(at, described.route.method, operation);
    }
    let closed = described.iter().any(|described| !described.route.public);
    if closed {
        components.security_schemes = Ordered::one(preface.security.name(), preface.security.to_json());
    }
    finish(preface, tags(&described), paths.0, components, schemas)
}

/// The commands and streams of a service that have a route, in the order of path and method.
fn describe<'a>(service: &'a ServiceContract, schemas: &mut Schemas) -> Vec<Described<'a>> {
    let mut own = ServiceSchemas::new();
    let mut described = Vec::new();
    for contract in &service.commands {
        let Some(route) = &contract.http else { continue };
        described.push(Described {
            promise: contract.into(),
            route,
            input: own.of(contract.input),
            reply: own.of(contract.reply),
        });
    }
    for contract in &service.streams {
        let Some(route) = &contract.http else { continue };
        described.push(Described {
            promise: contract.into(),
            route,
            input: own.of(contract.input),
            reply: own.of(contract.item),
        });
    }
    let renames = schemas.adopt(service.id, own);
    for described in &mut described {
        renames.apply(&mut described.input);
        renames.apply(&mut described.reply);
    }
    described.sort_by_key(|described| described.route.path);
    described
}

/// Puts the document together, without what nothing in it leads to.
fn finish(
    preface: &Preface,
    tags: Vec<Tag>,
    paths: Ordered<PathItem>,
    components: Components,
    schemas: Schemas,
) -> OpenApi {
    let mut document = OpenApi {
        openapi: VERSION,
        info: Heading {
            title: preface.title.clone(),
            version: preface.version.clone(),
            description: DESCRIPTION,
        },
        servers: vec![Server {
            url: "/",
            description: "The node that serves this document",
        }],
        tags,
        paths,
        components,
        security: preface.security.clone(),
    };
    document.components.responses.0.sort_by(|(a, _), (b, _)| a.cmp(b));
    document.components.parameters.0.sort_by(|(a, _), (b, _)| a.cmp(b));
    let without_schemas = serde_json::to_value(&document).expect("a document is made of JSON");
    let text = without_schemas.to_string();
    let is_used = |name: &str| text.contains(&format!("\"#/components/headers/{name}\""));
    document.components.headers.0.retain(|(name, _)| is_used(name));
    document.components.schemas = schemas.into_used(&without_schemas);
    document
}

/// Paths in the order in which services come to them.
#[derive(Debug, Default)]
struct Paths(Ordered<PathItem>);

impl Paths {
    /// The place of a command, and the names that the path has for its fields. Two templates that differ only in the
    /// names of their segments are the same path: the first one's names hold.
    fn place(&mut self, described: &Described<'_>) -> (usize, Vec<(String, &'static str)>) {
        let version = described.promise.address.service().version();
        let template = format!("/api/v{version}{}", described.route.path);
        let known = self
            .0
            .0
            .iter()
            .position(|(known, _)| anonymous(known) == anonymous(&template));
        let at = known.unwrap_or_else(|| {
            self.0.push(template, PathItem::default());
            self.0.0.len() - 1
        });
        let names = names(&self.0.0[at].0).map(str::to_owned);
        (at, names.zip(described.route.path_names()).collect())
    }

    fn put(&mut self, at: usize, method: Method, operation: Operation) {
        let item = &mut self.0.0[at].1;
        let place = match method {
            Method::Get => &mut item.get,
            Method::Post => &mut item.post,
            Method::Put => &mut item.put,
            Method::Patch => &mut item.patch,
            Method::Delete => &mut item.delete,
        };
        *place = Some(operation);
    }
}

fn names(template: &str) -> impl Iterator<Item = &str> {
    template
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn anonymous(template: &str) -> Vec<&str> {
    let segments = template.split('/');
    segments
        .map(|segment| if segment.starts_with('{') { "{}" } else { segment })
        .collect()
}

/// The headings: services with their versions, then what commands name beside them.
fn tags(described: &[Described<'_>]) -> Vec<Tag> {
    let mut versions: BTreeMap<&str, Vec<u16>> = BTreeMap::new();
    let mut others: Vec<&str> = Vec::new();
    for described in described {
        let service = described.promise.address.service();
        if described.promise.notes.tags.is_empty() {
            let versions = versions.entry(service.name()).or_default();
            if !versions.contains(&service.version()) {
                versions.push(service.version());
            }
        }
        others.extend(&described.promise.notes.tags);
    }
    let service = |(name, versions): (&&str, &Vec<u16>)| {
        let versions: Vec<String> = versions.iter().map(u16::to_string).collect();
        let word = if versions.len() == 1 { "version" } else { "versions" };
        Tag {
            name: (*name).to_owned(),
            description: Some(format!(
                "Commands of the service `{name}`, {word} {}",
                versions.join(" and ")
            )),
        }
    };
    let mut tags: Vec<Tag> = versions.iter().map(service).collect();
    for name in others {
        if !tags.iter().any(|tag| tag.name == name) {
            tags.push(Tag {
                name: name.to_owned(),
                description: None,
            });
        }
    }
    tags
}
