//! What a service promises, as data: for the gateway, for documents, and for checks before anything starts.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use roadshow_actors::Limits;
use roadshow_bridges::{Address, Capability, Code, EventName, Retry, ServiceId};
use roadshow_supervision::Budget;
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

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
    /// Whether it is limited in how fast it may be called.
    pub rate_limited: bool,
    /// What documents say of it.
    pub notes: CommandNotes,
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

/// One stream of a service.
#[derive(Clone)]
#[non_exhaustive]
pub struct StreamContract {
    /// Where it is opened.
    pub address: Address,
    /// What it admits: streams at the same time, callers that wait, and the time budget of an opening.
    pub limits: Limits,
    /// How many items its handler may be ahead of a consumer.
    pub window: NonZeroU32,
    /// How often it says over a bridge or to a browser that it lives, while it has nothing else to say.
    pub heartbeat: Duration,
    /// How long it lives at most, if it declares that.
    pub max_duration: Option<Duration>,
    /// How it is reached over HTTP, if it is.
    pub http: Option<HttpRoute>,
    /// Whether it is limited in how fast it may be opened.
    pub rate_limited: bool,
    /// What documents say of it; the reply of an example is one item.
    pub notes: CommandNotes,
    /// The schema of its input.
    pub input: SchemaOf,
    /// The schema of one item.
    pub item: SchemaOf,
}

impl fmt::Debug for StreamContract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamContract")
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
    /// How failed deliveries are tried again.
    pub retry: Retry,
    /// Time budget of one delivery.
    pub deadline: Duration,
    /// How long past its deadline a handler is dropped.
    pub abandon_after: Duration,
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

impl SubscriptionContract {
    /// What the subscription needs and a bridge with `capability` lacks, one sentence each. A node with such a
    /// subscription refuses to start on such a bridge.
    #[must_use]
    pub fn lacking(&self, capability: &Capability) -> Vec<String> {
        let (name, bridge) = (&self.name, capability.name);
        let mut lacking = Vec::new();
        if self.durable && !capability.durable {
            lacking.push(format!(
                "the event bridge {bridge} keeps no events for absent subscribers, which {name} asks for: choose another \
                 bridge, or declare the subscription without `durable`"
            ));
        }
        if self.durable && !capability.dead_letters {
            lacking.push(format!(
                "the event bridge {bridge} keeps no dead letters, which the durable {name} needs: choose another bridge, or \
                 declare the subscription without `durable`"
            ));
        }
        if self.attempts > 1 && !capability.redelivery {
            lacking.push(format!(
                "the event bridge {bridge} brings nothing again, and {name} asks for {} attempts: choose another bridge, or \
                 declare the subscription with `retry(Retry::never())`",
                self.attempts
            ));
        }
        let window = usize::try_from(self.window.get()).unwrap_or(usize::MAX);
        if let Some(window_max) = capability.window_max.filter(|max| *max < window) {
            lacking.push(format!(
                "the event bridge {bridge} has at most {window_max} deliveries out at the same time, and {name} has a \
                 concurrency of {window}"
            ));
        }
        lacking
    }
}

/// What documents say of a command beside its types. Nothing here changes what the command does.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CommandNotes {
    /// One line. Without one, documents take the first line of the input type's description.
    pub summary: Option<&'static str>,
    /// Some paragraphs, in CommonMark. Without them, documents take the input type's description.
    pub description: Option<&'static str>,
    /// Under which headings documents list it. Without any, under its service.
    pub tags: Vec<&'static str>,
    /// Whether callers should look for something else.
    pub deprecated: bool,
    /// An input and what it is answered with, as JSON.
    pub examples: Vec<CommandExample>,
    /// The failures that its handler answers on purpose, with when it does.
    pub failures: Vec<(Code, &'static str)>,
}

/// An input of a command and the reply to it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CommandExample {
    /// The input as JSON.
    pub input: Value,
    /// The reply as JSON.
    pub reply: Value,
}

/// One event that a service declares to emit.
#[derive(Clone)]
#[non_exhaustive]
pub struct EventContract {
    /// The event's name.
    pub name: EventName,
    /// The schema of the event.
    pub schema: SchemaOf,
}

impl fmt::Debug for EventContract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventContract")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// One whole service, as documents and checks see it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServiceContract {
    /// Name and version.
    pub id: ServiceId,
    /// Whether the node goes on without it.
    pub optional: bool,
    /// What it answers.
    pub commands: Vec<CommandContract>,
    /// What it streams.
    pub streams: Vec<StreamContract>,
    /// What it takes.
    pub subscriptions: Vec<SubscriptionContract>,
    /// What it declares to call.
    pub calls: Vec<Address>,
    /// What it declares to emit.
    pub emits: Vec<EventContract>,
    /// How often its handlers may panic before it is given up on.
    pub panics: Budget,
    /// How often its starts and other things may fail before it is given up on.
    pub exits: Budget,
    /// How long one run of its factory may take, where it declares that; else the setting `start_deadline` says it.
    pub start_deadline: Option<Duration>,
}
