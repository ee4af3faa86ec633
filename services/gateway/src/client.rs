//! The client of a node's admin routes and pages: how a console, or a test, reaches one node over HTTP.
//!
//! One connection per request, driven by the future that asks, so that nothing runs on when the caller stops waiting; and
//! a deadline on every wait. Deliberately not here: the routes that commands declare, which any HTTP client can call.

mod error;
mod stream;
mod target;
mod trust;

use std::io;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use roadshow_services::config::Secret;
use roadshow_services::{AddressBuf, CallOptions, EventNameBuf};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use error::ClientError;
use stream::Connection;
pub use stream::NodeStream;
use target::Target;
use trust::Trust;

use crate::answer::JSON;
use crate::caller_headers::{KEY, PRINCIPAL, TENANT, TIMEOUT, TRACEPARENT, TRACESTATE};
use crate::problem::Problem;

/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long a question about the node itself may take.
const QUESTION_MAX: Duration = Duration::from_secs(10);
/// How long a call without a budget of its own may take: the most that a node allows by default.
const CALL_MAX: Duration = Duration::from_secs(60);
/// How much longer than its budget a call is waited for: the node answers at the deadline itself.
const GRACE: Duration = Duration::from_secs(5);
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A client of one node.
#[derive(Clone, Debug)]
pub struct NodeClient {
    target: Target,
    token: Option<Secret>,
    trust: Trust,
}

impl NodeClient {
    /// A client of the node at a URL such as `http://127.0.0.1:8080` or `https://shop.example`. Nothing is connected yet.
    ///
    /// Over HTTPS the node must prove who it is, to what this machine trusts or to a [`NodeClient::ca_file`].
    ///
    /// # Errors
    /// [`ClientError::Url`].
    pub fn new(url: &str) -> Result<Self, ClientError> {
        Ok(NodeClient {
            target: Target::parse(url)?,
            token: None,
            trust: Trust::default(),
        })
    }

    /// Presents the node's admin token.
    #[must_use]
    pub fn token(mut self, token: Secret) -> Self {
        self.token = Some(token);
        self
    }

    /// Trusts the certificates in a file beside those that this machine trusts: an authority of one's own, in PEM.
    ///
    /// # Errors
    /// [`ClientError::Trust`], with the file named.
    pub fn ca_file(mut self, file: impl AsRef<Path>) -> Result<Self, ClientError> {
        let trust = self.trust.and_file(file.as_ref());
        self.trust = trust.map_err(|problem| ClientError::Trust { problem })?;
        Ok(self)
    }

