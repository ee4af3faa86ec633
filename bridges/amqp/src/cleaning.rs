//! The stream between the socket, or its TLS, and lapin: what comes is mended frame by frame, what goes is not touched.
//!
//! Frames that may have to be mended are held until they are whole; they are no larger than what was agreed with the
//! broker. Bodies pass as they come, and the long ones without being held at all.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::io::{AsyncRead, AsyncWrite};

use crate::counters::Mended;
use crate::frames::{self, FRAME_MAX, HEAD_BYTES, Kind};

/// From how many bytes of a body on the caller's buffer is filled directly: a shorter rest is read together with what follows.
const DIRECT_MIN: usize = 16 * 1024;

/// A stream whose frames lapin can read.
#[derive(Debug)]
pub(crate) struct Cleaning<S> {
    stream: S,
    mended: Arc<Mended>,
    /// What was read: `start..ready` may be handed out, `ready..end` is a frame that is not whole.
    held: Box<[u8]>,
    start: usize,
    ready: usize,
    end: usize,
    /// How many bytes after `end` belong to a frame that passes as it comes.
    passing: usize,
}

impl<S> Cleaning<S> {
    /// Nothing was read of this stream.
    pub(crate) fn new(stream: S, mended: Arc<Mended>) -> Self {
        Self {
            stream,
            mended,
            held: vec![0; FRAME_MAX as usize].into_boxed_slice(),
            start: 0,
            ready: 0,
            end: 0,
            passing: 0,
        }
    }

    /// Hands out what may be handed out.
    fn hand_out(&mut self, buffer: &mut [u8]) -> usize {
        let len = buffer.len().min(self.ready - self.start);
        buffer[..len].copy_from_slice(&self.held[self.start..self.start + len]);
        self.start += len;
        len
    }

    /// Makes room behind what is held.
    fn compact(&mut self) {
        self.held.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.ready -= self.start;
        self.start = 0;
    }

    /// Looks at what was read: mends the frames that are whole.
    fn look(&mut self) -> io::Result<()> {
        loop {
            let passed = self.passing.min(self.end - self.ready);
            self.ready += passed;
            self.passing -= passed;
            let unseen = &mut self.held[self.ready..self.end];
            let Some(head) = unseen.first_chunk::<HEAD_BYTES>() else {
                return Ok(());
            };
            let head = frames::head(*head).ok_or_else(too_large)?;
            if head.kind == Kind::Other {
                self.passing = head.frame_bytes;
                continue;
            }
            let Some(frame) = unseen.get_mut(..head.frame_bytes) else {
                return Ok(());
            };
            let payload = HEAD_BYTES..head.frame_bytes - 1;
            if frames::mend(head.kind, &mut frame[payload]) {
                self.mended.frame();
            }
            self.ready += head.frame_bytes;
        }
    }
}

fn too_large() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the broker sent a frame that is larger than agreed",
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for Cleaning<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            if this.start < this.ready {
                return Poll::Ready(Ok(this.hand_out(buffer)));
            }
            if this.passing >= DIRECT_MIN {
                let len = buffer.len().min(this.passing);
                let read = ready!(Pin::new(&mut this.stream).poll_read(context, &mut buffer[..len]))?;
                this.passing -= read;
                return Poll::Ready(Ok(read));
            }
            this.compact();
            let read = ready!(Pin::new(&mut this.stream).poll_read(context, &mut this.held[this.end..]))?;
            if read == 0 {
                return Poll::Ready(Ok(0));
            }
            this.end += read;
            this.look()?;
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cleaning<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
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
    use futures_util::io::AsyncReadExt;
    use futures_util::{FutureExt, TryStreamExt, stream};
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use proptest::sample::Index;

    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len()).expect("short");
        [&[kind, 0, 1][..], &size.to_be_bytes(), payload, &[0xCE]].concat()
    }

    /// A header with a correlation id of one byte.
    fn header(correlation: u8) -> Vec<u8> {
        let properties = (1u16 << 10).to_be_bytes();
        frame(2, &[&[0, 60][..], &[0; 10], &properties, &[1, correlation]].concat())
    }

    /// What comes out when these pieces come in and are asked for in portions of this size; and how often it was mended.
    fn through(pieces: &[&[u8]], portion: usize) -> (io::Result<Vec<u8>>, u64) {
        let mended = Arc::new(Mended::default());
        let incoming = stream::iter(pieces.iter().filter(|piece| !piece.is_empty()).map(Ok::<_, io::Error>));
        let mut cleaning = Cleaning::new(incoming.into_async_read(), Arc::clone(&mended));
        let mut buffer = vec![0; portion];
        let mut all = Vec::new();
        let all = loop {
            match cleaning.read(&mut buffer).now_or_never().expect("it is there") {
                Ok(0) => break Ok(all),
                Ok(len) => all.extend_from_slice(&buffer[..len]),
                Err(error) => break Err(error),
            }
        };
        (all, mended.count())
    }

    #[test]
    fn a_frame_is_mended_whatever_stands_around_it() {
        let body = vec![0xFF; FRAME_MAX as usize - 8];
        let around = |correlation| [frame(3, &body), header(correlation), frame(3, b"\xff"), frame(8, b"")].concat();
        let (all, mended) = through(&[&around(0xFF)], 4096);
        assert_eq!((all.expect("read"), mended), (around(b'?'), 1));
    }

    #[test]
    fn a_frame_larger_than_agreed_ends_the_connection() {
        for kind in [1, 2, 3] {
            let frame = frame(kind, &vec![0; FRAME_MAX as usize - 7]);
            let (all, _) = through(&[&frame], 4096);
            assert_eq!(all.expect_err("refused").kind(), io::ErrorKind::InvalidData);
        }
    }

    proptest! {
        #[test]
        fn how_the_bytes_come_changes_nothing(
            shapes in vec((any::<bool>(), any::<u8>(), 0..40_000usize), 0..12),
            cuts in vec(any::<Index>(), 0..12),
            portion in 1..70_000usize,
        ) {
            let (mut sent, mut expected, mut count) = (Vec::new(), Vec::new(), 0);
            for (is_header, byte, len) in shapes {
                if is_header {
                    sent.extend(header(byte));
                    expected.extend(header(if byte.is_ascii() { byte } else { b'?' }));
                    count += u64::from(!byte.is_ascii());
                } else {
                    let body = frame(3, &vec![byte; len]);
                    sent.extend(&body);
                    expected.extend(body);
                }
            }
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(sent.len() + 1)).collect();
            cuts.extend([0, sent.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &sent[cut[0]..cut[1]]).collect();
            let (all, mended) = through(&pieces, portion);
            prop_assert_eq!((all.expect("read"), mended), (expected, count));
        }
    }
}
