//! The signals that end a node: the first asks it to stop, the second ends the process at once.
//!
//! They are awaited on a thread of their own: handlers that block every worker of the runtime must not be able to keep
//! the second signal from working.

use std::io;
use std::thread;

use tokio::sync::watch;

/// A signal that asks a process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    pub(crate) name: &'static str,
    number: u8,
}

impl Signal {
    /// The exit code of a process that the signal ended, as shells count.
    pub(crate) const fn exit_code(self) -> u8 {
        128 + self.number
    }
}

const INTERRUPT: Signal = Signal {
    name: "SIGINT",
    number: 2,
};
#[cfg(unix)]
const TERMINATE: Signal = Signal {
    name: "SIGTERM",
    number: 15,
};

/// Tells of the first signal.
#[derive(Debug)]
pub(crate) struct Signals(watch::Receiver<Option<Signal>>);

impl Signals {
    /// Takes SIGTERM and SIGINT from now on. Meant to be called once in a process; what is taken is not given back.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(crate) fn take() -> io::Result<Self> {
        let (heard, first) = watch::channel(None);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // The handlers stand before this returns: a signal that comes right now already counts.
        let mut source = {
            let _in_runtime = runtime.enter();
            Source::new()?
        };
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async move {
                if let Some(signal) = source.next().await {
                    heard.send_replace(Some(signal));
                }
                if let Some(signal) = source.next().await {
                    exit_at_once(signal);
                }
            });
        })?;
        Ok(Self(first))
    }

    /// Waits for the first signal; for ever, if there can be none.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again: a signal that was heard stays heard.
    pub(crate) async fn first(&mut self) -> Signal {
        match self.0.wait_for(Option::is_some).await.map(|signal| *signal) {
            Ok(Some(signal)) => signal,
            _ => std::future::pending().await,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a second signal ends the process at once: nothing is waited for, not even a lock on stderr"
)]
fn exit_at_once(signal: Signal) -> ! {
    std::process::exit(signal.exit_code().into())
}

#[cfg(unix)]
struct Source {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Source {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Option<Signal> {
        tokio::select! {
            Some(()) = self.terminate.recv() => Some(TERMINATE),
            Some(()) = self.interrupt.recv() => Some(INTERRUPT),
            else => None,
        }
    }
}

#[cfg(not(unix))]
struct Source;

#[cfg(not(unix))]
impl Source {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Option<Signal> {
        tokio::signal::ctrl_c().await.ok().map(|()| INTERRUPT)
    }
}
