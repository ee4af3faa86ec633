//! A subscription at work: the actor that takes deliveries from a bridge and hands them to their endpoint.
//!
//! A delivery is taken only when a permit is free for it, so what cannot run stays with the bridge. From there it goes
//! the way of every call: gate, first poll in place, hand-over if it is not ready. What becomes of it is decided by its
//! outcome, once, on every path.

use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use roadshow_bridges::{Deliveries, Delivery, Envelope, Failure, Retry, Subscription};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use crate::admission::Held;
use crate::call::spend_budget;
use crate::crashes::Crashes;
use crate::delivery_outcome::Outcome;
use crate::endpoint::{Endpoint, EndpointCore};
use crate::hand_over::Sink;
use crate::metrics::ShardedCounter;
use crate::request::Request;
use crate::running::Ended;
use crate::service::Incarnation;
use crate::sync::lock_std;

/// How often one delivery may crash its handler before it goes to the dead letters.
pub const CRASHES_MAX: u8 = 3;

/// Makes the typed event of an envelope.
///
/// # Errors
/// Why the payload cannot be read; the delivery goes to the dead letters with it.
pub type ReadEvent<T> = fn(&Envelope) -> Result<Arc<T>, Failure>;

/// What a subscription is made of.
pub struct SubscriberSpec<T> {
    /// Where its deliveries are admitted and run.
    pub endpoint: Endpoint<Arc<T>, Outcome>,
    /// How a payload becomes a value.
    pub read: ReadEvent<T>,
    /// How failed deliveries are tried again.
    pub retry: Retry,
    /// What to ask the bridge for.
    pub subscription: Subscription,
}

impl<T> fmt::Debug for SubscriberSpec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriberSpec")
            .field("subscription", &self.subscription)
            .finish_non_exhaustive()
    }
}

/// A subscription of one service: outlives the incarnations of both the service and its own actor.
pub struct Subscriber<T> {
    endpoint: Endpoint<Arc<T>, Outcome>,
    read: ReadEvent<T>,
    retry: Retry,
    subscription: Subscription,
    crashes: Mutex<Crashes>,
    paused_until: Mutex<Option<tokio::time::Instant>>,
    subscribed: AtomicBool,
    retries: ShardedCounter,
    dead_letters: ShardedCounter,
}

