//! A socket that acknowledges at once what it has read.
//!
//! A broker in its usual settings holds a small packet back until the one before it is acknowledged, and the system
//! delays that acknowledgement by 40 ms in the hope of something to send with it. A call is two small packets to the same
//! client, the broker's acknowledgement and then the reply, so each call would take those 40 ms. Only Linux can be asked for
//! better; elsewhere the broker's `set_tcp_nodelay` helps.
//!
//! It also brings together what the client writes: that flushes after every acknowledgement, and after every message
//! while the broker's window is full. Here it all waits until the client looks for what has come, which is the last thing it
//! does before it waits, and goes in one write. So a flush means only that it will go: this is no socket for others.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// How long one of several addresses of a host may take, so that a dead one leaves time for the next.
const ADDRESS_TIMEOUT: Duration = Duration::from_millis(1500);

/// The most bytes that wait to be written together.
const WAITING_MAX: usize = 16 * 1024;

/// A socket that acknowledges at once what it has read, and writes what it can together.
#[derive(Debug)]
pub(crate) struct Prompt {
    socket: TcpStream,
    /// Whether writes wait for each other.
    gathers: bool,
    waiting: BytesMut,
}

impl Prompt {
    /// Connects to a host and its port; `gathers` says whether writes wait for each other until something is read.
    ///
    /// # Errors
    ///
    /// What the last address of the host said.
    pub(crate) async fn connect(host: String, gathers: bool) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in lookup_host(host).await? {
            match timeout(ADDRESS_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(socket)) => {
                    socket.set_nodelay(true)?;
                    return Ok(Self {
                        socket,
                        gathers,
                        waiting: BytesMut::new(),
                    });
                }
                Ok(Err(error)) => last = error,
                Err(elapsed) => last = elapsed.into(),
            }
        }
        Err(last)
    }

    fn acknowledge(&self) {
        // It is only about time: a socket that cannot do it is as good as before. The system forgets it after a while.
        #[cfg(target_os = "linux")]
        let _ = rustix::net::sockopt::set_tcp_quickack(&self.socket, true);
    }

    /// Writes what waits.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.waiting))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Prompt {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // A full socket wakes this task again; what comes may be read meanwhile.
        if let Poll::Ready(Err(error)) = self.poll_waiting(cx) {
            return Poll::Ready(Err(error));
        }
        let poll = Pin::new(&mut self.socket).poll_read(cx, buffer);
        if poll.is_ready() {
            self.acknowledge();
        }
        poll
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.waiting.len() + bytes.len() > WAITING_MAX {
            ready!(self.poll_waiting(cx))?;
        }
        if !self.gathers || bytes.len() > WAITING_MAX {
            return Pin::new(&mut self.socket).poll_write(cx, bytes);
        }
        self.waiting.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.gathers {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_waiting(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        // The client says goodbye and reads no more. Whether that arrives is the broker's loss only.
        let _ = self.socket.try_write(&self.waiting);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;

    const ROUNDS: u32 = 50;

    /// Answers each byte with two small packets, as a broker that saves packets does.
    async fn answer(listener: TcpListener) {
        let (mut socket, _) = listener.accept().await.expect("a client");
        socket.set_nodelay(false).expect("an option of TCP");
        for _ in 0..ROUNDS {
            socket.read_u8().await.expect("a question");
            socket.write_u8(1).await.expect("sent");
            socket.write_u8(2).await.expect("sent");
        }
    }

    async fn pair() -> (Prompt, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (client, server) = tokio::join!(Prompt::connect(address, true), listener.accept());
        (client.expect("connected"), server.expect("a client").0)
    }

    #[tokio::test]
    async fn what_was_written_goes_when_something_is_to_be_read_and_at_the_end() {
        let (mut client, mut server) = pair().await;
        for byte in 0..3 {
            client.write_u8(byte).await.expect("it waits");
            client.flush().await.expect("it waits");
        }
        assert_eq!(client.waiting.len(), 3);
        let mut got = [0; 4];
        assert!(client.read_u8().now_or_never().is_none());
        assert!(client.waiting.is_empty());
        server.read_exact(&mut got[..3]).await.expect("all of it");
        client.write_u8(3).await.expect("it waits");
        drop(client);
        server.read_exact(&mut got[3..]).await.expect("the rest");
        assert_eq!(got, [0, 1, 2, 3]);
        assert_eq!(server.read(&mut got).await.expect("the end"), 0);
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_keeps_its_order() {
        let (mut client, mut server) = pair().await;
        let sent: Vec<u8> = (0..=255).cycle().take(3 * WAITING_MAX + 7).collect();
        let (parts, large) = sent.split_at(2 * WAITING_MAX - 10);
        let writes = async {
            for part in parts.chunks(1000) {
                client.write_all(part).await.expect("sent");
                assert!(client.waiting.len() <= WAITING_MAX);
            }
            client.write_all(large).await.expect("sent");
            client.shutdown().await.expect("the rest is sent");
        };
        let mut got = Vec::new();
        let reads = async { server.read_to_end(&mut got).await.expect("all of it") };
        tokio::join!(writes, reads);
        assert!(got == sent);
    }

    #[tokio::test]
    async fn a_peer_that_saves_packets_need_not_wait_for_us() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asks = async {
            let mut socket = Prompt::connect(address.to_string(), true).await.expect("connected");
            let begun = Instant::now();
            for _ in 0..ROUNDS {
                socket.write_u8(0).await.expect("sent");
                assert_eq!(socket.read_u16().await.expect("an answer"), 0x0102);
            }
            begun.elapsed()
        };
        let (took, ()) = tokio::join!(asks, answer(listener));
        assert!(
            took < ROUNDS * Duration::from_millis(20),
            "{ROUNDS} rounds took {took:?}"
        );
    }
}
