//! What a service promises, as data: for the gateway, for documents, and for checks before anything starts.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use roadshow_actors::Limits;
use roadshow_bridges::{Address, EventName};
use schemars::{Schema, SchemaGenerator};

use crate::http::HttpRoute;

/// Makes the JSON schema of one type, into a generator that collects shared definitions.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One command of a service.
#[derive(Clone)]
#[non_exhaustive]
pub struct CommandContract {
    /// Where it is called.
    pub address: Address,
    /// What it admits.
    pub limits: Limits,
    /// How it is reached over HTTP, if it is.
    pub http: Option<HttpRoute>,
    /// Whether a second run with the same input changes nothing.
    pub idempotent: bool,
    /// The schema of its input.
    pub input: SchemaOf,
    /// The schema of its reply.
    pub reply: SchemaOf,
}

impl fmt::Debug for CommandContract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandContract")
            .field("address", &self.address)
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

/// One subscription of a service.
#[derive(Clone)]
#[non_exhaustive]
pub struct SubscriptionContract {
    /// The subscription's own name: that of its group.
    pub name: String,
    /// What it takes.
    pub event: EventName,
    /// Whether deliveries wait while nobody is there to take them.
    pub durable: bool,
    /// Whether every instance gets every event, instead of one of the group.
    pub every_instance: bool,
    /// How often a delivery is started at most, before it goes to the dead letters.
    pub attempts: u32,
    /// How many deliveries may be out at the same time.
    pub window: NonZeroU32,
    /// Time budget of one delivery.
    pub deadline: Duration,
    /// The schema of the event.
    pub schema: SchemaOf,
}

impl fmt::Debug for SubscriptionContract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriptionContract")
            .field("name", &self.name)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}
