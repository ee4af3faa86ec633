//! Whether a broker answers: a connection alone proves only that somebody listens.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::kind::BrokerKind;

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);

/// Says hello in the broker's protocol and looks for the beginning of its answer. Over TLS a connection has to do.
pub(super) async fn answers(kind: BrokerKind, address: SocketAddr, tls: bool) -> bool {
    timeout(ATTEMPT, greeted(kind, address, tls))
        .await
        .is_ok_and(|greeted| greeted.is_some())
}

async fn greeted(kind: BrokerKind, address: SocketAddr, tls: bool) -> Option<()> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    if tls {
        return Some(());
    }
    let (hello, begin): (&[u8], &[u8]) = match kind {
        BrokerKind::Nats => (b"", b"INFO "),
        BrokerKind::Rabbit => (b"AMQP\0\0\x09\x01", b"\x01\0\0"),
        // CONNECT without a client id, and the CONNACK that lets us in or refuses.
        BrokerKind::Mosquitto => (b"\x10\x0d\0\x04MQTT\x05\x02\0\x0a\0\0\0", b"\x20"),
    };
    stream.write_all(hello).await.ok()?;
    let mut answer = vec![0; begin.len()];
    stream.read_exact(&mut answer).await.ok()?;
    (answer == begin).then_some(())
}
