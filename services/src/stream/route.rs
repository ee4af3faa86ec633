//! A stream's endpoint as the routing table holds it, beside the commands of its service.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use roadshow_actors::{Acceptance, CommandEndpoint, Endpoint, EndpointCore, ItemReader, Life, Request};
use roadshow_bridges::{Address, Executed, Failure};
use serde::de::DeserializeOwned;

use super::Items;
use crate::dispatch::decode_input;

/// What a stream's endpoint runs on.
pub(crate) struct StreamInput<In, T> {
    pub(crate) input: In,
    pub(crate) items: Items<T>,
    pub(crate) accept: Acceptance,
}

/// A stream of `T`, opened with an `In`.
pub(crate) struct StreamRoute<In, T> {
    pub(crate) address: Address,
    pub(crate) life: Life,
    pub(crate) endpoint: Endpoint<StreamInput<In, T>, ()>,
}

impl<In, T> fmt::Debug for StreamRoute<In, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamRoute")
            .field(&format_args!("{}", self.address))
            .finish()
    }
}

impl<In: Send + 'static, T: Send + 'static> StreamRoute<In, T> {
    /// Opens the stream on typed values.
    pub(crate) async fn open(&self, input: In, request: Request<'_>) -> Result<ItemReader<T>, Failure> {
        let address = self.address;
        let make = |sender, accept| StreamInput {
            input,
            items: Items::typed(address, sender),
            accept,
        };
        self.endpoint.open(make, self.life, request).await
    }

    async fn open_bytes(&self, payload: Bytes, ahead: usize, request: Request<'_>) -> Result<ItemReader<Bytes>, Failure>
    where
        In: DeserializeOwned,
    {
        let address = self.address;
        let input = decode_input(&payload, &address, self.endpoint.core())?;
        let make = |sender, accept| StreamInput {
            input,
            items: Items::encoded(address, sender),
            accept,
        };
        let mut life = self.life;
        life.window = life.window.min(ahead);
        self.endpoint.open(make, life, request).await
    }
}

impl<In, T> CommandEndpoint for StreamRoute<In, T>
where
    In: DeserializeOwned + Send + 'static,
    T: Send + 'static,
{
    fn address(&self) -> Address {
        self.address
    }

    fn core(&self) -> &Arc<EndpointCore> {
        self.endpoint.core()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn call_encoded<'a>(&'a self, _payload: Bytes, _request: Request<'a>) -> BoxFuture<'a, Result<Bytes, Failure>> {
        let text = format!("{} is a stream: open it", self.address);
        std::future::ready(Err(Failure::invalid(text).with_executed(Executed::No))).boxed()
    }

    fn open_encoded<'a>(
        &'a self,
        payload: Bytes,
        ahead: usize,
        request: Request<'a>,
    ) -> BoxFuture<'a, Result<ItemReader<Bytes>, Failure>> {
        self.open_bytes(payload, ahead, request).boxed()
    }

    fn heartbeat(&self) -> Duration {
        self.life.heartbeat
    }
}
