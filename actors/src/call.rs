//! The call path: from an address and an input to a reply, without a mailbox in between.
//!
//! A call (0) spends tokio's cooperative budget, so that a loop of ready calls cannot starve timers, (1) is checked
//! against phase, hops, deadline and rate, (2) takes a permit or waits for one, (3) passes the gate, and (4) polls its
//! handler once in the caller's task. A handler that is not ready at once moves, in that same poll, to a task of its own
//! with its permit: from then on the caller only waits, and may go without cutting the handler in half.
//!
//! Why there is no actor hop here: `docs/decisions/0001`.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use roadshow_bridges::{Executed, Failure};
use tokio::sync::oneshot;

use crate::admission::Held;
use crate::clock::Stamp;
use crate::context::CallContext;
use crate::endpoint::{Endpoint, EndpointCore};
use crate::hand_over::{Driver, Sink};
use crate::request::Request;
use crate::running::Running;
use crate::service::Incarnation;

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
    pub async fn call(&self, input: In, request: Request) -> Result<Out, Failure> {
        poll_fn(|cx| tokio::task::coop::poll_proceed(cx).map(|restore| restore.made_progress())).await;
        let core = &self.core;
        let started = core.node().clock.now();
        let deadline = request.deadline(started, core.limits.deadline);
        core.check(&request, started, deadline)?;
        let permit = self.admit(self.lane_of(&input), deadline, started).await?;
        let incarnation = match core.service.gate().live() {
            Some(incarnation) => incarnation,
            None => core.wait_at_gate(deadline).await?,
        };
        let depth = request.depth;
        let mut work = self.start(input, request, deadline, incarnation);
        if core.polls_inline(depth) {
            let first = poll_fn(|cx| Poll::Ready(work.running.poll(cx))).await;
            if let Poll::Ready(ended) = first {
                let answer = core.settle(ended, &work.incarnation, started);
                drop(permit);
                return answer;
            }
        }
        let (reply, answer) = oneshot::channel();
        let driver = Driver::new(work, permit.into_owned(core), reply, started);
        core.node().runtime().spawn(driver);
        match answer.await {
            Ok(answer) => answer,
            Err(_) => {
                Err(Failure::unavailable("the node stopped before the handler had ended")
                    .with_executed(Executed::Unknown))
            }
        }
    }

    /// Runs the handler for a delivery whose permit is already held, and hands its end to `sink`: in this poll if the
    /// handler is ready at once, from a task of its own otherwise.
    pub(crate) fn deliver<S: Sink<Out>>(
        &self,
        input: In,
        request: Request,
        permit: Held<Arc<EndpointCore>>,
        incarnation: Arc<Incarnation>,
        sink: S,
        cx: &mut std::task::Context<'_>,
    ) {
        let core = &self.core;
        let started = core.node().clock.now();
        let deadline = request.deadline(started, core.limits.deadline);
        let depth = request.depth;
        let mut work = self.start(input, request, deadline, incarnation);
        if core.polls_inline(depth)
            && let Poll::Ready(ended) = work.running.poll(cx)
        {
            core.count(&ended, &work.incarnation, started, S::CRASHES_COUNT);
            drop(permit);
            sink.end(ended);
            return;
        }
        core.node().runtime().spawn(Driver::new(work, permit, sink, started));
    }

    fn start(&self, input: In, request: Request, deadline: Stamp, incarnation: Arc<Incarnation>) -> Work<Out> {
        let core = &self.core;
        let identity = request.identity;
        let span = core.span(&identity);
        let id = identity.id;
        let depth = if core.polls_inline(request.depth) {
            request.depth
        } else {
            0
        };
        let context = CallContext::new(Arc::clone(&incarnation), identity, deadline, depth);
        let running = Running::new((self.run)(input, context), span);
        Work {
            running,
            incarnation,
            core: Arc::clone(core),
            id,
            deadline,
        }
    }
}

/// A handler that was started, with all that its end needs.
#[derive(Debug)]
pub(crate) struct Work<Out> {
    pub(crate) running: Running<Out>,
    pub(crate) incarnation: Arc<Incarnation>,
    pub(crate) core: Arc<EndpointCore>,
    pub(crate) id: roadshow_bridges::MessageId,
    pub(crate) deadline: Stamp,
}
