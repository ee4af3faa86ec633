//! One attempt to connect: the client's options, the first packets, and what a refusal means.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use roadshow_bridges::{ConnectContext, Error};
use rumqttc::tokio_rustls::rustls::{self, ClientConfig};
use rumqttc::{
    AckMode, AsyncClient, ConnAck, ConnectReturnCode, ConnectionError, Error as MqttError, Event, EventLoop, Incoming,
    MqttOptions, StateError, TlsConfiguration, TlsError, Transport,
};
use tokio::time::timeout;

use crate::prompt::Prompt;
use crate::settings::Settings;

/// How long an attempt may take: a wrong password is told within 5 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// How often a quiet connection is asked whether it lives, in seconds.
const KEEP_ALIVE_SECONDS: u16 = 5;
/// What a packet may have beside its payload, in bytes.
pub(crate) const PACKET_REST: usize = 64 * 1024;
/// How many requests the client takes before it has sent them, beside one acknowledgement for each unsettled message.
const REQUESTS: usize = 8192;
/// How many publishes may wait for the broker's acknowledgement; the broker may allow less.
const IN_FLIGHT_MAX: u16 = 1024;
/// How many requests and packets are handled in one go.
const BATCH: usize = 64;

/// What every attempt to connect needs.
#[derive(Clone)]
pub(crate) struct Door {
    settings: Settings,
    client_id: String,
    tls: Option<Arc<ClientConfig>>,
    gathers: bool,
}

/// A connection that the broker has accepted.
pub(crate) struct Opened {
    pub(crate) client: AsyncClient,
    pub(crate) eventloop: EventLoop,
    /// The largest packet that the broker takes.
    pub(crate) packet_bytes_max: usize,
    /// Whether the broker puts subscription identifiers into what it delivers.
    pub(crate) identifies: bool,
}

impl Door {
    /// Prepares to connect; `mark` makes the client's id its own.
    pub(crate) fn new(
        settings: &Settings,
        context: &ConnectContext,
        mark: &str,
        tls: Option<Arc<ClientConfig>>,
    ) -> Self {
        // Two clients of one id throw each other out for ever, so the id is no name but a fresh one.
        let client_id = format!("{}-{}-{}-{mark}", context.namespace, context.node, context.incarnation);
        Self {
            settings: settings.clone(),
            client_id,
            tls,
            gathers: true,
        }
    }

    /// Writes what the client flushes when it flushes it.
    pub(crate) fn flushing_at_once(mut self) -> Self {
        self.gathers = false;
        self
    }

    /// Connects and waits for the broker's word.
    ///
    /// # Errors
    ///
    /// `Config` if the broker will never let us in, `Unavailable` if it does not now.
    pub(crate) async fn open(&self) -> Result<Opened, Error> {
        let capacity = usize::from(self.settings.receive_maximum) + REQUESTS;
        let (client, mut eventloop) = AsyncClient::builder(self.options()).capacity(capacity).build();
        let accepted = timeout(CONNECT_TIMEOUT, async {
            loop {
                if let Event::Incoming(Incoming::ConnAck(accepted)) = eventloop.poll().await? {
                    return Ok::<ConnAck, ConnectionError>(accepted);
                }
            }
        });
        let accepted = match accepted.await {
            Ok(Ok(accepted)) => accepted,
            Ok(Err(error)) => return Err(self.refusal(error)),
            Err(_elapsed) => return Err(self.away().with("because", "it does not answer")),
        };
        let properties = accepted.properties.as_ref();
        let limit = properties.and_then(|properties| properties.max_packet_size);
        Ok(Opened {
            client,
            eventloop,
            packet_bytes_max: limit.map_or(usize::MAX, |limit| limit as usize),
            identifies: properties.and_then(|found| found.subscription_identifiers_available) != Some(0),
        })
    }

