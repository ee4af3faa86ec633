//! What the proxy does to connections, between plain sockets.

use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::time::Duration;

use roadshow_conformance::{Direction, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

const LIMIT: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(100);

/// A server that sends back what it gets, and the proxy before it.
async fn echo() -> (Proxy, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let proxy = Proxy::start(listener.local_addr().expect("bound"))
        .await
        .expect("a proxy");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut echoes = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            echoes.spawn(async move {
                let (mut reader, mut writer) = stream.split();
                // The connection is broken on purpose in most tests.
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    (proxy, tasks)
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.expect("let in")
}

async fn says(stream: &mut TcpStream, text: &[u8]) {
    stream.write_all(text).await.expect("written");
    let mut answer = vec![0; text.len()];
    timeout(LIMIT, stream.read_exact(&mut answer))
        .await
        .expect("an answer")
        .expect("read");
    assert_eq!(answer, text);
}

async fn is_reset(stream: &mut TcpStream) {
    let mut byte = [0; 64];
    loop {
        match timeout(LIMIT, stream.read(&mut byte))
            .await
            .expect("the end of the connection")
        {
            Ok(0) => panic!("it ended in order"),
            Ok(_) => {}
            Err(error) => return assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}

#[tokio::test]
async fn bytes_pass_both_ways_and_so_does_an_end() {
    let (proxy, _tasks) = echo().await;
    let mut stream = connect(&proxy).await;
    says(&mut stream, b"hello").await;
    assert_eq!((proxy.open(), proxy.accepted()), (1, 1));
    assert_eq!((proxy.bytes(Direction::Up), proxy.bytes(Direction::Down)), (5, 5));
    stream.shutdown().await.unwrap();
    assert_eq!(timeout(LIMIT, stream.read(&mut [0; 8])).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_cut_resets_what_is_open_and_lets_new_ones_in() {
    let (proxy, _tasks) = echo().await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut stream = connect(&proxy).await;
        says(&mut stream, b"x").await;
        streams.push(stream);
    }
    proxy.cut();
    for stream in &mut streams {
        is_reset(stream).await;
    }
    says(&mut connect(&proxy).await, b"again").await;
}

#[tokio::test]
async fn a_stalled_connection_stays_open_and_goes_on_where_it_was() {
    let (proxy, _tasks) = echo().await;
    let mut stream = connect(&proxy).await;
    says(&mut stream, b"before").await;
    proxy.stall();
    stream.write_all(b"during").await.unwrap();
    let mut answer = [0; 6];
    assert!(timeout(MOMENT, stream.read_exact(&mut answer)).await.is_err());
    proxy.flow();
    timeout(LIMIT, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"during");
}

#[tokio::test]
async fn one_way_may_be_stalled_alone() {
    let (proxy, _tasks) = echo().await;
    let mut stream = connect(&proxy).await;
    says(&mut stream, b"before").await;
    proxy.stall_one(Direction::Down);
    stream.write_all(b"during").await.unwrap();
    assert!(timeout(MOMENT, stream.read(&mut [0; 1])).await.is_err());
    assert_eq!((proxy.bytes(Direction::Up), proxy.bytes(Direction::Down)), (12, 6));
}

#[tokio::test]
async fn what_a_stalled_side_does_not_take_stays_with_its_sender() {
    let (proxy, _tasks) = echo().await;
    let mut stream = connect(&proxy).await;
    proxy.stall();
    let block = vec![0; 1024 * 1024];
    let mut sent = 0;
    while let Ok(count) = timeout(Duration::from_secs(1), stream.write(&block)).await {
        sent += count.unwrap();
        assert!(sent < 64 * 1024 * 1024, "the proxy takes without end");
    }
    assert_eq!(proxy.bytes(Direction::Up), 0);
}

#[tokio::test]
async fn a_delay_holds_back_and_keeps_the_rate() {
    let (proxy, _tasks) = echo().await;
    let mut stream = connect(&proxy).await;
    proxy.delay(MOMENT);
    let begun = Instant::now();
    says(&mut stream, b"slow").await;
    assert!(begun.elapsed() >= 2 * MOMENT, "{:?}", begun.elapsed());
    let block = vec![7; 40 * 16 * 1024];
    let begun = Instant::now();
    says(&mut stream, &block).await;
    assert!(
        begun.elapsed() < 30 * MOMENT,
        "the delay adds up: {:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_rate_is_kept() {
    let (proxy, _tasks) = echo().await;
    let mut stream = connect(&proxy).await;
    proxy.limit(NonZeroU32::new(100_000));
    let begun = Instant::now();
    says(&mut stream, &vec![1; 50_000]).await;
    assert!(begun.elapsed() >= Duration::from_millis(450), "{:?}", begun.elapsed());
    proxy.limit(None);
    says(&mut stream, &vec![1; 50_000]).await;
}

#[tokio::test]
async fn a_message_can_end_in_its_middle_once() {
    let (proxy, _tasks) = echo().await;
    let mut stream = connect(&proxy).await;
    says(&mut stream, b"whole").await;
    proxy.cut_after(Direction::Up, 3);
    stream.write_all(b"halved").await.unwrap();
    is_reset(&mut stream).await;
    assert_eq!(proxy.bytes(Direction::Up), 8);
    says(&mut connect(&proxy).await, b"whole again").await;
}

#[tokio::test]
async fn nobody_new_is_let_in_while_it_refuses() {
    let (proxy, _tasks) = echo().await;
    let mut old = connect(&proxy).await;
    says(&mut old, b"x").await;
    proxy.refuse();
    let mut refused = connect(&proxy).await;
    is_reset(&mut refused).await;
    says(&mut old, b"still here").await;
    proxy.accept();
    says(&mut connect(&proxy).await, b"let in").await;
}

#[tokio::test]
async fn a_url_leads_through_the_proxy() {
    let (proxy, _tasks) = echo().await;
    let at = proxy.address();
    assert_eq!(
        proxy.url("amqp://guest:guest@127.0.0.1:5672/v?x=1"),
        format!("amqp://guest:guest@{at}/v?x=1")
    );
    assert_eq!(proxy.url("nats://127.0.0.1:4222"), format!("nats://{at}"));
    assert!(Proxy::start("amqp://u:p@host/v").await.is_err());
}

#[tokio::test]
async fn a_broker_that_is_away_is_a_reset() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = Proxy::start(gone).await.unwrap();
    is_reset(&mut connect(&proxy).await).await;
}
