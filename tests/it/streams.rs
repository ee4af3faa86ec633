//! Streams: order, backpressure, cancellation and ends, on one node and over a bridge.

#[cfg(all(feature = "nats", feature = "amqp", feature = "mqtt"))]
mod brokers;
mod foreign;
mod local;
mod openers;
mod pair;
mod remote;
mod tampered;
mod tape;
mod trouble;
