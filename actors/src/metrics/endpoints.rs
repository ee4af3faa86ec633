//! The endpoints of a node and the families that show their measurements.
//!
//! An endpoint is entered when it is first registered and stays: counters must not fall when a service restarts or moves
//! away. Endpoints are declared by code, so their number is small; the limit is there for who generates them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::calls::{CallMetrics, Outcome, Refusal};
use super::cells::Cells;
use super::exposition::{Exposition, Kind};

const CALLS: &str = "roadshow_calls_total";
const HANDLER: &str = "roadshow_handler_seconds";
const WAITING_TIME: &str = "roadshow_waiting_seconds";
const IN_FLIGHT: &str = "roadshow_in_flight";
const WAITING: &str = "roadshow_waiting";
const REFUSED: &str = "roadshow_refused_total";
const ABANDONED: &str = "roadshow_abandoned_total";
const PANICS: &str = "roadshow_handler_panics_total";

/// The families that only endpoints write to.
pub(crate) const FAMILIES: [(Kind, &str); 8] = [
    (Kind::Counter, CALLS),
    (Kind::Histogram, HANDLER),
    (Kind::Histogram, WAITING_TIME),
    (Kind::Gauge, IN_FLIGHT),
    (Kind::Gauge, WAITING),
    (Kind::Counter, REFUSED),
    (Kind::Counter, ABANDONED),
    (Kind::Counter, PANICS),
];

/// How busy an endpoint is right now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Load {
    /// Calls that hold a permit.
    pub in_flight: u64,
    /// Callers that wait for one.
    pub waiting: u64,
}

type LoadFn = Arc<dyn Fn() -> Option<Load> + Send + Sync>;

#[derive(Clone)]
struct Endpoint {
    calls: CallMetrics,
    load: Option<LoadFn>,
}

#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
struct Name {
    service: String,
    version: u16,
    command: String,
}

struct Table {
    by_name: BTreeMap<Name, Endpoint>,
    /// Shared by all endpoints beyond the limit.
    overflow: Option<CallMetrics>,
}

/// All endpoints that were ever registered, up to a limit.
pub(crate) struct Endpoints {
    cells: Cells,
    max: usize,
    table: Mutex<Table>,
}

impl Endpoints {
    pub(crate) fn new(cells: &Cells, max: usize) -> Self {
        Self {
            cells: cells.clone(),
            max,
            table: Mutex::new(Table {
                by_name: BTreeMap::new(),
                overflow: None,
            }),
        }
    }

    pub(crate) fn calls(&self, service: &str, version: u16, command: &str) -> CallMetrics {
        let name = Name {
            service: service.to_owned(),
            version,
            command: command.to_owned(),
        };
        let mut table = self.table();
        if let Some(endpoint) = table.by_name.get(&name) {
            return endpoint.calls.clone();
        }
        if table.by_name.len() >= self.max {
            return table
                .overflow
                .get_or_insert_with(|| CallMetrics::new(&self.cells))
                .clone();
        }
        let calls = CallMetrics::new(&self.cells);
        table.by_name.insert(
            name,
            Endpoint {
                calls: calls.clone(),
                load: None,
            },
        );
        calls
    }

    /// Sets what is asked for the load of an endpoint; beyond the limit of endpoints nothing is.
    pub(crate) fn watch(&self, service: &str, version: u16, command: &str, load: LoadFn) {
        let _ = self.calls(service, version, command);
        let name = Name {
            service: service.to_owned(),
            version,
            command: command.to_owned(),
        };
        if let Some(endpoint) = self.table().by_name.get_mut(&name) {
            endpoint.load = Some(load);
        }
    }

    pub(crate) fn expose(&self, page: &mut Exposition) {
        // Loads are asked without the lock, so that one that registers an endpoint does not wait for itself.
        let (endpoints, overflow) = {
            let table = self.table();
            (table.by_name.clone(), table.overflow.clone())
        };
        for (name, endpoint) in &endpoints {
            let version = name.version.to_string();
            let labels = [
                ("service", name.service.as_str()),
                ("version", &version),
                ("command", &name.command),
            ];
            expose_calls(page, &labels, &endpoint.calls);
            match endpoint.load.as_ref().map(|load| load()) {
                Some(Some(load)) => expose_load(page, &labels, load),
                Some(None) => self.forget_load(name, endpoint.load.as_ref()),
                None => {}
            }
        }
        if let Some(calls) = overflow {
            expose_calls(page, &[("overflow", "true")], &calls);
        }
    }

    /// Forgets a load whose endpoint is gone, unless another one was set meanwhile.
    fn forget_load(&self, name: &Name, gone: Option<&LoadFn>) {
        if let (Some(endpoint), Some(gone)) = (self.table().by_name.get_mut(name), gone)
            && endpoint.load.as_ref().is_some_and(|load| Arc::ptr_eq(load, gone))
        {
            endpoint.load = None;
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints")
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

fn expose_calls(page: &mut Exposition, labels: &[(&str, &str)], calls: &CallMetrics) {
    for outcome in Outcome::ALL {
        let labels = with(labels, ("outcome", outcome.as_str()));
        page.counter(
            CALLS,
            "Calls that were answered, refused ones included, by outcome.",
            &labels,
            calls.calls(outcome),
        );
    }
    for refusal in Refusal::ALL {
        let labels = with(labels, ("reason", refusal.as_str()));
        page.counter(
            REFUSED,
            "Calls turned away before their handler saw them.",
            &labels,
            calls.refused(refusal),
        );
    }
    page.histogram(HANDLER, "Time that handlers took.", labels, calls.handler_seconds());
    page.histogram(
        WAITING_TIME,
        "Time that calls waited before their handler began.",
        labels,
        calls.waiting_seconds(),
    );
    page.counter(
        ABANDONED,
        "Handlers dropped because they went on after their deadline.",
        labels,
        calls.abandoned(),
    );
    page.counter(PANICS, "Handlers that panicked.", labels, calls.panics());
}

fn expose_load(page: &mut Exposition, labels: &[(&str, &str)], load: Load) {
    page.gauge(IN_FLIGHT, "Calls that hold a permit.", labels, load.in_flight as f64);
    page.gauge(WAITING, "Callers that wait for a permit.", labels, load.waiting as f64);
}

fn with<'a>(labels: &[(&'a str, &'a str)], further: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
    labels.iter().copied().chain([further]).collect()
}
