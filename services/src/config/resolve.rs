//! Puts defaults, file, environment and flags together.
//!
//! Every value that was given is read, also one that a stronger source overrides: a wrong line in a file is wrong today
//! even if a variable hides it until tomorrow.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use roadshow_bridges::{Namespace, NodeId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{ConfigError, ConfigErrors};
use super::given::Given;
use super::http::HttpListen;
use super::origin::Origin;
use super::section::{SECTIONS, Sections};
use super::suggest::nearest;
use super::table::{self, Setting, Unset, settings};
use super::{BridgeSettings, BridgeUrl, CallSettings, GatewaySettings, LogFormat, Settings, env, file, units};

/// A setting with its effective value, as `doctor` prints it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Effective {
    /// The setting's name.
    pub name: &'static str,
    /// Its value; secrets are hidden.
    pub value: String,
    /// Who chose the value.
    pub origin: Origin,
}

/// Settings, the services' sections, and where each value came from.
#[derive(Clone, PartialEq)]
pub struct Resolved {
    settings: Settings,
    origins: BTreeMap<&'static str, Origin>,
    sections: Sections,
    ignored: Vec<String>,
}

impl Settings {
    /// Puts defaults, the text of a file, environment variables and flags together; later ones override earlier ones.
    ///
    /// `flags` are pairs of a setting's name and its text. `host` is the name of this machine, the default of
    /// `node_id`; without one the node is named `node`. Variables that do not begin with `ROADSHOW_` are passed over.
    ///
    /// # Errors
    ///
    /// Fails with everything that is wrong: unknown keys, variables and flags, and values that cannot be read.
    pub fn resolve(
        file: Option<(&Path, &str)>,
        env: impl Iterator<Item = (String, String)>,
        flags: &[(String, String)],
        host: Option<&str>,
    ) -> Result<Resolved, ConfigErrors> {
        let (from_file, mut errors) = file.map(|(path, text)| file::read(path, text)).unwrap_or_default();
        let mut sections = from_file.sections;
        let (from_env, wrong) = env::read(env, &mut sections);
        errors.append(wrong);
        let (from_flags, wrong) = read_flags(flags);
        errors.append(wrong);

        let mut settings = defaults();
        let mut origins = BTreeMap::new();
        for (setting, origin, given) in from_file.given.into_iter().chain(from_env.given).chain(from_flags) {
            match (setting.set)(&mut settings, &given) {
                Ok(()) => {}
                Err(why) => errors.push(ConfigError::new(origin.clone(), setting.name(), why)),
            }
            origins.insert(setting.name(), origin);
        }
        if !origins.contains_key("node_id")
            && let Some(host) = host
        {
            errors.append(
                name_after_host(&mut settings, host)
                    .err()
                    .map(ConfigErrors::from)
                    .unwrap_or_default(),
            );
        }
        errors.append(
            check_timeouts(&settings, &origins)
                .err()
                .map(ConfigErrors::from)
                .unwrap_or_default(),
        );
        errors.into_result(Resolved {
            settings,
            origins,
            sections,
            ignored: from_env.ignored,
        })
    }
}

