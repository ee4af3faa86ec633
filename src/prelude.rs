//! What nearly every file of services uses: `use roadshow::prelude::*`.
//!
//! The derives of serde and schemars come along, so that a service needs one line of imports; what they write names the
//! crates `serde` and `schemars`, which the service's own manifest therefore lists.

pub use schemars::JsonSchema;
pub use serde::{Deserialize, Serialize};

pub use roadshow_services::{
    Address, Code, Command, CommandHandler, Context, Event, EventHandler, EventName, Failure, Items, Method, Node,
    Outcome, Retry, Service, ServiceId, Stream, StreamHandler, Validate, Violations,
};
