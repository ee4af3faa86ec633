//! A connection whose peer has said its last word may still be listening.
//!
//! TCP does not tell a peer that has finished sending (`nc -N`, a script that closes its side) from one that is gone: both
//! look like the end of what it sends, until something is written. Who is gone should not keep a handler waiting, and who
//! listens should get an answer. So the end is passed on a little later while a call is under way: the calls of most are
//! answered by then, and the calls of those who left are cancelled then. A connection that breaks, or that has asked for
//! nothing, ends at once.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::activity::Activity;

/// What only HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI";
/// How long a call goes on for a peer that may be gone.
const LISTENING_MAX: Duration = Duration::from_secs(1);

/// Whether a request was heard to its end and is not answered yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard(Arc<AtomicBool>);

impl Heard {
    pub(crate) fn set(&self, heard: bool) {
        self.0.store(heard, Ordering::Relaxed);
    }

    fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream that keeps the end of what its peer sends back while a call is under way.
#[derive(Debug)]
pub(crate) struct HalfOpen<S> {
    stream: S,
    heard: Heard,
    /// Learns from the first bytes which version the peer speaks; then it is gone.
    listener: Option<Arc<Activity>>,
    /// Runs once the peer has ended.
    ended: Option<Pin<Box<Sleep>>>,
}

impl<S> HalfOpen<S> {
    pub(crate) fn new(stream: S, heard: Heard, listener: Arc<Activity>) -> Self {
        HalfOpen {
            stream,
            heard,
            listener: Some(listener),
            ended: None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HalfOpen<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ended.is_none() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
            if let Some(activity) = self.listener.take()
                && buffer.filled()[before..].starts_with(PREFACE)
            {
                activity.be_polite();
            }
            if buffer.filled().len() > before || buffer.remaining() == 0 || !self.heard.is() {
                return Poll::Ready(Ok(()));
            }
        }
        if !self.heard.is() {
            return Poll::Ready(Ok(()));
        }
        let ended = self.ended.get_or_insert_with(|| Box::pin(sleep(LISTENING_MAX)));
        ended.as_mut().poll(cx).map(Ok)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HalfOpen<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
