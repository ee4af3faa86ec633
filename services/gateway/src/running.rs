//! The gateway at work: it accepts connections, serves them, and lets them finish.
//!
//! Every connection is a task in one set that lives and dies with the gateway. Their number is bounded by not accepting
//! more: who comes later waits in the system's queue. What happens on a connection is in `connection.rs`.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use roadshow_services::{FactoryError, RunningComponent};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::connection::{Reception, note};

/// How long the gateway rests when the system refuses to accept, for want of file descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long answers that are on their way may take once everything else of the node has stopped. Less than the
/// supervisor's deadline for a component.
const FAREWELL: Duration = Duration::from_secs(3);

const WHAT_PANICKED: &str = "a connection's task panicked";

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
    reception: Arc<Reception>,
    connections: NonZeroUsize,
}

impl RunningGateway {
    pub(crate) fn new(
        listener: TcpListener,
        address: SocketAddr,
        reception: Reception,
        connections: NonZeroUsize,
    ) -> Self {
        RunningGateway {
            listener,
            address,
            reception: Arc::new(reception),
            connections,
        }
    }

    async fn work(self, stop: CancellationToken) {
        info!(address = %self.address, "listening");
        let slots = Arc::new(Semaphore::new(self.connections.get().min(Semaphore::MAX_PERMITS)));
        let closing = CancellationToken::new();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = connections.join_next() => note(ended, WHAT_PANICKED),
                (stream, peer, slot) = accept(&self.listener, &slots) => {
                    let (reception, closing) = (Arc::clone(&self.reception), closing.clone());
                    connections.spawn(async move {
                        reception.serve(stream, peer, closing).await;
                        drop(slot);
                    });
                }
            }
        }
        drop(self.listener);
        closing.cancel();
        let finished = async {
            while let Some(ended) = connections.join_next().await {
                note(ended, WHAT_PANICKED);
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
