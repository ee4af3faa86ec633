//! TLS: who may connect, who is believed, and what is said about files that cannot work.

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use roadshow_gateway::{ClientError, Gateway, NodeClient};
use roadshow_services::Node;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::http2::Http2;
use crate::stage::Staged;
use crate::wire::PATIENCE;

/// A certificate for some names, in files.
struct Papers {
    folder: TempDir,
}

impl Papers {
    fn of(names: &[&str]) -> Papers {
        let folder = tempfile::tempdir().expect("a folder");
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("a certificate");
        fs::write(folder.path().join("cert.pem"), cert.pem()).expect("a file");
        fs::write(folder.path().join("key.pem"), signing_key.serialize_pem()).expect("a file");
        Papers { folder }
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    async fn connect(&self, at: SocketAddr, protocol: &[u8]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(self.certificate()).expect("a certificate");
        roots.add(certificate).expect("it can be trusted");
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TcpStream::connect(at).await.expect("it listens");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        stream.expect("they agree")
    }
}

#[tokio::test]
async fn both_versions_are_served_over_tls() {
    let papers = Papers::of(&["localhost"]);
    let staged = Staged::with(|gateway| gateway.tls(papers.certificate(), papers.key())).await;

    let stream = papers.connect(staged.at, b"h2").await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let http2 = Http2::over(stream).await;
    let answer = http2.get("/api/v1/users/7").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("strict-transport-security"), None);
    let answer = http2
        .ask(Http2::request(Method::GET, "https://shop.example/healthz", ""))
        .await;
    assert_eq!(answer.header("strict-transport-security"), Some("max-age=63072000"));

    // A promise for this machine's own names would bind everything else that is served under them.
    let table = [
        ("shop.example", true),
        ("localhost:8443", false),
        ("127.0.0.7", false),
        ("[::1]:8443", false),
    ];
    for (host, promised) in table {
        let mut stream = papers.connect(staged.at, b"http/1.1").await;
        let request = format!("GET /healthz HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it is open");
        let mut answer = String::new();
        let read = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
        read.expect("in time").expect("text");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(
            answer.contains("strict-transport-security"),
            promised,
            "{host}: {answer}"
        );
    }
    staged.end().await;
}

#[tokio::test]
async fn a_client_believes_whom_it_was_told_to_and_nobody_else() {
    let papers = Papers::of(&["localhost"]);
    let staged = Staged::with(|gateway| gateway.tls(papers.certificate(), papers.key())).await;
    let port = staged.at.port();
    let client = |host: &str| NodeClient::new(&format!("https://{host}:{port}")).expect("a URL");

    let trusting = client("localhost")
        .ca_file(papers.certificate())
        .expect("a certificate");
    assert_eq!(trusting.ready().await.expect("readiness")["ready"], true);
    assert_eq!(trusting.tree().await.expect("a tree")["id"], "node");

    let strangers = [
        client("localhost"),
        client("127.0.0.1")
            .ca_file(papers.certificate())
            .expect("a certificate"),
        client("localhost")
            .ca_file(Papers::of(&["localhost"]).certificate())
            .expect("a certificate"),
    ];
    for stranger in strangers {
        let error = stranger.ready().await.expect_err("it cannot prove who it is");
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
        let known = ["does not prove who it is", "trusts nobody"];
        assert!(known.iter().any(|text| error.to_string().contains(text)), "{error}");
    }
    let plain = NodeClient::new(&format!("http://localhost:{port}")).expect("a URL");
    assert!(plain.ready().await.is_err());
    assert_eq!(
        trusting.ready().await.expect("readiness")["ready"],
        true,
        "the others are served"
    );
    staged.end().await;

    let staged = Staged::start().await;
    let url = format!("https://localhost:{}", staged.at.port());
    let client = NodeClient::new(&url).and_then(|client| client.ca_file(papers.certificate()));
    let error = client.expect("a client").ready().await.expect_err("it speaks no TLS");
    assert!(error.to_string().contains("is it an http:// address"), "{error}");
    staged.end().await;
}

#[tokio::test]
async fn files_that_cannot_work_are_named_before_anything_starts() {
    let (papers, others) = (Papers::of(&["localhost"]), Papers::of(&["localhost"]));
    let folder = papers.folder.path();
    let (empty, garbage, missing) = (folder.join("empty"), folder.join("garbage"), folder.join("missing"));
    fs::write(&empty, "").expect("a file");
    fs::write(
        &garbage,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .expect("a file");
    let (certificate, key) = (papers.certificate(), papers.key());
    let table: [(&Path, &Path, &Path, &str); 7] = [
        (&missing, &key, &missing, "cannot read the certificate in"),
        (&certificate, &missing, &missing, "cannot read the private key in"),
        (&empty, &key, &empty, "there is no certificate in"),
        (&certificate, &empty, &empty, "there is no private key in"),
        (&key, &key, &key, "there is no certificate in"),
        (&garbage, &key, &garbage, "the certificate in"),
        (
            &certificate,
            &others.key(),
            &certificate,
            "does not belong to the certificate in",
        ),
    ];
    for (certificate, key, named, says) in table {
        let gateway = Gateway::new(SocketAddr::from(([127, 0, 0, 1], 0))).tls(certificate, key);
        let text = Node::builder()
            .component(gateway)
            .start()
            .await
            .expect_err(says)
            .to_string();
        assert!(
            text.contains(says) && text.contains(&named.display().to_string()),
            "{says}: {text}"
        );
    }
    let client = NodeClient::new("https://localhost").expect("a URL");
    let error = client.ca_file(&missing).expect_err("there is no file");
    assert!(error.to_string().contains("missing"), "{error}");
}

#[tokio::test]
async fn who_never_greets_is_cut_and_the_slot_is_free_again() {
    let papers = Papers::of(&["localhost"]);
    let told = |gateway: Gateway| {
        gateway
            .tls(papers.certificate(), papers.key())
            .header_timeout(Duration::from_secs(1))
            .connections(NonZeroUsize::MIN)
    };
    let staged = Staged::with(told).await;
    let client = NodeClient::new(&format!("https://localhost:{}", staged.at.port())).expect("a URL");
    let client = client.ca_file(papers.certificate()).expect("a certificate");
    for said in [b"".as_slice(), b"\x16\x03", b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"] {
        let mut silent = TcpStream::connect(staged.at).await.expect("it listens");
        silent.write_all(said).await.expect("it is open");
        // There is one slot: that this is answered shows that it came free.
        assert_eq!(client.ready().await.expect("readiness")["ready"], true);
        let mut rest = Vec::new();
        let _how = timeout(PATIENCE, silent.read_to_end(&mut rest))
            .await
            .expect("it is closed in time");
    }
    staged.end().await;
}
