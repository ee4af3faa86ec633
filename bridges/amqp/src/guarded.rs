//! A stream that its opener can end: lapin waits without a limit for a broker that says nothing, and keeps a thread, a socket
//! and its buffers meanwhile.
//!
//! The opener holds a [`Guard`] until it is let in. If the guard is dropped before, whoever reads is woken and told that the
//! connection is over. Afterwards the stream is as it was.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

/// Ends the stream when it is dropped, unless it was let in.
#[derive(Debug)]
pub(crate) struct Guard(oneshot::Sender<()>);

impl Guard {
    /// Leaves the stream to whoever has it.
    pub(crate) fn let_in(self) {
        // An error means that the stream is gone.
        let _ = self.0.send(());
    }
}

/// A stream with a guard.
#[derive(Debug)]
pub(crate) struct Guarded<S> {
    stream: S,
    /// What the guard says, until it has said it.
    word: Option<oneshot::Receiver<()>>,
}

impl<S> Guarded<S> {
    /// Puts a stream under a guard.
    pub(crate) fn new(stream: S) -> (Self, Guard) {
        let (guard, word) = oneshot::channel();
        let word = Some(word);
        (Self { stream, word }, Guard(guard))
    }

    fn hear(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(word) = &mut self.word else { return Ok(()) };
        match Pin::new(word).poll(context) {
            Poll::Ready(Ok(())) => self.word = None,
            Poll::Ready(Err(_dropped)) => return Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
            Poll::Pending => {}
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.hear(context)?;
        Pin::new(&mut this.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_close(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::io::{AsyncReadExt, Cursor};

    use super::*;

    #[test]
    fn who_is_not_let_in_reads_nothing_more() {
        let (mut stream, guard) = Guarded::new(Cursor::new(b"ab"));
        let mut byte = [0];
        let read = stream.read(&mut byte).now_or_never().expect("it is there");
        assert_eq!((read.expect("read"), byte), (1, *b"a"));
        drop(guard);
        let read = stream.read(&mut byte).now_or_never().expect("it is there");
        assert_eq!(read.expect_err("over").kind(), io::ErrorKind::ConnectionAborted);
    }

    #[test]
    fn who_is_let_in_reads_on() {
        let (mut stream, guard) = Guarded::new(Cursor::new(b"ab"));
        guard.let_in();
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes).now_or_never().expect("it is there");
        assert_eq!((read.expect("read"), bytes), (2, b"ab".to_vec()));
    }
}
