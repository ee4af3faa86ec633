//! The document: a pure function from what services promise, the namespace and the broker.

use roadshow_bridges::Namespace;
use roadshow_services::ServiceContract;
use roadshow_services::config::BridgeUrl;
use serde::Serialize;
use serde_json::{Map, Value};

use super::bridge::Broker;
use super::channels::Channels;
use super::headers;
use super::schemas::Schemas;

/// The version of AsyncAPI that documents are written in.
const VERSION: &str = "3.0.0";
const DESCRIPTION: &str = "Send JSON to a command's address with the reply address of your transport, and the answer comes \
                           there: the reply, or a failure, which has the header `rs-type: failure`.";

/// Names of our own schemas; a type of somebody's cannot have them, for the dot.
pub(super) const COMMAND_HEADERS: &str = "roadshow.CommandHeaders";
pub(super) const EVENT_HEADERS: &str = "roadshow.EventHeaders";
pub(super) const FAILURE_HEADERS: &str = "roadshow.FailureHeaders";
pub(super) const FAILURE: &str = "roadshow.Failure";

/// What a document is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    pub(super) title: &'a str,
    pub(super) version: &'a str,
    pub(super) namespace: &'a Namespace,
    pub(super) bridge: &'a BridgeUrl,
}

/// An AsyncAPI 3.0 document. The order of its fields is the order in which people read.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a> {
    asyncapi: &'static str,
    info: Preface<'a>,
    default_content_type: &'static str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    servers: Map<String, Value>,
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    components: Components,
}

#[derive(Debug, Serialize)]
struct Preface<'a> {
    title: &'a str,
    version: &'a str,
    description: &'static str,
}

#[derive(Debug, Serialize)]
struct Components {
    messages: Map<String, Value>,
    schemas: Map<String, Value>,
}

/// Describes everything that services take and send, in the order of their names.
pub(super) fn document<'a>(about: &About<'a>, contracts: &[ServiceContract]) -> Document<'a> {
    let broker = Broker::at(about.bridge);
    let mut contracts: Vec<&ServiceContract> = contracts.iter().collect();
    contracts.sort_by_key(|contract| (contract.id.name(), contract.id.version()));
    let mut channels = Channels::new(about.namespace, broker, Schemas::new());
    channels.add(&contracts);
    let Channels {
        channels,
        operations,
        messages,
        schemas,
        ..
    } = channels;
    let mut schemas = schemas.into_definitions();
    for (name, schema) in [
        (COMMAND_HEADERS, headers::of_commands()),
        (EVENT_HEADERS, headers::of_events(broker.event_prefix())),
        (FAILURE_HEADERS, headers::of_failures()),
        (FAILURE, headers::failure()),
    ] {
        schemas.insert(name.to_owned(), schema);
    }
    Document {
        asyncapi: VERSION,
        info: Preface {
            title: about.title,
            version: about.version,
            description: DESCRIPTION,
        },
        default_content_type: "application/json",
        servers: broker.servers(),
        channels,
        operations,
        components: Components { messages, schemas },
    }
}
