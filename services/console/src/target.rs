//! What a client command talks to: one node over HTTP, or a whole system over its event bridge.
//!
//! An explicit `--node` beats a bridge, and a bridge beats the default. `memory:` is a bridge inside one process, which
//! no other process can join: it means the default node.

use std::env::VarError;
use std::path::PathBuf;

use bytes::Bytes;
use roadshow_gateway::{NodeClient, NodeStream};
use roadshow_services::config::{BridgeUrl, Secret};
use roadshow_services::{AddressBuf, CallOptions, Connectors, EncodedReader, EventNameBuf};

use crate::end::{self, End};
use crate::system::{self, Member, System};

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
    /// The event bridge of the system to talk to, where no --node is named; memory: means the default node [env:
    /// ROADSHOW_EVENT_BRIDGE]
    #[arg(long, value_name = "URL")]
    event_bridge: Option<String>,
}

/// The arguments by which a command finds a node or a system.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(crate) struct ReachArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// The namespace of the system, when it is reached over its bridge [default: roadshow] [env: ROADSHOW_NAMESPACE]
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
}

/// What a command talks to.
#[derive(Debug)]
pub(crate) enum Target {
    /// One node.
    Node(NodeClient),
    /// Whoever serves it, over the event bridge.
    System(Box<System>),
}

/// Who was named.
#[derive(Debug, PartialEq)]
enum Choice<'a> {
    Node(&'a str),
    Bridge { origin: &'static str, url: BridgeUrl },
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

    /// The node's client, for what only a node can tell. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// A URL that is none, or a bridge in place of a node.
    pub(crate) fn client(&self) -> Result<NodeClient, String> {
        match self.choose(variable(EVENT_BRIDGE)?)? {
            Choice::Node(node) => self.client_at(node),
            Choice::Bridge { origin, url } => Err(format!(
                "cannot use {origin}: {}: leads to a system, and this is about one node; name it with --node URL",
                url.scheme()
            )),
        }
    }

    fn client_at(&self, node: &str) -> Result<NodeClient, String> {
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

    fn choose(&self, variable: Option<String>) -> Result<Choice<'_>, String> {
        if let Some(node) = &self.node {
            return Ok(Choice::Node(node));
        }
        Ok(match bridge_of(self.event_bridge.as_deref(), variable)? {
            Some((origin, url)) => Choice::Bridge { origin, url },
            None => Choice::Node(DEFAULT_NODE),
        })
    }
}

impl ReachArgs {
    /// The node or the system that was named. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// A URL that is none, a scheme that no adapter knows, and settings of access that contradict each other.
    pub(crate) fn target(&self, connectors: &Connectors) -> Result<Target, String> {
        match self.target.choose(variable(EVENT_BRIDGE)?)? {
            Choice::Node(node) => self.target.client_at(node).map(Target::Node),
            Choice::Bridge { origin, url } => {
                let system = System::new(&url, self.namespace.as_deref(), connectors);
                system
                    .map(|system| Target::System(Box::new(system)))
                    .map_err(|problem| format!("cannot use {origin}: {problem}"))
            }
        }
    }
}

impl Target {
    /// Calls a command; what goes wrong is told, and is the end.
    pub(crate) async fn call(self, address: &AddressBuf, payload: Bytes, options: CallOptions) -> Result<Bytes, End> {
        match self {
            Target::Node(client) => {
                let called = client.call(address, payload, options).await;
                called.map_err(|error| end::unanswered(&error))
            }
            Target::System(system) => {
                let member = system.join().await.map_err(|problem| system::not_joined(&problem))?;
                let called = member.client().call_json(address, payload, options).await;
                member.leave().await;
                called.map_err(end::refused)
            }
        }
    }

    /// Opens a stream; what goes wrong is told, and is the end.
    pub(crate) async fn open(self, address: &AddressBuf, payload: Bytes, options: CallOptions) -> Result<Items, End> {
        match self {
            Target::Node(client) => {
                let opened = client.stream(address, payload, options).await;
                opened.map(Items::Node).map_err(|error| end::unanswered(&error))
            }
            Target::System(system) => {
                let member = system.join().await.map_err(|problem| system::not_joined(&problem))?;
                match member.client().outgoing(&options).open_json(address, payload).await {
                    Ok(reader) => Ok(Items::System { reader, member }),
                    Err(failure) => {
                        member.leave().await;
                        Err(end::refused(failure))
                    }
                }
            }
        }
    }

    /// Publishes an event; what goes wrong is told, and is the end.
    pub(crate) async fn emit(self, event: &EventNameBuf, payload: Bytes, options: CallOptions) -> Result<(), End> {
        match self {
            Target::Node(client) => {
                let emitted = client.emit(event, payload, options).await;
                emitted.map_err(|error| end::unanswered(&error))
            }
            Target::System(system) => {
                let member = system.join().await.map_err(|problem| system::not_joined(&problem))?;
                let emitted = member.client().emit_json(event, payload, options).await;
                member.leave().await;
                emitted.map_err(end::refused)
            }
        }
    }
}

/// What a stream says.
#[derive(Debug)]
pub(crate) enum Items {
    Node(NodeStream),
    System { reader: EncodedReader, member: Member },
}

impl Items {
    /// The next item; what goes wrong is told, and is the end.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, End>> {
        match self {
            Items::Node(stream) => stream
                .next()
                .await
                .map(|next| next.map_err(|error| end::unanswered(&error))),
            Items::System { reader, .. } => reader.next().await.map(|next| next.map_err(end::refused)),
        }
    }

    /// Cancels what has not ended, and closes the connection.
    pub(crate) async fn close(self) {
        match self {
            Items::Node(stream) => drop(stream),
            Items::System { reader, member } => {
                drop(reader);
                member.leave().await;
            }
        }
    }
}

