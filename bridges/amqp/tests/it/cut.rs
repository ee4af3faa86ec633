//! A connection that is lost while it opens: that is told at once, wherever it was. Afterwards one is made at a time.

use std::time::Duration;

use roadshow_amqp::AmqpConnector;
use roadshow_bridges::{Connector, ErrorKind};
use roadshow_conformance::{Direction, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use super::harness::{Place, in_time, refused, url};
use super::raw::{long, tcp};

/// How long it may take until the loss of a connection is told: far less than a broker may take that stands still.
const TOLD_MAX: Duration = Duration::from_secs(3);
/// So often the broker of a test leaves in the middle of its greeting: whose turn it is then, is a race.
const ROUNDS: usize = 5;

/// Cuts behind a growing number of bytes until a bridge opens all the same.
async fn cut_everywhere(direction: Direction) {
    let place = Place::new();
    let proxy = Proxy::start(url()).await.expect("a free port");
    let proxied = proxy.url(&url());
    for bytes in (0..).step_by(29) {
        proxy.cut_after(direction, bytes);
        let begun = Instant::now();
        let opened = in_time(AmqpConnector.event_bridge(&proxied, &place.context("n1"))).await;
        if let Ok(bridge) = opened {
            bridge.close().await.expect("closed");
            assert!(bytes > 1000, "it opened without these bytes");
            break;
        }
        let took = begun.elapsed();
        assert_eq!(
            refused(opened).kind(),
            ErrorKind::Unavailable,
            "cut behind {bytes} bytes"
        );
        assert!(took < TOLD_MAX, "cut behind {bytes} bytes it took {took:?}");
    }
    place.remove(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cut_while_it_hears_of_the_broker_is_told_at_once() {
    cut_everywhere(Direction::Down).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cut_while_it_asks_the_broker_is_told_at_once() {
    cut_everywhere(Direction::Up).await;
}

/// A port where a test plays the broker, and its URL.
async fn listening() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("amqp://{}", listener.local_addr().expect("bound"));
    (listener, url)
}

/// Greets like a broker.
async fn greet(client: &mut TcpStream) {
    let mut header = [0; 8];
    in_time(client.read_exact(&mut header)).await.expect("a client");
    let start = [&[0, 10, 0, 10, 0, 9][..], &long(b""), &long(b"PLAIN"), &long(b"en_US")].concat();
    let frame = [&[1, 0, 0][..], &long(&start), &[0xCE]].concat();
    client.write_all(&frame).await.expect("sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_greets_and_leaves_is_told_at_once() {
    let (listener, url) = listening().await;
    let context = Place::new().context("n1");
    for round in 0..ROUNDS {
        let begun = Instant::now();
        let leaving = async {
            let (mut client, _) = in_time(listener.accept()).await.expect("a client");
            greet(&mut client).await;
        };
        let (opened, ()) = tokio::join!(AmqpConnector.event_bridge(&url, &context), leaving);
        let took = begun.elapsed();
        assert_eq!(refused(opened).kind(), ErrorKind::Unavailable);
        assert!(took < TOLD_MAX, "in round {round} it took {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_without_a_broker_tries_one_connection_at_a_time() {
    /// How long a second one is waited for: the longest pause before the first tries is shorter.
    const SECOND_MAX: Duration = Duration::from_millis(500);
    let place = Place::new();
    let (listener, way) = listening().await;
    let carrying = async {
        let mut carried = JoinSet::new();
        let mut carry = async || {
            let (mut client, _) = in_time(listener.accept()).await.expect("a client");
            carried.spawn(async move {
                copy_bidirectional(&mut client, &mut tcp(&url().parse().expect("a URL")).await).await
            })
        };
        let publishing = carry().await;
        carry().await;
        (publishing, carried)
    };
    let (bridge, (publishing, carried)) = tokio::join!(place.bridge_at(&way, "n1"), carrying);
    // The other one comes back only over this one, so it has to know first.
    publishing.abort();
    let mut ticks = interval(Duration::from_millis(5));
    let noticed = async {
        while bridge.health().is_ready() {
            ticks.tick().await;
        }
    };
    in_time(noticed).await;
    drop(carried);
    for attempt in 1..=3 {
        let _held = in_time(listener.accept()).await.expect("a client");
        let second = timeout(SECOND_MAX, listener.accept()).await;
        assert!(second.is_err(), "beside attempt {attempt} there was another one");
    }
    in_time(bridge.close()).await.expect("closed");
    place.remove(&[]).await;
}
