//! Which node a client command talks to.
//!
//! An explicit `--node` beats a bridge, and a bridge beats the default. Reaching a system over its bridge comes with the
//! adapters: until then a bridge that only they know is refused in words, never passed over.

use std::env::VarError;
use std::path::PathBuf;

use roadshow_gateway::NodeClient;
use roadshow_services::config::{BridgeUrl, Secret};

/// The node that is meant when nobody names one.
pub(crate) const DEFAULT_NODE: &str = "http://127.0.0.1:8080";

const EVENT_BRIDGE: &str = "ROADSHOW_EVENT_BRIDGE";
const HTTP_TOKEN: &str = "ROADSHOW_HTTP_TOKEN";

/// The arguments by which every client command finds its node.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(crate) struct TargetArgs {
    /// The node to talk to, over http or https [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL")]
    node: Option<String>,
    /// Certificates to trust for https beside this machine's: a file in PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The bridge over which to reach the system; only memory: so far, which means the node [env: ROADSHOW_EVENT_BRIDGE]
    #[arg(long, value_name = "URL")]
    event_bridge: Option<String>,
}

impl TargetArgs {
    /// The node at a URL, and perhaps certificates to trust.
    pub(crate) fn at(node: String, ca: Option<PathBuf>) -> Self {
        TargetArgs {
            node: Some(node),
            ca,
            event_bridge: None,
        }
    }

    /// The node's client. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// A URL that is none, or a bridge that client commands cannot use.
    pub(crate) fn client(&self) -> Result<NodeClient, String> {
        let node = self.choose(variable(EVENT_BRIDGE)?)?;
        let client = NodeClient::new(node).map_err(|error| {
            let meant = if node.contains("://") {
                String::new()
            } else {
                format!("; did you mean http://{node}?")
            };
            format!("cannot use --node: {error}{meant}")
        })?;
        let client = match &self.ca {
            Some(file) => client
                .ca_file(file)
                .map_err(|error| format!("cannot use --ca: {error}"))?,
            None => client,
        };
        Ok(match variable(HTTP_TOKEN)? {
            Some(token) if !token.is_empty() => client.token(Secret::new(&token)),
            _ => client,
        })
    }

    fn choose(&self, variable: Option<String>) -> Result<&str, String> {
        if let Some(node) = &self.node {
            return Ok(node);
        }
        let bridge = match (&self.event_bridge, variable) {
            (Some(url), _) => Some(("--event-bridge", url.clone())),
            (None, Some(url)) if !url.is_empty() => Some((EVENT_BRIDGE, url)),
            (None, _) => None,
        };
        let Some((origin, url)) = bridge else {
            return Ok(DEFAULT_NODE);
        };
        let url: BridgeUrl = url.parse().map_err(|error| format!("cannot use {origin}: {error}"))?;
        match url.scheme() {
            "memory" => Ok(DEFAULT_NODE),
            scheme => Err(format!(
                "cannot use {origin}: reaching a system over {scheme} is not there yet; name a node with --node URL"
            )),
        }
    }
}

/// A variable of the environment. What is no text is not passed over.
fn variable(name: &str) -> Result<Option<String>, String> {
    match std::env::var(name) {
        Ok(text) => Ok(Some(text)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(format!("cannot use {name}: it is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(node: Option<&str>, event_bridge: Option<&str>) -> TargetArgs {
        TargetArgs {
            node: node.map(str::to_owned),
            ca: None,
            event_bridge: event_bridge.map(str::to_owned),
        }
    }

    #[test]
    fn a_node_beats_a_bridge_and_a_bridge_beats_the_default() {
        let nats = || Some("nats://broker".to_owned());
        let other = Some("http://h:1");
        let table = [
            (args(None, None), None, Ok(DEFAULT_NODE)),
            (args(other, Some("nats://x")), nats(), Ok("http://h:1")),
            (args(None, Some("memory:")), nats(), Ok(DEFAULT_NODE)),
            (args(None, None), Some(String::new()), Ok(DEFAULT_NODE)),
            (
                args(None, None),
                nats(),
                Err("ROADSHOW_EVENT_BRIDGE: reaching a system over nats"),
            ),
            (
                args(None, Some("amqp://u:secret@b")),
                None,
                Err("--event-bridge: reaching a system over amqp"),
            ),
            (
                args(None, Some("no url")),
                None,
                Err("--event-bridge: a url has no spaces"),
            ),
        ];
        for (args, variable, expected) in table {
            match (args.choose(variable), expected) {
                (Ok(node), Ok(expected)) => assert_eq!(node, expected),
                (Err(problem), Err(expected)) => {
                    assert!(problem.contains(expected) && !problem.contains("secret"), "{problem}");
                }
                (got, expected) => panic!("{got:?}, expected {expected:?}"),
            }
        }
    }
}
