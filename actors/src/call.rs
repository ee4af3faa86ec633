//! The call path: from an address and an input to a reply, without a mailbox in between.
//!
//! A call (0) spends tokio's cooperative budget, so that a loop of ready calls cannot starve timers, (1) is checked
//! against phase, hops, deadline and rate, (2) takes a permit or waits for one, (3) passes the gate, and (4) polls its
//! handler once in the caller's task. A handler that is not ready at once moves, in that same poll, to a task of its own
//! with its permit: from then on the caller only waits, and may go without cutting the handler in half.
//!
//! Why there is no actor hop here: `docs/decisions/0001`.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use roadshow_bridges::{Executed, Failure, MessageId};
use tokio::sync::oneshot;
use tokio::task::coop;

use crate::admission::Held;
use crate::clock::Stamp;
use crate::context::CallContext;
use crate::endpoint::{Endpoint, EndpointCore};
use crate::hand_over::{Driver, Sink};
use crate::request::Request;
use crate::running::Running;
use crate::service::Incarnation;

/// Spends tokio's cooperative budget for one call or event; waits for the next turn when it is used up.
pub async fn spend_budget() {
    poll_fn(poll_budget).await;
}

/// A call does more than the one read that a unit stands for: 64 calls in a row are a turn.
const UNITS: u32 = 2;

/// When the budget is used up, the task is put behind the driver, as `yield_now` does it: timers and sockets are looked at
/// before it goes on. Waking it at once, as `poll_proceed` alone would, lets it starve them on a busy worker, and wakes
/// another worker each time on an idle one.
pub(crate) fn poll_budget(cx: &mut Context<'_>) -> Poll<()> {
    for _unit in 0..UNITS {
        if !coop::has_budget_remaining() {
            return poll_turn(cx);
        }
        ready!(coop::poll_proceed(cx)).made_progress();
    }
    Poll::Ready(())
}

/// Gives up the rest of this turn.
fn poll_turn(cx: &mut Context<'_>) -> Poll<()> {
    // Registers the wake-up in its only poll; the next turn comes with a fresh budget.
    let turn = pin!(tokio::task::yield_now());
    let registered: Poll<()> = turn.poll(cx);
    debug_assert!(registered.is_pending(), "a yield waits for one turn");
    Poll::Pending
}

/// What came of the attempt to serve a call without waiting.
enum Quick<Out> {
    /// The handler was started, or the call refused.
    Done(First<Out>),
    /// Something has to be waited for first.
    Waits { started: Stamp, deadline: Stamp },
}

/// What came of the attempt to start a handler.
enum First<Out> {
    /// It was ready at its first poll.
    Answered(Result<Out, Failure>),
    /// It runs in a task of its own.
    HandedOver(oneshot::Receiver<Result<Out, Failure>>),
}

impl<In: Send + 'static, Out: Send + 'static> Endpoint<In, Out> {
    /// Calls the handler.
    ///
    /// # Errors
    /// What the handler answered (`executed` yes); `exhausted`, `unavailable` or `timeout` before it started
    /// (`executed` no); `timeout`, `internal` or `unavailable` once it had started (`executed` unknown).
    ///
    /// # Cancel safety
    /// Before the handler has started, dropping the future calls nothing off but the wait. After that the handler runs
    /// to its end, its permit comes back, and `ctx.cancelled()` tells it that nobody waits.
    pub async fn call(&self, input: In, request: Request<'_>) -> Result<Out, Failure> {
        let mut asked = Some((input, request));
        // Budget, admission and first poll in one step: input and request stay where they are until the handler takes them.
        let first = poll_fn(|cx| {
            ready!(poll_budget(cx));
            Poll::Ready(self.at_once(&mut asked, cx))
        })
        .await;
        let (started, deadline) = match first {
            Quick::Done(First::Answered(answer)) => return answer,
            Quick::Done(First::HandedOver(answer)) => return answer.await.unwrap_or_else(|_gone| Err(lost())),
            Quick::Waits { started, deadline } => (started, deadline),
        };
        let Some((input, request)) = asked.take() else {
            return Err(lost());
        };
        // Boxed, because few calls wait and every call would have to make room for it.
        Box::pin(self.call_waiting(input, request, started, deadline)).await
    }

