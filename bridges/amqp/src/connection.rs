//! One connection to the broker: made within a bounded time, with what went wrong told apart.
//!
//! lapin's own recovery stays off: a connection that broke is over, and its task makes a new one. Between lapin and the
//! broker stands [`Cleaning`], because a stranger's message could otherwise end the connection or the process.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_rs::{Runtime, Tokio};
use futures_util::StreamExt;
use futures_util::future::ready;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::{RustlsConnector, RustlsConnectorConfig};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{AsyncTcpStream, Connection, ConnectionProperties, ErrorKind, Event};
use roadshow_bridges::Error;
use tokio::sync::mpsc;
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::cleaning::Cleaning;
use crate::counters::Mended;
use crate::frames::FRAME_MAX;
use crate::guarded::Guarded;
use crate::reactor::{self, CleaningRuntime, Plain};
use crate::settings::Settings;

/// How long the operating system may take to connect, TLS included.
const CONNECT_MAX: Duration = Duration::from_secs(4);
/// How long a broker may take to let us in when we come for the first time: somebody waits for the answer.
pub(crate) const FIRST_MAX: Duration = Duration::from_millis(4_500);
/// How long it may take afterwards. A broker that stands still is waited for instead of being asked again and again.
pub(crate) const AGAIN_MAX: Duration = Duration::from_secs(30);
/// How long lapin may take to say what went wrong, once its thread has ended.
const LAST_WORD_MAX: Duration = Duration::from_secs(1);
/// How long a farewell may take.
const CLOSE_MAX: Duration = Duration::from_secs(1);
/// The heartbeat, in seconds; the smaller of ours and the broker's counts.
const HEARTBEAT_SECONDS: u16 = 10;
/// How often a connection is looked at, beside hearing of its end.
const LOOK: Duration = Duration::from_secs(1);

/// Connects and logs in. What has to be mended of what comes is counted there.
///
/// # Errors
///
/// `Config` if the broker refuses us or a certificate cannot be used, `Unavailable` otherwise.
///
/// # Cancel safety
///
/// Dropping the future ends what was begun of the connection.
pub(crate) async fn open(
    settings: &Settings,
    name: &str,
    longest: Duration,
    mended: &Arc<Mended>,
) -> Result<Connection, Error> {
    let failed = |error| unreachable(settings, error);
    let (stream, guard) = Guarded::new(dialled(settings).await?);
    let stream = Mutex::new(Some(Cleaning::new(stream, Arc::clone(mended))));
    let (alive, mut thread) = mpsc::channel::<Infallible>(1);
    let connect = async move |_: AMQPUri, _: CleaningRuntime| {
        // The thread of the connection owns this closure: nobody holds the sender any more once it has ended.
        let _alive = &alive;
        let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        let stream = stream
            .ok_or(io::ErrorKind::ConnectionAborted)
            .map_err(io::Error::from)?;
        Ok(AsyncTcpStream::Plain(stream))
    };
    // lapin 4.12 forgets whoever waits when the connection is lost between two steps of the handshake.
    let forgotten = async {
        let _ended = thread.recv().await;
        sleep(LAST_WORD_MAX).await;
    };
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let runtime = reactor::runtime(Tokio::current());
    let opened = tokio::select! {
        opened = Connection::connector(uri(settings), runtime, connect, properties) => opened,
        () = forgotten => return Err(failed(io::Error::from(io::ErrorKind::ConnectionAborted))),
        () = sleep(longest) => return Err(failed(io::Error::from(io::ErrorKind::TimedOut))),
    };
    match opened {
        Ok(connection) => {
            guard.let_in();
            Ok(connection)
        }
        Err(error) if is_refusal(&error) => Err(refused(settings, &error)),
        Err(error) => Err(unreachable(settings, error)),
    }
}

/// Reaches the broker, and agrees on TLS where it is wanted. lapin is not told before: it has no end for what could not
/// be reached.
async fn dialled(settings: &Settings) -> Result<Plain, Error> {
    let tls = if settings.url.scheme.tls {
        Some(tls(settings)?)
    } else {
        None
    };
    let host = &settings.url.host;
    let runtime = Runtime::new(Tokio::current());
    let connecting = async {
        let address = runtime.to_socket_addrs((host.clone(), settings.url.port));
        let stream = Plain::connect(&runtime, address).await?;
        match &tls {
            Some(connector) => stream.into_rustls(connector, host).await,
            None => Ok(stream),
        }
    };
    let late = |_| Err(io::Error::from(io::ErrorKind::TimedOut));
    let connected = timeout(CONNECT_MAX, connecting).await.unwrap_or_else(late);
    connected.map_err(|error| unreachable(settings, error))
}

