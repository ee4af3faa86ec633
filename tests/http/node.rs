//! The program under test: started on a free port, its log read line by line, its memory and descriptors counted.
//!
//! Every line of the log must be JSON (what a client sends must not forge lines), and none may tell of a panic. A million
//! requests make a long log, so the lines are judged as they come and only those that are wrong are kept.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde::de::IgnoredAny;

/// How long the program may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(40);
/// How many lines that are wrong are kept.
const WRONG_LINES_MAX: usize = 20;

/// What the log told so far.
#[derive(Debug, Default)]
pub(crate) struct Log {
    lines: usize,
    wrong: Vec<String>,
}

/// A running node. Killed if the test ends before it does.
pub(crate) struct Node {
    child: Child,
    pub(crate) at: SocketAddr,
    log: Arc<Mutex<Log>>,
    /// Told when the log has ended, and with it the process.
    ended: Receiver<()>,
}

impl Node {
    /// Starts `roadshow up` with these flags besides.
    pub(crate) fn start(flags: &[&str]) -> Node {
        let binary =
            std::env::var_os("TEST_BIN_ROADSHOW").map_or_else(|| env!("CARGO_BIN_EXE_roadshow").into(), PathBuf::from);
        let mut command = Command::new(&binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ROADSHOW_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(["up", "--http", "127.0.0.1:0", "--node-id", "stage", "--log", "json"])
            .args(flags)
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} starts: {error}", binary.display()));
        let log = Arc::new(Mutex::new(Log::default()));
        let err = child.stderr.take().expect("a pipe");
        let kept = Arc::clone(&log);
        let (end, ended) = sync_channel(1);
        thread::spawn(move || {
            judge(err, &kept);
            // The test may have ended.
            let _ = end.send(());
        });
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let (tell, told) = sync_channel(1);
        thread::spawn(move || {
            let mut line = String::new();
            let read = out.read_line(&mut line);
            // The test may have ended.
            let _ = tell.send(read.map(|_| line));
            let _ = std::io::copy(&mut out, &mut std::io::sink());
        });
        let line = told
            .recv_timeout(PATIENCE)
            .expect("a ready line in time")
            .expect("a line");
        let at = line.trim().rsplit("http=").next().and_then(|at| at.parse().ok());
        Node {
            at: at.unwrap_or_else(|| panic!("an address in {line:?}: {:?}", log.lock())),
            child,
            log,
            ended,
        }
    }

    /// What the process holds in memory, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("the process lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.expect("a number of KiB")
    }

    /// How many file descriptors the process has open.
    pub(crate) fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(path).expect("the process lives").count()
    }

    /// Whether the process has not ended.
    pub(crate) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The lines of the log that are wrong so far.
    pub(crate) fn wrong_lines(&self) -> Vec<String> {
        self.log.lock().expect("nobody panicked").wrong.clone()
    }

    /// Stops it with SIGTERM; it must end cleanly and have logged nothing wrong. Says how many lines it logged.
    pub(crate) fn stop(mut self) -> usize {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(sent.success());
        self.ended.recv_timeout(PATIENCE).expect("it ends in time");
        let status = self.child.wait().expect("a child of ours");
        assert_eq!(status.code(), Some(0), "it ends cleanly");
        assert_eq!(
            self.wrong_lines(),
            Vec::<String>::new(),
            "the log is all JSON and without panics"
        );
        self.log.lock().expect("nobody panicked").lines
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn judge(log: impl Read, kept: &Mutex<Log>) {
    for line in BufReader::new(log).split(b'\n').map_while(Result::ok) {
        let is_json = serde_json::from_slice::<IgnoredAny>(&line).is_ok();
        let text = String::from_utf8_lossy(&line);
        let is_bad = !is_json || text.contains("panicked") || text.contains("\"level\":\"ERROR\"");
        let mut kept = kept.lock().expect("nobody panicked");
        kept.lines += 1;
        if is_bad && kept.wrong.len() < WRONG_LINES_MAX {
            kept.wrong.push(text.into_owned());
        }
    }
}
