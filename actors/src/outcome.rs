//! What is counted, logged and reported when a handler ends.

use std::sync::Arc;
use std::time::Duration;

use roadshow_bridges::{Code, Failure, Identity};
use tracing::{Span, warn};

use crate::clock::Stamp;
use crate::context::INLINE_DEPTH_MAX;
use crate::endpoint::EndpointCore;
use crate::hand_over::into_answer;
use crate::metrics::Outcome;
use crate::running::Ended;
use crate::service::Incarnation;

impl EndpointCore {
    /// Whether a call at `depth` is polled in its caller's stack.
    pub(crate) fn polls_inline(&self, depth: u8) -> bool {
        depth < INLINE_DEPTH_MAX && !self.limits.detached && self.node().on_runtime()
    }

    /// Counts the end of a handler and turns it into what its caller is told.
    pub(crate) fn settle<Out>(
        &self,
        ended: Ended<Out>,
        incarnation: &Arc<Incarnation>,
        started: Stamp,
    ) -> Result<Out, Failure> {
        self.count(&ended, incarnation, started, true);
        into_answer(ended)
    }

    pub(crate) fn count<Out>(
        &self,
        ended: &Ended<Out>,
        incarnation: &Arc<Incarnation>,
        started: Stamp,
        crashes_count: bool,
    ) {
        let took = nanos(self.node().clock.now().since(started));
        match ended {
            Ended::Answered(Ok(_)) => {
                self.metrics.record_ok(took);
                incarnation.note_answer();
            }
            Ended::Answered(Err(failure)) => {
                self.metrics.record_answer(outcome_of(failure.code), took);
                incarnation.note_answer();
            }
            Ended::Panicked(message) => {
                self.metrics.record_answer(Outcome::Internal, took);
                self.panicked(message, incarnation, crashes_count);
            }
            Ended::Late => self.metrics.record_answer(Outcome::Timeout, took),
            Ended::Abandoned => self.metrics.record_answer(Outcome::Unavailable, took),
        }
    }

    /// The end of a handler whose caller was answered at the deadline: only a panic is news.
    pub(crate) fn count_late<Out>(&self, ended: &Ended<Out>, incarnation: &Arc<Incarnation>, crashes_count: bool) {
        if let Ended::Panicked(message) = ended {
            self.panicked(message, incarnation, crashes_count);
        }
    }

    fn panicked(&self, message: &str, incarnation: &Arc<Incarnation>, crashes_count: bool) {
        self.metrics.record_panic();
        warn!(
            service = %self.service_id(),
            handler = self.name,
            incarnation = incarnation.number(),
            panic = message,
            "a handler panicked"
        );
        self.service.crashed(incarnation, message, crashes_count);
    }

    /// The span around every poll of a handler; nothing where it is filtered off.
    pub(crate) fn span(&self, identity: &Identity) -> Span {
        tracing::info_span!(
            target: "roadshow::call",
            "handle",
            service = self.service.text(),
            handler = self.name,
            message_id = identity.id.to_text().as_str(),
            correlation_id = identity.correlation.to_text().as_str(),
            trace_id = identity.trace.trace_id_text().as_str(),
            attempt = identity.attempt,
            principal = identity.principal(),
            tenant = identity.tenant(),
        )
    }
}

/// The label under which a failure is counted.
pub(crate) fn outcome_of(code: Code) -> Outcome {
    match code {
        Code::Invalid => Outcome::Invalid,
        Code::Unauthenticated => Outcome::Unauthenticated,
        Code::Forbidden => Outcome::Forbidden,
        Code::NotFound => Outcome::NotFound,
        Code::Conflict => Outcome::Conflict,
        Code::Exhausted => Outcome::Exhausted,
        Code::Timeout => Outcome::Timeout,
        Code::Unavailable => Outcome::Unavailable,
        _ => Outcome::Internal,
    }
}

/// Nanoseconds, cut at what 64 bits hold.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
