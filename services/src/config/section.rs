//! The tables that belong to services.
//!
//! `[service.user]` is read by the service `user` and by nobody else, into a type of its own. Values of a section are never
//! repeated in a message, because nobody here knows which of them are secret.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::error::ConfigError;
use super::origin::Origin;
use super::suggest::nearest;

/// The key under which the services' tables stand.
pub(crate) const SECTIONS: &str = "service";

/// What a path of keys is cut to at most; a section is not nested deeper by variables.
const DEPTH_MAX: usize = 8;

/// The tables of all services and where each key came from.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Sections {
    tables: BTreeMap<String, Table>,
    /// By the whole path of a key, `service.user.port`.
    origins: BTreeMap<String, Origin>,
}

impl Sections {
    pub(crate) fn insert(&mut self, service: &str, table: Table) {
        self.tables.insert(service.to_owned(), table);
    }

    pub(crate) fn set_origin(&mut self, path: String, origin: Origin) {
        self.origins.insert(path, origin);
    }

    pub(crate) fn get(&self, service: &str) -> Option<&Table> {
        self.tables.get(service)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    /// Every key that holds no further keys, by its whole path.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&str, &Origin)> {
        let holds_others = |key: &str| {
            let inside = format!("{key}.");
            self.origins.keys().any(|other| other.starts_with(&inside))
        };
        self.origins
            .iter()
            .filter(move |(key, _)| !holds_others(key))
            .map(|(key, origin)| (key.as_str(), origin))
    }

    /// Sets one key from a variable. Keys and services of a variable have no dashes and no capitals; they find what
    /// the file spells with them.
    pub(crate) fn override_key(&mut self, path: &[&str], text: &str, origin: &Origin) -> Result<(), &'static str> {
        let [service, keys @ .., last] = path else {
            return Err("expected a service and a key, as in ROADSHOW_SERVICE__USER__PORT");
        };
        if path.len() > DEPTH_MAX || path.iter().any(|part| part.is_empty()) {
            return Err("expected a service and a key, as in ROADSHOW_SERVICE__USER__PORT");
        }
        let service = spelled(self.tables.keys(), service);
        if service.parse::<roadshow_bridges::Token>().is_err() {
            return Err("no service can have this name");
        }
        let mut name = format!("{SECTIONS}.{service}");
        let mut table = self.tables.entry(service).or_default();
        for key in keys {
            let key = spelled(table.keys(), key);
            name = format!("{name}.{key}");
            let inner = table.entry(key).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(inner) = inner else {
                return Err("a key on its way is no table");
            };
            table = inner;
        }
        let key = spelled(table.keys(), last);
        self.origins.insert(format!("{name}.{key}"), origin.clone());
        table.insert(key, scalar(text));
        Ok(())
    }

    /// Reads a service's table into the service's own type; without one, an empty table.
    pub(crate) fn read<T: DeserializeOwned>(&self, service: &str) -> Result<T, ConfigError> {
        let table = self.tables.get(service).cloned().unwrap_or_default();
        T::deserialize(Value::Table(table)).map_err(|error| {
            let (message, key) = without_values(&error);
            let section = format!("{SECTIONS}.{service}");
            let path = key.map_or_else(|| section.clone(), |key| format!("{section}.{key}"));
            let origin = self.origins.get(&path).cloned().unwrap_or(Origin::Default);
            ConfigError::new(origin, &path, message)
        })
    }

    /// Finds sections of services that do not exist.
    pub(crate) fn strangers(&self, known: &[&str]) -> Vec<ConfigError> {
        let strangers = self.names().filter(|name| !known.contains(name));
        strangers
            .map(|name| {
                let path = format!("{SECTIONS}.{name}");
                let inside = self
                    .origins
                    .iter()
                    .find(|(key, _)| key.starts_with(&format!("{path}.")));
                let origin = inside.map_or(Origin::Default, |(_, origin)| origin.clone());
                let near = nearest(name, known.iter().map(|name| (*name).to_owned()));
                ConfigError::new(origin, &path, "there is no such service").suggest(near)
            })
            .collect()
    }
}

impl fmt::Debug for Sections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secret: only the keys.
        f.debug_map().entries(self.origins.iter()).finish()
    }
}

/// Returns the known name that a name of a variable stands for, or the name itself.
fn spelled<'a>(known: impl Iterator<Item = &'a String>, name: &str) -> String {
    let folded = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    let name = folded(name);
    known
        .into_iter()
        .find(|known| folded(known) == name)
        .cloned()
        .unwrap_or(name)
}

