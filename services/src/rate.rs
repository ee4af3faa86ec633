//! Rate limits: how fast a command may be called, in all, per principal and per tenant.
//!
//! The algorithm is governor's GCRA. A keyed limit remembers one state per key; keys that have rested are forgotten, and
//! beyond [`KEYS_MAX`] keys strangers share a bounded number of counts rather than being remembered one by one.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil, Quota};
use roadshow_actors::RateLimit as Limit;
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
}

impl RateLimit {
    /// At most `calls` a second on average, in bursts of at most as many.
    pub fn per_second(calls: NonZeroU32) -> Self {
        RateLimit {
            quota: Quota::per_second(calls),
        }
    }

    /// At most `calls` a minute on average, in bursts of at most as many.
    pub fn per_minute(calls: NonZeroU32) -> Self {
        RateLimit {
            quota: Quota::per_minute(calls),
        }
    }

    /// Lets `calls` come at once after a rest.
    pub fn burst(self, calls: NonZeroU32) -> Self {
        RateLimit {
            quota: self.quota.allow_burst(calls),
        }
    }
}

/// What a limit counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Principal,
    Tenant,
}

/// All rate limits of one command.
#[derive(Debug, Default)]
pub(crate) struct RateLimits {
    all: Option<DefaultDirectRateLimiter>,
    keyed: Vec<Keyed>,
}

#[derive(Debug)]
struct Keyed {
    by: By,
    limiter: DefaultKeyedRateLimiter<Box<str>>,
    calls: AtomicU32,
    crowded: AtomicBool,
    hasher: RandomState,
}

impl RateLimits {
    pub(crate) fn all(&mut self, limit: RateLimit) {
        self.all = Some(DefaultDirectRateLimiter::direct(limit.quota));
    }

    pub(crate) fn per_principal(&mut self, limit: RateLimit) {
        self.keyed.push(Keyed::new(By::Principal, limit));
    }

    pub(crate) fn per_tenant(&mut self, limit: RateLimit) {
        self.keyed.push(Keyed::new(By::Tenant, limit));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_none() && self.keyed.is_empty()
    }
}

impl Limit for RateLimits {
    fn check(&self, who: Option<&Who>) -> Result<(), Failure> {
        if let Some(limiter) = &self.all {
            limiter.check().map_err(|not_until| exhausted("calls", &not_until))?;
        }
        for keyed in &self.keyed {
            keyed.check(who)?;
        }
        Ok(())
    }
}

impl Keyed {
    fn new(by: By, limit: RateLimit) -> Self {
        Keyed {
            by,
            limiter: DefaultKeyedRateLimiter::keyed(limit.quota),
            calls: AtomicU32::new(0),
            crowded: AtomicBool::new(false),
            hasher: RandomState::new(),
        }
    }

    /// Calls of nobody in particular share one count.
    fn check(&self, who: Option<&Who>) -> Result<(), Failure> {
        let (key, what) = match self.by {
            By::Principal => (who.and_then(|who| who.principal.as_deref()), "calls of this principal"),
            By::Tenant => (who.and_then(|who| who.tenant.as_deref()), "calls of this tenant"),
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
        self.limiter
            .check_key(&key)
            .map_err(|not_until| exhausted(what, &not_until))
    }
}

fn exhausted(what: &str, not_until: &NotUntil<governor::clock::QuantaInstant>) -> Failure {
    let wait = not_until
        .wait_time_from(DefaultClock::default().now())
        .max(Duration::from_millis(1));
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    Failure::exhausted(format!("too many {what}: try again in {wait_ms} ms"))
        .with_details(serde_json::json!({ "retry_after_ms": wait_ms }))
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

    #[test]
    fn one_principal_does_not_use_up_anothers_limit() {
        let mut limits = RateLimits::default();
        limits.per_principal(one());
        assert!(limits.check(Some(&of("ada"))).is_ok());
        assert!(limits.check(Some(&of("bob"))).is_ok());
        let failure = limits.check(Some(&of("ada"))).unwrap_err();
        assert_eq!(failure.code, roadshow_bridges::Code::Exhausted);
        assert!(failure.details.unwrap()["retry_after_ms"].as_u64().unwrap() > 1_000);
    }

    #[test]
    fn the_limit_of_a_command_holds_for_everybody() {
        let mut limits = RateLimits::default();
        limits.all(one());
        assert!(limits.check(Some(&of("ada"))).is_ok());
        assert!(limits.check(Some(&of("bob"))).is_err());
    }
}
