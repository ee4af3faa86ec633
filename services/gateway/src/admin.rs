//! The admin routes: any command, any stream, any event, the supervision tree and its failures, for whoever runs the node.

use std::net::SocketAddr;

use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use hyper::body::Incoming;
use roadshow_services::{AddressBuf, CallOptions, EventNameBuf, Failure, TreeNode};
use serde::Serialize;

use crate::access;
use crate::answer::{self, Answer};
use crate::api;
use crate::caller_headers;
use crate::door::Door;
use crate::media;
use crate::refusal::Refusal;
use crate::streams::{self, Form};
use crate::visit::Visit;

/// Where they are.
pub(crate) const PREFIX: &str = "/_node/";

const GETS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");
const POSTS: HeaderValue = HeaderValue::from_static("OPTIONS, POST");

/// What an admin route does.
enum Act<'p> {
    Call(&'p str),
    Stream(&'p str),
    Emit(&'p str),
    Tree,
    Failures,
}

impl Act<'_> {
    /// What the gateway's metrics and its log call it.
    fn place(&self) -> &'static str {
        match self {
            Act::Call(_) => "/_node/call",
            Act::Stream(_) => "/_node/stream",
            Act::Emit(_) => "/_node/emit",
            Act::Tree => "/_node/tree",
            Act::Failures => "/_node/failures",
        }
    }
}

/// The supervision tree, and whose it is: ids in the tree are the same on every node.
#[derive(Serialize)]
struct NodeTree {
    node: String,
    #[serde(flatten)]
    tree: TreeNode,
}

impl NodeTree {
    fn of(door: &Door) -> Self {
        Self {
            node: door.node.id().to_owned(),
            tree: door.node.tree(),
        }
    }
}

/// Answers a request below [`PREFIX`].
pub(crate) async fn answer<'d>(
    door: &'d Door,
    peer: SocketAddr,
    parts: &Parts,
    body: &mut Incoming,
    visit: &mut Visit<'d>,
) -> Result<Answer, Refusal> {
    let act = act_of(parts.uri.path());
    visit.meter = door.meters.place(act.as_ref().map_or("", Act::place));
    access::check(peer, parts, door.token.as_ref())?;
    let act = act.ok_or_else(Refusal::no_such_path)?;
    let allow = match act {
        Act::Call(_) | Act::Stream(_) | Act::Emit(_) => POSTS,
        Act::Tree | Act::Failures => GETS,
    };
    if parts.method == Method::OPTIONS {
        return Ok(api::methods(&allow));
    }
    if !allow
        .to_str()
        .unwrap_or_default()
        .split(", ")
        .any(|method| method == parts.method.as_str())
    {
        return Err(Refusal::method_not_allowed(&allow));
    }
    match act {
        Act::Tree => Ok(answer::json(StatusCode::OK, &NodeTree::of(door))),
        Act::Failures => Ok(answer::json(StatusCode::OK, &door.node.failures())),
        Act::Call(path) => call(door, path, parts, body, visit).await,
        Act::Stream(path) => stream(door, path, parts, body, visit).await,
        Act::Emit(name) => emit(door, name, parts, body, visit).await,
    }
}

fn act_of(path: &str) -> Option<Act<'_>> {
    match path.strip_prefix(PREFIX)? {
        "tree" => Some(Act::Tree),
        "failures" => Some(Act::Failures),
        path => {
            let (act, rest) = path.split_once('/')?;
            match act {
                "call" => Some(Act::Call(rest)),
                "stream" => Some(Act::Stream(rest)),
                "emit" => Some(Act::Emit(rest)),
                _ => None,
            }
        }
    }
}

async fn call(
    door: &Door,
    path: &str,
    parts: &Parts,
    body: &mut Incoming,
    visit: &mut Visit<'_>,
) -> Result<Answer, Refusal> {
    let address = address_of(path)?;
    before_any(door, parts)?;
    let options = trusted_options(door, parts, visit)?;
    let read = door.bodies.read_json(&parts.headers, body, true).await?;
    visit.is_heard();
    let answer = api::call(door, &address, read.bytes, &options, StatusCode::OK).await;
    drop(read.held);
    Ok(answer)
}

/// Always events: whoever runs the node wants to see them as they come.
async fn stream(
    door: &Door,
    path: &str,
    parts: &Parts,
    body: &mut Incoming,
    visit: &mut Visit<'_>,
) -> Result<Answer, Refusal> {
    let address = address_of(path)?;
    if door.is_draining() {
        return Err(Refusal::draining());
    }
    if !media::takes_events(&parts.headers) {
        return Err(Refusal::no_stream_acceptable());
    }
    let options = trusted_options(door, parts, visit)?;
    let read = door.bodies.read_json(&parts.headers, body, true).await?;
    visit.is_heard();
    let answer = streams::open(door, &address, read.bytes, &options, Form::Events).await;
    drop(read.held);
    Ok(answer)
}

/// The address in a path of three segments.
fn address_of(path: &str) -> Result<AddressBuf, Refusal> {
    let segments: Vec<&str> = path.split('/').collect();
    let [service, version, name] = segments[..] else {
        return Err(Refusal::no_such_path());
    };
    format!("{service}.{version}.{name}").parse().map_err(invalid)
}

async fn emit(
    door: &Door,
    name: &str,
    parts: &Parts,
    body: &mut Incoming,
    visit: &mut Visit<'_>,
) -> Result<Answer, Refusal> {
    let event: EventNameBuf = name.parse().map_err(invalid)?;
    before_any(door, parts)?;
    let options = trusted_options(door, parts, visit)?;
    let read = door.bodies.read_json(&parts.headers, body, true).await?;
    let outgoing = door.node.client().outgoing(&options);
    let identity = outgoing.identity().clone();
    let mut answer = match outgoing.emit_json(&event, read.bytes).await {
        Ok(()) => answer::empty(StatusCode::ACCEPTED),
        Err(failure) => Refusal::from(failure).into_answer(),
    };
    api::tell_conversation(&mut answer, &identity);
    Ok(answer)
}

fn trusted_options(door: &Door, parts: &Parts, visit: &mut Visit<'_>) -> Result<CallOptions, Refusal> {
    let options = caller_headers::trusted_options(&parts.headers, door.node.limits().timeout_max);
    let options = options.map_err(Refusal::before)?;
    if door.access_log {
        visit.principal.clone_from(&options.principal);
    }
    Ok(options)
}

fn before_any(door: &Door, parts: &Parts) -> Result<(), Refusal> {
    if door.is_draining() {
        return Err(Refusal::draining());
    }
    if !media::takes_json(&parts.headers) {
        return Err(Refusal::not_acceptable());
    }
    Ok(())
}

fn invalid(error: impl std::fmt::Display) -> Refusal {
    Refusal::before(Failure::invalid(error.to_string()))
}
