//! Rate limits: how fast a command may be called, in all, per principal and per tenant.
//!
//! The algorithm is governor's GCRA. A keyed limit remembers one state per key; keys that have rested are forgotten, and
//! beyond [`KEYS_MAX`] keys strangers share a bounded number of counts rather than being remembered one by one.
//!
//! The narrow limits are asked first, in whatever order they were declared: a principal who is over its own limit
//! uses up nothing of what everybody shares. Time is the node's, so paused tests own it.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{NotUntil, Quota, RateLimiter};
use roadshow_actors::{Clock, RateLimit as Limit, Stamp};
use roadshow_bridges::{Failure, Who};

/// How many principals, or tenants, one limit remembers.
pub const KEYS_MAX: usize = 100_000;
/// After how many calls a keyed limit forgets the keys that have rested.
const SWEEP_EVERY: u32 = 4096;
/// How many counts strangers share while there are too many of them.
const SHARED_KEYS: u64 = 1024;

/// How many calls a command takes in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct RateLimit {
    quota: Quota,
    calls: NonZeroU32,
    window: Duration,
}

impl RateLimit {
    /// At most `calls` a second on average, in bursts of at most as many.
    pub fn per_second(calls: NonZeroU32) -> Self {
        RateLimit {
            quota: Quota::per_second(calls),
            calls,
            window: Duration::from_secs(1),
        }
    }

    /// At most `calls` a minute on average, in bursts of at most as many.
    pub fn per_minute(calls: NonZeroU32) -> Self {
        RateLimit {
            quota: Quota::per_minute(calls),
            calls,
            window: Duration::from_secs(60),
        }
    }

    /// Lets `calls` come at once after a rest.
    pub fn burst(self, calls: NonZeroU32) -> Self {
        RateLimit {
            quota: self.quota.allow_burst(calls),
            ..self
        }
    }
}

/// What a limit counts by, the narrowest first: the order in which limits are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum By {
    Principal,
    Tenant,
    All,
}

impl By {
    /// What is too many, in words and in one word.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            By::Principal => ("calls of this principal", "principal"),
            By::Tenant => ("calls of this tenant", "tenant"),
            By::All => ("calls", "calls"),
        }
    }
}

/// The node's clock as governor reads it.
#[derive(Clone, Debug)]
struct NodeClock(Clock);

impl governor::clock::Clock for NodeClock {
    /// Time since the clock was made.
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.now().since(Stamp::from_nanos(0))
    }
}

type Passes = NoOpMiddleware<Duration>;
type Direct = RateLimiter<NotKeyed, InMemoryState, NodeClock, Passes>;
type PerKey = RateLimiter<Box<str>, DefaultKeyedStateStore<Box<str>>, NodeClock, Passes>;

/// All rate limits of one command.
#[derive(Debug)]
pub(crate) struct RateLimits {
    clock: NodeClock,
    /// By principal before by tenant.
    keyed: Vec<Keyed>,
    all: Vec<(RateLimit, Direct)>,
}

#[derive(Debug)]
struct Keyed {
    by: By,
    limit: RateLimit,
    limiter: PerKey,
    calls: AtomicU32,
    crowded: AtomicBool,
    hasher: RandomState,
}

impl RateLimits {
    /// The limits as declared, in any order; `None` where there are none.
    pub(crate) fn new(declared: &[(By, RateLimit)], clock: &Clock) -> Option<Self> {
        let clock = NodeClock(clock.clone());
        let mut limits = RateLimits {
            clock: clock.clone(),
            keyed: Vec::new(),
            all: Vec::new(),
        };
        for (by, limit) in declared {
            match by {
                By::All => limits
                    .all
                    .push((*limit, Direct::direct_with_clock(limit.quota, clock.clone()))),
                by => limits.keyed.push(Keyed::new(*by, *limit, clock.clone())),
            }
        }
        limits.keyed.sort_by_key(|keyed| keyed.by);
        (!declared.is_empty()).then_some(limits)
    }
}

impl Limit for RateLimits {
    fn check(&self, who: Option<&Who>) -> Result<(), Failure> {
        for keyed in &self.keyed {
            keyed
                .check(who)
                .map_err(|not_until| self.exhausted(keyed.by, keyed.limit, &not_until))?;
        }
        for (limit, limiter) in &self.all {
            limiter
                .check()
                .map_err(|not_until| self.exhausted(By::All, *limit, &not_until))?;
        }
        Ok(())
    }
}

