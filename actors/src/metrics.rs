//! What a node measures of itself, and the page that shows it.
//!
//! Everything hangs from [`NodeMetrics`], which a node owns: nothing here is process-wide but the number of the current
//! thread ([`ThreadSlot`] says why that is no state of a node). Recording is made for the hot path: handles
//! are resolved when something is registered ([`NodeMetrics::endpoint`]), every thread writes cells of its own without a
//! locked instruction, and the threads' cells are added up only when somebody reads. [`Recorder`] lets users' code
//! write to the same node through the `metrics` facade.
//!
//! [`NodeMetrics::render`] gives the Prometheus text format. What others know anyway (calls in flight, queue lengths, the
//! state of a bridge) is not mirrored into gauges; a collector asks for it when the page is rendered.
//!
//! Serving the page is the gateway's business, export over OTLP a later one's; neither is here.

mod buckets;
mod calls;
mod cells;
mod collector;
mod counter;
mod endpoints;
mod exposition;
mod histogram;
mod process;
mod recorder;
mod series;
#[cfg(test)]
mod strict;
mod thread_slot;

use std::fmt;
use std::sync::Arc;

use metrics::{Key, Label};

pub use buckets::{BOUNDS_MAX, Bounds, BucketTable, LADDER_BUCKETS, LADDER_NS, ladder_bucket};
pub use calls::{CallMetrics, Outcome, Refusal};
pub use cells::Cells;
pub use collector::{CollectFn, Collector, TooManyCollectors};
pub use counter::{ShardedCounter, SharedGauge};
pub use endpoints::Load;
pub use exposition::{CONTENT_TYPE, Exposition};
pub use histogram::{HistogramSnapshot, ShardedHistogram, ValueHistogram};
pub use process::Process;
pub use recorder::Recorder;
pub use series::SeriesLimits;
pub use thread_slot::{EXCLUSIVE, OVERFLOW, SLOTS, ThreadSlot};

use collector::Collectors;
use endpoints::Endpoints;
use exposition::Kind;

const RESTARTS: &str = "roadshow_supervisor_restarts_total";

/// What counters that are made elsewhere in this crate say of themselves.
const DESCRIBED: [(&str, &str); 5] = [
    (RESTARTS, "Restarts of supervised children."),
    (
        "roadshow_delivery_retries_total",
        "Deliveries that will be tried again.",
    ),
    ("roadshow_dead_letters_total", "Deliveries that nobody could handle."),
    (
        "roadshow_late_replies_total",
        "Replies and frames that arrived when nobody waited for them any more.",
    ),
    (
        "roadshow_typed_fallbacks_total",
        "Calls inside the node that were encoded because the two sides use different types.",
    ),
];

/// What may be chosen when a node's metrics are made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MetricsSettings {
    /// Labels of `roadshow_build_info` beside `version`, for example the node's id.
    pub info: Vec<(&'static str, String)>,
    /// The bounds of users' histograms, by the beginning of their name.
    pub buckets: BucketTable,
    /// How many series users may make.
    pub limits: SeriesLimits,
    /// How many endpoints are measured apart; what goes beyond shares one entry with the label `overflow="true"`.
    /// Default 1,000.
    pub endpoints: usize,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self {
            info: Vec::new(),
            buckets: BucketTable::new(),
            limits: SeriesLimits::default(),
            endpoints: 1_000,
        }
    }
}

/// The measurements of one node. A clone is another handle to them.
#[derive(Clone)]
pub struct NodeMetrics(Arc<Inner>);

struct Inner {
    info: Vec<(&'static str, String)>,
    cells: Cells,
    recorder: Recorder,
    endpoints: Endpoints,
    collectors: Collectors,
}

impl NodeMetrics {
    /// Creates measurements at zero.
    #[must_use]
    pub fn new(settings: MetricsSettings) -> Self {
        let MetricsSettings {
            info,
            buckets,
            limits,
            endpoints,
        } = settings;
        let cells = Cells::new();
        let recorder = Recorder::new(&cells, buckets, limits, &endpoints::FAMILIES);
        for (name, help) in DESCRIBED {
            recorder.describe(Kind::Counter, name, help);
        }
        let endpoints = Endpoints::new(&cells, endpoints);
        Self(Arc::new(Inner {
            info,
            cells,
            recorder,
            endpoints,
            collectors: Collectors::default(),
        }))
    }

