//! Messages that lapin cannot read: whoever subscribes lives on, on the same connection.

use std::fs;

use rcgen::{CertificateParams, KeyPair};
use roadshow_bridges::{Delivery, Kind, Published, ServiceId, Subscription};
use roadshow_conformance::{Broker, BrokerKind, BrokerOptions, TlsFiles};

use super::harness::{Place, envelope, in_time, next};
use super::raw::{Raw, long, short};

/// The flags of properties.
const CONTENT_TYPE: u16 = 1 << 15;
const HEADERS: u16 = 1 << 13;
const CORRELATION_ID: u16 = 1 << 10;

/// So many tables in one another.
fn nested(depth: usize) -> Vec<u8> {
    let mut backwards = Vec::new();
    for _ in 1..depth {
        let len = u32::try_from(backwards.len()).expect("it fits");
        backwards.extend(len.to_be_bytes().iter().rev());
        backwards.extend(b"Fa\x01");
    }
    backwards.reverse();
    long(&backwards)
}

/// Publishes what cannot be read, and something plain after it: a subscriber of this place gets all of it, once.
async fn disturb(place: &Place, raw: &mut Raw) {
    let bridge = place.bridge("n1").await;
    let root = place.namespace.command_root(ServiceId::new("user", 1));
    let subscription = Subscription::children(root.clone()).group("cmd=user=1").window(16);
    let mut deliveries = bridge.subscribe(subscription).await.expect("subscribes");
    let subject = place.command("create");
    let (exchange, key) = (place.namespace.as_str(), subject.as_str().as_bytes());
    let odd_key = [root.as_str().as_bytes(), b".\xff\xfe"].concat();
    let odd_name = long(&[short(b"\xff"), b"S".to_vec(), long(b"kept")].concat());
    raw.publish(exchange, key, HEADERS, &nested(15_000), b"nested").await;
    raw.publish(exchange, key, CORRELATION_ID, &short(b"\xff\xfe"), b"correlated")
        .await;
    raw.publish(exchange, key, CONTENT_TYPE, &short(b"\xff"), b"typed")
        .await;
    raw.publish(exchange, key, HEADERS, &odd_name, b"named").await;
    raw.publish(exchange, &odd_key, 0, b"", b"routed").await;
    let published = bridge.publish(envelope(Kind::Command, &subject, 6, b"plain")).await;
    assert_eq!(published.expect("told"), Published::Accepted);
    let mut got = Vec::new();
    // Nothing is settled before all is there: a connection that was lost would bring the first ones again.
    for _ in 0..6 {
        let delivery = next(&mut deliveries).await;
        assert!(!delivery.may_have_begun(), "it came once");
        got.push(delivery);
    }
    let payload = |at: usize| got[at].envelope().payload.to_bytes().expect("bytes");
    let payloads: Vec<_> = (0..6).map(payload).collect();
    assert_eq!(payloads, ["nested", "correlated", "typed", "named", "routed", "plain"]);
    assert_eq!(got[1].envelope().transport_correlation.as_deref(), Some(&b"??"[..]));
    assert_eq!(got[3].envelope().headers.get("?"), Some("kept"));
    assert_eq!(got[4].envelope().subject.as_str(), format!("{}.??", root.as_str()));
    assert!(bridge.health().is_ready());
    let told = format!("{bridge:?}");
    assert!(told.contains("frames: 5"), "{told}");
    got.into_iter().for_each(Delivery::ack);
    drop(deliveries);
    in_time(bridge.close()).await.expect("closed");
}

#[tokio::test]
async fn messages_that_cannot_be_read_disturb_nobody() {
    let place = Place::new();
    disturb(&place, &mut Raw::connect().await).await;
    place.remove(&[]).await;
}

#[tokio::test]
async fn what_was_decrypted_is_mended_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = KeyPair::generate().expect("a key");
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).expect("names");
    let certificate = certificate.self_signed(&key).expect("a certificate");
    let (cert_file, key_file) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    fs::write(&cert_file, certificate.pem()).expect("written");
    fs::write(&key_file, key.serialize_pem()).expect("written");
    let options = BrokerOptions::default().tls(TlsFiles {
        ca_file: cert_file.clone(),
        cert_file: cert_file.clone(),
        key_file,
        verify_clients: false,
    });
    let broker = Broker::start_with(BrokerKind::Rabbit, options).await;
    let broker = broker.expect("a broker of our own");
    let mut raw = Raw::connect_tls(&broker.url(), &cert_file).await;
    let place = Place::at(format!("{}?ca_file={}", broker.url(), cert_file.display()));
    disturb(&place, &mut raw).await;
}
