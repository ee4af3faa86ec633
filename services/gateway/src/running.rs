//! The gateway at work: it accepts connections, serves them, and lets them finish.
//!
//! Every connection is a task in one set that lives and dies with the gateway. Their number is bounded by not accepting
//! more: who comes later waits in the system's queue. HTTP/1.1 only, for now.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use roadshow_services::{FactoryError, RunningComponent};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::door::Door;
use crate::timed_stream::TimedStream;

/// The largest head of a request, in bytes, and with it the buffer of a connection.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// The most headers of a request.
const HEADERS_MAX: usize = 100;
/// How long the gateway rests when the system refuses to accept, for want of file descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long answers that are on their way may take once everything else of the node has stopped. Less than the
/// supervisor's deadline for a component.
const FAREWELL: Duration = Duration::from_secs(3);
/// The same for connections that have nothing on its way: no handler is left that could answer what else they send.
const FAREWELL_IDLE: Duration = Duration::from_millis(250);

/// What one connection may cost, and how many there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    pub(crate) connections: NonZeroUsize,
    pub(crate) header_timeout: Duration,
    pub(crate) write_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits {
            connections: NonZeroUsize::new(1024).expect("1024 is not zero"),
            header_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
        }
    }
}

/// A gateway that is bound to its address.
#[derive(Debug)]
pub(crate) struct RunningGateway {
    listener: TcpListener,
    address: SocketAddr,
    door: Arc<Door>,
    limits: ConnectionLimits,
}

impl RunningGateway {
    pub(crate) fn new(listener: TcpListener, address: SocketAddr, door: Arc<Door>, limits: ConnectionLimits) -> Self {
        RunningGateway {
            listener,
            address,
            door,
            limits,
        }
    }

    async fn work(self, stop: CancellationToken) {
        info!(address = %self.address, "listening");
        let slots = Arc::new(Semaphore::new(
            self.limits.connections.get().min(Semaphore::MAX_PERMITS),
        ));
        let closing = CancellationToken::new();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = connections.join_next() => note(ended),
                (stream, peer, slot) = accept(&self.listener, &slots) => {
                    let (door, limits, closing) = (Arc::clone(&self.door), self.limits, closing.clone());
                    connections.spawn(async move {
                        serve(stream, peer, door, limits, closing).await;
                        drop(slot);
                    });
                }
            }
        }
        drop(self.listener);
        closing.cancel();
        let finished = async {
            while let Some(ended) = connections.join_next().await {
                note(ended);
            }
        };
        if timeout(FAREWELL, finished).await.is_err() {
            warn!(
                left = connections.len(),
                "connections were cut: they did not finish in time"
            );
            connections.shutdown().await;
        }
        info!(address = %self.address, "closed");
    }
}

impl RunningComponent for RunningGateway {
    fn location(&self) -> Option<String> {
        Some(self.address.to_string())
    }

    fn run(self: Box<Self>, stop: CancellationToken) -> BoxFuture<'static, Result<(), FactoryError>> {
        self.work(stop).map(Ok).boxed()
    }
}

/// Waits for a free slot, then for a connection. Errors are the system's and pass: the gateway rests and goes on.
///
/// # Cancel safety
/// Dropping it loses no connection.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let slot = Arc::clone(slots)
        .acquire_owned()
        .await
        .expect("the semaphore of the connections is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, slot),
            Err(error) if is_the_clients(&error) => debug!(%error, "a connection was gone before it was accepted"),
            Err(error) => {
                warn!(%error, "cannot accept connections at the moment");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Serves one connection until it ends, or until the gateway closes and the request at hand is answered.
async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    door: Arc<Door>,
    limits: ConnectionLimits,
    closing: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%peer, %error, "small answers may be delayed");
    }
    let service = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move { Ok::<_, Infallible>(door.answer(peer, request).await) }
    });
    let stream = TimedStream::new(stream, limits.write_timeout);
    let stalled = stream.stalled();
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match timeout(FAREWELL_IDLE, connection.as_mut()).await {
                Ok(ended) => ended,
                Err(_) if stalled.is() => connection.await,
                Err(_) => {
                    debug!(%peer, "a connection was closed within a request");
                    Ok(())
                }
            }
        }
    };
    if let Err(error) = ended {
        debug!(%peer, %error, "a connection ended early");
    }
}

/// Notes how a connection's task ended: a panic there ends the connection and nothing else.
fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!("a connection's task panicked");
    }
}
