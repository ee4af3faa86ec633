//! Commands: a request with exactly one reply.
//!
//! The message type is the contract. It may live in a crate of its own, so that callers never depend on whoever answers.

use std::future::Future;

use roadshow_bridges::{Address, Failure};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::Context;

/// A request to one service, and the type of its reply.
///
/// ```
/// use roadshow_services::{Address, Command, ServiceId};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// const CLOCK: ServiceId = ServiceId::new("clock", 1);
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct TellTime {
///     zone: String,
/// }
///
/// impl Command for TellTime {
///     const ADDRESS: Address = CLOCK.command("tell_time");
///     type Reply = String;
/// }
/// ```
pub trait Command: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// Where the command goes.
    const ADDRESS: Address;
    /// Whether links between Rust nodes may carry it in binary form. Off: JSON everywhere.
    const BINARY: bool = false;
    /// What a good answer is.
    type Reply: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static;
}

/// Answers a command. Implemented by a service for each command it registers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle the command `{C}`",
    label = "implement `CommandHandler<{C}>` for `{Self}`"
)]
pub trait CommandHandler<C: Command>: Send + Sync + 'static {
    /// Answers one call. Calls run concurrently, as many as the command's `concurrency` allows.
    ///
    /// # Errors
    /// A failure goes back to the caller as it is, and says that the handler ran. A panic does not: the caller gets
    /// `internal` without details, and the service is restarted.
    ///
    /// # Cancel safety
    /// The future runs to its end even if the caller goes; it is dropped only `abandon_after` past its deadline.
    fn handle(&self, input: C, ctx: &Context) -> impl Future<Output = Result<C::Reply, Failure>> + Send;
}
