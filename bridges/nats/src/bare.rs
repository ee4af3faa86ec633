//! The bare client: async-nats as its documentation uses it, for measuring what we cost.
//!
//! Same server, same headers, same payload, same confirmations. Publisher and subscriber have a connection each, as two
//! nodes have.

mod run;

use std::sync::Arc;

use async_nats::{Client, HeaderMap};
use futures_util::future::BoxFuture;
use roadshow_bridges::{BareAct, BareClient, BareMessage, BareRun, ConnectContext, Error};

use crate::connect;
use crate::counters::Counters;
use crate::link::Link;
use crate::replies::Replies;
use crate::settings::Settings;
use run::{Durable, Events, Requests};

/// async-nats, without us.
#[derive(Debug)]
pub(crate) struct BareNats {
    settings: Settings,
    context: ConnectContext,
}

impl BareNats {
    pub(crate) fn new(settings: Settings, context: ConnectContext) -> Self {
        Self { settings, context }
    }

    async fn client(&self) -> Result<Client, Error> {
        let replies = Arc::new(Replies::new(&self.context));
        let link = Arc::new(Link::new(Arc::new(Counters::new()), replies));
        connect::connect(&self.settings, &self.context, &link).await
    }
}

/// What one act sends.
#[derive(Debug, Clone)]
struct Outgoing {
    subject: String,
    headers: HeaderMap,
    payload: bytes::Bytes,
}

impl Outgoing {
    fn new(what: &str, message: BareMessage) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in &message.headers {
            headers.append(name.as_str(), value.as_str());
        }
        Self {
            subject: format!("bare.{}.{what}", message.run),
            headers,
            payload: message.payload,
        }
    }
}

/// What the client library said.
fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::unavailable("cannot measure the bare NATS client: it reports an error").with_source(error)
}

impl BareClient for BareNats {
    fn prepare(&self, act: BareAct, message: BareMessage) -> BoxFuture<'_, Result<Box<dyn BareRun>, Error>> {
        Box::pin(async move {
            let (here, there) = (self.client().await?, self.client().await?);
            let run: Box<dyn BareRun> = match act {
                BareAct::Request => Box::new(Requests::prepare(here, &there, Outgoing::new("request", message)).await?),
                BareAct::DurableEvent => {
                    let name = format!("run_{}", message.run);
                    let outgoing = Outgoing::new("durable", message);
                    Box::new(Durable::prepare(here, there, outgoing, name, self.settings.max_bytes).await?)
                }
                BareAct::Event { subscribers } => {
                    let outgoing = Outgoing::new("event", message);
                    Box::new(Events::prepare(here, &there, outgoing, subscribers, self.settings.max_bytes).await?)
                }
                _ => {
                    let why = "cannot measure the bare NATS client: it does not know this act";
                    return Err(Error::unsupported(why));
                }
            };
            Ok(run)
        })
    }
}
