//! How the deliveries of one subscription are grouped, admitted and retried.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::time::Duration;

use roadshow_actors::Limits;
use roadshow_bridges::{Retry, ServiceId, Token};

use super::command_options::ValidateFn;
use crate::event::Event;
use crate::guard::{Guard, Guards};
use crate::validate::{self, Validate};

/// The options of one subscription. Every method returns the options, to be chained.
#[must_use]
pub struct SubscriptionOptions<E: Event> {
    pub(super) limits: Limits,
    pub(super) durable: Option<&'static str>,
    pub(super) every_instance: bool,
    pub(super) retry: Retry,
    pub(super) key_of: Option<fn(&E) -> String>,
    pub(super) validate: Option<ValidateFn<E>>,
    pub(super) before: Guards<E>,
    /// Whether a concurrency of zero was asked for, which a node refuses.
    closed: bool,
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
            validate: None,
            before: Guards::default(),
            closed: false,
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
    /// The name is a token: a letter, then up to 63 letters, digits, dashes or underscores. A bridge that cannot keep
    /// events refuses the subscription when the node starts. Does not go together with
    /// [`SubscriptionOptions::every_instance`].
    pub fn durable(mut self, name: &'static str) -> Self {
        self.durable = Some(name);
        self
    }

    /// Gives every event to every instance of the service, instead of one of them.
    pub fn every_instance(mut self) -> Self {
        self.every_instance = true;
        self
    }

    /// How many deliveries may be at work at the same time. Default 256; 1 keeps their order. A node refuses to start
    /// with 0.
    pub fn concurrency(mut self, deliveries: u32) -> Self {
        self.closed = deliveries == 0;
        self.limits.concurrency = NonZeroU32::new(deliveries).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// The time budget of one delivery. Default 30 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.limits.deadline = deadline;
        self
    }

    /// How long past its deadline a handler is dropped; its delivery is tried again. Default 5 s.
    pub fn abandon_after(mut self, after: Duration) -> Self {
        self.limits.abandon_after = after;
        self
    }

    /// Gives every handler a task of its own at once: for handlers that block their thread.
    pub fn detached(mut self) -> Self {
        self.limits.detached = true;
        self
    }

    /// Checks the event's semantic rules first; what breaks them goes to the dead letters.
    pub fn validate(mut self) -> Self
    where
        E: Validate,
    {
        self.validate = Some(validate::check::<E>);
        self
    }

    /// Adds a guard before the handler. Guards are asked in order; what the first one refuses is retried or dead-lettered
    /// by its code, as [`outcome_of`](crate::outcome_of) says.
    pub fn before(mut self, guard: impl Guard<E>) -> Self {
        self.before.add(guard);
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

    /// What contradicts itself here.
    pub(super) fn problems(&self, service: ServiceId) -> Vec<String> {
        let mut problems = Vec::new();
        let this = format!("the subscription of {service} to {}", E::NAME);
        if self.closed {
            problems.push(format!(
                "{this} has a concurrency of 0: nobody would ever take a delivery"
            ));
        }
        if self.durable.is_some() && self.every_instance {
            problems.push(format!(
                "{this} is durable and for every instance: what is kept for absent subscribers needs a group, so choose one"
            ));
        }
        if let Some(Err(error)) = self.durable.map(str::parse::<Token>) {
            problems.push(format!("{this} has a durable name that is no token: {error}"));
        }
        problems
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
