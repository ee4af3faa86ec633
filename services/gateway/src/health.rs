//! The pages of a node: whether the process lives, whether the node serves, what it has counted, and what can be asked.

use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use roadshow_services::{Failure, Readiness};

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

    pub(crate) async fn answer(self, door: &Door, parts: &Parts) -> Result<Answer, Refusal> {
        let documents = || door.documents.as_ref().ok_or_else(Refusal::no_such_path);
        match parts.method {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS => return Ok(api::methods(&GETS)),
            _ => return Err(Refusal::method_not_allowed(&GETS)),
        }
        match self {
            Page::Healthz => Ok(answer::content(StatusCode::OK, TEXT, "ok\n")),
            Page::Readyz => Ok(readiness(door)),
            Page::Metrics => metrics(door).await,
            Page::OpenApiJson => Ok(documents()?.json(parts)),
            Page::OpenApiYaml => Ok(documents()?.yaml(parts)),
            Page::Docs => Ok(documents()?.page(parts)),
        }
    }
}

fn readiness(door: &Door) -> Answer {
    let readiness = door.node.readiness();
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

/// Renders off the runtime's workers, for one scraper at a time: a page of metrics takes its time.
async fn metrics(door: &Door) -> Result<Answer, Refusal> {
    let broken = |_| Refusal::from(Failure::internal("the metrics cannot be rendered"));
    let turn = door
        .scrapes
        .acquire()
        .await
        .expect("the semaphore of the scrapers is never closed");
    let node = door.node.clone();
    let text = tokio::task::spawn_blocking(move || node.metrics_text())
        .await
        .map_err(broken)?;
    drop(turn);
    Ok(answer::content(StatusCode::OK, METRICS, text))
}
