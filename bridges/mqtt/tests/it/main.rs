//! The MQTT adapter against real brokers: what the suite for every adapter does not know of.

mod clear;
mod common;
mod leaving;
mod outage;
mod outbox;
mod tls;
