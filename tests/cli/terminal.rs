//! A program on a terminal: a pseudo terminal of a known size, what is written to it, and signals.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::binary;

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many pieces of output a program may be ahead of its test.
const PIECES_MAX: usize = 100_000;

/// A program that has a terminal for stdin, stdout and stderr. Killed if the test ends before it does.
pub(crate) struct OnTerminal {
    child: Child,
    seen: String,
    next: Receiver<String>,
}

impl OnTerminal {
    /// Starts the program on a terminal of so many columns and 40 rows, with these variables.
    pub(crate) fn start(args: &[&str], columns: u16, variables: &[(&str, &str)]) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("a terminal");
        let size = Winsize {
            ws_row: 40,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&ours, size).expect("a size");
        let name = ptsname(&ours, Vec::new()).expect("a name");
        let theirs = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().expect("UTF-8"))
            .expect("the program's end");
        let stdio = || Stdio::from(theirs.try_clone().expect("another handle"));
        let mut command = Command::new(binary());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("ROADSHOW_") || ["NO_COLOR", "COLUMNS"].contains(&&*name) {
                command.env_remove(&*name);
            }
        }
        let child = command
            .args(args)
            .env("TERM", "xterm-256color")
            .envs(variables.iter().copied())
            .current_dir(std::env::temp_dir())
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .spawn()
            .expect("the program starts");
        Self {
            child,
            seen: String::new(),
            next: pieces(ours),
        }
    }

    /// Waits until something is written that has not been waited for yet, and returns everything up to it.
    pub(crate) fn shows(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            match self.next.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(piece) => self.seen.push_str(&piece),
                Err(error) => panic!("{text:?} ({error}) in {:?}", self.seen),
            }
        }
    }

    /// Sends a signal by its name without SIG.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(sent.success());
    }

    /// Waits for the end: the exit code, and everything that nobody has waited for.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.next.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(piece) => self.seen.push_str(&piece),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it ends; {:?}", self.seen),
            }
        }
        let status = self.child.wait().expect("it ended");
        (status.code(), std::mem::take(&mut self.seen))
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is written to a terminal until its other end is closed.
fn pieces(ours: OwnedFd) -> Receiver<String> {
    let (piece, next) = sync_channel(PIECES_MAX);
    let mut ours = File::from(ours);
    thread::spawn(move || {
        let (mut bytes, mut rest) = ([0; 4_096], Vec::new());
        loop {
            match ours.read(&mut bytes) {
                Ok(0) => return,
                Ok(count) => rest.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // The other end is closed: Linux says that it is an input/output error.
                Err(_) => return,
            }
            let whole = match std::str::from_utf8(&rest) {
                Ok(text) => text.len(),
                Err(error) => error.valid_up_to(),
            };
            let text: Vec<u8> = rest.drain(..whole).collect();
            if piece.send(String::from_utf8_lossy(&text).into_owned()).is_err() {
                return;
            }
        }
    });
    next
}
