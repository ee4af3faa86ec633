//! Brokers of our own: started, killed, paused and gone.

use std::path::Path;
use std::time::Duration;

use roadshow_conformance::{Broker, BrokerKind, BrokerOptions, broker};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

const MOMENT: Duration = Duration::from_millis(300);

fn lives(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Takes a broker through its life.
async fn live_and_die(kind: BrokerKind) {
    let mut broker = Broker::start(kind).await.expect("it starts");
    let (port, first) = (broker.port(), broker.pid().expect("it runs"));
    assert!(broker.url().ends_with(&format!("127.0.0.1:{port}")), "{}", broker.url());
    broker.kill();
    assert!(broker.pid().is_none() && !lives(first));
    assert!(TcpStream::connect(broker.address()).await.is_err());
    broker.restart().await.expect("it starts again");
    let second = broker.pid().expect("it runs");
    assert!(second != first && broker.port() == port);
    drop(broker);
    assert!(!lives(second), "it outlives its owner");
}

#[tokio::test]
async fn a_nats_server_lives_and_dies() {
    live_and_die(BrokerKind::Nats).await;
}

#[tokio::test]
async fn a_mosquitto_lives_and_dies() {
    live_and_die(BrokerKind::Mosquitto).await;
}

#[tokio::test]
async fn a_rabbitmq_server_lives_and_dies() {
    live_and_die(BrokerKind::Rabbit).await;
}

#[tokio::test]
async fn a_paused_broker_answers_when_it_goes_on() {
    let mut broker = Broker::start(BrokerKind::Nats).await.expect("it starts");
    broker.pause().expect("paused");
    let mut stream = TcpStream::connect(broker.address())
        .await
        .expect("the system lets us in");
    let mut greeting = [0; 5];
    assert!(timeout(MOMENT, stream.read_exact(&mut greeting)).await.is_err());
    broker.resume().expect("resumed");
    timeout(10 * MOMENT, stream.read_exact(&mut greeting))
        .await
        .expect("in time")
        .expect("read");
    assert_eq!(&greeting, b"INFO ");
    broker.stop().await.expect("it ends when it is asked to");
    assert!(broker.pid().is_none() && broker.stop().await.is_err());
}

#[tokio::test]
async fn a_broker_that_cannot_start_says_why() {
    let options = BrokerOptions::default().line("this is no setting");
    let error = Broker::start_with(BrokerKind::Mosquitto, options)
        .await
        .expect_err("refused");
    assert!(
        error.to_string().contains("this is no setting") || error.to_string().contains("Unknown"),
        "{error}"
    );
}

#[tokio::test]
async fn users_are_let_in_by_name() {
    for kind in [BrokerKind::Nats, BrokerKind::Mosquitto] {
        let options = BrokerOptions::default().user("ada", "secret");
        let broker = Broker::start_with(kind, options).await.expect("it starts");
        assert!(broker.url().contains("://ada:secret@127.0.0.1:"), "{}", broker.url());
    }
}

#[tokio::test]
async fn the_shared_broker_answers() {
    for kind in BrokerKind::ALL {
        let url = broker::shared(kind).await.expect("tests/run starts it");
        assert!(url.contains("://"), "{url}");
    }
}
