//! Admission: everything that may keep a call from its handler, and what it is told.
//!
//! Whatever is refused here was not executed, and says so: these are the failures that are safe to retry.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use roadshow_bridges::{Executed, Failure, HOPS_MAX};

use crate::clock::Stamp;
use crate::core::Phase;
use crate::endpoint::{Endpoint, EndpointCore};
use crate::gate::Refused;
use crate::metrics::Refusal;
use crate::outcome::{nanos, outcome_of};
use crate::permits::Permits;
use crate::request::Request;

const IN_QUEUE: &str = "the time budget was used up in the queue";
const AT_GATE: &str = "the time budget was used up while the service was restarting";

/// A permit, and a place in a lane where order is kept per key. Both come back however the call ends.
#[derive(Debug)]
pub(crate) struct Held<C: Deref<Target = EndpointCore>> {
    /// `None` once it was moved on.
    core: Option<C>,
    lane: Option<usize>,
    /// Whether the permit itself is held, beside the lane.
    permit: bool,
}

impl Held<&EndpointCore> {
    /// Moves the permit into something that outlives the caller.
    pub(crate) fn into_owned(mut self, core: &Arc<EndpointCore>) -> Held<Arc<EndpointCore>> {
        self.core = None;
        Held {
            core: Some(Arc::clone(core)),
            lane: self.lane,
            permit: self.permit,
        }
    }
}

impl<C: Deref<Target = EndpointCore>> Drop for Held<C> {
    fn drop(&mut self) {
        let Some(core) = &self.core else { return };
        if self.permit {
            core.permits.release();
        }
        if let (Some(lane), Some(lanes)) = (self.lane, &core.lanes) {
            lanes.lane(lane).release();
        }
    }
}

impl<In, Out> Endpoint<In, Out> {
    /// The lane of an input, where order is kept per key.
    pub(crate) fn lane_of(&self, input: &In) -> Option<usize> {
        let (lanes, key_of) = (self.core.lanes.as_ref()?, self.key_of.as_ref()?);
        Some(lanes.of(&key_of(input)))
    }

    /// Takes a permit that is free, where order does not matter.
    pub(crate) fn try_admit(&self) -> Option<Held<&EndpointCore>> {
        let core = &*self.core;
        // A permit that is not held must not be made: dropping it would give back another one's.
        let admitted = core.lanes.is_none() && core.permits.try_acquire();
        admitted.then(|| Held {
            core: Some(core),
            lane: None,
            permit: true,
        })
    }

    /// Takes a permit, after a turn in `lane` where order is kept per key.
    pub(crate) async fn admit(
        &self,
        lane: Option<usize>,
        deadline: Stamp,
        started: Stamp,
    ) -> Result<Held<&EndpointCore>, Failure> {
        let core = &*self.core;
        let mut held = Held {
            core: Some(core),
            lane: None,
            permit: false,
        };
        if let (Some(lanes), Some(lane)) = (&core.lanes, lane) {
            if !lanes.lane(lane).try_acquire() {
                let _place = lanes.place().ok_or_else(|| core.full())?;
                core.take(lanes.lane(lane), deadline, started).await?;
            }
            held.lane = Some(lane);
        }
        if !core.permits.try_acquire() {
            core.take(&core.permits, deadline, started).await?;
        }
        held.permit = true;
        Ok(held)
    }
}

impl EndpointCore {
    /// The checks that need no waiting.
    pub(crate) fn check(&self, request: &Request<'_>, now: Stamp, deadline: Stamp) -> Result<(), Failure> {
        let phase = self.node().phase();
        if phase == Phase::Stopped || (request.is_outside() && phase == Phase::Draining) {
            return Err(self.refuse(Refusal::Draining, Failure::unavailable("this node is shutting down")));
        }
        if let Some(why) = self.service.gate().refused() {
            return Err(self.gate_refuses(why));
        }
        if request.hops() >= HOPS_MAX {
            let text = format!("the conversation has taken {HOPS_MAX} hops: is it a loop?");
            return Err(self.refuse(Refusal::TooManyHops, Failure::exhausted(text)));
        }
        if deadline <= now {
            return Err(self.refuse(
                Refusal::Expired,
                Failure::timeout("the time budget was used up before the call"),
            ));
        }
        if let Some(rate) = &self.rate {
            rate.check(request.who())
                .map_err(|failure| self.refuse(Refusal::RateLimited, failure))?;
        }
        Ok(())
    }

    /// Waits until a permit is free, and leaves it free: for intakes that ask the broker only for what can run.
    pub(crate) async fn free_permit(&self) {
        self.permits.until_free().await;
    }