/// Does what comes next on a new connection, for as long as that lasts: lapin does not answer everybody who asks while a
/// connection ends.
///
/// # Errors
///
/// Those of `act`, or `Unavailable` when the connection is lost meanwhile or it takes longer than `longest`.
pub(crate) async fn while_it_lasts<T>(
    connection: &Connection,
    longest: Duration,
    act: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let failed = |why| Err(Error::unavailable("cannot use a new connection to RabbitMQ").with("problem", why));
    tokio::select! {
        done = act => done,
        () = lost(connection, |_| ()) => failed("it was lost"),
        () = sleep(longest) => failed("RabbitMQ does not answer in time"),
    }
}

/// Waits until the connection is over, and tells of blocking meanwhile.
///
/// # Cancel safety
///
/// Dropping the future only stops the waiting.
pub(crate) async fn lost(connection: &Connection, mut on_blocked: impl FnMut(Option<String>)) {
    let mut events = connection.events_listener();
    let mut look = interval(LOOK);
    while connection.status().connected() {
        tokio::select! {
            event = events.next() => match event {
                Some(Event::ConnectionBlocked(reason)) => on_blocked(Some(reason)),
                Some(Event::ConnectionUnblocked) => on_blocked(None),
                Some(_) => {}
                None => ready(()).await,
            },
            _ = look.tick() => {}
        }
    }
}

/// Says goodbye, for a bounded time.
pub(crate) async fn close(connection: &Connection) -> Result<(), Error> {
    if !connection.status().connected() {
        return Ok(());
    }
    let farewell = connection.close(200, "OK".into());
    match timeout(CLOSE_MAX, farewell).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Error::unavailable("cannot close the connection to RabbitMQ").with_source(error)),
        Err(_elapsed) => Err(Error::unavailable("cannot close the connection to RabbitMQ in time")),
    }
}

/// Whether the broker said no, and will say it again: credentials, a missing virtual host or permission.
pub(crate) fn is_refusal(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(error) = error.kind() else {
        return false;
    };
    matches!(
        error.kind(),
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)
    )
}

fn refused(settings: &Settings, error: &lapin::Error) -> Error {
    Error::config("cannot connect to RabbitMQ: it refuses us, check user, password and virtual host")
        .with("broker", settings.url.place())
        .with("vhost", &settings.vhost)
        .with("answer", error)
}

fn unreachable(settings: &Settings, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::unavailable("cannot connect to RabbitMQ")
        .with("broker", settings.url.place())
        .with("problem", &error)
        .with_source(error)
}

fn uri(settings: &Settings) -> AMQPUri {
    AMQPUri {
        scheme: if settings.url.scheme.tls {
            AMQPScheme::AMQPS
        } else {
            AMQPScheme::AMQP
        },
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo {
                username: settings.user.clone(),
                password: settings.password.clone(),
            },
            host: settings.url.host.clone(),
            port: settings.url.port,
        },
        vhost: settings.vhost.clone(),
        query: AMQPQueryString {
            heartbeat: Some(HEARTBEAT_SECONDS),
            frame_max: Some(FRAME_MAX),
            ..AMQPQueryString::default()
        },
    }
}

/// What we trust, and who we are.
fn tls(settings: &Settings) -> Result<RustlsConnector, Error> {
    let access = &settings.url.access;
    let unusable = |error: io::Error| Error::config("cannot use TLS with RabbitMQ").with("problem", &error);
    let config = match &access.ca_file {
        Some(file) => RustlsConnectorConfig::default().with_parsable_certificates(certificates(file)?),
        None => RustlsConnectorConfig::new_with_native_certs().map_err(unusable)?,
    };
    match (&access.cert_file, &access.key_file) {
        (Some(chain), Some(key)) => config.connector_with_single_cert(certificates(chain)?, private_key(key)?),
        _ => config.connector_with_no_client_auth(),
    }
    .map_err(unusable)
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    fs::read(file).map_err(|error| unreadable(file, error))
}

fn unreadable(file: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::config("cannot read a certificate or key")
        .with("file", file.display())
        .with("problem", &error)
        .with_source(error)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| unreadable(file, error))?;
    if found.is_empty() {
        return Err(Error::config("cannot use a file without certificates").with("file", file.display()));
    }
    Ok(found)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_slice(&read(file)?).map_err(|error| unreadable(file, error))
}
