//! How a subscription takes deliveries: one at a time, each handed to its endpoint before the next is asked for.
//!
//! A delivery is taken only while a permit is free, so what cannot run stays with the bridge. From there it goes the way
//! of every call: gate, first poll in place, hand-over if it is not ready. Where order is kept per key it enters its lane
//! in order of delivery, and waits there without a permit, so that other lanes go on. Whatever waits belongs to the task
//! that takes: when that ends, it is given back uncounted.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use roadshow_bridges::{Deliveries, Delivery, Envelope, Failure, HOPS_MAX};

use crate::admission::Held;
use crate::call::{poll_budget, spend_budget};
use crate::core::Phase;
use crate::delivery_outcome::Outcome;
use crate::endpoint::EndpointCore;
use crate::hand_over::Sink;
use crate::request::Request;
use crate::running::{Ended, panic_message};
use crate::service::Incarnation;
use crate::subscription::Subscriber;

/// Why a subscription takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakeEnd {
    /// The node takes nothing any more.
    Cancelled,
    /// The bridge ended the deliveries.
    Ended,
    /// The service was given up on or stopped.
    Refused,
}

/// A delivery that waits for its lane, up to the moment in which its handler is started.
type Turn = BoxFuture<'static, Result<(), TakeEnd>>;

impl<T: Send + Sync + 'static> Subscriber<T> {
    /// Takes deliveries until the intake of the node is cancelled, the bridge ends them, or the service refuses.
    pub(crate) async fn take(self: &Arc<Self>, mut deliveries: Deliveries) -> TakeEnd {
        let intake = self.endpoint.core().node().intake().clone();
        let mut turns = FuturesUnordered::<Turn>::new();
        loop {
            while turns.is_empty() && self.takes_at_once(&mut deliveries).await {}
            let mut step = pin!(self.take_one(&mut deliveries));
            let waits = loop {
                tokio::select! {
                    biased;
                    () = intake.cancelled() => return TakeEnd::Cancelled,
                    Some(ended) = turns.next() => if let Err(end) = ended { return end },
                    taken = &mut step, if turns.len() < self.turns_max => match taken {
                        Ok(waits) => break waits,
                        Err(end) => return end,
                    },
                }
            };
            turns.extend(waits);
        }
    }

    /// Takes a delivery that is there and starts it, if nothing has to be waited for: the way of nearly all of them, which
    /// is why it waits for nothing but its share of the thread.
    async fn takes_at_once(self: &Arc<Self>, deliveries: &mut Deliveries) -> bool {
        if self.endpoint.core().lanes.is_some() {
            return false;
        }
        poll_fn(|cx| {
            ready!(poll_budget(cx));
            Poll::Ready(self.take_ready(deliveries, cx))
        })
        .await
    }

    fn take_ready(self: &Arc<Self>, deliveries: &mut Deliveries, cx: &mut Context<'_>) -> bool {
        let core = self.endpoint.core();
        if core.node().phase() > Phase::Running || self.rest.left().is_some() {
            return false;
        }
        let live = core.service().gate().peek();
        let (Some(incarnation), Some(permit)) = (&*live, core.try_permit_for_delivery()) else {
            return false;
        };
        let Some(delivery) = deliveries.try_next() else {
            return false;
        };
        match self.open(delivery.envelope()) {
            Ok((event, _no_lane)) => self.run_on(event, delivery, permit, incarnation, cx),
            Err(reason) => self.dead_letter(delivery, &reason),
        }
        true
    }

    /// Takes one delivery and starts it, or returns its turn where it has to wait for its lane. Dropped midway, it gives
    /// back what it holds.
    async fn take_one(self: &Arc<Self>, deliveries: &mut Deliveries) -> Result<Option<Turn>, TakeEnd> {
        spend_budget().await;
        self.rest.over().await;
        let core = self.endpoint.core();
        core.free_permit().await;
        let delivery = match deliveries.try_next() {
            Some(delivery) => delivery,
            None => deliveries.next().await.ok_or(TakeEnd::Ended)?,
        };
        let (event, lane) = match self.open(delivery.envelope()) {
            Ok(opened) => opened,
            Err(reason) => {
                self.dead_letter(delivery, &reason);
                return Ok(None);
            }
        };
        if lane.is_none() {
            let permit = core.permit_for_delivery(None).await;
            self.start(event, delivery, permit).await?;
            return Ok(None);
        }
        let this = Arc::clone(self);
        let mut turn: Turn = Box::pin(async move {
            let permit = this.endpoint.core().permit_for_delivery(lane).await;
            this.start(event, delivery, permit).await
        });
        // Its first poll puts it into its lane, behind all that were taken before it.
        match (&mut turn).now_or_never() {
            Some(ended) => ended.map(|()| None),
            None => Ok(Some(turn)),
        }
    }

    /// The event of a delivery and its lane. Both are the author's code: a panic there costs this delivery alone.
    fn open(&self, envelope: &Envelope) -> Result<(Arc<T>, Option<usize>), String> {
        if envelope.identity.hops >= HOPS_MAX {
            return Err(format!("the conversation has taken {HOPS_MAX} hops: is it a loop?"));
        }
        let opened = catch_unwind(AssertUnwindSafe(|| -> Result<_, Failure> {
            let event = (self.read)(envelope)?;
            let lane = self.endpoint.lane_of(&event);
            Ok((event, lane))
        }));
        match opened {
            Ok(opened) => opened.map_err(|failure| failure.to_string()),
            Err(panic) => Err(format!("reading it panicked: {}", panic_message(&*panic))),
        }
    }

    /// Passes the gate and runs the handler.
    async fn start(
        self: &Arc<Self>,
        event: Arc<T>,
        delivery: Delivery,
        permit: Held<Arc<EndpointCore>>,
    ) -> Result<(), TakeEnd> {
        let gate = self.endpoint.core().service().gate();
        let incarnation = match gate.live() {
            Some(incarnation) => incarnation,
            None => gate.wait().await.map_err(|_refused| TakeEnd::Refused)?,
        };
        if let Some(left) = self.rest.left() {
            delivery.give_back(left);
            return Ok(());
        }
        let mut call = Some((event, delivery, permit));
        poll_fn(|cx| {
            if let Some((event, delivery, permit)) = call.take() {
                self.run_on(event, delivery, permit, &incarnation, cx);
            }
            Poll::Ready(())
        })
        .await;
        Ok(())
    }

    /// Begins the attempt and runs the handler.
    fn run_on(
        self: &Arc<Self>,
        event: Arc<T>,
        mut delivery: Delivery,
        permit: Held<Arc<EndpointCore>>,
        incarnation: &Arc<Incarnation>,
        cx: &mut Context<'_>,
    ) {
        let attempt = delivery.begin();
        let envelope = delivery.shared_envelope();
        let sink = DeliverySink {
            subscriber: Arc::clone(self),
            delivery,
            attempt,
        };
        let request = Request::delivery(&envelope.identity, attempt);
        self.endpoint.deliver(event, request, permit, incarnation, sink, cx);
    }
}

/// A subscription that takes deliveries, until this is dropped with the task that takes them.
pub(crate) struct Confirmed<T>(Arc<Subscriber<T>>);

impl<T> Confirmed<T> {
    pub(crate) fn mark(subscriber: &Arc<Subscriber<T>>) -> Self {
        subscriber.subscribed.store(true, Ordering::Release);
        Confirmed(Arc::clone(subscriber))
    }
}

impl<T> Drop for Confirmed<T> {
    fn drop(&mut self) {
        self.0.subscribed.store(false, Ordering::Release);
    }
}

/// Settles a delivery when its handler ends.
struct DeliverySink<T> {
    subscriber: Arc<Subscriber<T>>,
    delivery: Delivery,
    attempt: u32,
}

impl<T: Send + Sync + 'static> Sink<Outcome> for DeliverySink<T> {
    // A delivery that keeps crashing ends in the dead letters, which bounds it without the restart budget.
    const CRASHES_COUNT: bool = false;
    // Until its handler has ended nobody else may start on it.
    const TOLD_WHEN_LATE: bool = false;

    fn poll_gone(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn end(self, ended: Ended<Outcome>) {
        self.subscriber.end(self.delivery, self.attempt, ended);
    }
}

#[cfg(test)]
mod tests;
