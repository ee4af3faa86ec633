//! The services that the `roadshow` program ships with: `user`, `email`, `sensor` and the probe.
//!
//! `user` and `email` show what a service looks like and that an event keeps the ids of the call that caused it, `sensor`
//! what a stream is for.
//! [`probe`] is for testing a deployment: it does what it is told and writes down what it did.
//!
//! Deliberately not here: state that survives the process (stores come with their adapters), and the demo's
//! queue service, which comes with the queues.

pub mod email;
pub mod probe;
pub mod sensor;
pub mod user;
