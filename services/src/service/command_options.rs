//! How one command is admitted, guarded and reached.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use roadshow_actors::{Clock, KeyOf, Limits};
use roadshow_bridges::{Code, Failure};

use crate::command::Command;
use crate::contract::{CommandExample, CommandNotes};
use crate::guard::{Guard, Guards};
use crate::http::{HttpRoute, Method};
use crate::rate::{By, RateLimit, RateLimits};
use crate::validate::{self, Validate};

pub(super) type ValidateFn<C> = fn(&C) -> Result<(), Failure>;

/// The options of one command. Every method returns the options, to be chained.
#[must_use]
pub struct CommandOptions<C: Command> {
    pub(super) limits: Limits,
    /// Whether a concurrency of zero was asked for, which a node refuses.
    pub(super) closed: bool,
    pub(super) http: Option<HttpRoute>,
    pub(super) public: bool,
    pub(super) idempotent: bool,
    pub(super) validate: Option<ValidateFn<C>>,
    // Taken when the service is built, which happens once per node.
    pub(super) before: Guards<C>,
    pub(super) after: Guards<C::Reply>,
    pub(super) rates: Vec<(By, RateLimit)>,
    pub(super) key_of: Option<fn(&C) -> String>,
    pub(super) notes: CommandNotes,
    /// Examples that cannot be written as JSON, which a node refuses.
    pub(super) broken_examples: Vec<String>,
}

impl<C: Command> Default for CommandOptions<C> {
    fn default() -> Self {
        CommandOptions {
            limits: Limits::default(),
            closed: false,
            http: None,
            public: false,
            idempotent: false,
            validate: None,
            before: Guards::default(),
            after: Guards::default(),
            rates: Vec::new(),
            key_of: None,
            notes: CommandNotes::default(),
            broken_examples: Vec::new(),
        }
    }
}

impl<C: Command> fmt::Debug for CommandOptions<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandOptions")
            .field("address", &C::ADDRESS)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl<C: Command> CommandOptions<C> {
    /// Reaches the command over HTTP, at `path` below `/api/v<version>`. Segments like `{id}` become fields of the input.
    pub fn http(mut self, method: Method, path: &'static str) -> Self {
        self.http = Some(HttpRoute::new(method, path));
        self
    }

    /// The HTTP status of a good answer. Default 200.
    pub fn status(mut self, status: u16) -> Self {
        if let Some(http) = &mut self.http {
            http.status = status;
        }
        self
    }

    /// Opens the HTTP route to callers without authentication.
    pub fn public(mut self) -> Self {
        self.public = true;
        self
    }

    /// How many handlers may be at work at the same time. Default 256; 1 makes the command serial. A node refuses to
    /// start with 0.
    pub fn concurrency(mut self, calls: u32) -> Self {
        self.closed = calls == 0;
        self.limits.concurrency = NonZeroU32::new(calls).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// How many callers may wait for their turn; more are refused at once. Default 1,024.
    pub fn waiting(mut self, callers: u32) -> Self {
        self.limits.waiting = callers;
        self
    }

    /// The time budget of a call that brings none. Default 30 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.limits.deadline = deadline;
        self
    }

    /// How long past its deadline a handler is dropped. Default 5 s.
    pub fn abandon_after(mut self, after: Duration) -> Self {
        self.limits.abandon_after = after;
        self
    }

    /// Gives every handler a task of its own at once: for handlers that block their thread.
    pub fn detached(mut self) -> Self {
        self.limits.detached = true;
        self
    }

    /// Says that a second run with the same input changes nothing, so that it may be sent again after a node was lost.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Checks the input's semantic rules first.
    pub fn validate(mut self) -> Self
    where
        C: Validate,
    {
        self.validate = Some(validate::check::<C>);
        self
    }

    /// Adds a guard before the handler. Guards are asked in order; the first that refuses answers.
    pub fn before(mut self, guard: impl Guard<C>) -> Self {
        self.before.add(guard);
        self
    }

    /// Adds a guard on the reply.
    pub fn after(mut self, guard: impl Guard<C::Reply>) -> Self {
        self.after.add(guard);
        self
    }

    /// Limits how fast the command may be called.
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.rates.push((By::All, limit));
        self
    }

    /// Limits how fast each principal may call; callers without one share a count.
    pub fn rate_limit_per_principal(mut self, limit: RateLimit) -> Self {
        self.rates.push((By::Principal, limit));
        self
    }

    /// Limits how fast each tenant may call; callers without one share a count.
    pub fn rate_limit_per_tenant(mut self, limit: RateLimit) -> Self {
        self.rates.push((By::Tenant, limit));
        self
    }

    /// Runs calls with the same key one after the other, in order of arrival.
    pub fn ordered_by(mut self, key_of: fn(&C) -> String) -> Self {
        self.key_of = Some(key_of);
        self
    }

    /// Says in one line what the command does. Default: the first line of the input type's description.
    pub fn summary(mut self, summary: &'static str) -> Self {
        self.notes.summary = Some(summary);
        self
    }

    /// Says in CommonMark what documents tell of the command. Default: the input type's description.
    pub fn describe(mut self, description: &'static str) -> Self {
        self.notes.description = Some(description);
        self
    }

    /// Lists the command in documents under a heading; under several if said several times. Default: its service.
    pub fn tag(mut self, tag: &'static str) -> Self {
        self.notes.tags.push(tag);
        self
    }

    /// Tells callers, in documents, to look for something else. The command is answered as before.
    pub fn deprecated(mut self) -> Self {
        self.notes.deprecated = true;
        self
    }

    /// Shows an input and the reply to it in documents. A node refuses to start with one that cannot be JSON.
    pub fn example(mut self, input: &C, reply: &C::Reply) -> Self {
        match (serde_json::to_value(input), serde_json::to_value(reply)) {
            (Ok(input), Ok(reply)) => self.notes.examples.push(CommandExample { input, reply }),
            (Err(error), _) | (_, Err(error)) => self.broken_examples.push(error.to_string()),
        }
        self
    }

    /// Declares, for documents, a failure that the handler answers on purpose, and when it does.
    pub fn fails_with(mut self, code: Code, when: &'static str) -> Self {
        self.notes.failures.push((code, when));
        self
    }

    /// The rate limits, on the node's clock.
    pub(super) fn rate_limits(&self, clock: &Clock) -> Option<RateLimits> {
        RateLimits::new(&self.rates, clock)
    }

    pub(super) fn key_of(&self) -> Option<KeyOf<C>> {
        self.key_of.map(|key_of| Box::new(key_of) as KeyOf<C>)
    }

    pub(super) fn http_route(&self) -> Option<HttpRoute> {
        let mut route = self.http.clone()?;
        route.public = self.public;
        Some(route)
    }
}
