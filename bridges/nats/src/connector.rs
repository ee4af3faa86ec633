//! The connector: from a URL to the adapter.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use roadshow_bridges::{BareClient, ConnectContext, Connector, Error, EventBridge};

use crate::bare::BareNats;
use crate::bridge::NatsBridge;
use crate::settings::{SCHEME_NAMES, Settings};

/// Connects to NATS: `nats://user:password@host:4222`, or `tls://` for TLS.
///
/// A user without a password is a token. Parameters beside those of TLS: `ack_wait`, after which silence of a handler's node
/// the server brings an event again (30 s), and `max_bytes`, the bound of each stream (256 MiB).
#[derive(Debug, Clone, Copy, Default)]
pub struct NatsConnector;

impl Connector for NatsConnector {
    fn schemes(&self) -> &[&'static str] {
        &SCHEME_NAMES
    }

    fn event_bridge<'a>(
        &'a self,
        url: &'a str,
        context: &'a ConnectContext,
    ) -> BoxFuture<'a, Result<Arc<dyn EventBridge>, Error>> {
        Box::pin(async move {
            let settings = Settings::parse(url, &context.access)?;
            let bridge = NatsBridge::connect(settings, context).await?;
            Ok(Arc::new(bridge) as Arc<dyn EventBridge>)
        })
    }

    fn bare_client<'a>(
        &'a self,
        url: &'a str,
        context: &'a ConnectContext,
    ) -> BoxFuture<'a, Result<Arc<dyn BareClient>, Error>> {
        Box::pin(async move {
            let settings = Settings::parse(url, &context.access)?;
            Ok(Arc::new(BareNats::new(settings, context.clone())) as Arc<dyn BareClient>)
        })
    }
}
