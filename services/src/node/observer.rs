//! What a node remembers and does about the changes in its supervision tree.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use roadshow_actors::metrics::NodeMetrics;
use roadshow_actors::{Phase, Refused, ServiceCore};
use roadshow_supervision::{BudgetKind, Event, EventKind, StopOutcome};
use serde::Serialize;
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::service::STATE_CHILD;

/// The supervisor of all services.
pub(super) const SERVICES_GROUP: &str = "services";
/// How many failures a node remembers.
const FAILURES_MAX: usize = 256;

/// One failure in the tree: what ended, why, and what was done about it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct FailureRecord {
    /// Milliseconds since the node started.
    pub at_ms: u64,
    /// The supervisor.
    pub supervisor: String,
    /// Its child.
    pub child: String,
    /// Which life of the child ended.
    pub incarnation: u64,
    /// Whether its supervisor gave up because of it.
    pub gave_up: bool,
    /// Why, outermost cause first.
    pub causes: Vec<String>,
}

/// Watches one node's tree: counts restarts, keeps the last failures, works the gates of services.
pub(super) struct Chronicle {
    metrics: NodeMetrics,
    services: OnceLock<Vec<Arc<ServiceCore>>>,
    failures: Mutex<VecDeque<FailureRecord>>,
    killed: Mutex<Vec<String>>,
    changes: watch::Sender<u64>,
}

impl Chronicle {
    pub(super) fn new(metrics: NodeMetrics) -> (Arc<Self>, watch::Receiver<u64>) {
        let (changes, receiver) = watch::channel(0);
        let chronicle = Chronicle {
            metrics,
            services: OnceLock::new(),
            failures: Mutex::default(),
            killed: Mutex::default(),
            changes,
        };
        (Arc::new(chronicle), receiver)
    }

    /// Names the services whose gates are worked.
    pub(super) fn attend(&self, services: Vec<Arc<ServiceCore>>) {
        let first = self.services.set(services);
        debug_assert!(first.is_ok(), "a chronicle belongs to one node");
    }

    pub(super) fn failures(&self) -> Vec<FailureRecord> {
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    /// Notes that something had to be killed.
    pub(super) fn note_killed(&self, path: String) {
        warn!(child = path, "killed: it did not stop within its deadline");
        self.killed.lock().unwrap_or_else(PoisonError::into_inner).push(path);
    }

    /// What did not stop by itself.
    pub(super) fn killed(&self) -> Vec<String> {
        self.killed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn event(&self, event: &Event) {
        let (supervisor, child) = (&event.supervisor, &*event.child);
        match &event.kind {
            EventKind::Started { took } => {
                debug!(%supervisor, child, incarnation = event.incarnation, ?took, "started");
            }
            EventKind::Exited(exit) if exit.is_normal() => debug!(%supervisor, child, "ended"),
            EventKind::Exited(exit) => {
                warn!(%supervisor, child, incarnation = event.incarnation, cause = %exit, "failed");
                self.remember(event, exit.causes.clone(), false);
                self.shut_gate(event);
            }
            EventKind::Restarting { delay, budget } => self.restarting(event, *delay, *budget),
            EventKind::GaveUp(exit) => {
                error!(%supervisor, child, cause = %exit, "gave up");
                self.remember(event, exit.causes.clone(), true);
                self.refuse(supervisor.name(), Refused::Failed);
            }
            EventKind::Stopped(outcome) => self.stopped(event, *outcome),
            _ => {}
        }
        self.changes.send_modify(|version| *version = version.wrapping_add(1));
    }

    fn restarting(&self, event: &Event, delay: Duration, budget: BudgetKind) {
        let cause = match budget {
            BudgetKind::Panics => "panic",
            BudgetKind::Exits => "exit",
        };
        self.metrics
            .record_restart(event.supervisor.as_str(), &event.child, cause);
        info!(supervisor = %event.supervisor, child = &*event.child, cause, ?delay, "restarting");
        let services = self.services.get().map(Vec::as_slice).unwrap_or_default();
        for service in services.iter().filter(|service| is_part_of(service, event)) {
            readmit(service, delay);
        }
    }

    fn stopped(&self, event: &Event, outcome: StopOutcome) {
        if outcome.was_forced() {
            self.note_killed(event.supervisor.join(&event.child).to_string());
        }
        // A service that was given up on stays failed: the gate keeps the first reason.
        if &*event.child == STATE_CHILD {
            self.refuse(event.supervisor.name(), Refused::Stopped);
        }
    }

    fn remember(&self, event: &Event, causes: Vec<String>, gave_up: bool) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() == FAILURES_MAX {
            failures.pop_front();
        }
        failures.push_back(FailureRecord {
            at_ms: u64::try_from(event.at.as_millis()).unwrap_or(u64::MAX),
            supervisor: event.supervisor.to_string(),
            child: event.child.to_string(),
            incarnation: event.incarnation,
            gave_up,
            causes,
        });
    }

    /// A service whose state ended has nothing to run calls on until its next start.
    fn shut_gate(&self, event: &Event) {
        if &*event.child == STATE_CHILD
            && let Some(service) = self.service(event.supervisor.name())
        {
            service.gate().shut_any();
        }
    }

    fn refuse(&self, service: &str, why: Refused) {
        if let Some(service) = self.service(service) {
            service.gate().refuse(why);
        }
    }

    fn service(&self, name: &str) -> Option<&Arc<ServiceCore>> {
        self.services
            .get()?
            .iter()
            .find(|service| service.id().to_string() == name)
    }
}

/// Whether what an event is about is the state of `service`, its supervisor, or the supervisor of all services.
fn is_part_of(service: &ServiceCore, event: &Event) -> bool {
    let id = service.id().to_string();
    match &*event.child {
        STATE_CHILD => event.supervisor.name() == id,
        child => child == SERVICES_GROUP || child == id,
    }
}

/// Lets calls wait for the state that is about to be started; in a drain only where that is at once, because nobody has
/// the time to sit out a backoff.
fn readmit(service: &ServiceCore, delay: Duration) {
    match service.node().phase() {
        Phase::Starting | Phase::Running => service.gate().readmit(),
        Phase::Draining if delay.is_zero() => {}
        _ => service.gate().refuse(Refused::Stopped),
    }
}