    /// Returns the measurements of an endpoint, made at the first call. They outlive the endpoint: a service that is
    /// restarted goes on counting where it was.
    #[must_use]
    pub fn endpoint(&self, service: &str, version: u16, command: &str) -> CallMetrics {
        self.0.endpoints.calls(service, version, command)
    }

    /// Shows calls in flight and callers waiting of an endpoint, asked of `load` whenever the page is rendered, until
    /// it answers `None`. A later watch of the same endpoint takes the place of an earlier one. `load` must not
    /// block; hold the endpoint weakly in it.
    pub fn watch_load(
        &self,
        service: &str,
        version: u16,
        command: &str,
        load: impl Fn() -> Option<Load> + Send + Sync + 'static,
    ) {
        self.0.endpoints.watch(service, version, command, Arc::new(load));
    }

    /// Counts a restart. Causes are few fixed words (`panic`, `start`, `exit`), never messages.
    pub fn record_restart(&self, supervisor: &str, child: &str, cause: &str) {
        self.counter(
            RESTARTS,
            &[("supervisor", supervisor), ("child", child), ("cause", cause)],
        )
        .increment();
    }

    /// Returns the counter of this name and these labels, made at the first call. Looks a map up: keep what it returns.
    ///
    /// Beyond a limit this is the name's shared counter, and for a name that contradicts another metric one that is
    /// not shown.
    #[must_use]
    pub fn counter(&self, name: &str, labels: &[(&'static str, &str)]) -> ShardedCounter {
        let counter = self.0.recorder.counter(&key_of(name, labels));
        counter.map_or_else(|| ShardedCounter::new(&Cells::new()), |counter| (*counter).clone())
    }

    /// Returns the gauge of this name and these labels, with the same conditions as [`Self::counter`].
    #[must_use]
    pub fn gauge(&self, name: &str, labels: &[(&'static str, &str)]) -> Arc<SharedGauge> {
        self.0.recorder.gauge(&key_of(name, labels)).unwrap_or_default()
    }

    /// Returns the cells of this node, for histograms that a collector shows.
    #[must_use]
    pub fn cells(&self) -> &Cells {
        &self.0.cells
    }

    /// Returns the door for metrics of the `metrics` facade.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        self.0.recorder.clone()
    }

    /// Asks `collect` for further samples whenever the page is rendered, until what is returned is dropped. `collect`
    /// must not block; if it panics, the rest of the page is rendered without what it had not yet added.
    ///
    /// # Errors
    ///
    /// Fails when the node has 256 collectors already.
    pub fn register_collector(&self, collect: CollectFn) -> Result<Collector, TooManyCollectors> {
        self.0.collectors.register(collect)
    }

    /// Renders everything as text in the Prometheus format 0.0.4; [`CONTENT_TYPE`] is its content type.
    ///
    /// Reads two small files from `/proc` and takes about 0.1 ms for each endpoint (80 lines): with more than a few
    /// of them, call it where blocking is allowed.
    #[must_use]
    pub fn render(&self) -> String {
        let mut page = Exposition::new();
        let version = ("version", env!("CARGO_PKG_VERSION"));
        let info = self.0.info.iter().map(|(name, value)| (*name, value.as_str()));
        let info: Vec<_> = std::iter::once(version).chain(info).collect();
        page.gauge(
            "roadshow_build_info",
            "What is running; the value is always 1.",
            &info,
            1.0,
        );
        Process::read().expose(&mut page);
        self.0.endpoints.expose(&mut page);
        self.0.recorder.expose(&mut page);
        self.0.collectors.expose(&mut page);
        page.render()
    }
}

impl Default for NodeMetrics {
    fn default() -> Self {
        Self::new(MetricsSettings::default())
    }
}

impl fmt::Debug for NodeMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeMetrics")
            .field("info", &self.0.info)
            .finish_non_exhaustive()
    }
}

fn key_of(name: &str, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<Label> = labels
        .iter()
        .map(|(name, value)| Label::new(*name, (*value).to_owned()))
        .collect();
    Key::from_parts(name.to_owned(), labels)
}

#[cfg(test)]
mod tests;
