//! The RabbitMQ adapter of Roadshow: one topic exchange, a queue for each group, confirmed publishes, quorum queues for
//! what must last.
//!
//! The one public name is [`AmqpConnector`]. Two connections serve a bridge, one that publishes and one that consumes, each
//! owned by one task that connects, declares, subscribes and says so, and does it all again when the connection is
//! lost. `docs/decisions/0018` tells what is declared and why.

mod acks;
mod bare;
mod bridge;
mod cleaning;
mod connection;
mod connector;
mod consuming;
mod counters;
mod declare;
mod dissolve;
mod ensured;
mod fields;
mod flow;
mod frames;
mod guarded;
mod lane;
mod layout;
mod moves;
mod pairing;
mod patience;
mod publishing;
mod reactor;
mod readiness;
mod seat;
mod settings;
mod settle;
mod source;
mod text;
mod tiers;
mod wire;

pub use connector::AmqpConnector;
