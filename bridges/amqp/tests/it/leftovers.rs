//! A broker that cannot be reached, or says nothing: what was begun for it goes again.

use std::time::Duration;

use roadshow_amqp::AmqpConnector;
use roadshow_bridges::{Connector, ErrorKind};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::time::{interval, timeout};

use super::harness::{Place, in_time, refused};

/// So often a broker that is not there is looked for.
const ATTEMPTS: usize = 50;

async fn listening() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("amqp://{}", listener.local_addr().expect("bound"));
    (listener, url)
}

/// Waits until no more tasks live than before.
async fn tasks_are_gone(before: usize) {
    let mut ticks = interval(Duration::from_millis(10));
    let gone = async {
        while Handle::current().metrics().num_alive_tasks() > before {
            ticks.tick().await;
        }
    };
    let in_time = timeout(Duration::from_secs(5), gone).await;
    let now = Handle::current().metrics().num_alive_tasks();
    assert!(in_time.is_ok(), "there were {before} tasks, now there are {now}");
}

/// Waits until the other end of a connection is gone.
async fn is_left(mut client: TcpStream) {
    let mut heard = Vec::new();
    // A reset says it as well as an end.
    let _ = in_time(client.read_to_end(&mut heard)).await;
    assert_eq!(heard, b"AMQP\0\0\x09\x01");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_not_there_leaves_no_tasks() {
    let (listener, url) = listening().await;
    drop(listener);
    let context = Place::new().context("n1");
    let before = Handle::current().metrics().num_alive_tasks();
    for _ in 0..ATTEMPTS {
        let opened = in_time(AmqpConnector.event_bridge(&url, &context)).await;
        assert_eq!(refused(opened).kind(), ErrorKind::Unavailable);
    }
    tasks_are_gone(before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_says_nothing_is_left_in_time() {
    let (listener, url) = listening().await;
    let context = Place::new().context("n1");
    let before = Handle::current().metrics().num_alive_tasks();
    let accepting = async { in_time(listener.accept()).await.expect("a client").0 };
    let (opened, client) = tokio::join!(AmqpConnector.event_bridge(&url, &context), accepting);
    assert_eq!(refused(opened).kind(), ErrorKind::Unavailable);
    is_left(client).await;
    tasks_are_gone(before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_nobody_waits_for_any_more_is_left() {
    let (listener, url) = listening().await;
    let context = Place::new().context("n1");
    let before = Handle::current().metrics().num_alive_tasks();
    let greeted = async {
        let (client, _) = in_time(listener.accept()).await.expect("a client");
        let greeted = in_time(client.peek(&mut [0])).await;
        assert_eq!(greeted.expect("open"), 1);
        client
    };
    let client = tokio::select! {
        client = greeted => client,
        _ = AmqpConnector.event_bridge(&url, &context) => panic!("nobody greets"),
    };
    is_left(client).await;
    tasks_are_gone(before).await;
}
