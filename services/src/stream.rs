//! Streams: a request with many answers, one after the other, as fast as the consumer allows.
//!
//! The message type is the contract, as with commands: it names the address and the type of the items. Inside a process the
//! items pass as they are; over a bridge they are frames with places, and the consumer's credit holds the producer back.
//! Nothing is kept: what a stream says is said once, to one consumer.

mod items;
mod reader;
mod route;

use std::future::Future;

use roadshow_bridges::{Address, Failure};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use items::Items;
pub use reader::{EncodedReader, StreamReader};
pub(crate) use route::{StreamInput, StreamRoute};

use crate::context::Context;

/// A request to one service for a stream, and the type of its items.
///
/// ```
/// use roadshow_services::{Address, ServiceId, Stream};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// const SENSOR: ServiceId = ServiceId::new("sensor", 1);
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct WatchReadings {
///     sensor: String,
/// }
///
/// impl Stream for WatchReadings {
///     const ADDRESS: Address = SENSOR.command("watch_readings");
///     type Item = f64;
/// }
/// ```
pub trait Stream: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// Where the stream is opened.
    const ADDRESS: Address;
    /// What it says, again and again.
    type Item: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static;
}

/// Feeds a stream. Implemented by a service for each stream it registers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not feed the stream `{S}`",
    label = "implement `StreamHandler<{S}>` for `{Self}`"
)]
pub trait StreamHandler<S: Stream>: Send + Sync + 'static {
    /// Opens a stream and feeds it: [`Items::send`] waits for the consumer and fails once it has gone. The stream is open
    /// as soon as this waits for anything, and ends with it. Streams run concurrently, as many as the stream's
    /// `concurrency` allows.
    ///
    /// # Errors
    /// A failure before the first item and the first wait is the answer to the opening; a later one is the last thing that
    /// the consumer hears, after every item that was sent. A panic ends the stream with `internal`, and the service is
    /// restarted.
    ///
    /// # Cancel safety
    /// Once the consumer has gone, the stream's longest duration has passed or the node drains, `ctx.cancelled()` resolves
    /// and `send` fails; a handler that goes on regardless is dropped `abandon_after` later.
    fn open(&self, input: S, items: Items<S::Item>, ctx: &Context) -> impl Future<Output = Result<(), Failure>> + Send;
}
