//! Servers of a test's own: killed, reloaded, without JetStream, with users, with TLS, with strangers.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use common::{CREATED, command, connect_to, context, event, inbox, namespace, next, pause_until};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use roadshow_bridges::{Connector, ErrorKind, Health, Published, Subscription};
use roadshow_conformance::broker::free_port;
use roadshow_conformance::{Broker, BrokerKind, BrokerOptions, TlsFiles};
use roadshow_nats::NatsConnector;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

async fn server(options: BrokerOptions) -> Broker {
    Broker::start_with(BrokerKind::Nats, options).await.expect("a server")
}

async fn refusal(url: &str) -> (ErrorKind, String, Duration) {
    let begun = Instant::now();
    let refused = NatsConnector.event_bridge(url, &context(&namespace(), "n1")).await;
    let error = refused.expect_err("it cannot be connected to");
    (error.kind(), format!("{error:?}"), begun.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_confirmed_is_lost_when_the_server_is_killed() {
    let mut server = server(BrokerOptions::default()).await;
    let ns = namespace();
    let bridge = connect_to(&format!("{}?ack_wait=2s", server.url()), &ns, "n1").await;
    let loyalty = || Subscription::new(ns.event_subject(CREATED)).durable("shop=1=loyalty");
    let mut deliveries = bridge.subscribe(loyalty()).await.expect("subscribes");
    let mut commands = bridge
        .subscribe(Subscription::children(ns.command_root(common::USER)).group("cmd=user=1"))
        .await
        .expect("subscribes");
    for _ in 0..3 {
        let mut confirmed = std::collections::HashSet::new();
        for at in 0..200_u8 {
            let envelope = event(&ns, &[at]);
            let id = envelope.identity.id;
            if matches!(bridge.publish(envelope).await, Ok(Published::Accepted)) {
                confirmed.insert(id);
            }
        }
        server.kill();
        pause_until(async || !bridge.health().is_ready()).await;
        server.restart().await.expect("it starts again");
        pause_until(async || bridge.health().is_ready()).await;
        let _ = bridge.publish(command(&ns, b"1")).await.expect("sent");
        next(&mut commands).await.ack();
        while !confirmed.is_empty() {
            let delivery = next(&mut deliveries).await;
            confirmed.remove(&delivery.envelope().identity.id);
            delivery.ack();
        }
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_no_wrong_setting() {
    let port = free_port().expect("a port");
    let (kind, _, took) = refusal(&format!("nats://127.0.0.1:{port}")).await;
    assert_eq!(kind, ErrorKind::Unavailable);
    assert!(took < Duration::from_secs(5));
}

#[tokio::test]
async fn wrong_credentials_are_told_at_once_and_show_no_secret() {
    let server = server(BrokerOptions::default().user("ada", "right-one")).await;
    let at = |who: &str| format!("nats://{who}127.0.0.1:{}", server.port());
    for who in ["ada:hunter2@", "eve:right-one@", "hunter2@", ""] {
        let (kind, text, took) = refusal(&at(who)).await;
        assert_eq!(kind, ErrorKind::Config, "{who}");
        assert!(took < Duration::from_secs(5) && !text.contains("hunter2"), "{text}");
    }
    let bridge = connect_to(&at("ada:right-one@"), &namespace(), "n1").await;
    assert!(bridge.health().is_ready() && !format!("{bridge:?}").contains("right-one"));
}

#[tokio::test]
async fn a_token_is_a_user_without_password() {
    let server = server(BrokerOptions::default().line("authorization { token: \"s3cr3t\" }")).await;
    let url = |token: &str| format!("nats://{token}@127.0.0.1:{}", server.port());
    assert!(connect_to(&url("s3cr3t"), &namespace(), "n1").await.health().is_ready());
    assert_eq!(refusal(&url("wrong")).await.0, ErrorKind::Config);
}

/// A server whose configuration is changed while it runs.
struct Reloaded {
    child: Child,
    file: PathBuf,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Reloaded {
    async fn start(password: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, port) = (folder.path().join("nats.conf"), free_port().expect("a port"));
        write(&file, port, password);
        let program = BrokerKind::Nats.server();
        let child = Command::new(program).arg("-c").arg(&file).spawn().expect("nats-server");
        pause_until(async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
        Self {
            child,
            file,
            port,
            _folder: folder,
        }
    }

    fn change_password(&self, password: &str) {
        write(&self.file, self.port, password);
        let told = Command::new("kill")
            .args(["-HUP", &self.child.id().to_string()])
            .status();
        assert!(told.expect("kill runs").success());
    }
}

fn write(file: &Path, port: u16, password: &str) {
    let text = format!(
        "host: \"127.0.0.1\"\nport: {port}\nauthorization {{ users: [ {{ user: ada, password: \"{password}\" }} ] }}\n"
    );
    fs::write(file, text).expect("a file");
}

impl Drop for Reloaded {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test]
async fn credentials_that_are_taken_away_fail_the_bridge_for_good() {
    let server = Reloaded::start("one").await;
    let bridge = connect_to(&format!("nats://ada:one@127.0.0.1:{}", server.port), &namespace(), "n1").await;
    server.change_password("two");
    pause_until(async || matches!(bridge.health(), Health::Failed { .. })).await;
}

#[tokio::test]
async fn a_subscription_that_is_not_allowed_is_refused_with_its_subject() {
    let line = "authorization { users: [ { user: ada, password: one, permissions: { subscribe: { deny: [\"*.cmd.>\"] } } } ] }";
    let server = server(BrokerOptions::default().line(line)).await;
    let ns = namespace();
    let bridge = connect_to(&format!("nats://ada:one@127.0.0.1:{}", server.port()), &ns, "n1").await;
    let group = Subscription::children(ns.command_root(common::USER)).group("g");
    pause_until(async || bridge.subscribe(group.clone()).await.is_err()).await;
    let health = bridge.health().to_string();
    assert!(
        health.contains("failed") && health.contains(".cmd.user.1.*"),
        "{health}"
    );
}

#[tokio::test]
async fn without_jetstream_events_are_live_and_nothing_is_durable() {
    let server = server(BrokerOptions::default().without_jetstream()).await;
    let ns = namespace();
    let bridge = connect_to(&server.url(), &ns, "n1").await;
    let can = bridge.capability();
    assert!(!can.durable && !can.confirm && !can.dead_letters && !can.server_dedup && can.unroutable);
    let subject = ns.event_subject(CREATED);
    let refused = bridge.subscribe(Subscription::new(subject.clone()).durable("g")).await;
    assert_eq!(refused.expect_err("not kept").kind(), ErrorKind::Unsupported);
    let mut live = bridge.subscribe(Subscription::new(subject)).await.expect("subscribes");
    assert_eq!(
        bridge.publish(event(&ns, b"1")).await.expect("sent"),
        Published::Accepted
    );
    next(&mut live).await.ack();
}

struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut ca = CertificateParams::new(Vec::new()).expect("names");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().expect("a key")).expect("a certificate");
        fs::write(folder.path().join("ca.pem"), ca.pem()).expect("a file");
        for name in ["server", "client"] {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("names");
            let certificate = params.signed_by(&key, &ca).expect("a certificate");
            fs::write(folder.path().join(format!("{name}.pem")), certificate.pem()).expect("a file");
            fs::write(folder.path().join(format!("{name}.key")), key.serialize_pem()).expect("a file");
        }
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn show(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }
}

#[tokio::test]
async fn both_sides_show_their_certificates() {
    let made = Certificates::new();
    let files = TlsFiles {
        ca_file: made.file("ca.pem"),
        cert_file: made.file("server.pem"),
        key_file: made.file("server.key"),
        verify_clients: true,
    };
    let server = server(BrokerOptions::default().tls(files)).await;
    let at = format!("tls://localhost:{}", server.port());
    let (ca, certificate, key) = (made.show("ca.pem"), made.show("client.pem"), made.show("client.key"));
    let url = format!("{at}?ca_file={ca}&cert_file={certificate}&key_file={key}");
    let ns = namespace();
    let bridge = connect_to(&url, &ns, "n1").await;
    let mut replies = bridge
        .subscribe(Subscription::children(inbox(&ns, "n1")))
        .await
        .expect("subscribes");
    let mut asked = command(&ns, b"{}");
    asked.reply_to = Some(common::child(&inbox(&ns, "n1"), 1));
    let _ = bridge.publish(asked).await.expect("sent");
    assert!(next(&mut replies).await.is_returned());
    for wrong in [
        at.clone(),
        format!("{at}?ca_file={ca}"),
        format!("{at}?ca_file={ca}x"),
        format!("{at}?ca_file={key}&cert_file={certificate}&key_file={key}"),
    ] {
        let (kind, text, _) = refusal(&wrong).await;
        assert_eq!(kind, ErrorKind::Config, "{wrong}: {text}");
    }
}

/// Speaks to a server without any client library.
async fn speak(port: u16, text: &str) {
    let mut raw = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
    let hello = "CONNECT {\"verbose\":false,\"headers\":true}\r\n";
    let all = format!("{hello}{text}PING\r\n");
    raw.write_all(all.as_bytes()).await.expect("writes");
    let mut heard = String::new();
    let mut buffer = [0; 1024];
    while !heard.contains("PONG") {
        let count = raw.read(&mut buffer).await.expect("reads");
        assert!(count > 0, "{heard}");
        heard.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
}

#[tokio::test]
async fn headers_that_the_client_cannot_read_cost_no_more_than_one_connection() {
    let server = server(BrokerOptions::default()).await;
    let ns = namespace();
    let bridge = connect_to(&server.url(), &ns, "n1").await;
    let root = ns.command_root(common::USER);
    let mut commands = bridge
        .subscribe(Subscription::children(root.clone()).group("g"))
        .await
        .expect("subscribes");
    let block = "NATS/1.0\r\nno colon here\r\n\r\n";
    speak(
        server.port(),
        &format!("HPUB {root}.x {0} {0}\r\n{block}\r\n", block.len()),
    )
    .await;
    pause_until(async || {
        let sent = bridge.publish(command(&ns, b"1")).await.is_ok();
        sent && tokio::time::timeout(Duration::from_secs(1), commands.next())
            .await
            .is_ok()
    })
    .await;
    assert!(bridge.health().is_ready());
}