/// The bridge that a flag or the variable names, and which of them did; `memory:` leads out of no process.
///
/// # Errors
///
/// A URL that is none.
pub(crate) fn named_bridge(flag: Option<&str>) -> Result<Option<(&'static str, BridgeUrl)>, String> {
    bridge_of(flag, variable(EVENT_BRIDGE)?)
}

fn bridge_of(flag: Option<&str>, variable: Option<String>) -> Result<Option<(&'static str, BridgeUrl)>, String> {
    let (origin, url) = match (flag, variable) {
        (Some(url), _) => ("--event-bridge", url.to_owned()),
        (None, Some(url)) if !url.is_empty() => (EVENT_BRIDGE, url),
        (None, _) => return Ok(None),
    };
    let url: BridgeUrl = url.parse().map_err(|error| format!("cannot use {origin}: {error}"))?;
    Ok((url.scheme() != "memory").then_some((origin, url)))
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
        let node = |url| Ok(Choice::Node(url));
        let bridge = |origin, url: &str| {
            let url = url.parse().expect("a url");
            Ok(Choice::Bridge { origin, url })
        };
        let table = [
            (args(None, None), None, node(DEFAULT_NODE)),
            (args(Some("http://h:1"), Some("nats://x")), nats(), node("http://h:1")),
            (args(None, Some("memory:")), nats(), node(DEFAULT_NODE)),
            (args(None, None), Some(String::new()), node(DEFAULT_NODE)),
            (args(None, None), nats(), bridge(EVENT_BRIDGE, "nats://broker")),
            (
                args(None, Some("amqp://b")),
                nats(),
                bridge("--event-bridge", "amqp://b"),
            ),
        ];
        for (args, variable, expected) in table {
            assert_eq!(args.choose(variable), expected, "{args:?}");
        }
        let problem = args(None, Some("no url")).choose(None).expect_err("no url");
        assert!(
            problem.starts_with("cannot use --event-bridge: a url has no spaces"),
            "{problem}"
        );
    }

    #[test]
    fn what_is_about_one_node_takes_no_bridge() {
        let problem = args(None, Some("amqp://u:hunter2@b")).client().expect_err("a bridge");
        assert!(
            problem.contains("--event-bridge: amqp:") && problem.contains("--node URL"),
            "{problem}"
        );
        assert!(!problem.contains("hunter2"), "{problem}");
    }

    #[test]
    fn a_scheme_without_an_adapter_is_wrong_usage() {
        let reach = ReachArgs {
            target: args(None, Some("nats://u:hunter2@b")),
            namespace: None,
        };
        let problem = reach.target(&Connectors::new()).expect_err("no adapter");
        assert!(
            problem.contains("no adapter for nats:") && !problem.contains("hunter2"),
            "{problem}"
        );
    }
}
