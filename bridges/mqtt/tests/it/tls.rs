//! TLS and mutual TLS with a broker of our own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use roadshow_bridges::{ConnectContext, ErrorKind, IncarnationId};
use roadshow_conformance::{Broker, BrokerKind, BrokerOptions, TlsFiles};
use roadshow_mqtt::MqttConnector;
use tokio::time::timeout;

use crate::common::{self, Stage};

/// Writes a certificate that an authority signed, and its key.
fn signed(folder: &Path, name: &str, authority: &CertifiedIssuer<'_, KeyPair>) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().expect("a key");
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let parameters = CertificateParams::new(names).expect("names");
    let certificate = parameters.signed_by(&key, authority).expect("a certificate");
    let (cert_file, key_file) = (
        folder.join(format!("{name}.pem")),
        folder.join(format!("{name}-key.pem")),
    );
    std::fs::write(&cert_file, certificate.pem()).expect("written");
    std::fs::write(&key_file, key.serialize_pem()).expect("written");
    (cert_file, key_file)
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::new(Vec::new()).expect("no names");
    // Else its name is that of the certificates that it signs, and they look signed by themselves.
    parameters.distinguished_name.push(DnType::CommonName, "authority");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(parameters, key).expect("an authority")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_is_reached_over_mutual_tls_and_a_stranger_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = authority();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, authority.pem()).expect("written");
    let (cert_file, key_file) = signed(folder.path(), "server", &authority);
    let (client_cert, client_key) = signed(folder.path(), "client", &authority);
    let files = TlsFiles {
        ca_file: ca_file.clone(),
        cert_file,
        key_file,
        verify_clients: true,
    };
    let options = BrokerOptions::default().tls(files);
    let broker = Broker::start_with(BrokerKind::Mosquitto, options)
        .await
        .expect("mosquitto starts");
    let (ca, cert, key) = (ca_file.display(), client_cert.display(), client_key.display());
    let url = format!("{}?ca_file={ca}&cert_file={cert}&key_file={key}", broker.url());
    let stage = Stage::at(url);
    let bridge = stage.bridge().await;
    let mut deliveries = stage.durable(&bridge, "secret").await;
    stage.emit(&bridge, 7).await;
    let delivery = timeout(Duration::from_secs(5), deliveries.next())
        .await
        .expect("in time");
    let delivery = delivery.expect("the subscription lives");
    assert_eq!(common::number(delivery.envelope()), 7);
    delivery.ack();

    let namespace = stage.namespace.clone();
    let context = ConnectContext::new(namespace, "n9".parse().expect("a node"), IncarnationId::from_u64(1));
    let untrusted = MqttConnector
        .connect(&broker.url(), &context)
        .await
        .expect_err("the machine does not know it");
    assert_eq!(untrusted.kind(), ErrorKind::Config, "{untrusted:?}");
    let nameless = format!("{}?ca_file={ca}", broker.url());
    assert!(
        MqttConnector.connect(&nameless, &context).await.is_err(),
        "it wants a certificate of ours"
    );
}
