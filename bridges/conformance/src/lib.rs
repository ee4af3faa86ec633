//! The cases that every event bridge of Roadshow must pass, the brokers to run them against, and a proxy that breaks
//! connections.
//!
//! An adapter's author writes one test program (`harness = false`) that calls [`run`] with an [`Adapter`]; every case that the
//! adapter's capability declares then runs against a real broker, and what it declares false is listed as that. Each case
//! says its property in words. `docs/ADDING_A_BRIDGE.md` is the page for authors, `docs/bridges.md` what came out.
//!
//! Deliberately not here: anything that knows one broker's client. An adapter proves itself through its own contract.

mod adapter;
pub mod broker;
mod case;
mod cases;
mod memory;
mod page;
pub mod proxy;
mod seed;
mod stage;
mod suite;
mod troupe;
mod wait;

pub use adapter::{Adapter, Dead, Home};
pub use broker::{Broker, BrokerKind, BrokerOptions, TlsFiles};
pub use page::{check_page, write_page};
pub use proxy::{Direction, Proxy};
pub use suite::run;
