//! The door: where every request comes in and every answer goes out.

use std::fmt;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use http::header::{CONNECTION, HOST};
use http::request::Parts;
use http::{HeaderValue, Request, Version};
use hyper::body::Incoming;
use roadshow_services::config::Secret;
use roadshow_services::{Failure, NodeView, Phase};
use tokio::sync::Semaphore;
use tracing::{debug, error};

use crate::answer::Answer;
use crate::authenticate::Authenticate;
use crate::body::BodyLimits;
use crate::health::Page;
use crate::refusal::Refusal;
use crate::routes::Routes;
use crate::{admin, api};

/// Everything that answering takes; shared by all connections.
pub(crate) struct Door {
    pub(crate) node: NodeView,
    pub(crate) routes: Routes,
    pub(crate) token: Option<Secret>,
    pub(crate) authenticate: Option<Arc<dyn Authenticate>>,
    pub(crate) bodies: BodyLimits,
    /// Lets one scraper render at a time.
    pub(crate) scrapes: Semaphore,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Door {
    /// Answers one request. Whatever goes wrong, there is an answer; the future may be dropped midway, and a handler that
    /// has started then still runs to its end.
    pub(crate) async fn answer(&self, peer: SocketAddr, request: Request<Incoming>) -> Answer {
        let (parts, body) = request.into_parts();
        let answered = AssertUnwindSafe(self.route(peer, &parts, body)).catch_unwind().await;
        let mut answer = match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(refusal)) => refusal.into_answer(),
            Err(_panic) => {
                error!(method = %parts.method, path = parts.uri.path(), "answering a request panicked");
                Refusal::from(Failure::internal("the gateway failed"))
                    .closing()
                    .into_answer()
            }
        };
        if self.is_draining() {
            answer
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        debug!(%peer, method = %parts.method, path = parts.uri.path(), status = answer.status().as_u16(), "answered");
        answer
    }

    /// Whether new calls are refused.
    pub(crate) fn is_draining(&self) -> bool {
        matches!(self.node.phase(), Phase::Draining | Phase::Stopped)
    }

    async fn route(&self, peer: SocketAddr, parts: &Parts, body: Incoming) -> Result<Answer, Refusal> {
        check_host(parts)?;
        let path = parts.uri.path();
        if let Some(page) = Page::at(path) {
            page.answer(self, &parts.method).await
        } else if path.starts_with(admin::PREFIX) {
            admin::answer(self, peer, parts, body).await
        } else {
            api::answer(self, peer, parts, body).await
        }
    }
}

/// A request names one host: HTTP/1.1 in one Host header, HTTP/2 in its target, with which a header must then agree. With
/// none or several it may mean different things to different readers.
fn check_host(parts: &Parts) -> Result<(), Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let clear = match (hosts.next(), hosts.next(), parts.version) {
        (_, Some(_), _) => false,
        (Some(host), None, Version::HTTP_2) => parts
            .uri
            .authority()
            .is_none_or(|authority| authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes())),
        (None, None, Version::HTTP_2) => parts.uri.authority().is_some(),
        (None, None, Version::HTTP_11) => false,
        _ => true,
    };
    if clear {
        return Ok(());
    }
    Err(Refusal::before(Failure::invalid(
        "a request has one host header, which agrees with its target",
    ))
    .closing())
}
