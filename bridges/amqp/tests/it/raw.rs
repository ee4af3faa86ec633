//! A stranger who writes the frames of AMQP 0-9-1 himself, because no client library would write such ones.

use std::path::Path;
use std::sync::Arc;

use lapin::uri::AMQPUri;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::harness::{in_time, url};

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const END: u8 = 0xCE;

/// What frames are written to.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for S {}

/// A connection with one channel that confirms.
pub(crate) struct Raw(Box<dyn Wire>);

/// A short string.
pub(crate) fn short(text: &[u8]) -> Vec<u8> {
    let len = u8::try_from(text.len()).expect("a short string is short");
    [&[len], text].concat()
}

/// A long string, or a table.
pub(crate) fn long(content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).expect("it fits");
    [&len.to_be_bytes(), content].concat()
}

/// The socket of a broker.
pub(crate) async fn tcp(uri: &AMQPUri) -> TcpStream {
    let place = (uri.authority.host.as_str(), uri.authority.port);
    in_time(TcpStream::connect(place)).await.expect("the broker is there")
}

impl Raw {
    /// Connects to the broker of the tests.
    pub(crate) async fn connect() -> Self {
        let uri: AMQPUri = url().parse().expect("a URL");
        let stream = tcp(&uri).await;
        Self::greeted(&uri, Box::new(stream)).await
    }

    /// Connects to a broker that speaks TLS, with a certificate of this authority.
    pub(crate) async fn connect_tls(url: &str, ca_file: &Path) -> Self {
        let uri: AMQPUri = url.parse().expect("a URL");
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_file(ca_file).expect("a certificate");
        roots.add(authority).expect("an authority");
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(uri.authority.host.clone()).expect("a name");
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, tcp(&uri).await);
        let stream = in_time(connecting).await.expect("a handshake");
        Self::greeted(&uri, Box::new(stream)).await
    }

    async fn greeted(uri: &AMQPUri, stream: Box<dyn Wire>) -> Self {
        let mut raw = Self(stream);
        raw.0.write_all(b"AMQP\0\0\x09\x01").await.expect("sent");
        raw.answer(0, (10, 10)).await;
        let user = &uri.authority.userinfo;
        let response = long(format!("\0{}\0{}", user.username, user.password).as_bytes());
        let arguments = [long(b""), short(b"PLAIN"), response, short(b"en_US")].concat();
        raw.method(0, (10, 11), &arguments).await;
        let mut tuning = raw.answer(0, (10, 30)).await;
        // No heartbeats.
        tuning.truncate(6);
        raw.method(0, (10, 31), &[&*tuning, &[0, 0]].concat()).await;
        let arguments = [short(uri.vhost.as_bytes()), short(b""), vec![0]].concat();
        raw.method(0, (10, 40), &arguments).await;
        raw.answer(0, (10, 41)).await;
        raw.method(1, (20, 10), &short(b"")).await;
        raw.answer(1, (20, 11)).await;
        raw.method(1, (85, 10), &[0]).await;
        raw.answer(1, (85, 11)).await;
        raw
    }

    /// Publishes a message with these flags and properties, and waits until the broker has it.
    pub(crate) async fn publish(&mut self, exchange: &str, key: &[u8], flags: u16, properties: &[u8], body: &[u8]) {
        let arguments = [vec![0, 0], short(exchange.as_bytes()), short(key), vec![0]].concat();
        self.method(1, (60, 40), &arguments).await;
        let len = u64::try_from(body.len()).expect("it fits").to_be_bytes();
        let header = [&[0, 60, 0, 0][..], &len, &flags.to_be_bytes(), properties].concat();
        self.frame(HEADER, 1, &header).await;
        self.frame(BODY, 1, body).await;
        self.answer(1, (60, 80)).await;
    }

    async fn method(&mut self, channel: u16, (class, method): (u16, u16), arguments: &[u8]) {
        let payload = [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat();
        self.frame(METHOD, channel, &payload).await;
    }

    async fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let frame = [&[kind][..], &channel.to_be_bytes(), &long(payload), &[END]].concat();
        let writing = async {
            self.0.write_all(&frame).await?;
            self.0.flush().await
        };
        in_time(writing).await.expect("sent");
    }

    /// The arguments of the method that must come next.
    async fn answer(&mut self, channel: u16, (class, method): (u16, u16)) -> Vec<u8> {
        let mut head = [0; 7];
        in_time(self.0.read_exact(&mut head)).await.expect("an answer");
        let [_, _, _, size @ ..] = head;
        let mut payload = vec![0; usize::try_from(u32::from_be_bytes(size)).expect("it fits") + 1];
        in_time(self.0.read_exact(&mut payload)).await.expect("an answer");
        let expected = [&[METHOD][..], &channel.to_be_bytes()].concat();
        assert_eq!(head[..3], expected, "{}", String::from_utf8_lossy(&payload));
        let expected = [class.to_be_bytes(), method.to_be_bytes()].concat();
        assert_eq!(payload[..4], expected, "{}", String::from_utf8_lossy(&payload));
        payload.pop();
        payload.split_off(4)
    }
}
