//! A node as a process: started, killed, stopped and looked at from outside.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a node may take until it is ready.
const READY_MAX: Duration = Duration::from_secs(60);
/// How long a node may take to end when it is asked to.
const STOP_MAX: Duration = Duration::from_secs(45);

/// The program under test: `$TEST_BIN_ROADSHOW`, or what the caller knows of.
pub(crate) fn binary(known: Option<&str>) -> PathBuf {
    let named = std::env::var_os("TEST_BIN_ROADSHOW").map(PathBuf::from);
    named
        .or_else(|| known.map(PathBuf::from))
        .expect("TEST_BIN_ROADSHOW names the program `roadshow`")
}

/// One node and its place; a restarted node has the same.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its name, and that of its log.
    pub(crate) name: String,
    /// Where its gateway listens.
    pub(crate) http: SocketAddr,
    binary: PathBuf,
    flags: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Node {
    /// A node that is not started yet. Its flags name everything but node id and gateway.
    pub(crate) fn new(binary: &Path, folder: &Path, name: &str, flags: &[&str]) -> Self {
        let port = roadshow_conformance::broker::free_port().expect("a free port");
        let own = ["up", "--node-id", name, "--http"].map(str::to_owned);
        let http = SocketAddr::from(([127, 0, 0, 1], port));
        let flags = own
            .into_iter()
            .chain([http.to_string()])
            .chain(flags.iter().map(|flag| (*flag).to_owned()))
            .collect();
        Self {
            name: name.to_owned(),
            http,
            binary: binary.to_owned(),
            flags,
            log: folder.join(format!("{name}.log")),
            child: None,
        }
    }

    /// Starts the process and does not wait for it.
    pub(crate) fn spawn(&mut self) -> io::Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ROADSHOW_") {
                command.env_remove(name);
            }
        }
        let child = command
            .args(&self.flags)
            // No roadshow.toml lies there.
            .current_dir(self.log.parent().expect("a log has a folder"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn ready(&mut self) -> io::Result<()> {
        let child = self.child.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let out = child.stdout.take().ok_or(io::ErrorKind::NotFound)?;
        let mut lines = BufReader::new(out).lines();
        let line = timeout(READY_MAX, lines.next_line()).await??;
        if line.is_some_and(|line| line.starts_with("ready ")) {
            return Ok(());
        }
        let why = format!("node {} does not get ready:\n{}", self.name, self.log_tail());
        Err(io::Error::other(why))
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn start(&mut self) -> io::Result<()> {
        self.spawn()?;
        self.ready().await
    }

    /// Its process id, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// kill -9.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already, which is as good.
            let _ = child.kill().await;
        }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let raw = self.pid().and_then(|pid| i32::try_from(pid).ok());
        let pid = raw.and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
        Ok(kill_process(pid, signal)?)
    }

    /// Waits for its end, and kills it if that does not come.
    pub(crate) async fn ended(&mut self, limit: Duration) -> io::Result<ExitStatus> {
        let child = self.child.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let status = timeout(limit, child.wait()).await;
        if status.is_err() {
            self.kill().await;
        }
        status?
    }

    /// Asks it to end, and waits for that.
    pub(crate) async fn stop(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.ended(STOP_MAX).await
    }

    /// Everything that it logged, in all its lives.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines that it logged.
    pub(crate) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

/// Resident bytes of a process.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}
