//! The authentication hook: who may enter by a route that is not public, and as whom.
//!
//! It fails closed: a hook that refuses, fails, panics, takes too long or gives a name that is none lets nobody in. What a caller says of itself in
//! `x-principal` or `x-tenant` is never believed here; only the hook says who acts.

use std::fmt;
use std::net::SocketAddr;

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use roadshow_services::{AddressBuf, Failure};

use crate::openapi::SecurityScheme;

/// What a hook may look at: everything but the body.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path, as it was sent, without the query.
    pub path: &'a str,
    /// The headers, as they were sent.
    pub headers: &'a HeaderMap,
    /// Who is at the other end of the connection.
    pub peer: SocketAddr,
    /// The command that is asked for.
    pub command: &'a AddressBuf,
}

impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers hold credentials.
        f.debug_struct("RequestHead")
            .field("method", self.method)
            .field("path", &self.path)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// A caller whom a hook let in. Its names are 1 to 256 bytes without control characters; with any other the request is
/// refused, as `internal`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Caller {
    /// Who acts.
    pub principal: Option<Box<str>>,
    /// For which tenant.
    pub tenant: Option<Box<str>>,
}

impl Caller {
    /// A caller without a name.
    pub fn anonymous() -> Self {
        Caller::default()
    }

    /// A caller with a name.
    pub fn principal(principal: impl Into<Box<str>>) -> Self {
        Caller {
            principal: Some(principal.into()),
            tenant: None,
        }
    }

    /// Sets the tenant.
    pub fn tenant(mut self, tenant: impl Into<Box<str>>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }
}

/// Decides who may enter by a route that is not public.
///
/// ```
/// use futures_util::future::BoxFuture;
/// use roadshow_gateway::{Authenticate, Caller, RequestHead};
/// use roadshow_services::Failure;
///
/// struct ApiKey(String);
///
/// impl Authenticate for ApiKey {
///     fn authenticate<'a>(&'a self, head: &'a RequestHead<'a>) -> BoxFuture<'a, Result<Caller, Failure>> {
///         Box::pin(async move {
///             match head.headers.get("x-api-key") {
///                 Some(key) if key.as_bytes() == self.0.as_bytes() => Ok(Caller::principal("partner")),
///                 _ => Err(Failure::unauthenticated("send your key as x-api-key")),
///             }
///         })
///     }
/// }
/// ```
pub trait Authenticate: Send + Sync + 'static {
    /// Lets the caller in, or says why not.
    ///
    /// # Errors
    /// Usually `unauthenticated` or `forbidden`; the caller gets it as a problem, with `executed: no`.
    ///
    /// # Behavior
    /// It is asked before the body is read, may be dropped midway when the caller hangs up, and has five seconds.
    fn authenticate<'a>(&'a self, head: &'a RequestHead<'a>) -> BoxFuture<'a, Result<Caller, Failure>>;

    /// How callers say who they are: for the documents of the interface, and for the `www-authenticate` of a 401. It is
    /// asked when the node starts. Default: a bearer token.
    fn scheme(&self) -> SecurityScheme {
        SecurityScheme::default()
    }
}
