//! A lane of an intake: one subscription, and the commands from it that are not done yet.
//!
//! What is ready at once costs no task: it is polled where it is taken. What is not waits here, as much of it as the
//! endpoint has room for, beside the taking of the next. Where the broker keeps a backlog a delivery is taken only
//! while a permit is free; where it does not, each is taken, and refused by its endpoint if that is full.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use roadshow_bridges::{Deliveries, Delivery};
use tokio_util::sync::CancellationToken;

use super::intake::Intake;
use super::serving::{Manners, Serving, Step};
use crate::call::{poll_budget, spend_budget};
use crate::endpoint::EndpointCore;

/// Why a lane takes no more.
pub(super) enum LaneEnd {
    /// Nothing is to be taken any more, and what was taken is done.
    Drained,
    /// The bridge ended the deliveries, of this lane or of another one; this is not done yet.
    Ended(FuturesUnordered<Serving>),
}

/// One subscription of an intake.
pub(super) struct Lane {
    pub(super) intake: Arc<Intake>,
    pub(super) manners: Arc<Manners>,
    pub(super) deliveries: Deliveries,
    /// Whose permits a delivery needs before it is taken.
    pub(super) permits: Option<Arc<EndpointCore>>,
    pub(super) running: FuturesUnordered<Serving>,
    /// How much may be at work or on its way back.
    pub(super) running_max: usize,
}

impl Lane {
    /// Takes deliveries until it is `over`, with the node's intake or because another lane has ended, or until there are no
    /// more. What has arrived by then and was not started goes back as the deliveries are dropped: to another instance,
    /// wherever the bridge can.
    pub(super) async fn run(mut self, over: CancellationToken) -> LaneEnd {
        loop {
            while self.takes_at_once(&over).await {}
            let delivery = {
                let mut next = pin!(next(&mut self.deliveries, self.permits.as_ref()));
                loop {
                    tokio::select! {
                        biased;
                        () = over.cancelled() => break None,
                        Some(()) = self.running.next(), if !self.running.is_empty() => {}
                        delivery = &mut next, if self.running.len() < self.running_max => break Some(delivery),
                    }
                }
            };
            match delivery {
                None => break,
                Some(None) => return LaneEnd::Ended(self.running),
                Some(Some(delivery)) => self.serve(delivery).await,
            }
        }
        drop(self.deliveries);
        if !self.intake.node().intake().is_cancelled() {
            return LaneEnd::Ended(self.running);
        }
        while self.running.next().await.is_some() {}
        LaneEnd::Drained
    }

    /// Takes a delivery that is there and starts it, if nothing has to be waited for.
    async fn takes_at_once(&mut self, over: &CancellationToken) -> bool {
        poll_fn(|cx| {
            ready!(poll_budget(cx));
            while let Poll::Ready(Some(())) = self.running.poll_next_unpin(cx) {}
            let permitted = self.permits.as_ref().is_none_or(|core| core.permits.free() > 0);
            if over.is_cancelled() || !permitted || self.running.len() >= self.running_max {
                return Poll::Ready(false);
            }
            let delivery = self.deliveries.try_next();
            let taken = delivery.is_some();
            if let Some(delivery) = delivery {
                self.begin(delivery, cx);
            }
            Poll::Ready(taken)
        })
        .await
    }

    async fn serve(&mut self, delivery: Delivery) {
        let mut taken = Some(delivery);
        poll_fn(|cx| {
            if let Some(delivery) = taken.take() {
                self.begin(delivery, cx);
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Polls what a delivery asks for once; what is not ready then is kept.
    fn begin(&mut self, delivery: Delivery, cx: &mut Context<'_>) {
        let Step::Serve(mut serving, job) = self.intake.look(delivery, &self.manners) else {
            return;
        };
        if serving.as_mut().poll(cx).is_ready() {
            return;
        }
        if let Some(job) = job {
            self.intake.jobs.enter(&job, self.intake.node().clock.now());
        }
        self.running.push(serving);
    }
}

/// The next delivery, once a permit is free for it; `None` when there will be none.
async fn next(deliveries: &mut Deliveries, permits: Option<&Arc<EndpointCore>>) -> Option<Delivery> {
    spend_budget().await;
    if let Some(permits) = permits {
        permits.free_permit().await;
    }
    deliveries.next().await
}
