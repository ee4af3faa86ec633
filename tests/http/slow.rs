//! Clients that hold a connection and hardly send: others are served meanwhile, and the slow ones are let go.
//!
//! The program runs with its default limits: 1,024 connections, 10 s for a head, 30 s for a body.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, interval, interval_at, timeout};

use super::node::Node;
use super::wire::{Answer, Wire, get, take_answer};

/// Sockets beside those of the slow clients: clients that are not slow, pipes, the runtime's own.
const DESCRIPTORS_BESIDE: usize = 100;
/// How long the program may take to let a client go beyond what its limits say, on a machine that does other things too.
const SLACK: Duration = Duration::from_secs(10);
/// What a client that is not slow may have to wait, in the 99th percentile.
const P99_MAX: Duration = Duration::from_secs(1);

/// What slow clients send: a beginning at once, then a byte at a time.
#[derive(Clone)]
struct Slow {
    clients: usize,
    beginnings: Vec<Vec<u8>>,
    byte: u8,
    every: Duration,
    /// Within which time all are let go, counted from their beginning.
    gone_within: Duration,
}

/// How the slow clients ended.
struct Ended {
    after: Duration,
    answer: Option<Answer>,
}

/// A test that cannot open its sockets has shown nothing, so it fails.
fn require_descriptors(clients: usize) {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("Linux tells the limits");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()).unwrap_or_default();
    let soft: usize = soft.parse().unwrap_or(usize::MAX);
    let wanted = clients + DESCRIPTORS_BESIDE;
    assert!(
        soft >= wanted,
        "{wanted} open files are wanted and {soft} are allowed: run `ulimit -n {wanted}` before the tests"
    );
}

impl Slow {
    /// One client, until it is let go.
    async fn drip(self, at: SocketAddr, number: usize) -> Result<Ended, String> {
        let mut wire = Wire::connect(at).await?;
        wire.send(&self.beginnings[number % self.beginnings.len()]).await;
        let begun = Instant::now();
        let mut tick = interval_at(begun + self.every.mul_f64((number % 100) as f64 / 100.0), self.every);
        let closed = async {
            let mut writable = true;
            loop {
                tokio::select! {
                    more = wire.fill() => if !more { return },
                    _ = tick.tick(), if writable => writable = wire.send(&[self.byte]).await,
                }
            }
        };
        let waited = timeout(self.gone_within + SLACK, closed).await;
        let after = begun.elapsed();
        waited.map_err(|_| format!("client {number} is still there after {after:?}"))?;
        let is_http1 = wire.read.starts_with(b"HTTP/");
        let answer = if is_http1 {
            take_answer(&mut wire.read, false)?
        } else {
            None
        };
        Ok(Ended { after, answer })
    }

    /// All clients against one node, while others are served. Says how the slow ones ended.
    async fn play(self, node: &Node) -> Vec<Ended> {
        require_descriptors(self.clients);
        let descriptors = node.descriptors();
        let mut slow = JoinSet::new();
        for number in 0..self.clients {
            slow.spawn(self.clone().drip(node.at, number));
        }
        // Some may be let go at once: then the rest is not waited for.
        let _ = timeout(SLACK, holds(node, descriptors + self.clients)).await;
        let over = Arc::new(AtomicBool::new(false));
        let mut others = JoinSet::new();
        for _ in 0..4 {
            others.spawn(serve(node.at, Arc::clone(&over)));
        }
        let mut ended = Vec::new();
        while let Some(one) = slow.join_next().await {
            ended.push(one.expect("it did not panic").expect("it was let go"));
        }
        over.store(true, Relaxed);
        let mut waits: Vec<Duration> = others.join_all().await.into_iter().flatten().collect();
        waits.sort_unstable();
        let at = |percent: usize| waits[(waits.len() - 1) * percent / 100];
        let last = ended.iter().map(|ended| ended.after).max().unwrap_or_default();
        println!(
            "{} slow clients, gone within {last:.1?}; {} others served: p50 {:?}, p99 {:?}, longest {:?}",
            self.clients,
            waits.len(),
            at(50),
            at(99),
            at(100),
        );
        assert!(at(99) < P99_MAX, "others waited {:?} in the 99th percentile", at(99));
        rests(node, descriptors).await;
        ended
    }
}