type FlagValues = Vec<(&'static Setting, Origin, Given)>;

fn read_flags(flags: &[(String, String)]) -> (FlagValues, ConfigErrors) {
    let mut values = Vec::new();
    let mut errors = ConfigErrors::default();
    for (name, text) in flags {
        match table::find(name) {
            Some(setting) => {
                values.push((
                    setting,
                    Origin::Flag { name: setting.flag() },
                    Given::Text(text.clone()),
                ));
            }
            None => {
                let flag = format!("--{}", name.replace(['.', '_'], "-"));
                let near = nearest(name, settings().iter().map(|setting| setting.name().to_owned()));
                let near = near.and_then(|near| table::find(&near)).map(Setting::flag);
                let origin = Origin::Flag { name: flag.clone() };
                errors.push(ConfigError::new(origin, &flag, "there is no such setting").suggest(near));
            }
        }
    }
    (values, errors)
}

fn name_after_host(settings: &mut Settings, host: &str) -> Result<(), ConfigError> {
    match host.parse() {
        Ok(node_id) => {
            settings.node_id = node_id;
            Ok(())
        }
        Err(error) => {
            let why = format!("the host's name cannot be the node's, choose one with --node-id: {error}");
            Err(ConfigError::new(Origin::Default, "node_id", why))
        }
    }
}

fn check_timeouts(settings: &Settings, origins: &BTreeMap<&'static str, Origin>) -> Result<(), ConfigError> {
    let CallSettings {
        default_timeout,
        max_timeout,
    } = settings.call;
    if default_timeout <= max_timeout {
        return Ok(());
    }
    // Whoever was chosen by somebody is the one to correct.
    let names = ["call.default_timeout", "call.max_timeout"];
    let name = names
        .into_iter()
        .find(|name| origins.contains_key(name))
        .unwrap_or(names[0]);
    let origin = origins.get(name).cloned().unwrap_or(Origin::Default);
    let (default, max) = (units::show_duration(default_timeout), units::show_duration(max_timeout));
    let why = format!("the default of {default} is longer than the maximum of {max}");
    Err(ConfigError::new(origin, name, why))
}

/// Returns settings in which every default of the table is set.
pub(crate) fn defaults() -> Settings {
    let memory: BridgeUrl = "memory:".parse().expect("a scheme is a url");
    let mut settings = Settings {
        node_id: "node".parse::<NodeId>().expect("the word is a token"),
        namespace: roadshow_bridges::DEFAULT_NAMESPACE
            .parse::<Namespace>()
            .expect("the default is a namespace"),
        services: Vec::new(),
        event_bridge: memory.clone(),
        queue_bridge: memory.clone(),
        state_store: memory,
        bridge: BridgeSettings::default(),
        http: HttpListen::Off,
        log: LogFormat::Text,
        log_filter: String::new(),
        http_token: None,
        gateway: GatewaySettings::unset(),
        shutdown_budget: Duration::ZERO,
        start_deadline: Duration::ZERO,
        call: CallSettings {
            default_timeout: Duration::ZERO,
            max_timeout: Duration::ZERO,
        },
        codec_always: false,
        strict_contracts: false,
        payload_limit: 0,
        reply_allow: Vec::new(),
    };
    for setting in table::settings() {
        if let Unset::Text(text) = setting.unset {
            (setting.set)(&mut settings, &Given::Text(text.to_owned()))
                .expect("every default of the table can be read");
        }
    }
    settings
}

impl Resolved {
    /// Returns the settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns who chose the value of a setting; the default if nobody did or there is no such setting.
    #[must_use]
    pub fn origin(&self, name: &str) -> &Origin {
        self.origins.get(name).unwrap_or(&Origin::Default)
    }

    /// Returns every setting with its value and origin, in the order of the table.
    pub fn effective(&self) -> impl Iterator<Item = Effective> {
        settings().iter().map(|setting| Effective {
            name: setting.name(),
            value: (setting.show)(&self.settings),
            origin: self.origin(setting.name()).clone(),
        })
    }

    /// Returns variables that begin like ours and were passed over because Kubernetes makes them.
    pub fn ignored_variables(&self) -> impl Iterator<Item = &str> {
        self.ignored.iter().map(String::as_str)
    }

    /// Reads the table `[service.<service>]` into a type of the service; a table that is not there is empty.
    ///
    /// # Errors
    ///
    /// Fails when the table does not fit the type; the error names the key and its line or variable, not its value.
    pub fn section<T: DeserializeOwned>(&self, service: &str) -> Result<T, ConfigError> {
        self.sections.read(service)
    }

    /// Returns the table `[service.<service>]` as it stands, if it does.
    #[must_use]
    pub fn raw_section(&self, service: &str) -> Option<&toml::Table> {
        self.sections.get(service)
    }

    /// Returns every key of the tables `[service.<name>]` by its whole path, and who chose it. The values are the services'
    /// own, and some of them secret.
    pub fn section_keys(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.sections.keys()
    }

    /// Checks the names of services against those that exist: in `services` and in `[service.<name>]`.
    ///
    /// # Errors
    ///
    /// Fails with every name that is not in `known`, and the nearest that is.
    pub fn check_services(&self, known: &[&str]) -> Result<(), ConfigErrors> {
        let mut errors = ConfigErrors::default();
        for name in self
            .settings
            .services
            .iter()
            .filter(|name| !known.contains(&name.as_str()))
        {
            let near = nearest(name.as_str(), known.iter().map(|name| (*name).to_owned()));
            let why = format!("there is no service {name}");
            errors.push(ConfigError::new(self.origin("services").clone(), "services", why).suggest(near));
        }
        self.sections
            .strangers(known)
            .into_iter()
            .for_each(|error| errors.push(error));
        errors.into_result(())
    }
}

impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolved")
            .field("settings", &self.settings)
            .field("origins", &self.origins)
            .field(SECTIONS, &self.sections)
            .finish_non_exhaustive()
    }
}
