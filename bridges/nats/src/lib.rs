//! The NATS adapter of Roadshow: core for commands, JetStream for durable events.
//!
//! Commands, replies and everything else that only matters while both sides live go over NATS core: quick, unconfirmed, at
//! most once; that nobody listens is told at once. Events go through one JetStream stream per namespace, so that each is
//! confirmed, and durable groups pull from it. Works on nats-server 2.9.10 and newer; a server without JetStream serves
//! the same, without anything durable.

mod bare;
mod bridge;
mod connect;
mod connector;
mod counters;
mod feed;
mod hex;
mod jetstream;
mod link;
mod live;
mod queue;
mod recovery;
mod replies;
mod settings;
mod tasks;
mod wire;

pub use connector::NatsConnector;
