//! A call, a stream or an event from outside whose identity is known before it is sent: for fronts that tell the caller.

use std::sync::Arc;

use bytes::Bytes;
use roadshow_actors::{NodeCore, Request};
use roadshow_bridges::{AddressBuf, EventNameBuf, Executed, Failure, Identity, Payload};

use crate::dispatch;
use crate::stream::EncodedReader;

/// A call, a stream or an event that is about to be made; see [`Client::outgoing`](crate::Client::outgoing).
#[derive(Debug)]
#[must_use = "nothing is sent until it is called, opened or emitted"]
pub struct Outgoing {
    node: Arc<NodeCore>,
    identity: Identity,
}

impl Outgoing {
    pub(crate) fn new(node: Arc<NodeCore>, identity: Identity) -> Self {
        Outgoing { node, identity }
    }

    /// The identity that the handler will see.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// As [`Client::call_json`](crate::Client::call_json).
    ///
    /// # Errors
    /// As [`Client::call_json`](crate::Client::call_json).
    pub async fn call_json(self, address: &AddressBuf, payload: Bytes) -> Result<Bytes, Failure> {
        dispatch::call_json(&self.node, address.key(), payload, Request::outside(self.identity)).await
    }

    /// Opens whatever stream is at an address, JSON in and JSON items out. An empty payload is `null`.
    ///
    /// # Errors
    /// As [`Client::open`](crate::Client::open); `invalid` where the payload does not decode, with the field named, and
    /// where there is a command at the address.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the stream.
    pub async fn open_json(self, address: &AddressBuf, payload: Bytes) -> Result<EncodedReader, Failure> {
        dispatch::open_json(&self.node, address.key(), payload, Request::outside(self.identity)).await
    }

    /// As [`Client::emit_json`](crate::Client::emit_json).
    ///
    /// # Errors
    /// As [`Client::emit_json`](crate::Client::emit_json).
    pub async fn emit_json(self, event: &EventNameBuf, payload: Bytes) -> Result<(), Failure> {
        dispatch::refuse_drain(&self.node)?;
        serde_json::from_slice::<serde::de::IgnoredAny>(&payload).map_err(|error| {
            let text = format!("the payload of {} is no JSON: {error}", event.as_str());
            Failure::invalid(text).with_executed(Executed::No)
        })?;
        dispatch::publish(&self.node, event.key(), Payload::Bytes(payload), self.identity).await
    }
}
