//! The actors under Roadshow, and the call path between them.
//!
//! ractor actors own things: the router owns the routes, a service actor stands for one incarnation of a service, a
//! bridge actor owns a connection, a subscription actor its deliveries. Commands do not pass through their mailboxes:
//! a call resolves its address in a snapshot, takes a permit, and polls its handler where the caller is
//! ([`Endpoint::call`]).
//!
//! Deliberately not here: typed messages, guards, validation and configuration, which are `roadshow-services`; HTTP and
//! terminals; and any broker's client library.

mod admission;
mod bridge;
mod call;
mod cancel;
mod clock;
mod context;
mod core;
mod crashes;
mod delivery_outcome;
mod endpoint;
mod exchange;
mod gate;
mod hand_over;
mod ids;
mod inbox;
mod link;
pub mod metrics;
mod outcome;
mod owned_task;
mod permits;
mod request;
mod rest;
mod router;
mod routes;
mod running;
mod service;
mod slot;
mod stream;
mod subscription;
mod subscription_actor;
mod sync;
mod taking;
#[cfg(test)]
mod test_node;
mod watch;
mod wheel;

pub use bridge::{BridgeActor, BridgeArguments};
pub use call::spend_budget;
pub use clock::{Clock, Stamp};
pub use context::CallContext;
pub use core::{EventSubject, NodeCore, NodeSpec, Phase};
pub use delivery_outcome::Outcome;
pub use endpoint::{CommandEndpoint, Endpoint, EndpointCore, EndpointSpec, KeyOf, Limits, RateLimit, Run};
pub use exchange::{Exchange, ExchangeActor, ExchangeState, Intake, IntakeActor, not_sent};
pub use gate::{Gate, GateState, Live, Refused};
pub use ids::Ids;
pub use inbox::{Inbox, InboxPlace};
pub use link::Link;
pub use owned_task::{OwnedTask, TaskPanic};
pub use request::{Request, next_hop, root_identity};
pub use router::{Router, RouterMessage};
pub use routes::{Route, Routes, Served};
pub use running::Ended;
pub use service::{Incarnation, OnHealthy, ServiceActor, ServiceArguments, ServiceCore, ServiceMessage};
pub use stream::{Acceptance, HEARTBEAT, ItemReader, ItemSender, Life, accepting};
pub use subscription::{CRASHES_MAX, ReadEvent, Subscriber, SubscriberSpec};
pub use subscription_actor::{AnySubscriber, Joined, SubscriptionActor, TakingEnded};
pub use wheel::TICK;
