//! A TCP proxy that breaks connections on purpose: cuts, stalls, slows, delays and truncates them, or lets nobody in.
//!
//! Between a client and its broker it does what networks do, at a moment that a test chooses. Its buffers are bounded: what
//! a stalled side does not take stays with the sender. Nothing is parsed here; it knows bytes only.

mod pump;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::broker::free_port;

/// The most connections at the same time; further ones are reset.
const CONNECTIONS_MAX: usize = 4096;

/// Which way bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the broker.
    Up,
    /// From the broker to the client.
    Down,
}

/// What happens to bytes that travel one way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Way {
    stalled: bool,
    delay: Duration,
    bytes_per_second: Option<NonZeroU32>,
}

/// What the connections are told.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Conditions {
    refuses: bool,
    cuts: u64,
    up: Way,
    down: Way,
}

impl Conditions {
    fn way(&self, direction: Direction) -> &Way {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }

    fn way_mut(&mut self, direction: Direction) -> &mut Way {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }
}

/// What was carried so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    open: AtomicUsize,
    accepted: AtomicU64,
    up: Carried,
    down: Carried,
}

/// The bytes that went one way, on all connections.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    bytes: AtomicU64,
    /// The count at which the connection that carries the next byte is reset, once; 0 is never.
    cut_at: AtomicU64,
}

impl Carried {
    /// How many more bytes may be written before the cut, if one is ordered. Of several connections one gets 0.
    fn left(&self) -> Option<u64> {
        let at = self.cut_at.load(Ordering::SeqCst);
        if at == 0 {
            return None;
        }
        let left = at.saturating_sub(self.bytes.load(Ordering::SeqCst));
        let taken = left == 0
            && self
                .cut_at
                .compare_exchange(at, 0, Ordering::SeqCst, Ordering::SeqCst)
                .is_err();
        (!taken).then_some(left)
    }
}

impl Counts {
    fn way(&self, direction: Direction) -> &Carried {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }
}

