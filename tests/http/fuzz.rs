//! A fuzzer that knows how requests are made, at the real program over TCP.
//!
//! `HTTP_FUZZ_REQUESTS` sets how many requests are sent (20,000 by default, a million by hand), `HTTP_FUZZ_SEED` which ones.
//! For each there is an answer or a clean end within a deadline; the process lives, logs no panic and no line that a client
//! forged, answers nothing with 500, and holds no more memory in the second half than in the first.

mod dice;
mod frames;
mod request;
mod session;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::interval;

use self::dice::Dice;
use self::session::Session;
use super::node::Node;
use super::wire::{PATIENCE, get};

/// How many connections are at work at the same time.
const CONNECTIONS: usize = 48;
/// By how much the process may grow in the second half of a run. What grows with every request grows by more.
const GROWTH_KIB_MAX: u64 = 6 << 10;
/// How many findings are enough to stop.
const FINDINGS_MAX: usize = 3;

/// What all connections of a run share.
struct Run {
    seed: u64,
    requests_max: u64,
    sessions: AtomicU64,
    requests: AtomicU64,
    findings: Mutex<Vec<String>>,
}

impl Run {
    fn is_over(&self) -> bool {
        self.requests.load(Relaxed) >= self.requests_max || self.findings().len() >= FINDINGS_MAX
    }

    fn findings(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.findings.lock().expect("nobody panicked")
    }

    /// Plays sessions until there were enough requests.
    async fn work(&self, at: std::net::SocketAddr) {
        while !self.is_over() {
            let number = self.sessions.fetch_add(1, Relaxed);
            let mut dice = Dice::new(self.seed, number);
            let session = Session::new(&mut dice);
            if let Err(wrong) = session.play(at, &mut dice).await {
                let sent = session.bytes.escape_ascii().to_string();
                self.findings()
                    .push(format!("session {number}: {wrong}\n    sent {sent}"));
            }
            self.requests.fetch_add(session.requests, Relaxed);
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, and not {text:?}"))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_clients_send_the_gateway_answers_and_keeps_its_memory() {
    let run = Arc::new(Run {
        seed: number("HTTP_FUZZ_SEED", 0x5eed),
        requests_max: number("HTTP_FUZZ_REQUESTS", 20_000),
        sessions: AtomicU64::new(0),
        requests: AtomicU64::new(0),
        findings: Mutex::new(Vec::new()),
    });
    // What clients send comes into the log, too, where it must not forge lines.
    let mut node = Node::start(&["--gateway-access-log"]);
    let at = node.at;
    assert_eq!(get(at, "/healthz").await.expect("an answer").status, 200);
    let descriptors = node.descriptors();
    let begun = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let run = Arc::clone(&run);
        workers.spawn(async move { run.work(at).await });
    }
    let mut resident = vec![node.resident_kib()];
    let mut look = interval(Duration::from_millis(20));
    while !workers.is_empty() {
        tokio::select! {
            ended = workers.join_next() => ended.expect("there is one").expect("it did not panic"),
            _ = look.tick() => {
                assert!(node.lives(), "the process ended, seed {}", run.seed);
                // A first reading once everything has been used, a second in the middle.
                let marks = [run.requests_max / 10, run.requests_max / 2];
                if marks.get(resident.len() - 1).is_some_and(|mark| run.requests.load(Relaxed) >= *mark) {
                    resident.push(node.resident_kib());
                }
            }
        }
    }
    let took = begun.elapsed();
    resident.push(node.resident_kib());
    let requests = run.requests.load(Relaxed);
    println!(
        "{requests} requests on {} connections in {took:.1?} ({:.0}/s), seed {}, resident KiB {resident:?}",
        run.sessions.load(Relaxed),
        requests as f64 / took.as_secs_f64(),
        run.seed,
    );
    let findings = run.findings().join("\n");
    assert!(findings.is_empty(), "with HTTP_FUZZ_SEED={}\n{findings}", run.seed);
    let [.., middle, after] = resident[..] else {
        panic!("memory was read {} times", resident.len());
    };
    assert!(
        after <= middle + GROWTH_KIB_MAX,
        "it grew from {middle} to {after} KiB in the second half"
    );
    comes_to_rest(&node, descriptors).await;
    let lines = node.stop();
    println!("{lines} lines in the log");
}

/// Connections are gone, and the next request is answered.
async fn comes_to_rest(node: &Node, descriptors: usize) {
    let mut look = interval(Duration::from_millis(20));
    let until = Instant::now() + PATIENCE;
    while node.descriptors() > descriptors {
        assert!(
            Instant::now() < until,
            "{} descriptors are open, {descriptors} were before",
            node.descriptors()
        );
        look.tick().await;
    }
    let ready = get(node.at, "/readyz").await.expect("an answer");
    assert_eq!(ready.status, 200, "{}", ready.text());
    loop {
        let counted = get(node.at, "/metrics").await.expect("an answer").text();
        // The one that asks; the one before is counted until its socket is closed, which is after its answer.
        if counted.lines().any(|line| line == "roadshow_http_connections 1") {
            break;
        }
        assert!(Instant::now() < until, "{counted}");
        look.tick().await;
    }
}
