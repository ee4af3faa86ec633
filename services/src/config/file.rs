//! Reads the text of a configuration file into values with their lines.
//!
//! What is a setting, a table of settings or a service's section is found out here; what a value should be is not.

use std::path::Path;

use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, ConfigErrors};
use super::given::Given;
use super::origin::Origin;
use super::section::{SECTIONS, Sections};
use super::suggest::nearest;
use super::table::{self, Setting, settings};

/// The settings that a file gives, in the order of their lines.
#[derive(Debug, Default)]
pub(crate) struct FileValues {
    pub(crate) given: Vec<(&'static Setting, Origin, Given)>,
    pub(crate) sections: Sections,
}

/// Reads a file's text. What could be read is returned beside what is wrong; after a breach of the syntax nothing is,
/// because a key that lost its table would be called unknown.
pub(crate) fn read(path: &Path, text: &str) -> (FileValues, ConfigErrors) {
    let lines = Lines::new(path, text);
    let (document, breaches) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        lines,
        values: FileValues::default(),
        errors: ConfigErrors::default(),
    };
    for breach in &breaches {
        // Only the message: the error's own text would show the line, and with it perhaps a password.
        let origin = reader.lines.origin(breach.span().map_or(0, |span| span.start));
        reader
            .errors
            .push(ConfigError::new(origin, "the text", breach.message()));
    }
    if breaches.is_empty() {
        reader.table("", document.get_ref());
    }
    (reader.values, reader.errors)
}

struct Reader<'a> {
    lines: Lines<'a>,
    values: FileValues,
    errors: ConfigErrors,
}

impl Reader<'_> {
    /// Reads a table of settings; tables of settings are nested once, so this recursion ends.
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let origin = self.lines.origin(key.span().start);
            let name = format!("{prefix}{}", key.get_ref());
            if let Some(setting) = table::find(&name) {
                self.values.given.push((setting, origin, given(value.get_ref())));
            } else if name == SECTIONS {
                self.sections(origin, value.get_ref());
            } else if table::is_table(&name) {
                match value.get_ref() {
                    DeValue::Table(inner) => self.table(&format!("{name}."), inner),
                    _ => self
                        .errors
                        .push(ConfigError::new(origin, &name, "expected a table of settings")),
                }
            } else {
                let near = if self.errors.is_full() { None } else { near_key(&name) };
                self.errors
                    .push(ConfigError::new(origin, &name, "there is no such setting").suggest(near));
            }
        }
    }

    fn sections(&mut self, origin: Origin, value: &DeValue<'_>) {
        let DeValue::Table(sections) = value else {
            self.errors
                .push(ConfigError::new(origin, SECTIONS, "expected a table for each service"));
            return;
        };
        let mut entries: Vec<_> = sections.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let origin = self.lines.origin(key.span().start);
            let name = key.get_ref();
            match value.get_ref() {
                DeValue::Table(_) => self.section(origin, name, value),
                _ => self.errors.push(ConfigError::new(
                    origin,
                    &format!("{SECTIONS}.{name}"),
                    "expected a table with the service's keys",
                )),
            }
        }
    }

    fn section(&mut self, origin: Origin, name: &str, value: &Spanned<DeValue<'_>>) {
        let subject = format!("{SECTIONS}.{name}");
        if let Err(error) = name.parse::<roadshow_bridges::Token>() {
            self.errors.push(ConfigError::new(origin, &subject, error.to_string()));
            return;
        }
        match toml::Value::deserialize(value.clone().into_deserializer()) {
            Ok(toml::Value::Table(table)) => {
                if let DeValue::Table(spans) = value.get_ref() {
                    self.origins(&subject, spans);
                }
                self.values.sections.insert(name, table);
            }
            Ok(_) => self.errors.push(ConfigError::new(origin, &subject, "expected a table")),
            // The parser takes numbers of any length; only here it turns out that one does not fit.
            Err(_) => self
                .errors
                .push(ConfigError::new(origin, &subject, "a number in it is too large")),
        }
    }

    /// Remembers the line of every key; the parser limits how deep tables nest.
    fn origins(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let name = format!("{prefix}.{}", key.get_ref());
            let origin = self.lines.origin(key.span().start);
            if let DeValue::Table(inner) = value.get_ref() {
                self.origins(&name, inner);
            }
            self.values.sections.set_origin(name, origin);
        }
    }
}

fn near_key(name: &str) -> Option<String> {
    let known = settings().iter().map(|setting| setting.name().to_owned());
    nearest(name, known.chain([SECTIONS.to_owned()]))
}

fn given(value: &DeValue<'_>) -> Given {
    match value {
        DeValue::String(text) => Given::Text(text.to_string()),
        DeValue::Boolean(value) => Given::Bool(*value),
        DeValue::Array(entries) => {
            let texts: Option<Vec<String>> = entries
                .iter()
                .map(|entry| entry.get_ref().as_str().map(str::to_owned))
                .collect();
            texts.map_or(Given::Other("an array of other things"), Given::List)
        }
        DeValue::Integer(value) => i64::from_str_radix(value.as_str(), value.radix())
            .map_or(Given::Other("an integer beyond 64 bits"), Given::Integer),
        DeValue::Float(_) => Given::Other("a float"),
        DeValue::Datetime(_) => Given::Other("a date or time"),
        DeValue::Table(_) => Given::Other("a table"),
    }
}

/// Finds the line of a position.
struct Lines<'a> {
    path: &'a Path,
    ends: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(path: &'a Path, text: &str) -> Self {
        Self {
            path,
            ends: text
                .bytes()
                .enumerate()
                .filter(|(_, byte)| *byte == b'\n')
                .map(|(at, _)| at)
                .collect(),
        }
    }

    fn origin(&self, position: usize) -> Origin {
        let line = self.ends.partition_point(|end| *end < position) + 1;
        Origin::File {
            path: self.path.to_owned(),
            line,
        }
    }
}