/// A TCP proxy before one broker. Dropping it ends every connection and closes its port.
pub struct Proxy {
    address: SocketAddr,
    conditions: Arc<watch::Sender<Conditions>>,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of the loopback and carries everything to `upstream`, a `host:port` or the URL of a broker.
    ///
    /// # Errors
    ///
    /// No port is free, or `upstream` names no host and port.
    pub async fn start(upstream: impl fmt::Display) -> io::Result<Self> {
        let upstream = host_and_port(&upstream.to_string())?;
        let listener = TcpListener::bind(("127.0.0.1", free_port()?)).await?;
        let address = listener.local_addr()?;
        let conditions = Arc::new(watch::Sender::new(Conditions::default()));
        let counts = Arc::<Counts>::default();
        let task = tokio::spawn(accept(listener, upstream, Arc::clone(&conditions), Arc::clone(&counts)));
        Ok(Self {
            address,
            conditions,
            counts,
            task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a broker with this proxy in the place of its host and port.
    pub fn url(&self, broker_url: &str) -> String {
        let Some((scheme, rest)) = broker_url.split_once("://") else {
            return self.address.to_string();
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let user = authority.rsplit_once('@').map(|(user, _)| format!("{user}@"));
        format!("{scheme}://{}{}{path}", user.unwrap_or_default(), self.address)
    }

    /// Resets every connection that is open now. New ones are let in.
    pub fn cut(&self) {
        self.conditions.send_modify(|conditions| conditions.cuts += 1);
    }

    /// Stops carrying bytes, both ways, and keeps the connections open: nobody hears that the other is gone.
    pub fn stall(&self) {
        self.conditions.send_modify(|conditions| {
            conditions.up.stalled = true;
            conditions.down.stalled = true;
        });
    }

    /// Stops carrying bytes one way: a connection that is half open.
    pub fn stall_one(&self, direction: Direction) {
        self.conditions
            .send_modify(|conditions| conditions.way_mut(direction).stalled = true);
    }

    /// Carries bytes again, both ways.
    pub fn flow(&self) {
        self.conditions.send_modify(|conditions| {
            conditions.up.stalled = false;
            conditions.down.stalled = false;
        });
    }

    /// Holds every byte back for this time, both ways; zero ends it. The rate stays the same.
    pub fn delay(&self, delay: Duration) {
        self.conditions.send_modify(|conditions| {
            conditions.up.delay = delay;
            conditions.down.delay = delay;
        });
    }

    /// Carries no more bytes a second than this, each way of each connection for itself; `None` ends it.
    pub fn limit(&self, bytes_per_second: Option<NonZeroU32>) {
        self.conditions.send_modify(|conditions| {
            conditions.up.bytes_per_second = bytes_per_second;
            conditions.down.bytes_per_second = bytes_per_second;
        });
    }

    /// Carries `bytes` more bytes one way, then resets the connection that has the next one: a message ends in its middle.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        let carried = self.counts.way(direction);
        let at = carried.bytes.load(Ordering::SeqCst) + bytes;
        carried.cut_at.store(at.max(1), Ordering::SeqCst);
    }

    /// Lets nobody in: a new connection is reset at once. Open ones go on.
    pub fn refuse(&self) {
        self.conditions.send_modify(|conditions| conditions.refuses = true);
    }

    /// Lets new connections in again.
    pub fn accept(&self) {
        self.conditions.send_modify(|conditions| conditions.refuses = false);
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.counts.open.load(Ordering::SeqCst)
    }

    /// How many connections were let in so far.
    pub fn accepted(&self) -> u64 {
        self.counts.accepted.load(Ordering::SeqCst)
    }

    /// How many bytes went this way so far.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.counts.way(direction).bytes.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("address", &self.address)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The `host:port` of a URL or of itself.
fn host_and_port(upstream: &str) -> io::Result<String> {
    let rest = upstream.split_once("://").map_or(upstream, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let port = place.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    match port {
        Some(_) => Ok(place.to_owned()),
        None => Err(io::Error::other(format!("cannot proxy to {place:?}: it names no port"))),
    }
}

/// Owns every connection: when it is aborted, they end with it.
async fn accept(
    listener: TcpListener,
    upstream: String,
    conditions: Arc<watch::Sender<Conditions>>,
    counts: Arc<Counts>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_ended) = connections.join_next() => {}
            Ok((client, _)) = listener.accept() => {
                if conditions.borrow().refuses || connections.len() >= CONNECTIONS_MAX {
                    reset(client);
                    continue;
                }
                counts.accepted.fetch_add(1, Ordering::SeqCst);
                let (conditions, counts, upstream) = (conditions.subscribe(), Arc::clone(&counts), upstream.clone());
                connections.spawn(async move { carry(client, &upstream, conditions, &counts).await });
            }
        }
    }
}

/// Carries one connection until one side ends it, or it is cut.
async fn carry(mut client: TcpStream, upstream: &str, mut told: watch::Receiver<Conditions>, counts: &Counts) {
    let cuts = told.borrow_and_update().cuts;
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        return reset(client);
    };
    let _open = Open::new(counts);
    // Small messages must not wait for one another here.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (up_told, down_told) = (told.clone(), told.clone());
    let is_whole = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        let both = async {
            tokio::try_join!(
                pump::run(client_read, server_write, up_told, counts, Direction::Up),
                pump::run(server_read, client_write, down_told, counts, Direction::Down),
            )
        };
        tokio::select! {
            ended = both => ended.is_ok(),
            _cut = told.wait_for(|conditions| conditions.cuts != cuts) => false,
        }
    };
    if !is_whole {
        reset(client);
        reset(server);
    }
}

/// Counts a connection while it lives, however it ends.
struct Open<'a>(&'a Counts);

impl<'a> Open<'a> {
    fn new(counts: &'a Counts) -> Self {
        counts.open.fetch_add(1, Ordering::SeqCst);
        Self(counts)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Closes with a reset in place of an orderly end.
fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
    drop(stream);
}
