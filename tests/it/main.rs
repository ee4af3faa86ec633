//! End to end through the facade: what a service author and a caller see, on whole nodes.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what went wrong")]

mod calls;
mod definitions;
mod drain;
mod endings;
mod event_options;
mod events;
mod exchange;
mod exchange_faults;
mod exchange_wire;
mod faults;
mod hang_ups;
mod lab;
mod lame_bridge;
mod late;
mod nodes;
mod options;
mod overload;
mod restarts;
mod shaky_bridge;
mod solo;
mod streams;
