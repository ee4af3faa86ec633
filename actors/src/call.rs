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
use std::sync::Arc;
use std::task::{Context, Poll};

use roadshow_bridges::{Executed, Failure, MessageId};
use tokio::sync::oneshot;

use crate::admission::Held;
use crate::clock::Stamp;
use crate::context::CallContext;
use crate::endpoint::{Endpoint, EndpointCore};
use crate::hand_over::{Driver, Sink};
use crate::request::Request;
use crate::running::Running;
use crate::service::Incarnation;

/// Spends one unit of tokio's cooperative budget; waits for the next turn when it is used up.
pub async fn spend_budget() {
    poll_fn(|cx| tokio::task::coop::poll_proceed(cx).map(|restore| restore.made_progress())).await;
}

/// A call that has its permit and waits for the gate, or for its first poll.
struct Admitted<'a, In> {
    input: In,
    request: Request<'a>,
    permit: Held<&'a EndpointCore>,
}

/// What came of the attempt to start a handler.
enum First<Out> {
    /// It was ready at its first poll.
    Answered(Result<Out, Failure>),
    /// It runs in a task of its own.
    HandedOver(oneshot::Receiver<Result<Out, Failure>>),
    /// There is no state to run it on.
    Shut,
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
        spend_budget().await;
        let core = &*self.core;
        let started = core.node().clock.now();
        let deadline = request.deadline(started, core.limits.deadline);
        core.check(&request, started, deadline)?;
        let permit = match self.try_admit() {
            Some(permit) => permit,
            None => self.admit(self.lane_of_input(&input)?, deadline, started).await?,
        };
        let mut admitted = Some(Admitted { input, request, permit });
        loop {
            let first = poll_fn(|cx| Poll::Ready(self.first_poll(&mut admitted, deadline, started, cx))).await;
            match first {
                First::Answered(answer) => return answer,
                First::HandedOver(answer) => return answer.await.unwrap_or_else(|_gone| Err(lost())),
                First::Shut => core.wait_at_gate(deadline).await?,
            };
        }
    }

    /// The lane of an input. Its key is the author's code: a panic there is answered, not passed on to the caller.
    fn lane_of_input(&self, input: &In) -> Result<Option<usize>, Failure> {
        catch_unwind(AssertUnwindSafe(|| self.lane_of(input))).map_err(|_panic| {
            self.core.metrics.record_panic();
            Failure::internal("the key of the call could not be told").with_executed(Executed::No)
        })
    }

    /// Starts the handler if the gate is open, polls it where it may be polled, and hands it over if it is not ready.
    fn first_poll(
        &self,
        admitted: &mut Option<Admitted<'_, In>>,
        deadline: Stamp,
        started: Stamp,
        cx: &mut Context<'_>,
    ) -> First<Out> {
        let core = &self.core;
        let live = core.service.gate().peek();
        let Some(incarnation) = &*live else { return First::Shut };
        if let Err(refused) = core.check_phase() {
            return First::Answered(Err(refused));
        }
        let Some(Admitted { input, request, permit }) = admitted.take() else {
            return First::Shut;
        };
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
