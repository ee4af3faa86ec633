//! The real program under load: panics at full rate, and a shutdown with two hundred calls in flight.
//!
//! The ledger that the probe's handlers write is the truth here, not what the program counts of itself.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what went wrong")]

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, interval_at, timeout};

const LIMIT: Duration = Duration::from_secs(60);
const CALLERS: usize = 64;
const PER_SECOND: usize = 5_000;
const SECONDS: usize = 10;
const PANICS: usize = 100;

/// The program with the probe.
struct Program {
    child: Child,
    http: SocketAddr,
    ledger: PathBuf,
    _folder: tempfile::TempDir,
}

impl Program {
    async fn start(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger.jsonl");
        let binary = std::env::var_os("TEST_BIN_ROADSHOW").unwrap_or_else(|| env!("CARGO_BIN_EXE_roadshow").into());
        let mut child = Command::new(binary)
            .args([
                "up",
                "--http",
                "127.0.0.1:0",
                "--node-id",
                "load",
                "--log-filter",
                "error",
                "--probe",
            ])
            .arg(&ledger)
            .args(flags)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = timeout(LIMIT, lines.next_line()).await.unwrap().unwrap().unwrap();
        let http = ready.split("http=").nth(1).unwrap().trim().parse().unwrap();
        Program {
            child,
            http,
            ledger,
            _folder: folder,
        }
    }