/// A client that is not slow: a connection for every request. Says how long each took.
async fn serve(at: SocketAddr, over: Arc<AtomicBool>) -> Vec<Duration> {
    let mut waits = Vec::new();
    let mut pause = interval(Duration::from_millis(5));
    while !over.load(Relaxed) {
        let begun = Instant::now();
        let answer = get(at, "/api/v1/users/nobody").await.expect("others are served");
        assert_eq!(answer.status, 404, "{}", answer.text());
        waits.push(begun.elapsed());
        pause.tick().await;
    }
    waits
}

/// The process has so many descriptors open.
async fn holds(node: &Node, descriptors: usize) {
    let mut look = interval(Duration::from_millis(10));
    while node.descriptors() < descriptors {
        look.tick().await;
    }
}

/// The slow clients' descriptors are closed.
async fn rests(node: &Node, descriptors: usize) {
    let mut look = interval(Duration::from_millis(20));
    let closed = async {
        while node.descriptors() > descriptors {
            look.tick().await;
        }
    };
    let left = timeout(SLACK, closed).await;
    assert!(
        left.is_ok(),
        "{} descriptors are open, {descriptors} were before",
        node.descriptors()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_that_drip_a_head_do_not_keep_others_waiting() {
    let node = Node::start(&[]);
    let slow = Slow {
        clients: 1000,
        beginnings: vec![b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-slow: ".to_vec()],
        byte: b'a',
        every: Duration::from_secs(3),
        gone_within: Duration::from_secs(10),
    };
    for ended in slow.play(&node).await {
        assert!(
            ended.after > Duration::from_secs(8),
            "one was let go after {:?}",
            ended.after
        );
        let status = ended.answer.map(|answer| answer.status);
        assert!(matches!(status, None | Some(408)), "{status:?}");
    }
    node.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_that_drip_a_body_do_not_keep_others_waiting() {
    let node = Node::start(&[]);
    let head = "POST /api/v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let slow = Slow {
        clients: 1000,
        beginnings: vec![
            format!("{head}content-length: 1000\r\n\r\n{{\"name\":\"").into_bytes(),
            format!("{head}transfer-encoding: chunked\r\n\r\n3E8\r\n{{\"name\":\"").into_bytes(),
        ],
        byte: b'a',
        every: Duration::from_secs(3),
        gone_within: Duration::from_secs(30),
    };
    for ended in slow.play(&node).await {
        let answer = ended.answer.expect("a slow body is answered");
        let json = answer.json().unwrap_or_default();
        assert_eq!(
            (answer.status, &json["code"]),
            (408, &"timeout".into()),
            "{}",
            answer.text()
        );
        assert_eq!(json["executed"], "no", "{}", answer.text());
    }
    node.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_only_half_speak_http_2_are_let_go() {
    let node = Node::start(&[]);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = [&preface[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    // A block of headers that never ends: 4 bytes announced of which none comes, and one without its last part.
    let half_frame = [&settings[..], &[0, 0, 4, 1, 5, 0, 0, 0, 1]].concat();
    let half_block = [&settings[..], &[0, 0, 1, 1, 1, 0, 0, 0, 1, 0x82]].concat();
    let slow = Slow {
        clients: 200,
        beginnings: vec![
            b"P".to_vec(),
            preface[..14].to_vec(),
            preface[..23].to_vec(),
            settings,
            half_frame,
            half_block,
        ],
        // Nothing follows that would end what was begun.
        byte: 0,
        every: Duration::from_secs(3600),
        // Once for the rest, and once more for the farewell.
        gone_within: Duration::from_secs(20),
    };
    slow.play(&node).await;
    node.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_when_all_places_are_taken_is_served_once_the_slow_are_let_go() {
    let node = Node::start(&[]);
    let clients = 1100;
    require_descriptors(clients);
    let slow = Slow {
        clients,
        beginnings: vec![b"GET /healthz HTTP/1.1\r\n".to_vec()],
        byte: b'a',
        every: Duration::from_secs(3),
        // The last of them wait for a place first.
        gone_within: Duration::from_secs(20),
    };
    let mut places = JoinSet::new();
    for number in 0..clients {
        places.spawn(slow.clone().drip(node.at, number));
    }
    timeout(SLACK, holds(&node, 1024)).await.expect("all places are taken");
    let begun = Instant::now();
    let answer = get(node.at, "/healthz").await.expect("served in the end");
    println!("served after {:?}", begun.elapsed());
    assert_eq!(answer.status, 200);
    for ended in places.join_all().await {
        ended.expect("it was let go");
    }
    node.stop();
}
