//! Services to examine in tests.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

pub(super) use roadshow_services::Service;
use roadshow_services::config::{Resolved, Settings};
use roadshow_services::{
    Address, AnyService, Command, CommandHandler, Context, Event, EventHandler, EventName, Failure, NodeBuilder,
    Outcome, ServiceContract, ServiceId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const A: ServiceId = ServiceId::new("a", 1);
pub(super) const B: ServiceId = ServiceId::new("b", 1);
pub(super) const C: ServiceId = ServiceId::new("c", 1);

/// `a.1.ping`, `b.1.ping` and `c.1.ping`.
#[derive(Deserialize, JsonSchema, Serialize)]
pub(super) struct Ping<const OF: usize>;

impl<const OF: usize> Command for Ping<OF> {
    const ADDRESS: Address = match OF {
        0 => A.command("ping"),
        1 => B.command("ping"),
        _ => C.command("ping"),
    };
    type Reply = ();
}

#[derive(Deserialize, JsonSchema, Serialize)]
pub(super) struct Rang;

impl Event for Rang {
    const NAME: EventName = EventName::new("bell.rang");
}

impl<const OF: usize> CommandHandler<Ping<OF>> for () {
    async fn handle(&self, _input: Ping<OF>, _ctx: &Context) -> Result<(), Failure> {
        Ok(())
    }
}

impl EventHandler<Rang> for () {
    async fn receive(&self, _event: &Rang, _ctx: &Context) -> Outcome {
        Outcome::Ack
    }
}

/// A service that does nothing yet.
pub(super) fn service(id: ServiceId) -> Service<()> {
    Service::new(id, || async { Ok::<_, Infallible>(()) })
}

/// What services declare, as the doctor gets to see it.
pub(super) fn contracts(services: Vec<Service<()>>) -> Vec<ServiceContract> {
    let node = services.into_iter().fold(NodeBuilder::default(), |node, service| {
        node.any_service(Arc::new(service) as Arc<dyn AnyService>)
    });
    node.contracts(&resolved(""))
        .expect("definitions without a contradiction")
}

/// Settings from a file of this text.
pub(super) fn resolved(file: &str) -> Resolved {
    Settings::resolve(Some((Path::new("a.toml"), file)), std::iter::empty(), &[], None).expect("settings")
}