    fn options(&self) -> MqttOptions {
        let url = &self.settings.url;
        let host = if url.host.contains(':') {
            format!("[{}]", url.host)
        } else {
            url.host.clone()
        };
        let gathers = self.gathers;
        let mut options = MqttOptions::new(&self.client_id, (host, url.port));
        let packet = self.settings.payload_bytes_max + PACKET_REST;
        options
            .set_clean_start(true)
            .set_session_expiry_interval(Some(0))
            .set_keep_alive(KEEP_ALIVE_SECONDS)
            .set_connect_timeout(CONNECT_TIMEOUT)
            .set_receive_maximum(Some(self.settings.receive_maximum))
            .set_max_packet_size(Some(u32::try_from(packet).unwrap_or(u32::MAX)))
            .set_ack_mode(AckMode::Manual)
            .set_max_request_batch(BATCH)
            .set_read_batch_size(BATCH)
            .set_outgoing_inflight_upper_limit(IN_FLIGHT_MAX)
            .set_socket_connector(move |host, _options| Prompt::connect(host, gathers));
        if let Some(tls) = &self.tls {
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(tls))));
        }
        match (&url.access.user, &url.access.password) {
            (Some(user), Some(password)) => options.set_credentials(user, password.clone()),
            (Some(user), None) => options.set_username(user),
            (None, _) => &mut options,
        };
        options
    }

    fn away(&self) -> Error {
        Error::unavailable("cannot connect to the MQTT broker").with("broker", self.settings.url.place())
    }

    fn refusal(&self, error: ConnectionError) -> Error {
        let place = self.settings.url.place();
        if let Some(code) = refused(&error)
            && is_final(code)
        {
            return Error::config("cannot connect to the MQTT broker: it refused us")
                .with("broker", place)
                .with("reason", format_args!("{code:?}"));
        }
        if is_mistrust(&error) {
            return Error::config("cannot connect to the MQTT broker: the two sides do not trust each other")
                .with("broker", place)
                .with_source(error);
        }
        self.away().with("because", &error).with_source(error)
    }
}

fn refused(error: &ConnectionError) -> Option<ConnectReturnCode> {
    match error {
        ConnectionError::ConnectionRefused(code) => Some(*code),
        ConnectionError::MqttState(StateError::ConnFail { reason }) => Some(*reason),
        _ => None,
    }
}

/// Whether trying again without another setting is in vain.
fn is_final(code: ConnectReturnCode) -> bool {
    matches!(
        code,
        ConnectReturnCode::BadUserNamePassword
            | ConnectReturnCode::NotAuthorized
            | ConnectReturnCode::Banned
            | ConnectReturnCode::BadAuthenticationMethod
            | ConnectReturnCode::BadClientId
            | ConnectReturnCode::ClientIdentifierNotValid
            | ConnectReturnCode::RefusedProtocolVersion
            | ConnectReturnCode::UnsupportedProtocolVersion
    )
}

/// Whether TLS itself said no: a certificate or a name that does not fit.
fn is_mistrust(error: &ConnectionError) -> bool {
    match error {
        ConnectionError::Tls(TlsError::Io(error))
        | ConnectionError::MqttState(StateError::Io(error) | StateError::Deserialization(MqttError::Io(error))) => {
            is_tls(error)
        }
        ConnectionError::Tls(TlsError::DNSName(_) | TlsError::TLS(_) | TlsError::WebPki(_)) => true,
        _ => false,
    }
}

fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("broker", &self.settings.url.place())
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("packet_bytes_max", &self.packet_bytes_max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_another_setting_would_mend_is_final() {
        let table = [
            (ConnectReturnCode::BadUserNamePassword, true),
            (ConnectReturnCode::NotAuthorized, true),
            (ConnectReturnCode::ServerBusy, false),
            (ConnectReturnCode::ServerUnavailable, false),
            (ConnectReturnCode::ConnectionRateExceeded, false),
        ];
        for (code, expected) in table {
            assert_eq!(is_final(code), expected, "{code:?}");
        }
        let mistrust = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError);
        assert!(is_tls(&mistrust) && !is_tls(&io::Error::from(io::ErrorKind::ConnectionReset)));
    }
}
