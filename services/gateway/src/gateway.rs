//! The gateway as a part of a node: what it is told, and how it starts.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use roadshow_services::config::Secret;
use roadshow_services::{Component, FactoryError, NodeLimits, NodeView, RunningComponent, ServiceContract};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;

use crate::activity::Patience;
use crate::authenticate::Authenticate;
use crate::body::BodyLimits;
use crate::connection::{Reception, Tls};
use crate::cors::Cors;
use crate::door::Door;
use crate::meters::Meters;
use crate::openapi::{Documents, OpenApi, Preface, SecurityScheme, openapi};
use crate::routes::Routes;
use crate::running::{ConnectionLimits, RunningGateway};
use crate::tls;

/// How many connections wait in the system's queue to be accepted; the system may allow fewer (`net.core.somaxconn`). Once
/// the queue is full, Linux answers with cookies and resets a client that says more than one thing before it is accepted.
const WAITING_MAX: u32 = 4096;

/// The HTTP door of a node, to be added with [`NodeBuilder::component`](roadshow_services::NodeBuilder::component).
///
/// It listens before anything else of the node starts and closes last. Its location is the bound `host:port`.
#[derive(Clone)]
#[must_use]
pub struct Gateway {
    address: SocketAddr,
    token: Option<Secret>,
    authenticate: Option<Arc<dyn Authenticate>>,
    body_limit: Option<usize>,
    body_timeout: Duration,
    bodies_limit: usize,
    limits: ConnectionLimits,
    tls: Option<(PathBuf, PathBuf)>,
    cors: Option<Cors>,
    access_log: bool,
    docs: bool,
    about: (String, String),
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// The component's name in the tree.
    pub const NAME: &'static str = "gateway";

    /// A gateway that listens on an address; port 0 lets the system choose.
    pub fn new(address: SocketAddr) -> Self {
        Gateway {
            address,
            token: None,
            authenticate: None,
            body_limit: None,
            body_timeout: Duration::from_secs(30),
            bodies_limit: 64 << 20,
            limits: ConnectionLimits::default(),
            tls: None,
            cors: None,
            access_log: false,
            docs: true,
            about: ("Roadshow".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        }
    }

    /// Sets the bearer token that opens the admin routes from other machines. Without one they are for this machine only.
    pub fn token(mut self, token: Secret) -> Self {
        self.token = Some(token);
        self
    }

    /// Sets who decides about callers at routes that are not public. Without one these routes answer 401.
    pub fn authenticate(mut self, hook: impl Authenticate) -> Self {
        self.authenticate = Some(Arc::new(hook));
        self
    }

    /// Sets the largest body of a request, in bytes. Default: the node's payload limit.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = Some(bytes);
        self
    }

    /// Sets what all bodies being read or worked on may hold together, in bytes; more are refused with 503. Default 64 MiB.
    pub fn bodies_limit(mut self, bytes: usize) -> Self {
        self.bodies_limit = bytes;
        self
    }

    /// Sets how long a client may take to send a request's head, and how long a connection may rest between requests.
    /// Default 10 s; the connection is then closed.
    pub fn header_timeout(mut self, timeout: Duration) -> Self {
        self.limits.header_timeout = timeout;
        self
    }

