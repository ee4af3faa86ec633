//! What the gateway counts: requests by route, their time, connections, and what was refused before any command.
//!
//! The labels are routes as they are declared, pages, methods and classes of status, never what a caller sent: their
//! number is known when the node starts. A handle is resolved when something is counted for the first time and kept, so
//! that counting is a load and an addition, and the page shows no rows for what never happened.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use http::{Method, StatusCode};
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use roadshow_services::MetricsRecorder;

use crate::refusal::Reason;

const REQUESTS: &str = "roadshow_http_requests_total";
const SECONDS: &str = "roadshow_http_request_seconds";
const CONNECTIONS: &str = "roadshow_http_connections";
const EVENT_STREAMS: &str = "roadshow_http_event_streams";
const REFUSED: &str = "roadshow_http_refused_total";

const METADATA: Metadata<'static> = Metadata::new("roadshow", Level::INFO, None);

/// The methods that are told apart, and the word for all others.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
/// The classes of status, and the word for a request whose caller hung up before its answer.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];
const ABANDONED: usize = CLASSES.len() - 1;
/// The pages and admin routes that are told apart; others are counted as nowhere.
const PLACES: [&str; 14] = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/openapi.yaml",
    "/docs",
    "/dashboard",
    "/_node/call",
    "/_node/emit",
    "/_node/stream",
    "/_node/enqueue",
    "/_node/tree",
    "/_node/failures",
    "none",
];

/// What is counted at one place.
pub(crate) struct Meter {
    place: Box<str>,
    answers: [[OnceLock<Counter>; CLASSES.len()]; METHODS.len()],
    seconds: OnceLock<Histogram>,
}

impl Meter {
    fn new(place: impl Into<Box<str>>) -> Self {
        Meter {
            place: place.into(),
            answers: Default::default(),
            seconds: OnceLock::new(),
        }
    }

    /// The route as it is declared, or the page.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Meter").field(&self.place).finish()
    }
}

/// Everything that the gateway of a node counts.
pub(crate) struct Meters {
    recorder: MetricsRecorder,
    routes: Box<[Meter]>,
    places: [Meter; PLACES.len()],
    connections: Gauge,
    event_streams: Gauge,
    refused: [OnceLock<Counter>; Reason::ALL.len()],
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters")
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}

impl Meters {
    /// Meters for routes, each known by its number here, and for everything else.
    pub(crate) fn new<'r>(recorder: MetricsRecorder, routes: impl IntoIterator<Item = &'r str>) -> Self {
        let describe = |name: &'static str| (name.into(), None);
        let (name, unit) = describe(REQUESTS);
        recorder.describe_counter(
            name,
            unit,
            "Requests, by route, method and class of status; status is none where the caller hung up first.".into(),
        );
        let (name, unit) = describe(SECONDS);
        let meaning = "Time from a request's head to its answer, or to the end of its caller, in seconds, by route.";
        recorder.describe_histogram(name, unit, meaning.into());
        let (name, unit) = describe(CONNECTIONS);
        recorder.describe_gauge(name, unit, "Connections that are served at this moment.".into());
        let (name, unit) = describe(EVENT_STREAMS);
        let meaning = "Streams that are told as server-sent events at this moment.";
        recorder.describe_gauge(name, unit, meaning.into());
        let (name, unit) = describe(REFUSED);
        let meaning = "Requests refused before they reached a command, by reason.";
        recorder.describe_counter(name, unit, meaning.into());
        Meters {
            routes: routes.into_iter().map(Meter::new).collect(),
            places: PLACES.map(Meter::new),
            connections: recorder.register_gauge(&Key::from_name(CONNECTIONS), &METADATA),
            event_streams: recorder.register_gauge(&Key::from_name(EVENT_STREAMS), &METADATA),
            refused: Default::default(),
            recorder,
        }
    }

    /// The meter of a declared route.
    pub(crate) fn route(&self, number: usize) -> &Meter {
        &self.routes[number]
    }

    /// The meter of a page or an admin route, and of nowhere for any other path.
    pub(crate) fn place(&self, path: &str) -> &Meter {
        let known = self.places.iter().find(|meter| *meter.place == *path);
        known.unwrap_or(self.nowhere())
    }

    /// The meter of what is found nowhere.
    pub(crate) fn nowhere(&self) -> &Meter {
        &self.places[PLACES.len() - 1]
    }

    /// Counts a connection until what is returned is dropped.
    pub(crate) fn connection(&self) -> Connected {
        self.connections.increment(1.0);
        Connected(self.connections.clone())
    }

    /// Counts a stream of events until what is returned is dropped.
    pub(crate) fn streaming(&self) -> Streaming {
        self.event_streams.increment(1.0);
        Streaming(self.event_streams.clone())
    }

    /// Counts a request that is refused before it reaches a command.
    pub(crate) fn refuse(&self, reason: Reason) {
        let counter = self.refused[reason as usize].get_or_init(|| {
            let labels = vec![Label::from_static_parts("reason", reason.as_str())];
            self.recorder
                .register_counter(&Key::from_parts(REFUSED, labels), &METADATA)
        });
        counter.increment(1);
    }

    /// Counts an answer.
    pub(crate) fn answer(&self, meter: &Meter, method: &Method, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, ABANDONED) - 1;
        self.count(meter, method, class, took);
    }

    /// Counts a request that nobody waits for any longer.
    pub(crate) fn abandon(&self, meter: &Meter, method: &Method, took: Duration) {
        self.count(meter, method, ABANDONED, took);
    }

    fn count(&self, meter: &Meter, method: &Method, class: usize, took: Duration) {
        let method = method_number(method);
        let counter = meter.answers[method][class].get_or_init(|| {
            let labels = vec![
                Label::new("route", meter.place.to_string()),
                Label::from_static_parts("method", METHODS[method]),
                Label::from_static_parts("status", CLASSES[class]),
            ];
            self.recorder
                .register_counter(&Key::from_parts(REQUESTS, labels), &METADATA)
        });
        counter.increment(1);
        let seconds = meter.seconds.get_or_init(|| {
            let labels = vec![Label::new("route", meter.place.to_string())];
            self.recorder
                .register_histogram(&Key::from_parts(SECONDS, labels), &METADATA)
        });
        seconds.record(took.as_secs_f64());
    }
}

fn method_number(method: &Method) -> usize {
    match *method {
        Method::GET => 0,
        Method::HEAD => 1,
        Method::POST => 2,
        Method::PUT => 3,
        Method::PATCH => 4,
        Method::DELETE => 5,
        Method::OPTIONS => 6,
        _ => METHODS.len() - 1,
    }
}

/// A connection that is counted.
pub(crate) struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// A stream of events that is counted.
pub(crate) struct Streaming(Gauge);

impl fmt::Debug for Streaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streaming")
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_have_their_own_number_or_share_one() {
        for (number, name) in METHODS[..7].iter().enumerate() {
            let method = Method::from_bytes(name.as_bytes()).expect("a method");
            assert_eq!(method_number(&method), number, "{name}");
        }
        for method in [
            Method::TRACE,
            Method::CONNECT,
            Method::from_bytes(b"BREW").expect("a method"),
        ] {
            assert_eq!(METHODS[method_number(&method)], "other");
        }
    }
}
