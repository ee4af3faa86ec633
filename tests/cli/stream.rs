//! `stream` against a running node: an item a line, held back, cancelled, ended.

use std::io::Read as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::ledger::Ledger;
use crate::program::Program;
use crate::{Up, binary, run};

/// How long a program may take to end.
const END_MAX: Duration = Duration::from_secs(8);
/// How often, and how many times, the memory of one that is held back is looked at.
#[cfg(target_os = "linux")]
const SAMPLE_EVERY: Duration = Duration::from_millis(50);
#[cfg(target_os = "linux")]
const SAMPLES: usize = 40;

/// `stream` with a stdout that is read only as far as the test wants.
struct Piped {
    child: Child,
    out: Option<ChildStdout>,
    /// What it wrote to stderr, once that has ended.
    told: Receiver<String>,
}

impl Piped {
    /// Counts as `input` says.
    fn start(up: &Up, input: &str) -> Self {
        let mut child = Command::new(binary())
            .args(["stream", "probe.1.count", input, "--node", &up.url()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let out = child.stdout.take();
        let mut err = child.stderr.take().expect("a pipe");
        let (tell, told) = sync_channel(1);
        thread::spawn(move || {
            let mut text = String::new();
            err.read_to_string(&mut text).map(|_| tell.send(text))
        });
        Self { child, out, told }
    }

    /// The first bytes of the first item.
    fn begins(&mut self) -> [u8; 10] {
        let mut first = [0; 10];
        let out = self.out.as_mut().expect("a pipe");
        out.read_exact(&mut first).expect("an item");
        first
    }

    #[cfg(target_os = "linux")]
    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.unwrap_or_else(|| panic!("its memory is told: {status}"))
    }

    /// The exit code, and what it wrote to stderr, which ends with the process.
    fn end(mut self) -> (Option<i32>, String) {
        let text = self.told.recv_timeout(END_MAX).expect("it ends by itself");
        (self.child.wait().expect("it ended").code(), text)
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn problem(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn items_come_a_line_each_and_the_exit_code_says_how_it_ended() {
    let ledger = Ledger::new("stream");
    let up = Up::new(&["--probe", ledger.path()]);
    let counted = up.client(&["stream", "probe.1.count", r#"{"id":"s1","n":3}"#]);
    let lines = "{\"number\":1}\n{\"number\":2}\n{\"number\":3}";
    assert_eq!(
        (counted.code, counted.out.as_str(), counted.err.as_str()),
        (Some(0), lines, "")
    );
    let nothing = up.client(&["stream", "probe.1.count", r#"{"id":"s2","n":0}"#]);
    assert_eq!((nothing.code, nothing.out.as_str()), (Some(0), ""));

    let broken_off = up.client(&["stream", "probe.1.count", r#"{"id":"s3","n":1,"fail":"conflict"}"#]);
    assert_eq!((broken_off.code, broken_off.out.as_str()), (Some(1), "{\"number\":1}"));
    let told = problem(&broken_off.err);
    assert_eq!(
        (&told["code"], &told["status"]),
        (&json!("conflict"), &json!(409)),
        "{told}"
    );

    let table = [
        (["stream", "probe.1.count", r#"{"n":"x"}"#], "invalid", "no"),
        (["stream", "probe.1.nothing", "{}"], "not_found", "no"),
        (["stream", "nobody.1.count", "{}"], "unavailable", "no"),
    ];
    for (args, code, executed) in table {
        let refused = up.client(&args);
        assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""), "{args:?}");
        let told = problem(&refused.err);
        assert_eq!(
            (&told["code"], &told["executed"]),
            (&json!(code), &json!(executed)),
            "{told}"
        );
    }
    for args in [
        &["stream", "no address", "{}"][..],
        &["stream", "probe.1.count", "{"],
        &["stream", "probe.1.count", "{}", "--node", "nats://h"],
    ] {
        let wrong = run(args);
        assert_eq!((wrong.code, wrong.out.as_str()), (Some(2), ""), "{args:?}: {wrong:?}");
    }
    assert_eq!(up.stop().code, Some(0));
}

#[test]
fn ctrl_c_cancels_the_stream() {
    let ledger = Ledger::new("stream-cancel");
    let up = Up::new(&["--probe", ledger.path()]);
    let args = [
        "stream",
        "probe.1.count",
        r#"{"id":"c1","n":100000,"every_ms":20}"#,
        "--node",
        &up.url(),
    ];
    let mut streaming = Program::start(&binary(), &args);
    streaming.prints("{\"number\":2}");
    streaming.signal("INT");
    let ended = streaming.end();
    assert_eq!((ended.code, ended.err.as_str()), (Some(130), ""), "{ended:?}");
    ledger.shows("\"phase\":\"end\"");
    assert_eq!(up.stop().code, Some(0));
}

#[cfg(unix)]
#[test]
fn a_pipe_that_is_closed_ends_it_quietly_and_one_that_is_not_read_holds_the_producer_back() {
    let ledger = Ledger::new("stream-pipe");
    let up = Up::new(&["--probe", ledger.path()]);
    let mut streaming = Piped::start(&up, r#"{"id":"p1","n":1000000,"bytes":65536}"#);
    assert_eq!(&streaming.begins(), b"{\"number\":");
    // 64 GiB would end it, if they were gathered anywhere.
    #[cfg(target_os = "linux")]
    for _ in 0..SAMPLES {
        let kib = streaming.resident_kib();
        assert!(kib < 128 << 10, "{kib} KiB");
        let told = streaming.told.recv_timeout(SAMPLE_EVERY);
        assert_eq!(told, Err(std::sync::mpsc::RecvTimeoutError::Timeout), "it goes on");
    }
    streaming.out = None;
    assert_eq!(streaming.end(), (Some(0), String::new()));
    ledger.shows("\"phase\":\"end\"");
    assert_eq!(up.stop().code, Some(0));
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_while_nobody_reads_what_it_writes() {
    let ledger = Ledger::new("stream-stalled");
    let up = Up::new(&["--probe", ledger.path()]);
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let mut streaming = Piped::start(&up, r#"{"id":"w1","n":2,"bytes":500000}"#);
        // Its first bytes are there, and the rest of the item finds no room: the write cannot end.
        streaming.begins();
        let pid = streaming.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &pid]).status();
        assert!(sent.expect("kill runs").success());
        assert_eq!(streaming.end(), (Some(code), String::new()));
    }
    assert_eq!(up.stop().code, Some(0));
}

#[test]
fn a_stream_whose_node_stops_says_so() {
    let ledger = Ledger::new("stream-stop");
    let up = Up::new(&["--probe", ledger.path()]);
    let args = [
        "stream",
        "probe.1.count",
        r#"{"id":"d1","n":100000,"every_ms":10}"#,
        "--node",
        &up.url(),
    ];
    let mut streaming = Program::start(&binary(), &args);
    streaming.prints("{\"number\":1}");
    assert_eq!(up.stop().code, Some(0), "a stream does not hold a drain up");
    let ended = streaming.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(problem(&ended.err)["code"], "unavailable", "{}", ended.err);
}
