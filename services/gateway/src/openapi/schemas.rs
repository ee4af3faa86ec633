//! The schemas of all commands under names that hold in the whole document.
//!
//! Within one service schemars keeps types of one name apart. Between services it cannot, because each may be read alone:
//! two definitions of one name are the same type if they say the same and mean the same by what they refer to; otherwise
//! the later one gets the name of its service in front.

use std::collections::{BTreeMap, BTreeSet};

use roadshow_services::{SchemaOf, ServiceId};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::openapi::document::Ordered;

/// Where definitions stand in the document.
const PLACE: &str = "#/components/schemas/";
/// Words of a schema whose members are schemas under names of the author's choice.
const NAMED: [&str; 4] = ["$defs", "dependentSchemas", "patternProperties", "properties"];
/// Words of a schema whose values are data and no schemas.
const DATA: [&str; 5] = ["const", "default", "enum", "example", "examples"];

/// The definitions of a whole document.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    definitions: Value,
}

/// The schemas of one service, which may still have to change their names.
#[derive(Debug)]
pub(crate) struct ServiceSchemas {
    generator: SchemaGenerator,
}

impl ServiceSchemas {
    pub(crate) fn new() -> Self {
        let mut settings = SchemaSettings::draft2020_12();
        settings.definitions_path = "/components/schemas".into();
        ServiceSchemas {
            generator: settings.into_generator(),
        }
    }

    /// The schema of one type.
    pub(crate) fn of(&mut self, schema_of: SchemaOf) -> Value {
        let mut schema = schema_of(&mut self.generator).to_value();
        bound_integers(&mut schema);
        schema
    }
}

impl Schemas {
    /// Definitions to begin with.
    pub(crate) fn with(name: &str, schema: Value) -> Self {
        let mut definitions = Map::new();
        definitions.insert(name.to_owned(), schema);
        Schemas {
            definitions: Value::Object(definitions),
        }
    }

    /// All definitions, as what looks references up wants them.
    pub(crate) fn definitions(&self) -> &Value {
        &self.definitions
    }

    /// Takes the definitions of a service over, and returns which of them have another name now.
    pub(crate) fn adopt(&mut self, service: ServiceId, mut schemas: ServiceSchemas) -> Renames {
        let mut own = schemas.generator.take_definitions(true);
        own.values_mut().for_each(bound_integers);
        let mut renames = Renames::default();
        loop {
            let before = renames.0.len();
            for (name, schema) in &own {
                if !renames.0.contains_key(name) && self.clashes(name, schema, &renames) {
                    let fresh = self.fresh(service, name, &own);
                    renames.0.insert(name.clone(), fresh);
                }
            }
            if renames.0.len() == before {
                break;
            }
        }
        for (name, mut schema) in own {
            renames.apply(&mut schema);
            let name = renames.0.get(&name).cloned().unwrap_or(name);
            self.map().insert(name, schema);
        }
        renames
    }

    /// Whether a definition cannot keep its name.
    fn clashes(&self, name: &str, schema: &Value, renames: &Renames) -> bool {
        let means_another = || references(schema).iter().any(|name| renames.0.contains_key(name));
        match self.definitions.get(name) {
            Some(known) => known != schema || means_another(),
            None => !name.bytes().all(is_name_byte),
        }
    }

    /// A name that neither the document nor the service has.
    fn fresh(&self, service: ServiceId, name: &str, own: &Map<String, Value>) -> String {
        let plain = |byte: u8| if is_name_byte(byte) { char::from(byte) } else { '_' };
        let name: String = name.bytes().map(plain).collect();
        let qualified = format!("{service}.{name}");
        let is_taken = |name: &String| self.definitions.get(name).is_some() || own.contains_key(name);
        let mut names = std::iter::once(qualified.clone()).chain((2..).map(|n: u64| format!("{qualified}_{n}")));
        names
            .find(|name| !is_taken(name))
            .expect("there are more numbers than definitions")
    }

    fn map(&mut self) -> &mut Map<String, Value> {
        if !self.definitions.is_object() {
            self.definitions = Value::Object(Map::new());
        }
        self.definitions.as_object_mut().expect("it was just made an object")
    }

    /// The definitions that the rest of a document leads to, by name.
    pub(crate) fn into_used(mut self, document: &Value) -> Ordered<Value> {
        let mut used = BTreeSet::new();
        let mut open: Vec<String> = references(document).into_iter().collect();
        while let Some(name) = open.pop() {
            let Some(schema) = self.definitions.get(&name) else {
                continue;
            };
            if used.insert(name) {
                open.extend(references(schema));
            }
        }
        let map = std::mem::take(self.map());
        Ordered(map.into_iter().filter(|(name, _)| used.contains(name)).collect())
    }
}

/// Which definitions of a service have another name in the document.
#[derive(Debug, Default)]
pub(crate) struct Renames(BTreeMap<String, String>);

impl Renames {
    /// Lets references point to the names in the document.
    pub(crate) fn apply(&self, schema: &mut Value) {
        each_part(schema, &mut |part| {
            let Some(Value::String(reference)) = part.get_mut("$ref") else {
                return;
            };
            if let Some(fresh) = target(reference).and_then(|name| self.0.get(&name)) {
                *reference = format!("{PLACE}{fresh}");
            }
        });
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._".contains(&byte)
}

/// The definition that a reference points to.
fn target(reference: &str) -> Option<String> {
    let encoded = reference.strip_prefix(PLACE)?;
    let decoded = percent_encoding::percent_decode_str(encoded).decode_utf8_lossy();
    Some(decoded.replace("~1", "/").replace("~0", "~"))
}

fn references(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    gather(value, &mut found);
    found
}

fn gather(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).and_then(target));
            members.values().for_each(|member| gather(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
        _ => {}
    }
}

/// Visits a schema and every schema in it.
fn each_part(schema: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    match schema {
        Value::Object(members) => {
            visit(members);
            for (word, member) in members {
                match member {
                    Value::Object(named) if NAMED.contains(&word.as_str()) => {
                        named.values_mut().for_each(|part| each_part(part, visit));
                    }
                    member if !DATA.contains(&word.as_str()) => each_part(member, visit),
                    _ => {}
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_part(item, visit)),
        _ => {}
    }
}

/// Says the bounds of integers that schemars leaves to the format: a reader of the schema need not know our formats.
fn bound_integers(schema: &mut Value) {
    each_part(schema, &mut |part| {
        let Some((minimum, maximum)) = part.get("format").and_then(Value::as_str).and_then(bounds) else {
            return;
        };
        part.entry("minimum").or_insert(minimum);
        part.entry("maximum").or_insert(maximum);
    });
}

/// The least and the greatest number of a format of integers, where schemars leaves them out.
pub(crate) fn bounds(format: &str) -> Option<(Value, Value)> {
    Some(match format {
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        "int64" | "int" => (i64::MIN.into(), i64::MAX.into()),
        "uint32" => (0.into(), u32::MAX.into()),
        "uint64" | "uint" => (0.into(), u64::MAX.into()),
        _ => return None,
    })
}
