//! What nearly every file of services uses: `use roadshow::prelude::*`.
//!
//! The derives of serde and schemars come along, so that a service needs one line of imports. Their attributes work
//! where the crates themselves are dependencies too.

pub use roadshow_services::{
    Address, Code, Command, CommandHandler, Context, Event, EventHandler, EventName, Failure, Method, Node, Outcome,
    Retry, Service, ServiceId, Validate, Violations,
};
