//! One command from a bridge: whether it is started, and the way from there to its answer.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, poll_fn};
use futures_util::stream::{AbortHandle, AbortRegistration, Abortable};
use roadshow_bridges::{ContentType, Delivery, Envelope, Executed, Failure, Kind, Subject};
use tokio::time::sleep;

use super::answering::{Answer, Told, answer};
use super::expiry::{self, Left};
use super::intake::Intake;
use super::jobs::{Arrived, Job};
use super::opens::{Opening, serve_open};
use super::resend::HEARTBEAT_EVERY;
use crate::core::Phase;
use crate::endpoint::CommandEndpoint;
use crate::metrics::{Outcome, Refusal};
use crate::request::Request;

/// A command, or an answer to one, that is not done yet.
pub(super) type Serving = BoxFuture<'static, ()>;

/// What the bridge that a command came over is like, as far as serving it goes.
#[derive(Debug)]
pub(super) struct Manners {
    /// Whether what is not taken now waits with the broker.
    pub(super) holds_backlog: bool,
    /// Whether callers want to hear that a keyed command is at work.
    pub(super) wants_signs: bool,
    pub(super) policy: super::reply_policy::ReplyPolicy,
}

/// What is done with a delivery.
pub(super) enum Step {
    /// Nothing more: it is settled.
    Over,
    /// This has to be polled; if it is not ready at once, the job is entered first.
    Serve(Serving, Option<Arc<Job>>),
}

impl Intake {
    /// Looks at a delivery and says what is to be done.
    pub(super) fn look(self: &Arc<Self>, delivery: Delivery, manners: &Arc<Manners>) -> Step {
        let envelope = delivery.shared_envelope();
        if !matches!(envelope.kind, Kind::Command | Kind::Open) {
            delivery.ack();
            return Step::Over;
        }
        let name = envelope.subject.as_str().rsplit('.').next().unwrap_or_default();
        let endpoint = self.endpoint(name);
        let reply_to = envelope.reply_to.clone();
        if let Some(address) = &reply_to
            && !manners.policy.admits(address)
        {
            self.refuse_reply_address(endpoint, address);
            delivery.ack();
            return Step::Over;
        }
        // First of all: what is at work here is not refused, whatever became of its copy on the way.
        let delivery = match self.jobs.arrive(delivery, self.node().clock.now()) {
            Arrived::Settled => return Step::Over,
            Arrived::Clash(delivery) => {
                // Perhaps a copy of this very command, of which its caller knows nothing.
                let failure = Failure::conflict("another message with this id is at work");
                return self.answer_unstarted(delivery, reply_to, failure.with_executed(Executed::Unknown));
            }
            Arrived::New(delivery) => delivery,
        };
        if self.node().phase() >= Phase::Draining {
            // Given back it would lose its mark, and run.
            let passes = !delivery.may_have_begun() || endpoint.is_some_and(|there| repeats(&**there, &delivery));
            if manners.holds_backlog && passes {
                delivery.give_back(Duration::ZERO);
                return Step::Over;
            }
            return self.refuse(delivery, reply_to, Failure::unavailable("this node is shutting down"));
        }
        let Some(endpoint) = endpoint else {
            let text = format!("service {} has no command {name}", self.service_id());
            return self.refuse(delivery, reply_to, Failure::not_found(text));
        };
        let left = match self.check(&delivery, endpoint) {
            Ok(left) => left,
            Err(failure) => return self.refuse(delivery, reply_to, failure),
        };
        self.start(Arc::clone(endpoint), delivery, reply_to, left, manners)
    }

