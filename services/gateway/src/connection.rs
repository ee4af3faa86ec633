//! One connection, from the first byte to the last: which version of HTTP it speaks, what it may cost, and how it ends.
//!
//! HTTP/1.1 and HTTP/2 share a port: over TLS the two sides agree by ALPN, without it a client that speaks HTTP/2 says so in
//! its first bytes. The streams of an HTTP/2 connection are tasks in a set that ends with the connection, so a client that
//! hangs up takes its calls along, stream by stream or all at once.

use std::convert::Infallible;
use std::fmt::Display;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::activity::{Activity, Overdue, Patience};
use crate::answer_body::AnswerBody;
use crate::door::Door;
use crate::half_open::{HalfOpen, Heard};
use crate::timed_stream::{Stalled, TimedStream};

/// The largest head of a request, in bytes, and with it the buffer of an HTTP/1 connection.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// The same in HTTP/2, where a connection brings many at the same time.
const HEAD_BYTES_MAX_HTTP2: u32 = 16 << 10;
/// The most headers of a request.
pub(crate) const HEADERS_MAX: usize = 100;
/// The most requests that one HTTP/2 connection has open.
const STREAMS_MAX: u32 = 100;
/// The most streams that a client may open and reset before they were looked at; one more ends the connection.
const RESETS_PENDING_MAX: usize = 20;
/// The most streams that a client may have reset for its own mistakes; one more ends the connection.
const RESETS_OWED_MAX: usize = 64;
/// What a stream may send of a body before it is read, in bytes.
const STREAM_WINDOW: u32 = 64 << 10;
/// The same for all streams of a connection.
const CONNECTION_WINDOW: u32 = 256 << 10;
/// The largest piece of an answer that is handed to HTTP/2 at once, and so the most that waits there for a window.
const PIECE: usize = 16 << 10;
/// How often a peer is asked whether it is still there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long a connection with nothing on its way may take to end when the gateway closes: no handler is left that could
/// answer what else it sends.
const FAREWELL_IDLE: Duration = Duration::from_millis(250);

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Reception {
    pub(crate) door: Arc<Door>,
    pub(crate) patience: Patience,
    pub(crate) tls: Option<Tls>,
}

/// What serves TLS.
pub(crate) struct Tls(pub(crate) TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Reception {
    /// Serves one connection until it ends, or until the gateway closes and what is at hand is answered.
    pub(crate) async fn serve(&self, stream: TcpStream, peer: SocketAddr, closing: CancellationToken) {
        let _counted = self.door.meters.connection();
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%peer, %error, "small answers may be delayed");
        }
        let stream = TimedStream::new(stream, self.patience.write);
        let stalled = stream.stalled();
        let ended = match &self.tls {
            None => self.speak(stream, peer, &stalled, &closing).await,
            Some(tls) => match self.greet(tls, stream, &closing).await {
                Ok(Some(stream)) => self.speak(stream, peer, &stalled, &closing).await,
                Ok(None) => return,
                Err(error) => Err(error.into()),
            },
        };
        if let Err(error) = ended {
            debug!(%peer, %error, "a connection ended early");
        }
    }

    /// The handshake of TLS, which has as long as the head of a request. None when the gateway closes meanwhile.
    async fn greet(
        &self,
        tls: &Tls,
        stream: TimedStream,
        closing: &CancellationToken,
    ) -> io::Result<Option<impl AsyncRead + AsyncWrite + Send + Unpin + use<>>> {
        let greeting = timeout(self.patience.rest, tls.0.accept(stream));
        tokio::select! {
            greeted = greeting => greeted
                .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long")))
                .map(Some),
            () = closing.cancelled() => Ok(None),
        }
    }

    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        peer: SocketAddr,
        stalled: &Stalled,
        closing: &CancellationToken,
    ) -> Result<(), Problem> {
        let activity = Activity::new(self.patience);
        let heard = Heard::default();
        // It outlives the connection, which puts its streams there.
        let streams = OwnedStreams::default();
        let http = self.http(streams.0.clone());
        let visitor = Arc::new(Visitor {
            door: Arc::clone(&self.door),
            activity: Arc::clone(&activity),
            heard: heard.clone(),
            peer,
        });
        let service = service_fn(move |request| {
            let visitor = Arc::clone(&visitor);
            async move { visitor.answer(request).await }
        });
        let mut connection = pin!(http.serve_connection(
            TokioIo::new(HalfOpen::new(stream, heard, Arc::clone(&activity))),
            service
        ));
        // A connection is polled for every request, and these two are asked only when they have something to say.
        let mut rare = FuturesUnordered::new();
        rare.push(closing.cancelled().map(|()| None).boxed());
        rare.push(activity.overdue().map(Some).boxed());
        let mut told = false;
        loop {
            let overdue = tokio::select! {
                biased;
                ended = connection.as_mut() => return ended,
                Some(rare) = rare.next() => rare,
            };
            let Some(overdue) = overdue else {
                connection.as_mut().graceful_shutdown();
                return farewell(connection, &activity, stalled, peer).await;
            };
            rare.push(activity.overdue().map(Some).boxed());
            match overdue {
                // Its peer is slow to take an answer, which `timed_stream.rs` bounds.
                Overdue::Resting if !activity.is_polite() && stalled.is() => {
                    activity.rest_anew();
                    continue;
                }
                // It ends by itself once all that is at hand is answered.
                Overdue::Asked if told => continue,
                Overdue::Resting if activity.is_polite() && !told => {}
                Overdue::Asked => {}
                Overdue::Resting | Overdue::Stuck => return Err(format!("it was cut: {overdue:?}").into()),
            }
            connection.as_mut().graceful_shutdown();
            activity.rest_anew();
            told = true;
        }
    }

    fn http(&self, streams: Streams) -> auto::Builder<Streams> {
        let mut http = auto::Builder::new(streams);
        // hyper's own bound for a head makes a timer for every request; `activity.rs` has one for the connection.
        http.http1()
            .header_read_timeout(None)
            .writev(false)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX);
        http.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEAD_BYTES_MAX_HTTP2)
            .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
            .max_local_error_reset_streams(RESETS_OWED_MAX)
            .max_send_buf_size(PIECE)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_EVERY);
        http
    }
}

