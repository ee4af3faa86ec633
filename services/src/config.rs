//! Configuration: what a node is told from outside, and by whom.
//!
//! A setting has a default; a file (`roadshow.toml`) overrides it, an environment variable the file, a flag the variable.
//! All settings stand in one table ([`settings()`]), from which names, defaults, variables, flags, documentation and
//! checks come. [`Settings::resolve`] is a pure function from texts to settings or to *all* that is wrong with them;
//! [`load`] around it is the only code that reads a disk or an environment. Each effective value remembers where it
//! came from ([`Origin`]), so that `roadshow doctor` can say so.
//!
//! A key or a `ROADSHOW_` variable that is not known is refused and the nearest known one is named: a setting that is
//! silently ignored is found at night. Secrets are not printed, neither by `Debug` nor in errors.
//!
//! Tables `[service.<name>]` belong to the services and are handed to them unread ([`Resolved::section`]).
//!
//! Deliberately not here: components (a bridge, a store), which a builder takes as arguments; reloading while running;
//! and which services or bridges exist, which only the node that is being started knows.

mod bridge;
mod env;
mod error;
mod file;
mod gateway;
mod given;
mod http;
mod load;
mod origin;
mod resolve;
mod secret;
mod section;
mod suggest;
mod table;
mod units;
mod url;

use std::time::Duration;

use roadshow_bridges::{Namespace, NodeId, Token};

pub use bridge::BridgeSettings;
pub use error::{ConfigError, ConfigErrors};
pub use gateway::GatewaySettings;
pub use http::HttpListen;
pub use load::{DEFAULT_FILE, FILE_BYTES_MAX, load};
pub use origin::Origin;
pub use resolve::{Effective, Resolved};
pub use secret::Secret;
pub use suggest::nearest;
pub use table::{Setting, settings};
pub use url::BridgeUrl;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum LogFormat {
    /// For eyes.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Time budgets of calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CallSettings {
    /// The budget of a call for which nobody chose one.
    pub default_timeout: Duration,
    /// The longest budget that a caller from outside may ask for; never below the default.
    pub max_timeout: Duration,
}

/// The settings of a node. [`settings()`] says what each means and defaults to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// The node's name in its namespace.
    pub node_id: NodeId,
    /// The first token of every subject.
    pub namespace: Namespace,
    /// The services that run here; none named means all.
    pub services: Vec<Token>,
    /// Where commands and events travel.
    pub event_bridge: BridgeUrl,
    /// Where jobs wait.
    pub queue_bridge: BridgeUrl,
    /// Where state is kept.
    pub state_store: BridgeUrl,
    /// Who the node is to brokers, and what it trusts, where a URL does not say it.
    pub bridge: BridgeSettings,
    /// Where the gateway listens.
    pub http: HttpListen,
    /// How the gateway treats connections and callers.
    pub gateway: GatewaySettings,
    /// How log lines are written.
    pub log: LogFormat,
    /// Which log lines are written, as directives of `tracing`; checked by who installs the subscriber.
    pub log_filter: String,
    /// What callers of the admin routes from beyond the loopback must present.
    pub http_token: Option<Secret>,
    /// How long an orderly shutdown may take.
    pub shutdown_budget: Duration,
    /// How long one try to start a service or a bridge may take.
    pub start_deadline: Duration,
    /// Time budgets of calls.
    pub call: CallSettings,
    /// Whether payloads are encoded even where the typed value could be passed.
    pub codec_always: bool,
    /// Whether a call that its service did not declare is refused.
    pub strict_contracts: bool,
    /// The largest payload that is sent or accepted, in bytes.
    pub payload_limit: usize,
    /// Reply addresses of foreign clients that are answered beside the usual ones.
    pub reply_allow: Vec<String>,
}

impl Default for Settings {
    /// Returns the defaults of the table, for a node named `node`.
    fn default() -> Self {
        resolve::defaults()
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod tests;
