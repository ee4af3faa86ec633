//! `amqp:` and `amqps:` as URLs.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use roadshow_bridges::{BareClient, Capability, ConnectContext, Connector, Error, EventBridge};

use crate::bare::AmqpBare;
use crate::bridge::{self, AmqpBridge};
use crate::settings::{self, Settings};

/// Makes bridges of the URLs `amqp://user:password@host:port/vhost` and `amqps://…`.
///
/// Without a path the virtual host is `/`; a slash in its name is written `%2F`. Without a user it is `guest`, which a broker
/// takes from its own machine only. `max_message_size` (in bytes, 1 MiB unless it is given) bounds a payload; it
/// must not be more than the broker's own limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct AmqpConnector;

impl AmqpConnector {
    /// What its bridges can do; the limits are those of a URL that chooses none.
    pub fn capability() -> Capability {
        bridge::capability(settings::MESSAGE_SIZE_DEFAULT)
    }
}

impl Connector for AmqpConnector {
    fn schemes(&self) -> &[&'static str] {
        &["amqp", "amqps"]
    }

    fn event_bridge<'a>(
        &'a self,
        url: &'a str,
        context: &'a ConnectContext,
    ) -> BoxFuture<'a, Result<Arc<dyn EventBridge>, Error>> {
        Box::pin(async move {
            let settings = Settings::parse(url, &context.access)?;
            let bridge = AmqpBridge::connect(settings, context).await?;
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
            Ok(Arc::new(AmqpBare::new(settings)) as Arc<dyn BareClient>)
        })
    }
}
