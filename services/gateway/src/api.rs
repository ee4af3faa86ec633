//! One request to a route of a command or a stream: found, let in, read, called, answered.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::body::{Body, Incoming};
use roadshow_services::{AddressBuf, CallOptions, Failure, Identity, PRINCIPAL_LEN_MAX, TENANT_LEN_MAX};
use tokio::time::timeout;
use tracing::error;

use crate::answer::{self, Answer, JSON};
use crate::authenticate::{Authenticate, Caller, RequestHead};
use crate::caller_headers::{self, CORRELATION, TRACEPARENT};
use crate::door::Door;
use crate::input;
use crate::media;
use crate::refusal::Refusal;
use crate::routes::{Found, Route};
use crate::streams::{self, Form};
use crate::visit::{self, Visit};

/// How long an authentication hook may take.
const AUTHENTICATION_MAX: Duration = Duration::from_secs(5);

/// Answers a request below `/api/`.
pub(crate) async fn answer<'d>(
    door: &'d Door,
    peer: SocketAddr,
    parts: &Parts,
    body: &mut Incoming,
    visit: &mut Visit<'d>,
) -> Result<Answer, Refusal> {
    let (route, values) = match door.routes.find(&parts.method, parts.uri.path()) {
        Found::Route(route, values) => (route, values),
        Found::Methods(place) => {
            enter(door, &place.routes[0], visit);
            return Ok(methods(&place.allow));
        }
        Found::WrongMethod(place) => {
            enter(door, &place.routes[0], visit);
            return Err(Refusal::method_not_allowed(&place.allow));
        }
        Found::Nothing => return Err(Refusal::no_such_path()),
    };
    enter(door, route, visit);
    if door.is_draining() {
        return Err(Refusal::draining());
    }
    let caller = let_in(door, peer, parts, route).await?;
    let form = form_of(route, &parts.headers)?;
    let timeout_max = door.node.limits().timeout_max;
    let mut options = caller_headers::options(&parts.headers, timeout_max).map_err(Refusal::before)?;
    if door.access_log {
        visit.principal.clone_from(&caller.principal);
    }
    options.principal = caller.principal;
    options.tenant = caller.tenant;
    let read = if route.has_body {
        door.bodies.read_json(&parts.headers, body, false).await?
    } else if body.is_end_stream() {
        door.bodies.read(&parts.headers, body).await?
    } else {
        let text = format!("a {} brings its input in the query and takes no body", parts.method);
        return Err(Refusal::before(Failure::invalid(text)));
    };
    let input = input::merge(route, &values, parts.uri.query(), read.bytes).map_err(Refusal::before)?;
    visit.is_heard();
    let answer = match form {
        Some(form) => streams::open(door, &route.address, input, &options, form).await,
        None => call(door, &route.address, input, &options, route.status).await,
    };
    drop(read.held);
    Ok(answer)
}

/// How a stream is told to this caller; nothing where there is no stream to tell.
fn form_of(route: &Route, headers: &HeaderMap) -> Result<Option<Form>, Refusal> {
    if !route.streams {
        let taken = media::takes_json(headers);
        return taken.then_some(None).ok_or_else(Refusal::not_acceptable);
    }
    if media::wants_events(headers) {
        return Ok(Some(Form::Events));
    }
    let taken = media::takes_json(headers);
    taken
        .then_some(Some(Form::List))
        .ok_or_else(Refusal::no_stream_acceptable)
}

/// Notes which route a request asks for. A place has at least one.
fn enter<'d>(door: &'d Door, route: &Route, visit: &mut Visit<'d>) {
    visit.meter = door.meters.route(route.number);
    visit.declared = true;
}

/// Calls a command and tells what it answered, in which conversation.
pub(crate) async fn call(
    door: &Door,
    address: &AddressBuf,
    input: Bytes,
    options: &CallOptions,
    status: StatusCode,
) -> Answer {
    let outgoing = door.node.client().outgoing(options);
    let identity = outgoing.identity().clone();
    let mut answer = match outgoing.call_json(address, input).await {
        Ok(reply) => success(status, reply),
        Err(failure) => Refusal::from(failure).into_answer(),
    };
    tell_conversation(&mut answer, &identity);
    answer
}

/// Names the conversation and the trace that a request belongs to.
pub(crate) fn tell_conversation(answer: &mut Answer, identity: &Identity) {
    let headers = answer.headers_mut();
    headers.insert(CORRELATION, visit::conversation(identity));
    headers.insert(TRACEPARENT, visit::trace(identity));
}

/// A reply of `null` is no content: 204 where the route answers 200, else the route's status with nothing in it.
fn success(status: StatusCode, reply: Bytes) -> Answer {
    match status {
        StatusCode::OK if *reply == *b"null" => answer::empty(StatusCode::NO_CONTENT),
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT => answer::empty(status),
        _ if *reply == *b"null" => answer::empty(status),
        _ => answer::content(status, JSON, reply),
    }
}

/// What OPTIONS answers: the methods, and nothing about other origins.
pub(crate) fn methods(allow: &HeaderValue) -> Answer {
    let mut answer = answer::empty(StatusCode::NO_CONTENT);
    answer.headers_mut().insert(http::header::ALLOW, allow.clone());
    answer
}

/// Lets everybody in at a public route, and only whom the hook lets in at any other.
async fn let_in(door: &Door, peer: SocketAddr, parts: &Parts, route: &Route) -> Result<Caller, Refusal> {
    if route.public {
        return Ok(Caller::anonymous());
    }
    let Some(hook) = &door.authenticate else {
        return Err(Refusal::unauthenticated(
            "this route is closed, and the node has no way to authenticate callers",
        ));
    };
    let head = RequestHead {
        method: &parts.method,
        path: parts.uri.path(),
        headers: &parts.headers,
        peer,
        command: &route.address,
    };
    let caller = ask(&**hook, &head).await.map_err(Refusal::before)?;
    if !is_sound(caller.principal.as_deref(), PRINCIPAL_LEN_MAX) || !is_sound(caller.tenant.as_deref(), TENANT_LEN_MAX)
    {
        error!(command = %route.address, "the authentication hook let a caller in whose principal or tenant is no name");
        let failure = Failure::internal("the authentication hook let in a caller without a proper name");
        return Err(Refusal::before(failure));
    }
    Ok(caller)
}

/// Whether a name that a hook gave is one, and crosses the wire whole. One that were dropped or cut there would let the
/// caller act as nobody, or as somebody else.
fn is_sound(name: Option<&str>, len_max: usize) -> bool {
    name.is_none_or(|name| !name.trim().is_empty() && name.len() <= len_max && !name.chars().any(char::is_control))
}

async fn ask(hook: &dyn Authenticate, head: &RequestHead<'_>) -> Result<Caller, Failure> {
    let asked = AssertUnwindSafe(async { hook.authenticate(head).await }).catch_unwind();
    match timeout(AUTHENTICATION_MAX, asked).await {
        Ok(Ok(decided)) => decided,
        Ok(Err(_panic)) => Err(Failure::internal("the authentication hook panicked")),
        Err(_elapsed) => Err(Failure::unavailable("the authentication hook did not decide in time")),
    }
}
