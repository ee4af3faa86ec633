//! Events: something that happened, told to whoever subscribed.

use std::future::Future;

use roadshow_bridges::EventName;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use roadshow_actors::Outcome;

use crate::context::Context;

/// Something that happened. Whoever emits it does not know who listens.
pub trait Event: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The name under which it is published.
    const NAME: EventName;
    /// Whether links between Rust nodes may carry it in binary form. Off: JSON everywhere.
    const BINARY: bool = false;
}

/// Takes an event. Implemented by a service for each event it subscribes to.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not receive the event `{E}`",
    label = "implement `EventHandler<{E}>` for `{Self}`"
)]
pub trait EventHandler<E: Event>: Send + Sync + 'static {
    /// Takes one delivery and says what becomes of it.
    ///
    /// A panic counts as a failed attempt; a delivery that crashed its handler three times goes to the dead letters.
    fn receive(&self, event: &E, ctx: &Context) -> impl Future<Output = Outcome> + Send;
}

/// What handlers write: `Ok` acknowledges, a failure retries or dead-letters by its code.
///
/// `invalid`, `forbidden`, `not_found`, `conflict` and `unauthenticated` will not get better and go to the dead letters;
/// the others are retried by the subscription's policy.
#[must_use]
pub fn outcome_of(result: Result<(), roadshow_bridges::Failure>) -> Outcome {
    match result {
        Ok(()) => Outcome::Ack,
        Err(failure) if failure.code.is_retryable() || failure.code == roadshow_bridges::Code::Internal => {
            Outcome::Retry {
                after: None,
                reason: failure.to_string(),
            }
        }
        Err(failure) => Outcome::DeadLetter {
            reason: failure.to_string(),
        },
    }
}
