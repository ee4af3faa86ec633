//! The link contract: how a call reaches a service that this node does not run.
//!
//! The router owns every link and puts it into the routes that senders read. A link moves encoded payloads, because what
//! it crosses is no longer this process; typed values stay on this side of it.

use std::fmt;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use roadshow_bridges::{AddressKey, Failure};

use crate::request::Request;
use crate::stream::ItemReader;

/// A way to services that run elsewhere.
pub trait Link: Send + Sync + fmt::Debug + 'static {
    /// What the link is called in the tree and in logs.
    fn name(&self) -> &str;

    /// Sends a call over the link and waits for its answer, within the request's time budget.
    ///
    /// # Behavior
    /// A failure says `executed` no only if the call provably did not start on the other side. Dropping the future stops
    /// the wait; the other side is told where the link can tell it.
    fn call<'a>(
        &'a self,
        address: AddressKey<'a>,
        payload: Bytes,
        request: Request<'a>,
    ) -> BoxFuture<'a, Result<Bytes, Failure>>;

    /// Opens a stream over the link, within the request's time budget. A link that carries none refuses.
    ///
    /// # Behavior
    /// As [`Link::call`] for the opening. Dropping the reader cancels the stream on the other side.
    fn open<'a>(
        &'a self,
        address: AddressKey<'a>,
        payload: Bytes,
        request: Request<'a>,
    ) -> BoxFuture<'a, Result<ItemReader<Bytes>, Failure>> {
        let _ = (payload, request);
        let text = format!(
            "the link {} carries no streams, and {address} is served elsewhere",
            self.name()
        );
        Box::pin(std::future::ready(Err(Failure::unavailable(text))))
    }
}