    /// The node's host and port.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.target.authority
    }

    /// Calls a command: JSON in, JSON out; a reply without content is `null`.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with what the command or the node answered; the other kinds where the node did not answer.
    ///
    /// # Cancel safety
    /// A handler that has started runs to its end when the future is dropped.
    pub async fn call(&self, address: &AddressBuf, payload: Bytes, options: CallOptions) -> Result<Bytes, ClientError> {
        let key = address.key();
        let path = format!("/_node/call/{}/{}/{}", key.service, key.version, key.command);
        let answer = self
            .ask(self.post(&path, payload, &options)?, patience(&options))
            .await?;
        let body = self.good(answer)?;
        Ok(if body.is_empty() {
            Bytes::from_static(b"null")
        } else {
            body
        })
    }

    /// Opens a stream: JSON in, items in JSON out, each as soon as it is there.
    ///
    /// # Errors
    /// As [`NodeClient::call`], for the opening; later ones come with the items.
    ///
    /// # Cancel safety
    /// Dropping the future, or later the stream, cancels it.
    pub async fn stream(
        &self,
        address: &AddressBuf,
        payload: Bytes,
        options: CallOptions,
    ) -> Result<NodeStream, ClientError> {
        let key = address.key();
        let path = format!("/_node/stream/{}/{}/{}", key.service, key.version, key.command);
        let mut request = self.post(&path, payload, &options)?;
        request.headers_mut().insert(ACCEPT, EVENT_STREAM);
        let patience = patience(&options);
        let stream = self.within(TcpStream::connect((self.target.host.as_str(), self.target.port)));
        let stream = stream.await?;
        if !self.target.secure {
            return self.opened(stream, request, patience).await;
        }
        let stream = self.within(self.trust.greet(stream, &self.target.host)).await?;
        self.opened(stream, request, patience).await
    }

    /// Sends a request and waits for the head of its answer; the answer goes on.
    async fn opened(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> Result<NodeStream, ClientError> {
        let opening = async {
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|error| self.lost(error))?;
            // What went wrong on it is told by what is read from it.
            let mut connection: Connection = Box::pin(async move { drop(connection.await) }.fuse());
            let mut sent = pin!(sender.send_request(request));
            let answer = tokio::select! {
                answer = &mut sent => answer,
                () = &mut connection => sent.await,
            };
            let answer = answer.map_err(|error| self.lost(error))?;
            if !answer.status().is_success() {
                return Err(self.refused(answer, connection).await);
            }
            let events = answer
                .headers()
                .get(CONTENT_TYPE)
                .is_some_and(|kind| kind == EVENT_STREAM);
            if !events {
                return Err(self.stranger("it answers without events"));
            }
            Ok(NodeStream::new(
                self.target.authority.clone(),
                answer.into_body(),
                connection,
            ))
        };
        let late = |_| ClientError::Late {
            at: self.target.authority.clone(),
            after: patience,
        };
        timeout(patience, opening).await.map_err(late)?
    }

    /// What a node answered that opened no stream.
    async fn refused(&self, answer: Response<Incoming>, connection: Connection) -> ClientError {
        let (parts, body) = answer.into_parts();
        let mut body = pin!(Limited::new(body, ANSWER_BYTES_MAX).collect());
        let body = tokio::select! {
            body = &mut body => body,
            () = connection => body.await,
        };
        match body {
            Ok(body) => match self.good(Response::from_parts(parts, body.to_bytes())) {
                Err(error) => error,
                Ok(_) => self.stranger("it opened no stream"),
            },
            Err(error) => self.lost(error),
        }
    }

    /// Publishes an event; resolves when the node's event bridge has it.
    ///
    /// # Errors
    /// As [`NodeClient::call`].
    pub async fn emit(&self, event: &EventNameBuf, payload: Bytes, options: CallOptions) -> Result<(), ClientError> {
        let request = self.post(&format!("/_node/emit/{event}"), payload, &options)?;
        let answer = self.ask(request, patience(&options)).await?;
        self.good(answer).map(drop)
    }

    /// The node's supervision tree: `id`, `kind`, `state`, `restarts`, `incarnation`, `uptime_ms`, `last_failure` and
    /// `children`, each of which is the same again.
    ///
    /// # Errors
    /// As [`NodeClient::call`].
    pub async fn tree(&self) -> Result<Value, ClientError> {
        let answer = self.get("/_node/tree").await?;
        let body = self.good(answer)?;
        self.json(&body)
    }

    /// The failures in the tree that the node noted last, oldest first.
    ///
    /// # Errors
    /// As [`NodeClient::call`].
    pub async fn failures(&self) -> Result<Value, ClientError> {
        let answer = self.get("/_node/failures").await?;
        let body = self.good(answer)?;
        self.json(&body)
    }

    /// Whether the node serves: `ready`, and the `parts` with their states. A node that is not ready is no error.
    ///
    /// # Errors
    /// As [`NodeClient::call`].
    pub async fn ready(&self) -> Result<Value, ClientError> {
        let answer = self.get("/readyz").await?;
        let told = self.json::<Value>(answer.body());
        match told {
            Ok(told) if told.get("ready").is_some_and(Value::is_boolean) => Ok(told),
            _ => Err(self
                .good(answer)
                .map_or_else(|error| error, |_| self.stranger("it does not say whether it is ready"))),
        }
    }

    /// The document of the node's declared routes: OpenAPI 3.1 as JSON, or as YAML.
    ///
    /// # Errors
    /// As [`NodeClient::call`].
    pub async fn openapi(&self, yaml: bool) -> Result<String, ClientError> {
        let path = if yaml { "/openapi.yaml" } else { "/openapi.json" };
        let answer = self.get(path).await?;
        let body = self.good(answer)?;
        String::from_utf8(body.into()).map_err(|_| self.stranger("its document is not in UTF-8"))
    }

    /// What the node has counted, as Prometheus text.
    ///
    /// # Errors
    /// As [`NodeClient::call`].
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let answer = self.get("/metrics").await?;
        let body = self.good(answer)?;
        String::from_utf8(body.into()).map_err(|_| self.stranger("its metrics are not in UTF-8"))
    }

    async fn get(&self, path: &str) -> Result<Response<Bytes>, ClientError> {
        let request = self.request(Method::GET, path, Bytes::new())?;
        self.ask(request, QUESTION_MAX).await
    }

    fn post(&self, path: &str, payload: Bytes, options: &CallOptions) -> Result<Request<Full<Bytes>>, ClientError> {
        let mut request = self.request(Method::POST, path, payload)?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        let timeout = options.timeout.map(|timeout| timeout.as_millis().max(1).to_string());
        let trace = options.trace.map(|trace| trace.to_string());
        let told = [
            (TIMEOUT, timeout.as_deref()),
            (PRINCIPAL, options.principal.as_deref()),
            (TENANT, options.tenant.as_deref()),
            (KEY, options.key.as_deref()),
            (TRACEPARENT, trace.as_deref()),
            (TRACESTATE, options.tracestate.as_deref()),
        ];
        for (name, text) in told {
            let Some(text) = text else { continue };
            let value = HeaderValue::from_bytes(text.as_bytes())
                .map_err(|_| self.unsendable(format!("{name} cannot be sent as a header")))?;
            headers.insert(name, value);
        }
        Ok(request)
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.target.authority)
            .header(ACCEPT, "*/*")
            .header(CONNECTION, "close");
        if let Some(token) = &self.token {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
                .map_err(|_| self.unsendable("the token cannot be sent as a header".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        request
            .body(Full::new(body))
            .map_err(|error| self.unsendable(error.to_string()))
    }

    /// Sends a request and waits for the whole answer.
    async fn ask(&self, request: Request<Full<Bytes>>, patience: Duration) -> Result<Response<Bytes>, ClientError> {
        let late = |_| ClientError::Late {
            at: self.target.authority.clone(),
            after: patience,
        };
        let stream = self.within(TcpStream::connect((self.target.host.as_str(), self.target.port)));
        let stream = stream.await?;
        if !self.target.secure {
            return timeout(patience, self.exchange(stream, request)).await.map_err(late)?;
        }
        let stream = self.within(self.trust.greet(stream, &self.target.host)).await?;
        timeout(patience, self.exchange(stream, request)).await.map_err(late)?
    }

    /// One step towards the node, before which nothing of the request has left.
    async fn within<T>(&self, step: impl Future<Output = io::Result<T>>) -> Result<T, ClientError> {
        timeout(CONNECT_MAX, step)
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "nobody answers")))
            .map_err(|error| self.unreachable(error))
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, ClientError> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.lost(error))?;
        let answer = async {
            let answer = sender.send_request(request).await.map_err(|error| self.lost(error))?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    return self.stranger("its answer is larger than 64 MiB");
                }
                self.lost(error)
            })?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        let mut answer = pin!(answer);
        tokio::select! {
            answered = &mut answer => answered,
            // The connection may end first; what it brought can still be read.
            _ended = connection => answer.await,
        }
    }

    /// The body of a good answer, or the problem in a bad one.
    fn good(&self, answer: Response<Bytes>) -> Result<Bytes, ClientError> {
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        Err(match serde_json::from_slice::<Problem>(answer.body()) {
            Ok(problem) => ClientError::Problem(Box::new(problem)),
            Err(_) => self.odd_status(answer.status()),
        })
    }

    fn json<T: serde::de::DeserializeOwned>(&self, body: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(body).map_err(|error| self.stranger(format!("its answer is no JSON: {error}")))
    }

    fn odd_status(&self, status: StatusCode) -> ClientError {
        self.stranger(format!("it answered {status} without a problem document"))
    }

    fn stranger(&self, problem: impl Into<String>) -> ClientError {
        ClientError::NotANode {
            at: self.target.authority.clone(),
            problem: problem.into(),
        }
    }

    fn unreachable(&self, source: io::Error) -> ClientError {
        ClientError::Unreachable {
            at: self.target.authority.clone(),
            source: source.into(),
        }
    }

    /// A request that cannot be written never reaches the node.
    fn unsendable(&self, problem: String) -> ClientError {
        ClientError::Unreachable {
            at: self.target.authority.clone(),
            source: problem.into(),
        }
    }

    fn lost(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
        ClientError::Lost {
            at: self.target.authority.clone(),
            source: source.into(),
        }
    }
}

fn patience(options: &CallOptions) -> Duration {
    options.timeout.unwrap_or(CALL_MAX) + GRACE
}
