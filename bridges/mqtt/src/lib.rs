//! The MQTT 5 adapter of Roadshow: manual acks, shared subscriptions, an outbox.
//!
//! A broker of MQTT promises little: what a member of a shared subscription had not acknowledged is lost with it, and
//! what was acknowledged to the publisher may still be dropped. So the sender keeps what must arrive, in its outbox,
//! until a member of each group says that it is settled. Everything else is a plain bridge: one connection, its own
//! task for the client's event loop, a keeper's task for what has to wait.

mod acks;
mod alarm;
mod bare;
mod bridge;
mod connect;
mod connector;
mod dead;
mod group;
mod keeper;
mod marks;
mod outbox;
mod outlet;
mod packet;
mod prompt;
mod publishing;
mod pump;
mod recent;
mod records;
mod room;
mod routes;
mod seen;
mod settings;
mod shared;
mod source;
mod tls;
mod topic;
mod wire;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use bridge::{MqttCounts, MqttEventBridge};
pub use connector::MqttConnector;

/// Locks; a panic elsewhere does not make what is guarded here wrong, because no foreign code runs under a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
