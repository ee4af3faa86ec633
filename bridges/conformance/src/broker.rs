//! Brokers as processes of our own: started on a free port with data of their own, killed, paused and started again.
//!
//! A test that harms a broker harms one that nobody else uses. The process is our child and ends by its exact id, also when
//! the test panics; its data is removed with it. Deliberately not here: installing anything.

mod config;
mod greeting;
mod kind;
mod port;
mod shared;

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;
use tokio::time::{Instant, interval};

pub use kind::BrokerKind;
pub use port::free_port;
pub use shared::shared;

use config::Launch;

/// How long a broker may take until it answers. RabbitMQ needs 6 s on two idle cores.
const START_MAX: Duration = Duration::from_secs(90);
/// How long a broker may take to end when it is asked to.
const STOP_MAX: Duration = Duration::from_secs(30);
/// How often ports are chosen anew when somebody else was quicker.
const STARTS_MAX: usize = 3;
/// How long a process may take to stand still.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The files of a broker that speaks TLS, in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Whom the broker trusts to sign its clients.
    pub ca_file: std::path::PathBuf,
    /// The broker's certificate.
    pub cert_file: std::path::PathBuf,
    /// The key of the broker's certificate.
    pub key_file: std::path::PathBuf,
    /// Whether clients must show a certificate of their own.
    pub verify_clients: bool,
}

/// How a broker is set up where its defaults do not do.
#[derive(Debug, Clone)]
#[non_exhaustive]
#[must_use]
pub struct BrokerOptions {
    /// Users with their passwords; nobody else is let in. RabbitMQ takes the first only.
    pub users: Vec<(String, String)>,
    /// Speaks TLS, and nothing else.
    pub tls: Option<TlsFiles>,
    /// Whether NATS has JetStream.
    pub jetstream: bool,
    /// Further lines of the broker's own configuration file.
    pub lines: Vec<String>,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            users: Vec::new(),
            tls: None,
            jetstream: true,
            lines: Vec::new(),
        }
    }
}

impl BrokerOptions {
    /// Adds a user.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.users.push((name.into(), password.into()));
        self
    }

    /// Speaks TLS with these files.
    pub fn tls(mut self, files: TlsFiles) -> Self {
        self.tls = Some(files);
        self
    }

    /// Leaves JetStream out.
    pub fn without_jetstream(mut self) -> Self {
        self.jetstream = false;
        self
    }

    /// Adds a line to the broker's configuration file.
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }
}

/// A broker that runs for one test. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Broker {
    kind: BrokerKind,
    options: BrokerOptions,
    launch: Launch,
    /// The broker first, then what it needs beside it.
    children: Vec<Child>,
    data: TempDir,
}

impl Broker {
    /// Starts a broker with its defaults, and waits until it answers.
    ///
    /// # Errors
    ///
    /// It is not installed, or does not answer within 90 s; the error ends with what it logged last.
    pub async fn start(kind: BrokerKind) -> io::Result<Self> {
        Self::start_with(kind, BrokerOptions::default()).await
    }