    /// A permit of its own for one delivery, if one is free now.
    pub(crate) fn try_permit_for_delivery(self: &Arc<Self>) -> Option<Held<Arc<EndpointCore>>> {
        self.permits.try_acquire().then(|| Held {
            core: Some(Arc::clone(self)),
            lane: None,
            permit: true,
        })
    }

    /// A permit of its own for one delivery, whenever one is free, after its turn in `lane`: in the order of the first
    /// polls of these futures.
    pub(crate) async fn permit_for_delivery(self: &Arc<Self>, lane: Option<usize>) -> Held<Arc<EndpointCore>> {
        let mut held = Held {
            core: Some(Arc::clone(self)),
            lane: None,
            permit: false,
        };
        if let (Some(lane), Some(lanes)) = (lane, &self.lanes) {
            lanes.lane(lane).wait().await;
            held.lane = Some(lane);
        }
        self.permits.wait().await;
        held.permit = true;
        held
    }

    /// How many may wait for one lane.
    pub(crate) fn lane_waiting_max(&self) -> usize {
        self.limits.waiting.max(self.limits.concurrency.get()) as usize
    }

    async fn take(&self, permits: &Permits, deadline: Stamp, started: Stamp) -> Result<(), Failure> {
        if permits.try_acquire() {
            return Ok(());
        }
        let acquire = permits.acquire().map_err(|_full| self.full())?;
        self.until(deadline, acquire, IN_QUEUE).await?;
        let now = self.node().clock.now();
        if now >= deadline {
            // Granted and expired at the same time: nothing has started, so nothing starts.
            permits.release();
            return Err(self.refuse(Refusal::Expired, Failure::timeout(IN_QUEUE)));
        }
        self.metrics.record_waiting(nanos(now.since(started)));
        Ok(())
    }

    /// Waits in front of the gate until fresh state is published.
    pub(crate) async fn wait_at_gate(&self, deadline: Stamp) -> Result<(), Failure> {
        let _at_gate = AtGate::stand(self);
        let waits = self.service.gate().wait();
        match self.until(deadline, waits, AT_GATE).await? {
            Ok(_incarnation) if self.node().clock.now() >= deadline => {
                Err(self.refuse(Refusal::Expired, Failure::timeout(AT_GATE)))
            }
            Ok(_incarnation) => Ok(()),
            Err(why) => Err(self.gate_refuses(why)),
        }
    }

    /// The last look before a handler starts: a drain that found nobody at work may have ended meanwhile.
    pub(crate) fn check_phase(&self) -> Result<(), Failure> {
        if self.node().phase() == Phase::Stopped {
            return Err(self.refuse(Refusal::Draining, Failure::unavailable("this node is shutting down")));
        }
        Ok(())
    }

    fn gate_refuses(&self, why: Refused) -> Failure {
        let service = self.service_id();
        match why {
            Refused::Failed => {
                let text = format!("service {service} has failed and was given up on");
                self.refuse(Refusal::Failed, Failure::unavailable(text))
            }
            Refused::Stopped => {
                let text = format!("service {service} was stopped");
                self.refuse(Refusal::Draining, Failure::unavailable(text))
            }
        }
    }

    /// Waits for `future` until `deadline`, also where the caller is on no runtime or on another one.
    async fn until<F: Future>(&self, deadline: Stamp, future: F, text: &'static str) -> Result<F::Output, Failure> {
        let timeout = {
            let _on_runtime = self.node().runtime().enter();
            tokio::time::timeout_at(self.node().clock.instant(deadline), future)
        };
        timeout
            .await
            .map_err(|_elapsed| self.refuse(Refusal::Expired, Failure::timeout(text)))
    }

    fn full(&self) -> Failure {
        let limits = &self.limits;
        let text = format!(
            "{}.{} is full: {} at work, {} waiting",
            self.service_id(),
            self.name,
            limits.concurrency,
            limits.waiting
        );
        self.refuse(Refusal::Full, Failure::exhausted(text))
    }

    fn refuse(&self, reason: Refusal, failure: Failure) -> Failure {
        self.metrics.record_refused(reason, outcome_of(failure.code));
        failure.with_executed(Executed::No)
    }
}

/// A call that holds a permit and waits in front of the gate: it is not at work yet.
struct AtGate<'a>(&'a EndpointCore);

impl<'a> AtGate<'a> {
    fn stand(core: &'a EndpointCore) -> Self {
        core.at_gate.fetch_add(1, Ordering::Relaxed);
        AtGate(core)
    }
}

impl Drop for AtGate<'_> {
    fn drop(&mut self) {
        self.0.at_gate.fetch_sub(1, Ordering::Relaxed);
    }
}
