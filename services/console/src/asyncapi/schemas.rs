//! The schemas of payloads, collected under `components/schemas`.
//!
//! AsyncAPI reads draft 7 where nothing else is said. One generator serves the whole document, so two types of one name
//! are told apart.

use roadshow_services::SchemaOf;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// Collects what payloads refer to.
pub(super) struct Schemas(SchemaGenerator);

impl Schemas {
    pub(super) fn new() -> Self {
        let mut settings = SchemaSettings::draft07();
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
        Self(settings.into_generator())
    }

    /// The schema of one type, most often a reference.
    pub(super) fn of(&mut self, schema_of: SchemaOf) -> Value {
        schema_of(&mut self.0).to_value()
    }

    /// The first line of what a schema, or the one that it refers to, says of itself.
    pub(super) fn first_line(&self, schema: &Value) -> Option<String> {
        let meant = match schema["$ref"].as_str().and_then(|path| path.rsplit_once('/')) {
            Some((_, name)) => self.0.definitions().get(name)?,
            None => schema,
        };
        let line = meant["description"].as_str()?.lines().next()?;
        Some(line.trim_end_matches('.').to_owned())
    }

    /// All that was referred to, by name.
    pub(super) fn into_definitions(mut self) -> Map<String, Value> {
        self.0.take_definitions(true)
    }
}
