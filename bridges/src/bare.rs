//! The bare client: a broker's own client library doing what `bench` does, without us. What a ratio compares with.
//!
//! Same payload, same headers, same quality of service, confirms and acknowledgements; everything else is left out.

use std::fmt;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::error::Error;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BareAct {
    /// A request and its reply, through one responder on a connection of its own that echoes.
    Request,
    /// A durable event, from publishing (confirmed by the broker) to the acknowledgement of one durable subscriber.
    DurableEvent,
    /// An event to this many plain subscribers.
    Event {
        /// How many subscribers get each event.
        subscribers: usize,
    },
}

/// What is sent.
#[derive(Debug, Clone)]
pub struct BareMessage {
    /// A token that makes the subjects of this run its own.
    pub run: String,
    /// Headers, as ours would have them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub payload: Bytes,
}

/// One act that is ready to be done over and over, by many callers at the same time. Dropping it ends what it started.
pub trait BareRun: Send + Sync + fmt::Debug + 'static {
    /// Does the act once: a request until its reply is there, a publish until the broker has confirmed it (where it does).
    ///
    /// # Errors
    ///
    /// What the client library said; a benchmark with an error counts for nothing.
    fn once(&self) -> BoxFuture<'_, Result<(), Error>>;

    /// How many messages subscribers have received (and acknowledged, where that is part of the act) so far.
    fn received(&self) -> u64;
}

/// A broker's own client library.
pub trait BareClient: Send + Sync + fmt::Debug + 'static {
    /// Connects, declares and subscribes what the act needs.
    ///
    /// # Errors
    ///
    /// What the client library said, and `Unsupported` for an act that the broker cannot do.
    fn prepare(&self, act: BareAct, message: BareMessage) -> BoxFuture<'_, Result<Box<dyn BareRun>, Error>>;
}