    /// The part of a call that is over at once, if nothing has to be waited for.
    fn at_once(&self, asked: &mut Option<(In, Request<'_>)>, cx: &mut Context<'_>) -> Quick<Out> {
        let core = &self.core;
        let started = core.node().clock.now();
        let Some((_, request)) = &asked else {
            return Quick::Done(First::Answered(Err(lost())));
        };
        let deadline = request.deadline(started, core.limits.deadline);
        if let Err(refused) = core.check(request, started, deadline) {
            return Quick::Done(First::Answered(Err(refused)));
        }
        let Some(permit) = self.try_admit() else {
            return Quick::Waits { started, deadline };
        };
        let live = core.service.gate().peek();
        let Some(incarnation) = &*live else {
            return Quick::Waits { started, deadline };
        };
        let Some((input, request)) = asked.take() else {
            return Quick::Done(First::Answered(Err(lost())));
        };
        Quick::Done(self.first_poll(input, request, permit, incarnation, deadline, started, cx))
    }

    /// The rest of a call that has to wait for its lane, its permit or the gate.
    async fn call_waiting(
        &self,
        input: In,
        request: Request<'_>,
        started: Stamp,
        deadline: Stamp,
    ) -> Result<Out, Failure> {
        let core = &*self.core;
        let permit = self.admit(self.lane_of_input(&input)?, deadline, started).await?;
        let mut admitted = Some((input, request, permit));
        loop {
            let first =
                poll_fn(|cx| Poll::Ready(self.first_poll_behind_gate(&mut admitted, deadline, started, cx))).await;
            match first {
                Some(First::Answered(answer)) => return answer,
                Some(First::HandedOver(answer)) => return answer.await.unwrap_or_else(|_gone| Err(lost())),
                None => core.wait_at_gate(deadline).await?,
            }
        }
    }

    /// The lane of an input. Its key is the author's code: a panic there is answered, not passed on to the caller.
    fn lane_of_input(&self, input: &In) -> Result<Option<usize>, Failure> {
        catch_unwind(AssertUnwindSafe(|| self.lane_of(input))).map_err(|_panic| {
            self.core.metrics.record_panic();
            Failure::internal("the key of the call could not be told").with_executed(Executed::No)
        })
    }

    /// `None` while there is no state to run the handler on.
    fn first_poll_behind_gate(
        &self,
        admitted: &mut Option<(In, Request<'_>, Held<&EndpointCore>)>,
        deadline: Stamp,
        started: Stamp,
        cx: &mut Context<'_>,
    ) -> Option<First<Out>> {
        let live = self.core.service.gate().peek();
        let incarnation = Option::as_ref(&live)?;
        let (input, request, permit) = admitted.take()?;
        Some(self.first_poll(input, request, permit, incarnation, deadline, started, cx))
    }

    /// Starts the handler, polls it where it may be polled, and hands it over if it is not ready.
    #[expect(
        clippy::too_many_arguments,
        reason = "one step of the call path, whose parts live on the stack"
    )]
    fn first_poll(
        &self,
        input: In,
        request: Request<'_>,
        permit: Held<&EndpointCore>,
        incarnation: &Arc<Incarnation>,
        deadline: Stamp,
        started: Stamp,
        cx: &mut Context<'_>,
    ) -> First<Out> {
        let core = &self.core;
        if let Err(refused) = core.check_phase() {
            return First::Answered(Err(refused));
        }
        let inline = core.polls_inline(request.depth);
        let (mut running, run) = self.start(input, request, deadline, incarnation, inline);
        if inline && let Poll::Ready(ended) = running.poll(cx) {
            let answer = core.settle(ended, incarnation, started);
            drop(permit);
            return First::Answered(answer);
        }
        let (reply, answer) = oneshot::channel();
        let work = self.work(running, run, deadline, started, incarnation);
        core.node()
            .runtime()
            .spawn(Driver::new(work, permit.into_owned(core), reply));
        First::HandedOver(answer)
    }

    /// Runs the handler for a delivery whose permit is already held, and hands its end to `sink`: in this poll if the
    /// handler is ready at once, from a task of its own otherwise.
    pub(crate) fn deliver<S: Sink<Out>>(
        &self,
        input: In,
        request: Request<'_>,
        permit: Held<Arc<EndpointCore>>,
        incarnation: &Arc<Incarnation>,
        sink: S,
        cx: &mut Context<'_>,
    ) {
        let core = &self.core;
        let started = core.node().clock.now();
        let deadline = request.deadline(started, core.limits.deadline);
        let inline = core.polls_inline(request.depth);
        let (mut running, run) = self.start(input, request, deadline, incarnation, inline);
        if inline && let Poll::Ready(ended) = running.poll(cx) {
            core.count(&ended, incarnation, started, S::CRASHES_COUNT);
            drop(permit);
            sink.end(ended);
            return;
        }
        let work = self.work(running, run, deadline, started, incarnation);
        core.node().runtime().spawn(Driver::new(work, permit, sink));
    }

    /// Makes identity, context and future of an admitted call.
    fn start(
        &self,
        input: In,
        request: Request<'_>,
        deadline: Stamp,
        incarnation: &Arc<Incarnation>,
        inline: bool,
    ) -> (Running<Out>, MessageId) {
        let core = &self.core;
        // A task of its own is the bottom of a stack of its own.
        let depth = if inline { request.depth } else { 0 };
        let shared = request.shares_its_message();
        let identity = request.into_identity(core.node());
        let run = if shared { core.node().ids.message() } else { identity.id };
        let span = core.span(&identity);
        let context = CallContext::new(Arc::clone(incarnation), identity, deadline, depth).of_run(run);
        (Running::new((self.run)(input, context), span), run)
    }

    fn work(
        &self,
        running: Running<Out>,
        run: MessageId,
        deadline: Stamp,
        started: Stamp,
        incarnation: &Arc<Incarnation>,
    ) -> Work<Out> {
        let (incarnation, core) = (Arc::clone(incarnation), Arc::clone(&self.core));
        Work {
            running,
            incarnation,
            core,
            run,
            deadline,
            started,
        }
    }
}

fn lost() -> Failure {
    Failure::unavailable("the node stopped before the handler had ended").with_executed(Executed::Unknown)
}

/// A handler that was started and not ready, with all that its end needs.
#[derive(Debug)]
pub(crate) struct Work<Out> {
    pub(crate) running: Running<Out>,
    pub(crate) incarnation: Arc<Incarnation>,
    pub(crate) core: Arc<EndpointCore>,
    /// Tells this run from others on the same message.
    pub(crate) run: MessageId,
    pub(crate) deadline: Stamp,
    pub(crate) started: Stamp,
}
