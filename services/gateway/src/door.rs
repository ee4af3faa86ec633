//! The door: where every request comes in and every answer goes out.

use std::fmt;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use http::header::{CONNECTION, CONTENT_LENGTH, STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode, Version};
use hyper::body::Incoming;
use roadshow_services::config::Secret;
use roadshow_services::{CallOptions, Failure, NodeView, Phase};
use tokio::sync::Semaphore;
use tracing::error;

use crate::answer::Answer;
use crate::asked::Asked;
use crate::authenticate::Authenticate;
use crate::body::BodyLimits;
use crate::caller_headers::CORRELATION;
use crate::content::Content;
use crate::cors::Cors;
use crate::half_open::Heard;
use crate::health::Page;
use crate::meters::Meters;
use crate::openapi::Documents;
use crate::refusal::Refusal;
use crate::routes::Routes;
use crate::visit::{self, REQUEST_ID, Visit, request_id_of};
use crate::{access, admin, api, form};

/// A browser that has been here over HTTPS comes back over nothing else, for two years.
const ONLY_HTTPS: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// Everything that answering takes; shared by all connections.
pub(crate) struct Door {
    pub(crate) node: NodeView,
    pub(crate) routes: Routes,
    pub(crate) token: Option<Secret>,
    pub(crate) authenticate: Option<Arc<dyn Authenticate>>,
    /// How a caller of a declared route that is not known is asked who it is.
    pub(crate) challenge: HeaderValue,
    pub(crate) bodies: BodyLimits,
    /// Which pages of other origins may read answers.
    pub(crate) cors: Option<Cors>,
    /// Whether the door serves TLS.
    pub(crate) secure: bool,
    pub(crate) access_log: bool,
    pub(crate) meters: Meters,
    /// What the commands promise, where that is served.
    pub(crate) documents: Option<Documents>,
    /// Lets one scraper render at a time.
    pub(crate) scrapes: Arc<Semaphore>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Door {
    /// Answers one request. Whatever goes wrong, there is an answer; the future may be dropped midway, and a handler that
    /// has started then still runs to its end. A request that is dropped so is counted and logged as abandoned.
    pub(crate) async fn answer(&self, peer: SocketAddr, request: Request<Incoming>, heard: Option<&Heard>) -> Answer {
        let (parts, mut body) = request.into_parts();
        let mut asked = Asked::new(self, peer, parts, heard);
        let answered = AssertUnwindSafe(self.route(peer, &asked.parts, &mut body, &mut asked.visit))
            .catch_unwind()
            .await;
        let mut answer = match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(refusal)) => {
                if let Some(reason) = refusal.reason() {
                    self.meters.refuse(reason);
                }
                refusal.into_answer()
            }
            Err(_panic) => {
                let (method, path) = (&asked.parts.method, asked.parts.uri.path());
                error!(%method, path, "answering a request panicked");
                Refusal::from(Failure::internal("the gateway failed"))
                    .closing()
                    .into_answer()
            }
        };
        if let Some(heard) = heard {
            heard.set(false);
        }
        form::leave(&asked.parts, &mut body, &mut answer).await;
        self.complete(&mut answer, &asked.parts, &asked.visit);
        asked.answered(&answer);
        answer
    }

    /// Whether new calls are refused.
    pub(crate) fn is_draining(&self) -> bool {
        matches!(self.node.phase(), Phase::Draining | Phase::Stopped)
    }

    async fn route<'d>(
        &'d self,
        peer: SocketAddr,
        parts: &Parts,
        body: &mut Incoming,
        visit: &mut Visit<'d>,
    ) -> Result<Answer, Refusal> {
        if let Some(answer) = form::check(parts)? {
            return Ok(answer);
        }
        let path = parts.uri.path();
        if let Some(page) = Page::at(path) {
            visit.meter = self.meters.place(path);
            page.answer(self, peer, parts).await
        } else if path.starts_with(admin::PREFIX) {
            admin::answer(self, peer, parts, body, visit).await
        } else {
            api::answer(self, peer, parts, body, visit).await
        }
    }

    /// Adds what every answer carries, whoever made it.
    fn complete(&self, answer: &mut Answer, parts: &Parts, visit: &Visit<'_>) {
        if parts.version == Version::HTTP_2 && parts.method == Method::HEAD {
            // Over HTTP/1 hyper does this.
            if let Content::Whole(body) = std::mem::take(answer.body_mut()) {
                answer
                    .headers_mut()
                    .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            }
        }
        let status = answer.status();
        let headers = answer.headers_mut();
        let request_id = request_id_of(&parts.headers).or_else(|| headers.get(CORRELATION));
        let request_id = request_id.cloned().unwrap_or_else(|| {
            let fresh = self.node.client().outgoing(&CallOptions::default());
            visit::conversation(fresh.identity())
        });
        headers.insert(REQUEST_ID, request_id);
        // On this machine a promise for one port would bind every other program that a browser knows by the same name.
        if self.secure && !access::host_is_loopback(parts) {
            headers.insert(STRICT_TRANSPORT_SECURITY, ONLY_HTTPS);
        }
        if status == StatusCode::UNAUTHORIZED && visit.declared {
            headers.insert(WWW_AUTHENTICATE, self.challenge.clone());
        }
        if let Some(cors) = &self.cors
            && visit.declared
        {
            cors.tell(&parts.method, &parts.headers, headers);
        }
        // In HTTP/2 a connection says goodbye by itself, and the header is an error.
        if parts.version == Version::HTTP_2 {
            headers.remove(CONNECTION);
        } else if self.is_draining() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}
