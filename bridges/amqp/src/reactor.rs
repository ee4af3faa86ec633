//! tokio as lapin wants it, with streams of ours: the one place where lapin lets somebody between itself and the socket.
//!
//! lapin takes its stream from the reactor's type. The connection itself is made elsewhere, with TLS where it is wanted,
//! and wrapped afterwards: so what is mended is what was decrypted, and lapin hears of nothing that could not be reached.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_util::future::ready;
use futures_util::io::{AsyncRead, AsyncWrite};
use lapin::AsyncTcpStream;

use crate::cleaning::Cleaning;
use crate::guarded::Guarded;

/// The stream of tokio, with TLS or without.
pub(crate) type Plain = AsyncTcpStream<<Tokio as Reactor>::TcpStream>;

/// The stream that lapin gets.
pub(crate) type Stream = Cleaning<Guarded<Plain>>;

/// The runtime that lapin gets.
pub(crate) type CleaningRuntime = Runtime<RuntimeParts<Tokio, CleaningReactor>>;

/// The reactor of tokio, whose streams are cleaned. It makes none itself.
#[derive(Debug, Clone)]
pub(crate) struct CleaningReactor(Tokio);

/// A runtime on top of this one of tokio.
pub(crate) fn runtime(tokio: Tokio) -> CleaningRuntime {
    Runtime::new(RuntimeParts::new(tokio.clone(), CleaningReactor(tokio)))
}

impl Reactor for CleaningReactor {
    type TcpStream = Stream;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + Send + 'static>(
        &self,
        _socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        // lapin does not ask for it, and the trait that its argument would need has no public name.
        Err::<Self::TcpStream, _>(io::Error::from(io::ErrorKind::Unsupported))
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl futures_util::Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        _address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        // lapin leaves it to who connects.
        ready(Err(io::Error::from(io::ErrorKind::Unsupported)))
    }
}