    fn terminate(&self) {
        let pid = self.child.id().unwrap().to_string();
        assert!(
            std::process::Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    async fn ended(&mut self) -> ExitStatus {
        timeout(LIMIT, self.child.wait()).await.unwrap().unwrap()
    }
}

/// A connection that is kept open, as a busy client has it.
struct Connection(BufReader<TcpStream>);

impl Connection {
    async fn open(http: SocketAddr) -> Self {
        Connection(BufReader::new(TcpStream::connect(http).await.unwrap()))
    }

    async fn run(&mut self, input: &Value) -> (u16, Value) {
        let body = input.to_string();
        let head = format!(
            "POST /_node/call/probe/1/run HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(head.as_bytes()).await.unwrap();
        self.answer().await
    }

    async fn get(&mut self, path: &str) -> String {
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.0.get_mut().write_all(head.as_bytes()).await.unwrap();
        let (status, body) = self.read().await;
        assert_eq!(status, 200);
        String::from_utf8(body).unwrap()
    }

    /// Status 0 means that the program closed the connection.
    async fn answer(&mut self) -> (u16, Value) {
        let (status, body) = self.read().await;
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn read(&mut self) -> (u16, Vec<u8>) {
        let mut line = String::new();
        timeout(LIMIT, self.0.read_line(&mut line)).await.unwrap().unwrap();
        let Some(status) = line.split(' ').nth(1) else {
            return (0, Vec::new());
        };
        let status = status.parse().unwrap();
        let mut length = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line).await.unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        (status, body)
    }
}

/// Starts and ends by id, ends with their outcome.
struct Ledger {
    starts: HashMap<String, usize>,
    ends: HashMap<String, Vec<String>>,
}

impl Ledger {
    fn read(path: &Path) -> Self {
        let mut ledger = Ledger {
            starts: HashMap::new(),
            ends: HashMap::new(),
        };
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let id = line["id"].as_str().unwrap().to_owned();
            match line["phase"].as_str().unwrap() {
                "start" => *ledger.starts.entry(id).or_default() += 1,
                _ => ledger
                    .ends
                    .entry(id)
                    .or_default()
                    .push(line["outcome"].as_str().unwrap().to_owned()),
            }
        }
        ledger
    }
}

/// One caller: its share of the calls at its share of the rate. Says which ids panicked and how each was answered.
async fn caller(http: SocketAddr, number: usize) -> Vec<(String, bool, u16, Value)> {
    let mut connection = Connection::open(http).await;
    let share = PER_SECOND * SECONDS / CALLERS;
    let between = Duration::from_secs(SECONDS as u64) / u32::try_from(share).unwrap();
    let mut beat = interval_at(
        Instant::now() + between.mul_f64(number as f64 / CALLERS as f64),
        between,
    );
    let every = PER_SECOND * SECONDS / PANICS;
    let mut answers = Vec::with_capacity(share);
    for n in 0..share {
        beat.tick().await;
        let index = n * CALLERS + number;
        let panic = index % every == every / 2;
        let id = format!("c{index}");
        let (status, body) = connection.run(&json!({"id": id, "panic": panic})).await;
        answers.push((id, panic, status, body));
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_panics_at_full_rate_cost_only_the_calls_that_panicked() {
    let mut program = Program::start(&[]).await;
    let started = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| tokio::spawn(caller(program.http, number)))
        .collect();
    let mut answers = Vec::new();
    for caller in callers {
        answers.extend(caller.await.unwrap());
    }
    let took = started.elapsed();
    let mut panicked = HashSet::new();
    for (id, panic, status, body) in &answers {
        if *panic {
            assert_eq!(
                (*status, &body["code"], &body["executed"]),
                (500, &json!("internal"), &json!("unknown"))
            );
            panicked.insert(id.clone());
        } else {
            assert_eq!(*status, 200, "{id}: {body}");
        }
    }
    let mut connection = Connection::open(program.http).await;
    let tree: Value = serde_json::from_str(&connection.get("/_node/tree").await).unwrap();
    let metrics = connection.get("/metrics").await;
    let restarts = metrics.lines().find(|line| {
        line.starts_with("roadshow_supervisor_restarts_total{") && line.contains("probe.1") && line.contains("panic")
    });
    program.terminate();
    assert_eq!(program.ended().await.code(), Some(0));

    let ledger = Ledger::read(&program.ledger);
    println!(
        "{} calls in {took:?}, {} panics, {restarts:?}",
        answers.len(),
        panicked.len()
    );
    assert_eq!(panicked.len(), PANICS);
    for (id, ..) in &answers {
        assert_eq!(ledger.starts[id], 1, "{id} had an effect twice");
        let ok = ledger
            .ends
            .get(id)
            .is_some_and(|ends| ends.iter().any(|end| end == "ok"));
        assert_eq!(ok, !panicked.contains(id), "{id}");
    }
    assert_eq!(ledger.starts.len(), answers.len());
    assert!(tree.to_string().contains("probe.1"));
    let restarts: f64 = restarts.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(restarts > 0.0 && restarts <= PANICS as f64, "{restarts}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_answers_two_hundred_slow_calls_and_what_they_call() {
    let mut program = Program::start(&["--probe-concurrency", "400"]).await;
    let calls = slow_calls(&program, 200, Duration::from_secs(3)).await;
    let signalled = Instant::now();
    program.terminate();
    for call in calls {
        let (status, body) = call.await.unwrap();
        assert_eq!(status, 200, "{body}");
    }
    let status = program.ended().await;
    println!("exit {:?} {:?} after the signal", status.code(), signalled.elapsed());
    assert_eq!(status.code(), Some(0));
    assert!(signalled.elapsed() < Duration::from_secs(30));
    let ledger = Ledger::read(&program.ledger);
    assert_eq!(ledger.ends.len(), 300);
    assert!(ledger.ends.values().all(|ends| ends == &["ok"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_sigterm_exits_at_once() {
    let mut program = Program::start(&["--probe-concurrency", "400"]).await;
    let calls = slow_calls(&program, 20, Duration::from_secs(600)).await;
    program.terminate();
    let mut connection = Connection::open(program.http).await;
    while connection.run(&json!({"id": "late"})).await.0 != 503 {
        connection = Connection::open(program.http).await;
    }
    let signalled = Instant::now();
    program.terminate();
    let status = program.ended().await;
    println!("exit {:?} {:?} after the signal", status.code(), signalled.elapsed());
    assert_eq!(status.code(), Some(128 + 15));
    assert!(
        signalled.elapsed() < Duration::from_millis(900),
        "{:?}",
        signalled.elapsed()
    );
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Calls that take so long each, every other one with a nested call; returns when all have started.
async fn slow_calls(program: &Program, count: usize, each: Duration) -> Vec<tokio::task::JoinHandle<(u16, Value)>> {
    let http = program.http;
    let calls = (0..count).map(|n| {
        let nested = (n % 2 == 0).then(|| json!({"id": format!("nested{n}")}));
        let mut input = json!({"id": format!("slow{n}"), "sleep_ms": each.as_millis()});
        if let Some(nested) = nested {
            input["then_call"] = nested;
        }
        tokio::spawn(async move { Connection::open(http).await.run(&input).await })
    });
    let calls = calls.collect();
    let started = timeout(LIMIT, async {
        let mut look = tokio::time::interval(Duration::from_millis(5));
        let starts = |path: &Path| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let slow = |line: &&str| line.contains("\"id\":\"slow") && line.contains("\"phase\":\"start\"");
            text.lines().filter(slow).count()
        };
        while starts(&program.ledger) < count {
            look.tick().await;
        }
    });
    started.await.expect("all calls start");
    calls
}
