//! What probes and scrapers ask: whether the process lives, whether the node serves, and what it has counted.

use http::{HeaderValue, Method, StatusCode};
use roadshow_services::Failure;

use crate::answer::{self, Answer, METRICS, TEXT};
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
}

impl Page {
    pub(crate) fn at(path: &str) -> Option<Page> {
        match path {
            "/healthz" => Some(Page::Healthz),
            "/readyz" => Some(Page::Readyz),
            "/metrics" => Some(Page::Metrics),
            _ => None,
        }
    }

    pub(crate) async fn answer(self, door: &Door, method: &Method) -> Result<Answer, Refusal> {
        match *method {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS => return Ok(api::methods(&GETS)),
            _ => return Err(Refusal::method_not_allowed(&GETS)),
        }
        match self {
            Page::Healthz => Ok(answer::content(StatusCode::OK, TEXT, "ok\n")),
            Page::Readyz => Ok(readiness(door)),
            Page::Metrics => metrics(door).await,
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
    answer::json(status, &readiness)
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