    /// What keeps a command from being started, other than its endpoint.
    fn check(&self, delivery: &Delivery, endpoint: &Arc<dyn CommandEndpoint>) -> Result<Left, Failure> {
        let envelope = delivery.envelope();
        if let ContentType::Binary | ContentType::Other(_) = &envelope.content_type {
            endpoint.core().metrics.record_outcome(Outcome::Invalid);
            let text = format!("content type {} cannot be read here", envelope.content_type);
            return Err(Failure::invalid(text));
        }
        let age = delivery.age();
        let age = age.or_else(|| envelope.believed_age(self.node().clock.unix_ms()));
        let left = expiry::left(envelope.identity.budget, age);
        if left == Left::Nothing {
            endpoint
                .core()
                .metrics
                .record_refused(Refusal::Expired, Outcome::Timeout);
            return Err(Failure::timeout("the time budget was used up on the way"));
        }
        Ok(left)
    }

    /// Answers a delivery that is never started here, and by nobody else unless its mark says otherwise.
    fn refuse(self: &Arc<Self>, delivery: Delivery, reply_to: Option<Subject>, failure: Failure) -> Step {
        let failure = failure.with_executed(Executed::No);
        let failure = doubt(failure, delivery.may_have_begun());
        self.answer_unstarted(delivery, reply_to, failure)
    }

    /// Answers a delivery that is not started here. It is settled before, so that no copy of it runs although its caller
    /// has read the answer.
    fn answer_unstarted(self: &Arc<Self>, delivery: Delivery, reply_to: Option<Subject>, failure: Failure) -> Step {
        let envelope = delivery.shared_envelope();
        delivery.ack();
        let Some(reply_to) = reply_to else {
            return Step::Over;
        };
        let this = Arc::clone(self);
        let refusing = async move {
            // An answer that gets lost is replaced by the caller's deadline.
            let _ = answer(this.node(), &envelope, &reply_to, Answer::Failure(failure)).await;
        };
        Step::Serve(Box::pin(refusing), None)
    }

    fn start(
        self: &Arc<Self>,
        endpoint: Arc<dyn CommandEndpoint>,
        delivery: Delivery,
        reply_to: Option<Subject>,
        left: Left,
        manners: &Arc<Manners>,
    ) -> Step {
        let envelope = delivery.envelope();
        let (opens, keyed) = (envelope.kind == Kind::Open, envelope.identity.key().is_some());
        let repeatable = repeats(&*endpoint, &delivery);
        if delivery.may_have_begun() && !repeatable {
            let text = "the node that had this command was lost, and may have begun with it";
            let failure = Failure::unavailable(text).with_executed(Executed::Unknown);
            return self.answer_unstarted(delivery, reply_to, failure);
        }
        if opens {
            return self.open(endpoint, delivery, reply_to, left);
        }
        if reply_to.is_none() {
            self.count_unanswered();
        }
        let signs = keyed && manners.wants_signs;
        let signs_to = reply_to.as_ref().filter(|to| signs && self.is_ours(to)).cloned();
        let (abort, registration) = AbortHandle::new_pair();
        let job = Job::new(delivery, repeatable, abort);
        let serving = Command {
            intake: Arc::clone(self),
            job: Arc::clone(&job),
            endpoint,
            reply_to,
            signs_to,
            left,
        };
        Step::Serve(Box::pin(serving.run(registration)), Some(job))
    }

    fn open(
        self: &Arc<Self>,
        endpoint: Arc<dyn CommandEndpoint>,
        delivery: Delivery,
        reply_to: Option<Subject>,
        left: Left,
    ) -> Step {
        let Some(reply_to) = reply_to else {
            // Nobody to send frames to.
            delivery.ack();
            return Step::Over;
        };
        let envelope = delivery.shared_envelope();
        let (abort, registration) = AbortHandle::new_pair();
        let job = Job::of_stream(envelope, abort);
        let opening = Opening {
            node: Arc::clone(self.node()),
            endpoint,
            delivery,
            reply_to,
            left: left.as_budget(),
        };
        let (leaves, serving) = (
            Leaves::of(self, &job),
            Abortable::new(serve_open(opening), registration),
        );
        let serving = async move {
            let _leaves = leaves;
            // Called off: what is dropped ends the stream.
            let _ = serving.await;
        };
        Step::Serve(Box::pin(serving), Some(job))
    }
}

