//! How one stream is admitted, guarded and reached.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use roadshow_actors::{Clock, HEARTBEAT, Limits};
use roadshow_bridges::Code;

use super::command_options::ValidateFn;
use crate::contract::{CommandExample, CommandNotes};
use crate::guard::{Guard, Guards};
use crate::http::{HttpRoute, Method};
use crate::rate::{By, RateLimit, RateLimits};
use crate::stream::Stream;
use crate::validate::{self, Validate};

/// How many items a handler may be ahead of its consumer, unless the stream says otherwise.
const WINDOW: NonZeroU32 = NonZeroU32::new(64).expect("64 is not zero");
/// The quickest heartbeat: a quicker one would be the traffic itself.
const HEARTBEAT_MIN: Duration = Duration::from_millis(100);

/// The options of one stream. Every method returns the options, to be chained.
#[must_use]
pub struct StreamOptions<S: Stream> {
    pub(super) limits: Limits,
    /// Whether a concurrency of zero was asked for, which a node refuses.
    pub(super) closed: bool,
    pub(super) window: NonZeroU32,
    pub(super) heartbeat: Duration,
    pub(super) max_duration: Option<Duration>,
    pub(super) http: Option<HttpRoute>,
    pub(super) public: bool,
    pub(super) validate: Option<ValidateFn<S>>,
    pub(super) before: Guards<S>,
    pub(super) rates: Vec<(By, RateLimit)>,
    pub(super) notes: CommandNotes,
    /// Examples that cannot be written as JSON, which a node refuses.
    pub(super) broken_examples: Vec<String>,
}

impl<S: Stream> Default for StreamOptions<S> {
    fn default() -> Self {
        StreamOptions {
            limits: Limits::default(),
            closed: false,
            window: WINDOW,
            heartbeat: HEARTBEAT,
            max_duration: None,
            http: None,
            public: false,
            validate: None,
            before: Guards::default(),
            rates: Vec::new(),
            notes: CommandNotes::default(),
            broken_examples: Vec::new(),
        }
    }
}

impl<S: Stream> fmt::Debug for StreamOptions<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamOptions")
            .field("address", &S::ADDRESS)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl<S: Stream> StreamOptions<S> {
    /// Reaches the stream over HTTP, at `path` below `/api/v<version>`. Segments like `{id}` become fields of the input.
    pub fn http(mut self, method: Method, path: &'static str) -> Self {
        self.http = Some(HttpRoute::new(method, path));
        self
    }

    /// Opens the HTTP route to callers without authentication.
    pub fn public(mut self) -> Self {
        self.public = true;
        self
    }

    /// How many streams may be open at the same time: each holds its permit until it ends. Default 256. A node refuses to
    /// start with 0.
    pub fn concurrency(mut self, streams: u32) -> Self {
        self.closed = streams == 0;
        self.limits.concurrency = NonZeroU32::new(streams).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// How many callers may wait for their turn; more are refused at once. Default 1,024.
    pub fn waiting(mut self, callers: u32) -> Self {
        self.limits.waiting = callers;
        self
    }

    /// The time budget of an opening that brings none: the wait for a permit, the guards, and the handler's first step.
    /// Default 30 s. It says nothing about the stream itself; see [`StreamOptions::max_duration`].
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.limits.deadline = deadline;
        self
    }

    /// How long a handler may go on whose consumer has gone, or whose stream was ended, before it is dropped. Default 5 s.
    pub fn abandon_after(mut self, after: Duration) -> Self {
        self.limits.abandon_after = after;
        self
    }

    /// How long a stream may live; it then ends with `timeout`. Default: for ever.
    pub fn max_duration(mut self, duration: Duration) -> Self {
        self.max_duration = Some(duration);
        self
    }

    /// How many items the handler may be ahead of a consumer in this process; 0 counts as 1. Default 64. A consumer elsewhere
    /// grants its own credit.
    pub fn window(mut self, items: u32) -> Self {
        self.window = NonZeroU32::new(items).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// How often a quiet stream says that it lives. Default 5 s, which is also the longest: 15 s of silence end a stream.
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.heartbeat = every;
        self
    }

    /// Gives every handler a task of its own at once: for handlers that block their thread.
    pub fn detached(mut self) -> Self {
        self.limits.detached = true;
        self
    }

    /// Checks the input's semantic rules first.
    pub fn validate(mut self) -> Self
    where
        S: Validate,
    {
        self.validate = Some(validate::check::<S>);
        self
    }

    /// Adds a guard before the handler. Guards are asked in order; the first that refuses answers.
    pub fn before(mut self, guard: impl Guard<S>) -> Self {
        self.before.add(guard);
        self
    }

    /// Limits how fast the stream may be opened.
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.rates.push((By::All, limit));
        self
    }

    /// Limits how fast each principal may open it; callers without one share a count.
    pub fn rate_limit_per_principal(mut self, limit: RateLimit) -> Self {
        self.rates.push((By::Principal, limit));
        self
    }

    /// Limits how fast each tenant may open it; callers without one share a count.
    pub fn rate_limit_per_tenant(mut self, limit: RateLimit) -> Self {
        self.rates.push((By::Tenant, limit));
        self
    }

    /// Says in one line what the stream tells. Default: the first line of the input type's description.
    pub fn summary(mut self, summary: &'static str) -> Self {
        self.notes.summary = Some(summary);
        self
    }

    /// Says in CommonMark what documents tell of the stream. Default: the input type's description.
    pub fn describe(mut self, description: &'static str) -> Self {
        self.notes.description = Some(description);
        self
    }

    /// Lists the stream in documents under a heading; under several if said several times. Default: its service.
    pub fn tag(mut self, tag: &'static str) -> Self {
        self.notes.tags.push(tag);
        self
    }

    /// Tells callers, in documents, to look for something else. The stream is served as before.
    pub fn deprecated(mut self) -> Self {
        self.notes.deprecated = true;
        self
    }

    /// Shows an input and one item in documents. A node refuses to start with one that cannot be JSON.
    pub fn example(mut self, input: &S, item: &S::Item) -> Self {
        match (serde_json::to_value(input), serde_json::to_value(item)) {
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

    /// What no node can serve, one sentence each.
    pub(super) fn problems(&self) -> Vec<String> {
        let address = S::ADDRESS;
        let mut problems = Vec::new();
        if self.closed {
            problems.push(format!(
                "stream {address} has a concurrency of 0: nobody could ever open it"
            ));
        }
        if !(HEARTBEAT_MIN..=HEARTBEAT).contains(&self.heartbeat) {
            let asked = self.heartbeat;
            problems.push(format!(
                "stream {address} has a heartbeat of {asked:?}: it must be between {HEARTBEAT_MIN:?} and {HEARTBEAT:?}"
            ));
        }
        let broken = self.broken_examples.iter();
        problems
            .extend(broken.map(|error| format!("an example of stream {address} cannot be written as JSON: {error}")));
        problems
    }

    /// The rate limits, on the node's clock.
    pub(super) fn rate_limits(&self, clock: &Clock) -> Option<RateLimits> {
        RateLimits::new(&self.rates, clock)
    }

    pub(super) fn http_route(&self) -> Option<HttpRoute> {
        let mut route = self.http.clone()?;
        route.public = self.public;
        Some(route)
    }
}
