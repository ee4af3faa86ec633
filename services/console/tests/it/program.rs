//! A program under test: started, listened to, signalled and waited for, each with a deadline.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many lines a program may be ahead of the test that reads them.
const LINES_MAX: usize = 100_000;

/// A running program. Killed if the test ends before it does.
pub(crate) struct Program {
    child: Child,
    out: Lines,
    err: Lines,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it wrote to stdout, whole.
    pub(crate) out: String,
    /// What it wrote to stderr, whole.
    pub(crate) err: String,
}

/// The lines of a stream: those that were read, and those to come.
struct Lines {
    read: Vec<String>,
    next: Receiver<String>,
}

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (line, next) = sync_channel(LINES_MAX);
        thread::spawn(move || {
            let lines = BufReader::new(stream).lines();
            lines.map_while(Result::ok).all(|text| line.send(text).is_ok())
        });
        Self { read: Vec::new(), next }
    }

    /// The first line that `wanted` accepts, among those read already too.
    fn find(&mut self, wanted: impl Fn(&str) -> bool) -> Result<String, RecvTimeoutError> {
        if let Some(line) = self.read.iter().find(|line| wanted(line)) {
            return Ok(line.clone());
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let line = self
                .next
                .recv_timeout(until.saturating_duration_since(Instant::now()))?;
            self.read.push(line.clone());
            if wanted(&line) {
                return Ok(line);
            }
        }
    }

    /// Everything, once the stream has ended.
    fn all(&mut self) -> Result<String, RecvTimeoutError> {
        match self.find(|_| false) {
            Err(RecvTimeoutError::Disconnected) => Ok(self.read.join("\n")),
            Err(timeout) => Err(timeout),
            Ok(line) => unreachable!("nothing was looked for, and {line} was found"),
        }
    }
}

impl Program {
    /// Starts a program; what the environment says about Roadshow is kept from it.
    pub(crate) fn start(binary: &Path, args: &[&str]) -> Self {
        Self::start_with(binary, args, &[], "")
    }

    /// As [`Program::start`], with variables and something on stdin.
    pub(crate) fn start_with(binary: &Path, args: &[&str], variables: &[(&str, &str)], stdin: &str) -> Self {
        let mut command = Command::new(binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ROADSHOW_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(args)
            .envs(variables.iter().copied())
            // A folder of its own would be as good; what matters is that no roadshow.toml lies in it.
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} starts: {error}", binary.display()));
        let mut input = child.stdin.take().expect("a pipe");
        // A program that does not read may have closed it.
        let _ = input.write_all(stdin.as_bytes());
        drop(input);
        let out = Lines::of(child.stdout.take().expect("a pipe"));
        let err = Lines::of(child.stderr.take().expect("a pipe"));
        Self { child, out, err }
    }

    /// Waits until the node is ready, and says where it listens: `host:port`, or `-`.
    pub(crate) fn ready(&mut self) -> String {
        let line = self.out.find(|line| line.starts_with("ready "));
        let line = line.unwrap_or_else(|_| panic!("ready; stderr: {:?}", self.err.all()));
        let (_, http) = line.split_once(" http=").expect("a place");
        http.to_owned()
    }

    /// Waits for a line on stdout.
    #[allow(dead_code, reason = "one of the test programs that share this module does without")]
    pub(crate) fn prints(&mut self, text: &str) -> String {
        let line = self.out.find(|line| line.contains(text));
        line.unwrap_or_else(|_| panic!("{text:?} among {:?}", self.out.read))
    }

    /// Waits for a line on stderr.
    pub(crate) fn hears(&mut self, text: &str) -> String {
        let line = self.err.find(|line| line.contains(text));
        line.unwrap_or_else(|_| panic!("{text:?} among {:?}", self.err.read))
    }

    /// Sends a signal by its name without SIG.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(sent.success());
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        let texts = self.out.all().and_then(|out| Ok((out, self.err.all()?)));
        let (out, err) = texts.unwrap_or_else(|_| panic!("it ends; stderr: {:?}", self.err.read));
        let status = self.child.wait().expect("it ended");
        Ended {
            code: status.code(),
            out,
            err,
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
