//! The suite that every bridge must pass, over NATS with JetStream.

use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use roadshow_bridges::{Capability, Connector, Namespace};
use roadshow_conformance::{Adapter, BrokerKind, Home};
use roadshow_nats::NatsConnector;

#[derive(Debug)]
struct Nats;

impl Adapter for Nats {
    fn capability(&self) -> Capability {
        let mut can = Capability::none("nats");
        can.confirm = true;
        can.unroutable = true;
        can.durable = true;
        can.durable_process = true;
        can.redelivery = true;
        can.redelivery_to_other = true;
        can.delay = true;
        can.dead_letters = true;
        can.ordered = true;
        can.overflow_visible = true;
        can.server_dedup = true;
        can.payload_bytes_max = Some(1024 * 1024 - 4096);
        can.subject_bytes_max = Some(1024);
        can.delay_ms_max = Some(24 * 3600 * 1000);
        can
    }

    fn connector(&self) -> Arc<dyn Connector> {
        Arc::new(NatsConnector)
    }

    fn home(&self) -> Home {
        Home::Server(BrokerKind::Nats)
    }

    fn clean<'a>(&'a self, url: &'a str, namespace: &'a Namespace) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Ok(client) = async_nats::connect(url).await else {
                return;
            };
            let jetstream = async_nats::jetstream::new(client);
            for what in ["evt", "dead", "starts"] {
                // Not every case has every stream.
                drop(jetstream.delete_stream(format!("{namespace}_{what}")).await);
            }
        })
    }
}

fn main() -> ExitCode {
    roadshow_conformance::run(Nats)
}