/// Reads the text of a variable: a boolean, a number or a quoted string as the file would, all else as a string.
fn scalar(text: &str) -> Value {
    let like_a_value = text == "true"
        || text == "false"
        || text.starts_with(['"', '\''])
        || text.starts_with(|c: char| c.is_ascii_digit() || "+-".contains(c));
    let value = if like_a_value { text.parse::<Value>().ok() } else { None };
    match value {
        Some(value @ (Value::Boolean(_) | Value::Integer(_) | Value::Float(_) | Value::String(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}

/// Takes a reader's message apart: what was expected without what was found, and the key.
fn without_values(error: &toml::de::Error) -> (String, Option<String>) {
    let whole = error.to_string();
    let key = whole
        .trim_end()
        .rsplit_once("\nin `")
        .and_then(|(_, key)| key.strip_suffix('`'));
    let message = error.message();
    let repeats_a_value = ["invalid type", "invalid value", "unknown variant", "invalid length"]
        .into_iter()
        .find(|begin| message.starts_with(begin));
    let message = match repeats_a_value {
        Some(begin) => {
            let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
            expected.map_or_else(|| begin.to_owned(), |expected| format!("{begin}, expected {expected}"))
        }
        None => message.to_owned(),
    };
    (message, key.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Mail {
        host: String,
        #[serde(default)]
        port: u16,
        #[serde(default)]
        login: Option<Login>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Login {
        password: String,
    }

    fn sections(text: &str) -> Sections {
        let mut sections = Sections::default();
        sections.insert("mail", text.parse().expect("a table"));
        sections
    }

    fn env() -> Origin {
        Origin::Env {
            variable: "V".to_owned(),
        }
    }

    #[test]
    fn a_section_becomes_the_services_own_type() {
        let mail: Mail = sections("host = 'a'\nlogin.password = 'b'")
            .read("mail")
            .expect("a section");
        let login = Some(Login {
            password: "b".to_owned(),
        });
        assert_eq!(
            mail,
            Mail {
                host: "a".to_owned(),
                port: 0,
                login
            }
        );
    }

    #[test]
    fn an_error_names_the_key_and_never_the_value() {
        let table = [
            (
                "host = 'a'\nport = 'hunter2'",
                "cannot use service.mail.port: invalid type, expected u16",
            ),
            (
                "host = 'a'\nlogin = {password = 424242}",
                "cannot use service.mail.login.password: invalid type, expected a string",
            ),
            (
                "host = 'a'\nport = 424242",
                "cannot use service.mail.port: invalid value, expected u16",
            ),
            ("", "cannot use service.mail: missing field `host`"),
        ];
        for (text, message) in table {
            let error = sections(text).read::<Mail>("mail").expect_err(text);
            assert_eq!(error.to_string(), message);
        }
        let unknown = sections("host = 'a'\nhots = 'hunter2'")
            .read::<Mail>("mail")
            .expect_err("an unknown key");
        assert!(
            unknown.to_string().contains("`hots`") && !unknown.to_string().contains("hunter2"),
            "{unknown}"
        );
    }

    #[test]
    fn a_variable_overrides_one_key_and_finds_the_files_spelling() {
        let mut sections = sections("host = 'a'\nport = 1");
        sections.override_key(&["MAIL", "PORT"], "25", &env()).expect("a key");
        sections
            .override_key(&["MAIL", "LOGIN", "PASSWORD"], "\"25\"", &env())
            .expect("a key");
        let mail: Mail = sections.read("mail").expect("a section");
        assert_eq!(
            (mail.port, mail.login),
            (
                25,
                Some(Login {
                    password: "25".to_owned()
                })
            )
        );
        assert_eq!(sections.origins.get("service.mail.port"), Some(&env()));
        let keys: Vec<&str> = sections.keys().map(|(key, _)| key).collect();
        assert_eq!(keys, ["service.mail.login.password", "service.mail.port"]);
        for path in [
            &["MAIL"][..],
            &["MAIL", ""],
            &["9", "X"],
            &["MAIL", "HOST", "X"],
            &["A"; 9],
        ] {
            assert!(sections.override_key(path, "x", &env()).is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_variables_text_is_a_string_unless_it_is_clearly_not() {
        assert_eq!(scalar("true"), Value::Boolean(true));
        assert_eq!(scalar("-4"), Value::Integer(-4));
        assert_eq!(scalar("'4'"), Value::String("4".to_owned()));
        for text in [
            "",
            "yes",
            "[1]",
            "{a=1}",
            "10.0.0.1",
            "\"open",
            "99999999999999999999",
            "1979-05-27",
            "4\nx=1",
        ] {
            assert_eq!(scalar(text), Value::String(text.to_owned()));
        }
    }

    #[test]
    fn a_section_without_a_service_is_found() {
        let mut sections = sections("");
        sections.override_key(&["MIAL", "HOST"], "x", &env()).expect("a key");
        let strangers = sections.strangers(&["mail", "user"]);
        let texts: Vec<_> = strangers.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            ["cannot use service.mial from V: there is no such service; did you mean mail"]
        );
    }

    #[test]
    fn the_values_of_a_section_are_not_printed() {
        let mut sections = sections("host = 'hunter2'");
        sections
            .override_key(&["MAIL", "PORT"], "hunter2", &env())
            .expect("a key");
        assert!(!format!("{sections:?}").contains("hunter2"));
    }
}
