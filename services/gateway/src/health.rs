//! The pages of a node: whether the process lives, whether the node serves, what it has counted, and what can be asked.

use std::net::SocketAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use roadshow_services::{Failure, Readiness};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

use crate::access;
use crate::answer::{self, Answer, JSON, METRICS, TEXT};
use crate::api;
use crate::door::Door;
use crate::refusal::Refusal;

const GETS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// Something to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Page {
    Healthz,
    Readyz,
    Metrics,
    OpenApiJson,
    OpenApiYaml,
    Docs,
}

impl Page {
    pub(crate) fn at(path: &str) -> Option<Page> {
        match path {
            "/healthz" => Some(Page::Healthz),
            "/readyz" => Some(Page::Readyz),
            "/metrics" => Some(Page::Metrics),
            "/openapi.json" => Some(Page::OpenApiJson),
            "/openapi.yaml" => Some(Page::OpenApiYaml),
            "/docs" => Some(Page::Docs),
            _ => None,
        }
    }

    pub(crate) async fn answer(self, door: &Door, peer: SocketAddr, parts: &Parts) -> Result<Answer, Refusal> {
        let documents = || door.documents.as_ref().ok_or_else(Refusal::no_such_path);
        match parts.method {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS => return Ok(api::methods(&GETS)),
            _ => return Err(Refusal::method_not_allowed(&GETS)),
        }
        match self {
            Page::Healthz => Ok(answer::content(StatusCode::OK, TEXT, "ok\n")),
            Page::Readyz => Ok(readiness(door, access::check(peer, parts, door.token.as_ref()).is_ok())),
            Page::Metrics => metrics(door).await,
            Page::OpenApiJson => Ok(documents()?.json(parts)),
            Page::OpenApiYaml => Ok(documents()?.yaml(parts)),
            Page::Docs => Ok(documents()?.page(parts)),
        }
    }
}

/// What failed inside is told to whom the admin routes are open: a failure's text may name machines and people.
fn readiness(door: &Door, trusted: bool) -> Answer {
    let mut readiness = door.node.readiness();
    if !trusted {
        readiness = readiness.without_failures();
    }
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    match a_line_per_part(&readiness) {
        Ok(text) => answer::content(status, JSON, text),
        Err(_) => answer::json(status, &readiness),
    }
}

/// Readiness as JSON, with every part on a line of its own: what `curl` shows can be read.
fn a_line_per_part(readiness: &Readiness) -> serde_json::Result<String> {
    let parts = readiness.parts.iter().map(serde_json::to_string);
    let parts = parts.collect::<Result<Vec<String>, _>>()?.join(",\n");
    Ok(format!("{{\"ready\":{},\"parts\":[\n{parts}\n]}}\n", readiness.ready))
}

async fn metrics(door: &Door) -> Result<Answer, Refusal> {
    let node = door.node.clone();
    let text = one_at_a_time(&door.scrapes, move || node.metrics_text())
        .await
        .map_err(|_| Refusal::from(Failure::internal("the metrics cannot be rendered")))?;
    Ok(answer::content(StatusCode::OK, METRICS, text))
}

/// Works off the runtime's workers, for one caller at a time: a page of metrics takes its time.
///
/// # Cancel safety
/// Work that has begun goes on, and keeps its turn until it ends.
async fn one_at_a_time<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    let turn = Arc::clone(turns).acquire_owned().await;
    let turn = turn.expect("the semaphore of the scrapers is never closed");
    spawn_blocking(move || {
        let done = work();
        drop(turn);
        done
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn who_hangs_up_keeps_its_turn_while_its_page_is_rendered() {
        let turns = Arc::new(Semaphore::new(1));
        let (begun, began) = tokio::sync::oneshot::channel();
        let (release, released) = mpsc::sync_channel::<()>(1);
        let mut first = Box::pin(one_at_a_time(&turns, move || {
            begun.send(()).expect("the test waits");
            released.recv().expect("the test lets it go");
        }));
        tokio::select! {
            _ = &mut first => panic!("it waits to be released"),
            began = began => began.expect("it begins"),
        }
        drop(first);
        assert_eq!(turns.available_permits(), 0, "the work goes on");
        release.send(()).expect("it still works");
        let second = timeout(Duration::from_secs(20), one_at_a_time(&turns, || 7)).await;
        assert_eq!(second.expect("the turn comes back").expect("it does not panic"), 7);
    }
}