impl<T> fmt::Debug for Subscriber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("subscription", &self.subscription)
            .finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> Subscriber<T> {
    /// A subscription that has not started.
    #[must_use]
    pub fn new(spec: SubscriberSpec<T>) -> Arc<Self> {
        let core = spec.endpoint.core();
        let metrics = core.node().metrics();
        let service = core.service_id().to_string();
        let labels = [("service", service.as_str()), ("subscription", core.name())];
        let retries = metrics.counter("roadshow_delivery_retries_total", &labels);
        let dead_letters = metrics.counter("roadshow_dead_letters_total", &labels);
        Arc::new(Subscriber {
            retries,
            dead_letters,
            endpoint: spec.endpoint,
            read: spec.read,
            retry: spec.retry,
            subscription: spec.subscription,
            crashes: Mutex::default(),
            paused_until: Mutex::default(),
            subscribed: AtomicBool::new(false),
        })
    }

    /// The endpoint of its deliveries.
    #[must_use]
    pub fn endpoint(&self) -> &Arc<EndpointCore> {
        self.endpoint.core()
    }

    /// Takes deliveries until the intake of the node is cancelled or the bridge ends them.
    async fn take(self: Arc<Self>, mut deliveries: Deliveries) -> TakeEnd {
        let intake = self.endpoint.core().node().intake().clone();
        loop {
            let step = self.take_one(&mut deliveries);
            tokio::select! {
                biased;
                () = intake.cancelled() => return TakeEnd::Cancelled,
                step = step => if let Err(end) = step { return end },
            }
        }
    }

    /// Takes one delivery and starts it. Dropped midway, it gives back what it holds.
    async fn take_one(self: &Arc<Self>, deliveries: &mut Deliveries) -> Result<(), TakeEnd> {
        spend_budget().await;
        self.rest().await;
        let core = self.endpoint.core();
        let early = match core.has_free_permit() {
            true => None,
            false => Some(core.permit_for_delivery().await),
        };
        let delivery = match deliveries.try_next() {
            Some(delivery) => delivery,
            None => deliveries.next().await.ok_or(TakeEnd::Ended)?,
        };
        let permit = match early {
            Some(permit) => permit,
            None => core.permit_for_delivery().await,
        };
        let event = match (self.read)(delivery.envelope()) {
            Ok(event) => event,
            Err(failure) => {
                self.dead_letter(delivery, &failure.to_string());
                return Ok(());
            }
        };
        let Some(lane) = self.endpoint.lane_of(&event) else {
            return self.start(event, delivery, permit).await;
        };
        // Enters the lane in order of delivery, and waits there without keeping others from theirs.
        let this = Arc::clone(self);
        let mut turn = Box::pin(async move {
            let permit = permit.with_lane(lane).await;
            if this.start(event, delivery, permit).await.is_err() {
                debug!("a delivery was given back: its service refuses");
            }
        });
        if (&mut turn).now_or_never().is_none() {
            core.node().runtime().spawn(turn);
        }
        Ok(())
    }

    /// Passes the gate and runs the handler.
    async fn start(
        self: &Arc<Self>,
        event: Arc<T>,
        mut delivery: Delivery,
        permit: Held<Arc<EndpointCore>>,
    ) -> Result<(), TakeEnd> {
        let gate = self.endpoint.core().service().gate();
        let incarnation: Arc<Incarnation> = match gate.live() {
            Some(incarnation) => incarnation,
            None => gate.wait().await.map_err(|_refused| TakeEnd::Refused)?,
        };
        let attempt = delivery.begin();
        let envelope = delivery.shared_envelope();
        let sink = DeliverySink {
            subscriber: Arc::clone(self),
            delivery,
            attempt,
        };
        let mut call = Some((event, permit, sink));
        poll_fn(|cx| {
            if let Some((event, permit, sink)) = call.take() {
                let request = Request::delivery(&envelope.identity, attempt);
                self.endpoint.deliver(event, request, permit, &incarnation, sink, cx);
            }
            Poll::Ready(())
        })
        .await;
        Ok(())
    }

    /// Waits while the subscription is paused.
    async fn rest(&self) {
        let until = *lock_std(&self.paused_until);
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
            *lock_std(&self.paused_until) = None;
        }
    }

    fn settle(&self, delivery: Delivery, attempt: u32, outcome: Outcome) {
        match outcome {
            Outcome::Ack | Outcome::Drop => delivery.ack(),
            Outcome::Retry { after, reason } => self.retry(delivery, attempt, after, &reason),
            Outcome::DeadLetter { reason } => self.dead_letter(delivery, &reason),
            Outcome::Pause { rest } => {
                *lock_std(&self.paused_until) = Some(tokio::time::Instant::now() + rest);
                delivery.give_back(rest);
            }
        }
    }

    fn retry(&self, delivery: Delivery, attempt: u32, after: Option<Duration>, reason: &str) {
        let Some(delay) = self.retry.delay(attempt, rand::random()) else {
            self.dead_letter(delivery, &format!("gave up after {attempt} attempts: {reason}"));
            return;
        };
        self.retries.increment();
        delivery.nack(after.unwrap_or(delay));
    }

    fn dead_letter(&self, delivery: Delivery, reason: &str) {
        self.dead_letters.increment();
        let envelope = delivery.envelope();
        warn!(subject = %envelope.subject, message_id = %envelope.identity.id, reason, "a delivery goes to the dead letters");
        delivery.reject(reason);
    }
}

/// A subscription that takes deliveries, until this is dropped with the task that takes them.
struct Confirmed<T>(Arc<Subscriber<T>>);

impl<T> Confirmed<T> {
    fn mark(subscriber: &Arc<Subscriber<T>>) -> Self {
        subscriber.subscribed.store(true, Ordering::Release);
        Confirmed(Arc::clone(subscriber))
    }
}

impl<T> Drop for Confirmed<T> {
    fn drop(&mut self) {
        self.0.subscribed.store(false, Ordering::Release);
    }
}

