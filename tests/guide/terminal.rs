//! The first terminal: one program that runs in it, until ctrl-c is pressed.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How many lines the program may be ahead of its reader.
const LINES_MAX: usize = 10_000;

/// A program that runs. Killed, with all that it started, if the test ends before it does.
pub(crate) struct Terminal {
    child: Child,
    lines: Receiver<String>,
}

impl Terminal {
    /// Starts a program.
    pub(crate) fn start(mut command: Command) -> Result<Self, String> {
        // A terminal sends ctrl-c to the whole group.
        let command = command.process_group(0).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let lines = lines(child.stdout.take().expect("a pipe"));
        Ok(Self { child, lines })
    }

    /// Waits for a line.
    pub(crate) fn line(&self, begin: &str, patience: Duration) -> Result<String, String> {
        let until = Instant::now() + patience;
        loop {
            match self.next(until) {
                Ok(line) if line.starts_with(begin) => return Ok(line),
                Ok(_) => {}
                Err(error) => return Err(format!("no line that begins with {begin:?}: {error}")),
            }
        }
    }

    /// Presses ctrl-c, waits for the end and returns the exit code.
    pub(crate) fn ctrl_c(mut self, patience: Duration) -> Result<Option<i32>, String> {
        signal(&self.child, "INT");
        let until = Instant::now() + patience;
        loop {
            match self.next(until) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => return Err(format!("it has not ended after {patience:?}")),
            }
        }
        self.child
            .wait()
            .map(|status| status.code())
            .map_err(|error| error.to_string())
    }

    fn next(&self, until: Instant) -> Result<String, RecvTimeoutError> {
        self.lines.recv_timeout(until.saturating_duration_since(Instant::now()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A child that was waited for has no number any more that could be killed.
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(&self.child, "KILL");
            let _ = self.child.wait();
        }
    }
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (line, next) = sync_channel(LINES_MAX);
    thread::spawn(move || {
        let lines = BufReader::new(stream).lines();
        lines.map_while(Result::ok).all(|text| line.send(text).is_ok())
    });
    next
}

fn signal(child: &Child, name: &str) {
    let group = format!("-{}", child.id());
    let sent = Command::new("kill").args([&format!("-{name}"), "--", &group]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill runs");
}