    /// Sets how long a client may take to send a request's body. Default 30 s; then 408.
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// Sets for how long a client may read nothing of an answer. Default 30 s; the connection is then closed.
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.limits.write_timeout = timeout;
        self
    }

    /// Sets how many connections are served at the same time; more wait in the system's own queue. Default 1,024.
    pub fn connections(mut self, most: NonZeroUsize) -> Self {
        self.limits.connections = most;
        self
    }

    /// Serves HTTPS in place of HTTP, with a chain of certificates and its key, both in PEM. The files are read when the
    /// node starts.
    pub fn tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls = Some((certificate.into(), key.into()));
        self
    }

    /// Lets web pages of other origins call the declared routes. Without it no page of another origin reads an answer.
    pub fn cors(mut self, cors: Cors) -> Self {
        self.cors = Some(cors);
        self
    }

    /// Writes a line at level info, target `roadshow::access`, for every answer. Default: off.
    pub fn access_log(mut self, on: bool) -> Self {
        self.access_log = on;
        self
    }

    /// Serves `/openapi.json`, `/openapi.yaml` and `/docs`. Default: on.
    pub fn docs(mut self, on: bool) -> Self {
        self.docs = on;
        self
    }

    /// Names what the documents are about, and its version.
    pub fn about(mut self, title: impl Into<String>, version: impl Into<String>) -> Self {
        self.about = (title.into(), version.into());
        self
    }

    /// The document that a node with these services and limits serves under this gateway. Starts nothing.
    #[must_use]
    pub fn openapi(&self, services: &[ServiceContract], limits: &NodeLimits) -> OpenApi {
        let mut preface = Preface::new(self.about.0.as_str(), self.about.1.as_str());
        preface.timeout_max = limits.timeout_max;
        preface.body_max = self.body_limit.unwrap_or(limits.payload_max);
        preface.security = self.security();
        openapi(&preface, services)
    }

    fn security(&self) -> SecurityScheme {
        let hook = self.authenticate.as_ref();
        hook.map_or_else(SecurityScheme::default, |hook| hook.scheme())
    }

    fn door(&self, node: NodeView) -> Result<Door, FactoryError> {
        if self.token.as_ref().is_some_and(|token| token.expose().is_empty()) {
            return Err("the admin token is empty: leave it out, or give it a text that cannot be guessed".into());
        }
        let routes = Routes::new(&node.commands(), &node.streams()).map_err(|problems| problems.join("; "))?;
        let document = self.docs.then(|| self.openapi(&node.contracts(), &node.limits()));
        Ok(Door {
            documents: document.map(|document| Documents::new(&document, self.tls.is_some())),
            meters: Meters::new(node.recorder(), routes.paths.iter().map(String::as_str)),
            cors: self.cors.clone(),
            secure: self.tls.is_some(),
            access_log: self.access_log,
            routes,
            token: self.token.clone(),
            challenge: self.security().challenge(),
            authenticate: self.authenticate.clone(),
            bodies: BodyLimits {
                bytes_max: self.body_limit.unwrap_or(node.limits().payload_max),
                timeout: self.body_timeout,
                budget: Arc::new(Semaphore::new(self.bodies_limit.min(Semaphore::MAX_PERMITS))),
            },
            scrapes: Arc::new(Semaphore::new(1)),
            node,
        })
    }
}

impl Component for Gateway {
    fn name(&self) -> &'static str {
        Gateway::NAME
    }

    fn start(&self, node: NodeView) -> BoxFuture<'_, Result<Box<dyn RunningComponent>, FactoryError>> {
        async move {
            let tls = self
                .tls
                .as_ref()
                .map(|(certificate, key)| tls::acceptor(certificate, key));
            let tls = tls.transpose()?;
            let reception = Reception {
                door: Arc::new(self.door(node)?),
                patience: Patience {
                    rest: self.limits.header_timeout,
                    write: self.limits.write_timeout,
                },
                tls: tls.map(Tls),
            };
            let listener = listen(self.address).map_err(|error| cannot_listen(self.address, &error))?;
            let address = listener
                .local_addr()
                .map_err(|error| cannot_listen(self.address, &error))?;
            let running = RunningGateway::new(listener, address, reception, self.limits.connections);
            Ok(Box::new(running) as Box<dyn RunningComponent>)
        }
        .boxed()
    }
}

/// Listens as [`TcpListener::bind`] does, with a longer queue.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // As usual on Unix: a node that is restarted need not wait until its old connections are forgotten.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING_MAX)
}

/// Says where it was tried, why it failed, and what to do.
fn cannot_listen(address: SocketAddr, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "something else listens there: stop it, or choose another address with --http or ROADSHOW_HTTP"
        }
        io::ErrorKind::PermissionDenied => "this port takes privileges: choose one above 1023",
        io::ErrorKind::AddrNotAvailable => "this machine does not have the address: choose one of its own",
        _ => "choose another address with --http or ROADSHOW_HTTP",
    };
    format!("cannot listen on {address}: {error}; {advice}")
}