/// Why a subscription takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TakeEnd {
    /// The node takes nothing any more.
    Cancelled,
    /// The bridge ended the deliveries.
    Ended,
    /// The service was given up on or stopped.
    Refused,
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
        let DeliverySink {
            subscriber,
            delivery,
            attempt,
        } = self;
        match ended {
            Ended::Answered(Ok(outcome)) => subscriber.settle(delivery, attempt, outcome),
            Ended::Answered(Err(failure)) => subscriber.dead_letter(delivery, &failure.to_string()),
            Ended::Panicked(message) => {
                let id = delivery.envelope().identity.id;
                let crashes = lock_std(&subscriber.crashes).note(id);
                let reason = format!("crashed its handler: {message}");
                if crashes >= CRASHES_MAX {
                    lock_std(&subscriber.crashes).forget(id);
                    subscriber.dead_letter(delivery, &format!("{reason}, {crashes} times"));
                } else {
                    subscriber.retry(delivery, attempt, None, &reason);
                }
            }
            Ended::Late | Ended::Abandoned => {
                subscriber.retry(delivery, attempt, None, "no end within its time budget");
            }
        }
    }
}

/// The actor of one subscription.
#[derive(Clone, Copy, Debug, Default)]
pub struct SubscriptionActor;

/// What a subscription's actor is told, by its own task only.
#[derive(Debug)]
pub struct TakingEnded(TakeEnd);

/// The task that takes deliveries, ended with its actor.
#[derive(Debug)]
pub struct Taking(JoinHandle<()>);

impl Drop for Taking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The subscriber behind a subscription's actor, whatever its event.
pub trait AnySubscriber: Send + Sync + fmt::Debug + 'static {
    /// What to ask the bridge for.
    fn subscription(&self) -> &Subscription;
    /// Where its deliveries run.
    fn core(&self) -> &Arc<EndpointCore>;
    /// Whether the bridge has confirmed the subscription and deliveries are taken.
    fn is_subscribed(&self) -> bool;
    /// Takes deliveries; sends the actor word when it is over.
    fn run(self: Arc<Self>, deliveries: Deliveries, actor: ActorRef<TakingEnded>) -> Taking;
}

impl<T: Send + Sync + 'static> AnySubscriber for Subscriber<T> {
    fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    fn core(&self) -> &Arc<EndpointCore> {
        self.endpoint.core()
    }

    fn is_subscribed(&self) -> bool {
        self.subscribed.load(Ordering::Acquire)
    }

    fn run(self: Arc<Self>, deliveries: Deliveries, actor: ActorRef<TakingEnded>) -> Taking {
        let runtime = self.endpoint.core().node().runtime().clone();
        let confirmed = Confirmed::mark(&self);
        Taking(runtime.spawn(async move {
            let end = self.take(deliveries).await;
            drop(confirmed);
            // An actor that has ended needs no word.
            let _ = actor.send_message(TakingEnded(end));
        }))
    }
}

impl Actor for SubscriptionActor {
    type Msg = TakingEnded;
    type State = Taking;
    type Arguments = Arc<dyn AnySubscriber>;

    /// Subscribes; the bridge has confirmed it when the actor has started.
    async fn pre_start(
        &self,
        myself: ActorRef<TakingEnded>,
        subscriber: Arc<dyn AnySubscriber>,
    ) -> Result<Taking, ActorProcessingErr> {
        let bridge = subscriber.core().node().event_bridge()?;
        let deliveries = bridge.subscribe(subscriber.subscription().clone()).await?;
        Ok(subscriber.run(deliveries, myself))
    }

    async fn handle(
        &self,
        _myself: ActorRef<TakingEnded>,
        TakingEnded(end): TakingEnded,
        _taking: &mut Taking,
    ) -> Result<(), ActorProcessingErr> {
        match end {
            // Stays in the tree until it is stopped in its turn.
            TakeEnd::Cancelled | TakeEnd::Refused => Ok(()),
            TakeEnd::Ended => Err("the event bridge ended the subscription".into()),
        }
    }
}