impl RateLimits {
    /// Says when to come again, and which limit it was, as the gateway tells it in headers.
    fn exhausted(&self, by: By, limit: RateLimit, not_until: &NotUntil<Duration>) -> Failure {
        let wait = not_until.wait_time_from(self.clock.now()).max(Duration::from_millis(1));
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let (what, scope) = by.words();
        Failure::exhausted(format!("too many {what}: try again in {wait_ms} ms")).with_details(serde_json::json!({
            "retry_after_ms": wait_ms,
            "limit": limit.calls.get(),
            "window_ms": u64::try_from(limit.window.as_millis()).unwrap_or(u64::MAX),
            "scope": scope,
        }))
    }
}

impl Keyed {
    fn new(by: By, limit: RateLimit, clock: NodeClock) -> Self {
        Keyed {
            by,
            limit,
            limiter: PerKey::new(limit.quota, DefaultKeyedStateStore::default(), clock),
            calls: AtomicU32::new(0),
            crowded: AtomicBool::new(false),
            hasher: RandomState::new(),
        }
    }

    /// Calls of nobody in particular share one count.
    fn check(&self, who: Option<&Who>) -> Result<(), NotUntil<Duration>> {
        let key = match self.by {
            By::Tenant => who.and_then(|who| who.tenant.as_deref()),
            By::Principal | By::All => who.and_then(|who| who.principal.as_deref()),
        };
        if self.calls.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.limiter.retain_recent();
            self.crowded.store(self.limiter.len() > KEYS_MAX, Ordering::Relaxed);
        }
        let key = key.unwrap_or_default();
        let key: Box<str> = if self.crowded.load(Ordering::Relaxed) {
            format!("#{}", self.hasher.hash_one(key) % SHARED_KEYS).into()
        } else {
            key.into()
        };
        self.limiter.check_key(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> RateLimit {
        RateLimit::per_minute(NonZeroU32::MIN)
    }

    fn of(principal: &str) -> Who {
        let mut who = Who::default();
        who.principal = Some(principal.into());
        who
    }

    fn limits(declared: &[(By, RateLimit)]) -> RateLimits {
        RateLimits::new(declared, &Clock::tsc()).unwrap()
    }

    #[test]
    fn one_principal_does_not_use_up_anothers_limit() {
        let limits = limits(&[(By::Principal, one())]);
        assert!(limits.check(Some(&of("ada"))).is_ok());
        assert!(limits.check(Some(&of("bob"))).is_ok());
        let failure = limits.check(Some(&of("ada"))).unwrap_err();
        assert_eq!(failure.code, roadshow_bridges::Code::Exhausted);
        let details = failure.details.unwrap();
        assert!(details["retry_after_ms"].as_u64().unwrap() > 1_000);
        assert_eq!(
            (details["limit"].as_u64(), details["window_ms"].as_u64()),
            (Some(1), Some(60_000))
        );
        assert_eq!(details["scope"], "principal");
    }

    #[test]
    fn the_limit_of_a_command_holds_for_everybody() {
        let limits = limits(&[(By::All, one())]);
        assert!(limits.check(Some(&of("ada"))).is_ok());
        assert!(limits.check(Some(&of("bob"))).is_err());
    }

    #[test]
    fn who_is_over_its_own_limit_uses_up_nothing_of_the_others() {
        let two = RateLimit::per_minute(NonZeroU32::new(2).unwrap());
        for declared in [
            [(By::All, two), (By::Tenant, two), (By::Principal, one())],
            [(By::Principal, one()), (By::Tenant, two), (By::All, two)],
        ] {
            let limits = limits(&declared);
            assert!(limits.check(Some(&of("ada"))).is_ok());
            for _ in 0..10 {
                let failure = limits.check(Some(&of("ada"))).unwrap_err();
                assert!(failure.message.contains("this principal"), "{failure}");
            }
            assert!(limits.check(Some(&of("bob"))).is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_follows_the_nodes_clock() {
        let limits = RateLimits::new(&[(By::All, one())], &Clock::tokio()).unwrap();
        assert!(limits.check(None).is_ok());
        assert!(limits.check(None).is_err());
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(limits.check(None).is_ok());
    }
}
