//! The cases that every event bridge passes, over this adapter and mosquitto.

#[path = "it/clear.rs"]
mod clear;

use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use roadshow_bridges::{Capability, Connector, Namespace};
use roadshow_conformance::{Adapter, BrokerKind, Home};
use roadshow_mqtt::MqttConnector;

#[derive(Debug)]
struct Mqtt;

impl Adapter for Mqtt {
    fn capability(&self) -> Capability {
        MqttConnector.capability()
    }

    fn connector(&self) -> Arc<dyn Connector> {
        Arc::new(MqttConnector)
    }

    fn home(&self) -> Home {
        Home::Server(BrokerKind::Mosquitto)
    }

    fn clean<'a>(&'a self, url: &'a str, namespace: &'a Namespace) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            clear::clear_retained(url, namespace.as_str()).await;
        })
    }
}

fn main() -> ExitCode {
    roadshow_conformance::run(Mqtt)
}
