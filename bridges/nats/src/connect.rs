//! The first connection: the client's options, and what a refusal means.

use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, rustls};
use roadshow_bridges::{ConnectContext, Error};
use tokio::time::timeout;

use crate::link::Link;
use crate::settings::Settings;

/// How long the first connection may take in all.
const FIRST: Duration = Duration::from_secs(5);
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(4);
/// How often the client pings; two that stay unanswered end a connection.
const PING: Duration = Duration::from_secs(5);
/// How many commands to the client wait for the socket: publishers beyond it wait themselves.
const CLIENT_CAPACITY: usize = 4096;
/// How many messages of one subscription wait for us in the client, which drops what is beyond and says so. It is the room
/// of groups and inboxes; a task of ours empties it at once for those that have a queue of their own.
const SUBSCRIPTION_CAPACITY: usize = 32 * 1024;

/// Connects, or says within 5 s why not.
///
/// # Errors
///
/// `Config` if the server refuses our credentials or TLS is not set up as it must be; `Unavailable` if it cannot be reached.
pub(crate) async fn connect(settings: &Settings, context: &ConnectContext, link: &Arc<Link>) -> Result<Client, Error> {
    let place = settings.url.place();
    for file in files(settings) {
        read(file)?;
    }
    let options = options(settings, context, link);
    match timeout(FIRST, options.connect(address(settings))).await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(explain(error).with("server", place)),
        Err(_elapsed) => Err(unreachable("it does not answer in time").with("server", place)),
    }
}

/// The server's address without who we are: the options say that.
fn address(settings: &Settings) -> String {
    let scheme = if settings.url.scheme.tls { "tls" } else { "nats" };
    format!("{scheme}://{}", settings.url.place())
}

fn options(settings: &Settings, context: &ConnectContext, link: &Arc<Link>) -> ConnectOptions {
    let (heard, delays) = (Arc::clone(link), Arc::clone(link));
    let mut options = ConnectOptions::new()
        .name(format!("roadshow {} {}", context.namespace, context.node))
        .connection_timeout(ATTEMPT)
        .ping_interval(PING)
        .client_capacity(CLIENT_CAPACITY)
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .request_timeout(Some(FIRST))
        .require_tls(settings.url.scheme.tls)
        .reconnect_delay_callback(move |attempt| delays.delay(attempt))
        .event_callback(move |event| {
            heard.hear(event);
            std::future::ready(())
        });
    let access = &settings.url.access;
    options = match (&access.user, &access.password) {
        (Some(user), Some(password)) => options.user_and_password(user.clone(), password.clone()),
        // A user alone is a token, as in every NATS client.
        (Some(token), None) => options.token(token.clone()),
        _ => options,
    };
    if let Some(file) = &access.ca_file {
        options = options.add_root_certificates(file.clone());
    }
    if let (Some(certificate), Some(key)) = (&access.cert_file, &access.key_file) {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    options
}

fn files(settings: &Settings) -> impl Iterator<Item = &Path> {
    let access = &settings.url.access;
    [&access.ca_file, &access.cert_file, &access.key_file]
        .into_iter()
        .filter_map(Option::as_deref)
}

/// A file that cannot be read is named here; the client would only say that TLS failed.
fn read(file: &Path) -> Result<(), Error> {
    match std::fs::metadata(file) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(Error::config("cannot use TLS: this is not a file").with("file", file.display())),
        Err(error) => Err(Error::config("cannot use TLS: a file cannot be read")
            .with("file", file.display())
            .with_source(error)),
    }
}

fn unreachable(why: &str) -> Error {
    Error::unavailable(format!("cannot connect to the NATS server: {why}"))
}

/// What an error of the first connection means for people.
fn explain(error: ConnectError) -> Error {
    let config = |why: &str| Error::config(format!("cannot connect to the NATS server: {why}"));
    let explained = match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            config("it refuses our credentials")
        }
        ConnectErrorKind::Tls => config("TLS is not set up as it must be"),
        _ if is_about_certificates(&error) => config("TLS was refused, by us or by the server"),
        ConnectErrorKind::Dns => unreachable("its host name is not known"),
        ConnectErrorKind::TimedOut => unreachable("it does not answer in time"),
        _ => unreachable("it cannot be reached"),
    };
    explained.with_source(error)
}

/// Whether the cause is in TLS itself: a certificate that is not trusted does not become so by waiting.
fn is_about_certificates(error: &ConnectError) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(found) = cause {
        let inner = found.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if found.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        cause = found.source();
    }
    false
}
