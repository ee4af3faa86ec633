//! How a node shuts down: intake first, then what is in flight, then the tree in reverse.
//!
//! Readiness turns false and outside calls are refused; deliveries that nobody has started go back uncounted; what runs,
//! what waits and what descends from it is finished, and only then does the first child stop. One budget bounds all of
//! it: what is still at work when most of it is gone is dropped, and counted.

use std::time::Duration;

use roadshow_actors::{GateState, Phase, Refused};
use roadshow_supervision::ExitKind;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tracing::{info, warn};

use super::{Inner, ServiceEntry};

/// How often the drain looks whether everybody has finished.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The part of the budget that is kept for stopping the tree, at most.
const RESERVE_MAX: Duration = Duration::from_secs(2);

/// How a shutdown went.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Drained {
    /// Calls and deliveries that were dropped at work.
    pub abandoned: usize,
    /// Children that did not stop by themselves.
    pub killed: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl Drained {
    /// Whether everything finished by itself.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.abandoned == 0 && self.killed.is_empty()
    }
}

/// How much of a shutdown's budget handlers have to finish; the rest is for stopping the tree.
#[must_use]
pub fn time_for_work(budget: Duration) -> Duration {
    budget - (budget / 4).min(RESERVE_MAX)
}

pub(super) async fn shutdown(node: &Inner, budget: Duration) -> Drained {
    let started = Instant::now();
    let for_work = time_for_work(budget);
    let reserve = budget - for_work;
    info!(node = node.core.node_id(), ?budget, "shutting down");
    node.core.enter_phase(Phase::Draining);
    node.core.intake().cancel();
    node.refuse_unless_open();
    let drain_until = started + for_work;
    let mut abandoned = 0;
    if timeout_at(drain_until, idle(node)).await.is_err() {
        abandoned = node.in_flight();
        warn!(abandoned, "the drain ran out of time: what is still at work is dropped");
        node.end_calls();
        if timeout_at(drain_until + reserve / 2, idle(node)).await.is_err() {
            warn!(left = node.in_flight(), "some handlers do not let go of their thread");
        }
    }
    node.end_calls();
    let left = (started + budget)
        .saturating_duration_since(Instant::now())
        .max(reserve / 4);
    let exit = node.root().stop(left).await;
    if exit.kind == ExitKind::Killed {
        node.chronicle.note_killed(node.root().path().to_string());
    }
    node.core.close();
    info!(node = node.core.node_id(), exit = %exit, "stopped");
    Drained {
        abandoned,
        killed: node.chronicle.killed(),
        took: started.elapsed(),
    }
}

/// Waits until no endpoint has a call at work or waiting, no answer is on its way to another node, and nobody here waits
/// for one.
async fn idle(node: &Inner) {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let is_idle = |service: &ServiceEntry| {
            let quiet = service.intake.as_ref().is_none_or(|intake| intake.is_quiet());
            quiet && service.endpoints.iter().all(|endpoint| endpoint.is_idle())
        };
        if node.core.waits_elsewhere() == 0 && node.services.iter().all(is_idle) {
            return;
        }
    }
}

impl Inner {
    /// Ends the waiting before services that have no state to run on: a drain waits for work, not for a backoff.
    fn refuse_unless_open(&self) {
        for service in &self.services {
            if service.core.gate().state() != GateState::Open {
                service.core.gate().refuse(Refused::Stopped);
            }
        }
    }

    /// Admits nothing any more, refuses whoever waits, and drops what is still at work: in this order, so that nothing
    /// begins in between.
    pub(super) fn end_calls(&self) {
        self.core.enter_phase(Phase::Stopped);
        for service in &self.services {
            service.core.gate().refuse(Refused::Stopped);
        }
        self.core.abandon_all();
    }

    /// Calls and deliveries at work or waiting.
    pub(super) fn in_flight(&self) -> usize {
        let endpoints = self.services.iter().flat_map(|service| &service.endpoints);
        endpoints
            .map(|endpoint| (endpoint.in_flight() + endpoint.waiting()) as usize)
            .sum()
    }
}
