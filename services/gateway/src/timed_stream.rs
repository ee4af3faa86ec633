//! A connection that gives up on a peer who reads nothing, or next to nothing.
//!
//! hyper bounds how long a head may take to arrive and `body.rs` how long a body may; nothing there bounds how long an
//! answer may take to leave, and a peer who never reads would hold a slot for ever. Nor does it help to wait for any
//! progress at all: a peer who reads a byte a second makes progress. So there are two bounds, a rest and a rate.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// The slowest that a peer may take an answer, in bytes a second.
const RATE_MIN: u64 = 1024;

/// The longest that a peer may take for so many bytes.
pub(crate) fn taking_max(patience: Duration, bytes: usize) -> Duration {
    patience + Duration::from_secs(bytes as u64 / RATE_MIN)
}

/// Whether a stream waits for its peer to read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stalled(Arc<AtomicBool>);

impl Stalled {
    pub(crate) fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A TCP stream whose writes fail once the peer takes too little of them for a time.
#[derive(Debug)]
pub(crate) struct TimedStream {
    stream: TcpStream,
    patience: Duration,
    /// From the first write that waits until everything was written.
    backlog: Option<Backlog>,
    stalled: Stalled,
}

/// What waits for the peer.
#[derive(Debug)]
struct Backlog {
    since: Instant,
    taken: usize,
    /// Runs while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl TimedStream {
    pub(crate) fn new(stream: TcpStream, patience: Duration) -> Self {
        TimedStream {
            stream,
            patience,
            backlog: None,
            stalled: Stalled::default(),
        }
    }

    /// Tells, from elsewhere, whether a write waits.
    pub(crate) fn stalled(&self) -> Stalled {
        self.stalled.clone()
    }

    /// Passes the outcome of a write on; one that waits does so for a bounded time.
    fn bounded(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(outcome) = written {
            if let (Some(backlog), Ok(bytes)) = (&mut self.backlog, &outcome) {
                backlog.taken += bytes;
                backlog.waiting = None;
                self.stalled.0.store(false, Ordering::Relaxed);
            }
            return Poll::Ready(outcome);
        }
        self.stalled.0.store(true, Ordering::Relaxed);
        let backlog = self.backlog.get_or_insert_with(|| Backlog {
            since: Instant::now(),
            taken: 0,
            waiting: None,
        });
        let (patience, since, taken) = (self.patience, backlog.since, backlog.taken);
        let waiting = backlog.waiting.get_or_insert_with(|| {
            let in_all = since + taking_max(patience, taken);
            Box::pin(sleep_until(in_all.min(Instant::now() + patience)))
        });
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer reads next to nothing",
        )))
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bounded(cx, written)
    }

    /// Whoever writes flushes once nothing is left to write: the backlog is gone.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.backlog.take().is_some() {
            self.stalled.0.store(false, Ordering::Relaxed);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.bounded(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
