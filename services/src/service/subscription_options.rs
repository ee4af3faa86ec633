//! How the deliveries of one subscription are grouped, admitted and retried.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::time::Duration;

use roadshow_actors::Limits;
use roadshow_bridges::{Retry, ServiceId};

use crate::event::Event;

/// The options of one subscription. Every method returns the options, to be chained.
#[must_use]
pub struct SubscriptionOptions<E: Event> {
    pub(super) limits: Limits,
    pub(super) durable: Option<&'static str>,
    pub(super) every_instance: bool,
    pub(super) retry: Retry,
    pub(super) key_of: Option<fn(&E) -> String>,
    event: PhantomData<fn(E)>,
}

/// Deliveries of one subscription at work at the same time where the author says nothing.
const CONCURRENCY_DEFAULT: NonZeroU32 = NonZeroU32::new(256).expect("256 is not zero");

impl<E: Event> Default for SubscriptionOptions<E> {
    fn default() -> Self {
        let mut limits = Limits::default();
        limits.concurrency = CONCURRENCY_DEFAULT;
        SubscriptionOptions {
            limits,
            durable: None,
            every_instance: false,
            retry: Retry::exponential(5),
            key_of: None,
            event: PhantomData,
        }
    }
}

impl<E: Event> fmt::Debug for SubscriptionOptions<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriptionOptions")
            .field("event", &E::NAME)
            .field("durable", &self.durable)
            .finish_non_exhaustive()
    }
}

impl<E: Event> SubscriptionOptions<E> {
    /// Keeps events while nobody is there to take them, under a name of the subscription's own.
    ///
    /// A bridge that cannot keep events refuses the subscription when the node starts.
    pub fn durable(mut self, name: &'static str) -> Self {
        self.durable = Some(name);
        self
    }

    /// Gives every event to every instance of the service, instead of one of them.
    pub fn every_instance(mut self) -> Self {
        self.every_instance = true;
        self
    }

    /// How many deliveries may be at work at the same time. Default 256; 1 keeps their order.
    ///
    /// # Panics
    /// If `deliveries` is zero.
    pub fn concurrency(mut self, deliveries: u32) -> Self {
        self.limits.concurrency = NonZeroU32::new(deliveries).expect("a subscription that nobody may run is none");
        self
    }

    /// The time budget of one delivery. Default 30 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.limits.deadline = deadline;
        self
    }

    /// How failed deliveries are tried again. Default: 5 attempts with exponential backoff, then the dead letters.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Handles events with the same key one after the other, in order of delivery.
    pub fn ordered_by(mut self, key_of: fn(&E) -> String) -> Self {
        self.key_of = Some(key_of);
        self
    }

    /// The name of the subscription: its own, or that of the event.
    pub(super) fn name(&self) -> &'static str {
        self.durable.unwrap_or_else(|| E::NAME.as_str())
    }

    /// The group whose members share the deliveries; tokens are joined so that no two names can meet.
    pub(super) fn group(&self, service: ServiceId) -> String {
        format!(
            "{}={}={}",
            service.name(),
            service.version(),
            self.name().replace('.', "=")
        )
    }
}