    /// Starts a broker that is set up like this, and waits until it answers.
    ///
    /// # Errors
    ///
    /// As [`Broker::start`].
    pub async fn start_with(kind: BrokerKind, options: BrokerOptions) -> io::Result<Self> {
        let mut last = io::Error::other("no attempt was made");
        for _ in 0..STARTS_MAX {
            let data = tempfile::Builder::new().prefix("roadshow-broker-").tempdir()?;
            let launch = config::launch(kind, &options, data.path())?;
            let mut broker = Self {
                kind,
                options: options.clone(),
                launch,
                children: Vec::new(),
                data,
            };
            match broker.run().await {
                Ok(()) => return Ok(broker),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn run(&mut self) -> io::Result<()> {
        for (place, command) in self.launch.commands.iter().enumerate() {
            let log = File::options()
                .create(true)
                .append(true)
                .open(self.data.path().join(format!("log-{place}")))?;
            let child = Command::new(&command.program)
                .args(&command.arguments)
                .envs(command.variables.iter().map(|(name, value)| (name, value)))
                .current_dir(self.data.path())
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()
                .map_err(|error| missing(self.kind, &error))?;
            self.children.push(child);
        }
        self.until_answering().await
    }

    async fn until_answering(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + START_MAX;
        let mut ticks = interval(Duration::from_millis(25));
        loop {
            ticks.tick().await;
            if greeting::answers(self.kind, self.address(), self.options.tls.is_some()).await {
                return Ok(());
            }
            let ended = self.broker_process()?.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let (name, log) = (self.kind.server(), self.log_tail());
                let text = format!("cannot start {name}: it does not answer ({ended:?}); its log ends with:\n{log}");
                return Err(io::Error::other(text));
            }
        }
    }

    fn broker_process(&mut self) -> io::Result<&mut Child> {
        let gone = || io::Error::other("the broker does not run");
        self.children.last_mut().ok_or_else(gone)
    }

    /// What the broker logged last.
    pub fn log_tail(&self) -> String {
        let last = self.launch.commands.len().saturating_sub(1);
        let log = fs::read(self.data.path().join(format!("log-{last}"))).unwrap_or_default();
        let from = log.len().saturating_sub(2000);
        String::from_utf8_lossy(&log[from..]).into_owned()
    }

    /// Which broker it is.
    pub fn kind(&self) -> BrokerKind {
        self.kind
    }

    /// Its URL, with the first user; the files of TLS are not in it.
    pub fn url(&self) -> String {
        let user = self
            .options
            .users
            .first()
            .map(|(name, password)| (&**name, &**password));
        self.kind.url(self.port(), user, self.options.tls.is_some())
    }

    /// Its port, which stays the same when it is started again.
    pub fn port(&self) -> u16 {
        self.launch.port
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port()))
    }

    /// Its process id, or `None` while it does not run.
    pub fn pid(&self) -> Option<u32> {
        self.children.last().map(Child::id)
    }

    /// Ends it at once, as `kill -9` does. Its data stays.
    pub fn kill(&mut self) {
        // Newest first: what a broker needs beside it goes last.
        for mut child in self.children.drain(..).rev() {
            // A process that has ended already is what we want; only then is its id not ours any more.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end (SIGTERM) and waits for that; kills it if it takes longer than 30 s. Its data stays.
    ///
    /// # Errors
    ///
    /// The signal could not be sent.
    pub async fn stop(&mut self) -> io::Result<()> {
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + STOP_MAX;
        let mut ticks = interval(Duration::from_millis(20));
        while Instant::now() < deadline && self.broker_process()?.try_wait()?.is_none() {
            ticks.tick().await;
        }
        self.kill();
        Ok(())
    }

    /// Starts it again, on the same port with the same data, and waits until it answers. Kills it first if it runs.
    ///
    /// # Errors
    ///
    /// As [`Broker::start`].
    pub async fn restart(&mut self) -> io::Result<()> {
        self.kill();
        self.run().await
    }

    /// Stops its process in the middle of whatever it does (SIGSTOP): connections stay open and nothing answers. Returns once
    /// all its threads stand still.
    ///
    /// # Errors
    ///
    /// The signal could not be sent, or the process has not stopped within a second.
    pub fn pause(&self) -> io::Result<()> {
        let stopped = WaitId::Pid(self.signal(Signal::STOP)?);
        let deadline = Instant::now() + PAUSE_MAX;
        while waitid(stopped.clone(), WaitIdOptions::STOPPED | WaitIdOptions::NOHANG)?.is_none() {
            if Instant::now() >= deadline {
                return Err(io::Error::other("the broker does not stop"));
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Lets a paused process go on (SIGCONT).
    ///
    /// # Errors
    ///
    /// The signal could not be sent.
    pub fn resume(&self) -> io::Result<()> {
        self.signal(Signal::CONT).map(drop)
    }

    fn signal(&self, signal: Signal) -> io::Result<Pid> {
        let child = self.children.last();
        let child = child.ok_or_else(|| io::Error::other("the broker does not run"))?;
        let pid = Pid::from_child(child);
        kill_process(pid, signal)?;
        Ok(pid)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn missing(kind: BrokerKind, error: &io::Error) -> io::Error {
    let (server, package) = (kind.server(), kind.package());
    io::Error::other(format!(
        "cannot start {server}: {error}; install it: apt-get install {package}"
    ))
}
