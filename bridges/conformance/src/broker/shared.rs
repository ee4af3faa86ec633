//! A broker that runs already and is shared by every test that does it no harm.

use std::env;
use std::net::SocketAddr;

use super::greeting::answers;
use super::kind::BrokerKind;

/// The URL of the broker that tests share: `TEST_NATS_URL`, `TEST_AMQP_URL` or `TEST_MQTT_URL` if it is set, else the usual
/// port of this machine if a broker answers there.
///
/// # Errors
///
/// Nothing answers: the text says what to install or which variable to set. A caller fails with it and does not skip.
pub async fn shared(kind: BrokerKind) -> Result<String, String> {
    if let Some(url) = env::var(kind.variable()).ok().filter(|url| !url.is_empty()) {
        return Ok(url);
    }
    let port = kind.usual_port();
    if answers(kind, SocketAddr::from(([127, 0, 0, 1], port)), false).await {
        return Ok(kind.url(port, None, false));
    }
    let (variable, package) = (kind.variable(), kind.package());
    Err(format!(
        "no {kind} answers on 127.0.0.1:{port}: start one, set {variable} to the URL of another, or let `tests/run` start it \
         (apt-get install {package})"
    ))
}
