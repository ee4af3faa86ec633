//! The memory bridge: the broker inside a process.
//!
//! A [`MemoryBus`] is the broker, a [`MemoryEventBridge`] is one node's connection to it; several nodes of one process may
//! share a bus. It is the reference for every other bridge: it keeps each promise of the contract but surviving its process.
//!
//! Why it is fast: a publisher finds the groups of a subject in a snapshot that only subscribing replaces, and takes one
//! short lock per group; a subscriber takes many messages under one lock; acknowledging takes none, because the message is
//! inside the delivery and comes back only when it is not done.
//!
//! Everything is bounded, see [`MemoryBusSettings`]. Deliberately not here: wildcards beyond one token, replay, and dedup.

mod bridge;
mod bus;
mod connector;
mod dead;
mod group;
mod routes;
mod seat;
mod settings;
mod source;
mod timer;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use bridge::MemoryEventBridge;
pub use bus::{MemoryBus, MemoryStats};
pub use connector::MemoryConnector;
pub use dead::DeadLetter;
pub use group::GroupDepth;
pub use settings::{MemoryBridgeSettings, MemoryBusSettings, WhenFull};

/// Locks; a panic elsewhere leaves the state whole, because nothing that can panic runs under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
