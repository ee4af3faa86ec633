//! `mqtt:` and `mqtts:` as URLs.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use roadshow_bridges::{BareClient, Capability, ConnectContext, Connector, Error, EventBridge};
use rumqttc::tokio_rustls::rustls::ClientConfig;
use tokio::task::spawn_blocking;

use crate::bare::MqttBareClient;
use crate::bridge::{self, MqttEventBridge};
use crate::connect::Door;
use crate::settings::Settings;
use crate::tls;

/// Makes MQTT bridges of `mqtt://` and `mqtts://`.
///
/// Parameters of the URL, all optional: `payload_bytes_max` (1 MiB), `receive_maximum` (65535), `inbound_bytes_max` (64 MiB),
/// `outbox_messages_max` (32768), `outbox_bytes_max` (64 MiB), `outbox_seconds_max` (600), `ca_file`, `cert_file`, `key_file`.
#[derive(Debug, Clone, Copy, Default)]
pub struct MqttConnector;

impl MqttConnector {
    /// What its bridges can do; a server may lower the limits.
    pub fn capability(&self) -> Capability {
        bridge::declared()
    }

    /// As [`Connector::event_bridge`], for who wants to see what only an MQTT bridge has.
    ///
    /// # Errors
    ///
    /// As [`Connector::event_bridge`].
    pub async fn connect(&self, url: &str, context: &ConnectContext) -> Result<MqttEventBridge, Error> {
        let settings = Settings::parse(url, &context.access)?;
        let tls = tls_of(&settings).await?;
        let mark: u128 = rand::random();
        let door = Door::new(&settings, context, &format!("{:08x}", mark >> 96), tls);
        let opened = door.open().await?;
        Ok(MqttEventBridge::new(settings, context, mark, door, opened))
    }
}

impl Connector for MqttConnector {
    fn schemes(&self) -> &[&'static str] {
        &["mqtt", "mqtts"]
    }

    fn event_bridge<'a>(
        &'a self,
        url: &'a str,
        context: &'a ConnectContext,
    ) -> BoxFuture<'a, Result<Arc<dyn EventBridge>, Error>> {
        Box::pin(async move {
            let bridge = self.connect(url, context).await?;
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
            let tls = tls_of(&settings).await?;
            let client = MqttBareClient::new(settings, context.clone(), tls);
            Ok(Arc::new(client) as Arc<dyn BareClient>)
        })
    }
}

async fn tls_of(settings: &Settings) -> Result<Option<Arc<ClientConfig>>, Error> {
    if !settings.url.scheme.tls {
        return Ok(None);
    }
    let access = settings.url.access.clone();
    let made = spawn_blocking(move || tls::client_config(&access)).await;
    let made =
        made.map_err(|error| Error::unavailable("cannot use TLS: its files were not read").with_source(error))?;
    made.map(Some)
}