/// Takes a job out of the list, however it ends.
struct Leaves(Arc<Intake>, Arc<Job>);

impl Leaves {
    fn of(intake: &Arc<Intake>, job: &Arc<Job>) -> Self {
        Leaves(Arc::clone(intake), Arc::clone(job))
    }
}

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.jobs.leave(&self.1);
    }
}

/// A command that is started.
struct Command {
    intake: Arc<Intake>,
    job: Arc<Job>,
    endpoint: Arc<dyn CommandEndpoint>,
    reply_to: Option<Subject>,
    /// Where the caller hears that the command is at work, if it wants to.
    signs_to: Option<Subject>,
    left: Left,
}

impl Command {
    async fn run(self, registration: AbortRegistration) {
        let _leaves = Leaves::of(&self.intake, &self.job);
        let envelope = &*self.job.envelope;
        let called = match payload_of(envelope) {
            Ok(payload) => {
                let request = Request::command(&envelope.identity, &*self.job, self.left.as_budget());
                let call = self.endpoint.call_encoded(payload, request);
                self.with_signs(Abortable::new(call, registration)).await
            }
            Err(failure) => Ok(Err(failure)),
        };
        // Called off: the handler has seen it, and nobody waits for an answer.
        let Ok(answered) = called else {
            self.job.settle(Told::Done);
            return;
        };
        let answered = answered.map_err(|failure| {
            let failure = doubt(failure, self.job.may_have_begun());
            self.job.settle_refused();
            failure
        });
        let told = match &self.reply_to {
            Some(reply_to) => answer(self.intake.node(), envelope, reply_to, answered.into()).await,
            None => Told::Done,
        };
        if self.job.settle(told) {
            self.intake.count_given_up(self.endpoint.core().name(), self.job.id());
        }
    }

    /// Runs the call and says meanwhile that it is at work, where the caller wants to hear that.
    async fn with_signs<F: Future>(&self, call: F) -> F::Output {
        let mut call = pin!(call);
        if let Poll::Ready(ended) = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await {
            return ended;
        }
        let Some(signs_to) = &self.signs_to else {
            return call.await;
        };
        tokio::select! {
            biased;
            ended = &mut call => ended,
            never = self.give_signs(signs_to) => match never {},
        }
    }

    async fn give_signs(&self, signs_to: &Subject) -> std::convert::Infallible {
        let mut sign = Answer::Accept;
        loop {
            // A sign that gets lost is one of many.
            let _ = answer(self.intake.node(), &self.job.envelope, signs_to, sign).await;
            sleep(HEARTBEAT_EVERY).await;
            sign = Answer::Heartbeat;
        }
    }
}

/// Whether a command may be started again after a start that came to nothing.
fn repeats(endpoint: &dyn CommandEndpoint, delivery: &Delivery) -> bool {
    let envelope = delivery.envelope();
    envelope.kind != Kind::Open && (envelope.identity.key().is_some() || endpoint.is_idempotent())
}

/// Leaves open whether a command was executed with which somebody who was lost may have begun.
fn doubt(failure: Failure, may_have_begun: bool) -> Failure {
    match failure.executed {
        Executed::No if may_have_begun => failure.with_executed(Executed::Unknown),
        _ => failure,
    }
}

fn payload_of(envelope: &Envelope) -> Result<Bytes, Failure> {
    let unreadable = |_error| Failure::invalid("the payload cannot be read").with_executed(Executed::No);
    envelope.payload.to_bytes().map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_executed_is_said_only_of_what_nobody_else_may_have_begun() {
        let table = [
            (Executed::No, false, Executed::No),
            (Executed::No, true, Executed::Unknown),
            (Executed::Yes, true, Executed::Yes),
            (Executed::Unknown, false, Executed::Unknown),
        ];
        for (said, may_have_begun, expected) in table {
            let failure = Failure::exhausted("full").with_executed(said);
            assert_eq!(
                doubt(failure, may_have_begun).executed,
                expected,
                "{said:?} {may_have_begun}"
            );
        }
    }
}