type Problem = Box<dyn std::error::Error + Send + Sync>;

/// Lets a connection that was told to end finish what is on its way, and nothing else.
async fn farewell(
    mut connection: Pin<&mut impl Future<Output = Result<(), Problem>>>,
    activity: &Activity,
    stalled: &Stalled,
    peer: SocketAddr,
) -> Result<(), Problem> {
    match timeout(FAREWELL_IDLE, connection.as_mut()).await {
        Ok(ended) => ended,
        Err(_) if stalled.is() || activity.is_sending() => connection.await,
        Err(_) => {
            debug!(%peer, "a connection was closed within a request");
            Ok(())
        }
    }
}

/// One connection, as its requests see it.
struct Visitor {
    door: Arc<Door>,
    activity: Arc<Activity>,
    heard: Heard,
    peer: SocketAddr,
}

impl Visitor {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<AnswerBody>, Infallible> {
        if request.version() < Version::HTTP_2 {
            let answering = self.activity.answer();
            let answer = self.door.answer(self.peer, request, Some(&self.heard)).await;
            return Ok(answer.map(|content| AnswerBody::whole(content, answering)));
        }
        let answering = self.activity.answer();
        let answer = self.door.answer(self.peer, request, None).await;
        if self.door.is_draining() {
            self.activity.ask_to_end();
        }
        Ok(answer.map(|content| AnswerBody::in_pieces(content, PIECE, answering)))
    }
}

/// Where HTTP/2 puts its streams.
#[derive(Clone, Debug, Default)]
struct Streams(Arc<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = tasks.try_join_next() {
            note(ended, "a stream's task panicked");
        }
        tasks.spawn(stream);
    }
}

/// The streams, which end when it is dropped.
#[derive(Debug, Default)]
struct OwnedStreams(Streams);

impl Drop for OwnedStreams {
    fn drop(&mut self) {
        let mut tasks = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A stream's own handle to the set must not keep it.
        let ended = std::mem::take(&mut *tasks);
        drop(tasks);
        drop(ended);
    }
}

/// Notes how a task ended: a panic there ends its connection or its stream, and nothing else.
pub(crate) fn note(ended: Result<(), JoinError>, panicked: impl Display) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!("{panicked}");
    }
}
