//! What depends on the broker: its address, how subjects and headers are spelled on it, and what binds a channel to it.

use roadshow_bridges::Subject;
use roadshow_services::config::BridgeUrl;
use serde_json::{Map, Value, json};

/// The broker that a document is written for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Broker<'a> {
    url: &'a BridgeUrl,
}

impl<'a> Broker<'a> {
    pub(super) fn at(url: &'a BridgeUrl) -> Self {
        Self { url }
    }

    /// A subject as this broker has it.
    pub(super) fn address(self, subject: &Subject) -> String {
        match self.protocol() {
            Some("mqtt" | "secure-mqtt") => subject.as_str().replace('.', "/"),
            _ => subject.as_str().to_owned(),
        }
    }

    /// What stands before the name of a CloudEvents attribute, by the binding of the transport.
    pub(super) fn event_prefix(self) -> &'static str {
        match self.protocol() {
            Some("mqtt" | "secure-mqtt") => "",
            Some("amqp" | "amqps") => "cloudEvents:",
            _ => "ce-",
        }
    }

    /// What binds a channel to this broker.
    pub(super) fn channel_binding(self, namespace: &str) -> Option<Value> {
        matches!(self.protocol(), Some("amqp" | "amqps")).then(|| {
            json!({"amqp": {
                "is": "routingKey",
                "exchange": {"name": namespace, "type": "topic", "durable": true, "autoDelete": false},
            }})
        })
    }

    /// The servers, without anything that could be a secret; none where there is no broker.
    pub(super) fn servers(self) -> Map<String, Value> {
        let mut servers = Map::new();
        let Some(protocol) = self.protocol() else {
            return servers;
        };
        let (hosts, path) = self.place();
        for (at, host) in hosts.into_iter().enumerate() {
            let mut server = json!({"host": host, "protocol": protocol});
            let version = match protocol {
                "mqtt" | "secure-mqtt" => Some("5"),
                "amqp" | "amqps" => Some("0.9.1"),
                _ => None,
            };
            if let Some(version) = version {
                server["protocolVersion"] = version.into();
            }
            if let Some(path) = path {
                server["pathname"] = path.into();
            }
            let name = match at {
                0 => "event_bridge".to_owned(),
                _ => format!("event_bridge_{}", at + 1),
            };
            servers.insert(name, server);
        }
        servers
    }

    /// The protocol as AsyncAPI calls it; `None` for what is no broker.
    fn protocol(self) -> Option<&'a str> {
        match self.url.scheme() {
            "nats" | "tls" => Some("nats"),
            "mqtts" => Some("secure-mqtt"),
            scheme @ ("amqp" | "amqps" | "mqtt") => Some(scheme),
            _ => None,
        }
    }

    /// Hosts and path. What stands before the last at sign, and the query, may be secrets.
    fn place(self) -> (Vec<&'a str>, Option<&'a str>) {
        let (_, rest) = self.url.expose().split_once(':').unwrap_or_default();
        let rest = rest.trim_start_matches('/');
        let rest = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
        let (hosts, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let hosts = hosts.split(',').filter(|host| !host.is_empty()).collect();
        (hosts, Some(path).filter(|path| path.len() > 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_without_secrets() {
        let table = [
            ("memory:", json!({})),
            (
                "nats://u:hunter2@one:4222,two:4222",
                json!({
                    "event_bridge": {"host": "one:4222", "protocol": "nats"},
                    "event_bridge_2": {"host": "two:4222", "protocol": "nats"},
                }),
            ),
            (
                "amqps://u:hun@ter2/x@broker:5671/shop?password=hunter2",
                json!({"event_bridge": {
                    "host": "broker:5671", "protocol": "amqps", "protocolVersion": "0.9.1", "pathname": "/shop",
                }}),
            ),
            (
                "mqtt://[::1]:1883",
                json!({"event_bridge": {"host": "[::1]:1883", "protocol": "mqtt", "protocolVersion": "5"}}),
            ),
        ];
        for (url, expected) in table {
            let url: BridgeUrl = url.parse().expect("a url");
            let servers = Value::Object(Broker::at(&url).servers());
            assert_eq!(servers, expected, "{url}");
            assert!(!servers.to_string().contains("ter2"), "{servers}");
        }
    }
}
