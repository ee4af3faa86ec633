//! The exchange: request and reply to an address over any bridge, whoever answers there.
//!
//! Both sides of it, written once for all brokers. Who calls: [`Exchange`], the link to whoever listens; it owns the
//! node's inbox and calls off what nobody waits for any more. Who serves: [`Intake`], one for each service, which takes
//! the commands that others send. What can be decided without a bridge is decided in functions of their own
//! (`reply_policy`, `retry_budget`, `resend`, `expiry`, `early_cancels`).
//!
//! Deliberately not here: how a broker moves a message, which is its adapter's, and how a handler runs, which is the call
//! path's. Why commands are sent again as they are: `docs/decisions/0016`.

mod actor;
mod answering;
mod early_cancels;
mod expiry;
mod finishing;
mod health;
mod intake;
mod jobs;
mod lane;
mod opens;
mod outgoing;
mod reply_policy;
mod resend;
mod retry_budget;
mod sending;
mod serving;
mod stream_consumer;
mod stream_producer;
mod stream_wire;
mod verdict;

pub use actor::ExchangeActor;
pub(crate) use health::ExchangeHealth;
pub use health::ExchangeState;
pub use intake::{Intake, IntakeActor};
pub use outgoing::Exchange;
pub use verdict::not_sent;
