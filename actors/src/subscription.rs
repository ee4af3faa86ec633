//! A subscription: what outlives the incarnations of its service, and what becomes of its deliveries.
//!
//! What becomes of a delivery is decided by its outcome, once, on every path. How deliveries are taken is in `taking`,
//! who owns that is in `subscription_actor`.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use roadshow_bridges::{Delivery, Envelope, Failure, Retry, Subscription};
use tracing::warn;

use crate::core::Phase;
use crate::crashes::Crashes;
use crate::delivery_outcome::Outcome;
use crate::endpoint::{Endpoint, EndpointCore};
use crate::metrics::ShardedCounter;
use crate::rest::{REST_MAX, Rest};
use crate::running::Ended;
use crate::sync::lock_std;

/// How often one delivery may crash its handler before it goes to the dead letters.
pub const CRASHES_MAX: u8 = 3;

/// How many deliveries a subscription that keeps order per key holds beyond those at work: they wait for their lane.
const AHEAD_MAX: usize = 256;

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
    pub(crate) endpoint: Endpoint<Arc<T>, Outcome>,
    pub(crate) read: ReadEvent<T>,
    pub(crate) rest: Rest,
    pub(crate) subscribed: AtomicBool,
    /// How many deliveries may wait for their lane.
    pub(crate) turns_max: usize,
    pub(crate) subscription: Subscription,
    retry: Retry,
    crashes: Mutex<Crashes>,
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
        let turns_max = AHEAD_MAX.min(core.lane_waiting_max());
        let subscription = match core.lanes {
            // Else the waiting ones would fill the window, and no other lane would get a delivery.
            Some(_) => widened(spec.subscription, turns_max),
            None => spec.subscription,
        };
        Arc::new(Subscriber {
            retries,
            dead_letters,
            endpoint: spec.endpoint,
            read: spec.read,
            retry: spec.retry,
            subscription,
            turns_max,
            crashes: Mutex::default(),
            rest: Rest::default(),
            subscribed: AtomicBool::new(false),
        })
    }

    /// The endpoint of its deliveries.
    #[must_use]
    pub fn endpoint(&self) -> &Arc<EndpointCore> {
        self.endpoint.core()
    }

    /// Settles a delivery whose handler has ended.
    pub(crate) fn end(&self, delivery: Delivery, attempt: u32, ended: Ended<Outcome>) {
        match ended {
            Ended::Answered(Ok(outcome)) => self.settle(delivery, attempt, outcome),
            Ended::Answered(Err(failure)) => self.dead_letter(delivery, &failure.to_string()),
            Ended::Panicked(message) => self.crashed(delivery, attempt, &message),
            // Cut off by the node, not by its own time: it was no attempt.
            Ended::Late | Ended::Abandoned if self.endpoint.core().node().phase() >= Phase::Draining => {
                delivery.give_back(Duration::ZERO);
            }
            Ended::Late | Ended::Abandoned => {
                self.retry(delivery, attempt, None, "no end within its time budget");
            }
        }
    }

    fn crashed(&self, delivery: Delivery, attempt: u32, message: &str) {
        let id = delivery.envelope().identity.id;
        let crashes = lock_std(&self.crashes).note(id);
        let reason = format!("crashed its handler: {message}");
        if crashes >= CRASHES_MAX {
            lock_std(&self.crashes).forget(id);
            self.dead_letter(delivery, &format!("{reason}, {crashes} times"));
        } else {
            self.retry(delivery, attempt, None, &reason);
        }
    }

    fn settle(&self, delivery: Delivery, attempt: u32, outcome: Outcome) {
        match outcome {
            Outcome::Ack | Outcome::Drop => delivery.ack(),
            Outcome::Retry { after, reason } => self.retry(delivery, attempt, after, &reason),
            Outcome::DeadLetter { reason } => self.dead_letter(delivery, &reason),
            Outcome::Pause { rest } => {
                self.rest.ask(rest);
                delivery.give_back(rest.min(REST_MAX));
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

    pub(crate) fn dead_letter(&self, delivery: Delivery, reason: &str) {
        self.dead_letters.increment();
        let envelope = delivery.envelope();
        warn!(subject = %envelope.subject, message_id = %envelope.identity.id, reason, "a delivery goes to the dead letters");
        delivery.reject(reason);
    }
}

/// The subscription with room for `more` deliveries in its window.
fn widened(subscription: Subscription, more: usize) -> Subscription {
    let window = subscription.window.get().saturating_add(more);
    subscription.window(window)
}
