//! The hand-over: a handler that was not ready at its first poll, in a task of its own.
//!
//! The task owns the handler, its permit and the promise of an answer. Whoever called may go; the handler is told through
//! `ctx.cancelled()` and runs on. At its deadline the caller is answered and the handler told; `abandon_after` later it
//! is dropped and its permit is free. The wheel holds every such task's deadline and can end them all, which is what a
//! node does when its drain has run out: no task of this kind outlives its node.

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use roadshow_bridges::{Executed, Failure};
use tokio::sync::oneshot;

use crate::admission::Held;
use crate::call::Work;
use crate::clock::Stamp;
use crate::endpoint::EndpointCore;
use crate::running::Ended;
use crate::watch::Stage;
use crate::wheel::Place;

/// Where the end of a handler goes.
pub(crate) trait Sink<Out>: Send + Unpin + 'static {
    /// Whether a panic uses the restart budget of the service.
    const CRASHES_COUNT: bool;
    /// Whether whoever waits is told at the deadline, while the handler is still at work.
    const TOLD_WHEN_LATE: bool;
    /// Whether a handler that nobody waits for is dropped `abandon_after` from then, however late its deadline is.
    const ENDS_WHEN_GONE: bool = false;

    /// Ready when nobody waits any more.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Takes the end. Called once.
    fn end(self, ended: Ended<Out>);
}

impl<Out: Send + 'static> Sink<Out> for oneshot::Sender<Result<Out, Failure>> {
    const CRASHES_COUNT: bool = true;
    const TOLD_WHEN_LATE: bool = true;

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_closed(cx)
    }

    fn end(self, ended: Ended<Out>) {
        // A caller that has gone needs no answer.
        let _ = self.send(into_answer(ended));
    }
}

/// What a caller is told about the end of its handler.
pub(crate) fn into_answer<Out>(ended: Ended<Out>) -> Result<Out, Failure> {
    match ended {
        // Stamped where it is known whether the handler itself was reached.
        Ended::Answered(answer) => answer,
        Ended::Panicked(_) => Err(Failure::internal("the handler panicked").with_executed(Executed::Unknown)),
        Ended::Late => Err(Failure::timeout("no answer within the time budget").with_executed(Executed::Unknown)),
        Ended::Abandoned => {
            Err(Failure::unavailable("the handler was ended before it answered").with_executed(Executed::Unknown))
        }
    }
}

/// The task of one handed-over handler.
pub(crate) struct Driver<Out, S: Sink<Out>> {
    work: Work<Out>,
    sink: Option<S>,
    place: Option<Place>,
    cancelled: bool,
    /// When it is dropped because nobody waits for it, if that is its rule.
    hurried: Option<Stamp>,
    // Declared last: given back after the handler is gone.
    permit: Option<Held<Arc<EndpointCore>>>,
}

impl<Out, S: Sink<Out>> fmt::Debug for Driver<Out, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("work", &self.work.core)
            .finish_non_exhaustive()
    }
}

impl<Out: Send + 'static, S: Sink<Out>> Driver<Out, S> {
    pub(crate) fn new(work: Work<Out>, permit: Held<Arc<EndpointCore>>, sink: S) -> Self {
        Driver {
            work,
            sink: Some(sink),
            place: None,
            cancelled: false,
            hurried: None,
            permit: Some(permit),
        }
    }

    /// The handler has ended: count it, give the permit back, tell whoever waits.
    fn finish(&mut self, ended: Ended<Out>) {
        self.leave();
        let core = Arc::clone(&self.work.core);
        // Who was told at the deadline was counted at the deadline.
        if self.sink.is_some() {
            core.count(&ended, &self.work.incarnation, self.work.started, S::CRASHES_COUNT);
        } else {
            core.count_late(&ended, &self.work.incarnation, S::CRASHES_COUNT);
        }
        self.permit = None;
        if let Some(sink) = self.sink.take() {
            sink.end(ended);
        }
    }

    /// Looks at the clock's verdict and at whether anybody still waits.
    fn supervise(&mut self, cx: &mut Context<'_>) -> ControlFlow<()> {
        if self.sink.as_mut().is_some_and(|sink| sink.poll_gone(cx).is_ready()) {
            self.cancel();
            self.hurry();
        }
        if self.place.is_none() {
            let abandon = self.work.deadline + self.work.core.limits.abandon_after;
            let (late, abandon) = self.hurried.map_or((self.work.deadline, abandon), |by| (by, by));
            self.place = Some(self.work.core.node().wheel.enter(late, abandon));
        }
        let Some(place) = &self.place else {
            return ControlFlow::Continue(());
        };
        place.watch.register(cx.waker());
        let stage = place.watch.stage();
        if matches!(stage, Stage::Late | Stage::Abandoned) {
            self.late();
        }
        if matches!(stage, Stage::Abandoned | Stage::Stopped) {
            self.abandon();
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// Nobody waits for the handler any more: gives it a nearer end, if that is its rule.
    fn hurry(&mut self) {
        if S::ENDS_WHEN_GONE && self.hurried.is_none() {
            let (node, after) = (self.work.core.node(), self.work.core.limits.abandon_after);
            self.hurried = Some((node.clock.now() + after).min(self.work.deadline + after));
            if let Some(place) = self.place.take() {
                node.wheel.leave(&place);
            }
        }
    }

    /// The deadline has passed: the handler hears of it, and so does its caller.
    fn late(&mut self) {
        self.cancel();
        if S::TOLD_WHEN_LATE
            && self.hurried.is_none()
            && let Some(sink) = self.sink.take()
        {
            let (core, incarnation) = (&self.work.core, &self.work.incarnation);
            core.count(&Ended::<Out>::Late, incarnation, self.work.started, false);
            sink.end(Ended::Late);
        }
    }

    fn abandon(&mut self) {
        self.cancel();
        let ended = match self.work.running.end() {
            Ok(()) => Ended::Abandoned,
            Err(panic) => Ended::Panicked(panic),
        };
        self.work.core.metrics.record_abandoned();
        self.finish(ended);
    }

    fn cancel(&mut self) {
        if !self.cancelled {
            self.cancelled = true;
            self.work.core.node().cancellations.fire(self.work.run);
        }
    }
}

impl<Out, S: Sink<Out>> Driver<Out, S> {
    fn leave(&mut self) {
        let node = self.work.core.node();
        if let Some(place) = self.place.take() {
            node.wheel.leave(&place);
        }
        if self.cancelled {
            node.cancellations.forget(self.work.run);
        }
    }
}

impl<Out: Send + 'static, S: Sink<Out>> Future for Driver<Out, S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = self.get_mut();
        if let Poll::Ready(ended) = driver.work.running.poll(cx) {
            driver.finish(ended);
            return Poll::Ready(());
        }
        match driver.supervise(cx) {
            ControlFlow::Break(()) => Poll::Ready(()),
            ControlFlow::Continue(()) => Poll::Pending,
        }
    }
}

impl<Out, S: Sink<Out>> Drop for Driver<Out, S> {
    fn drop(&mut self) {
        // Only reached unfinished when the runtime itself goes down.
        self.leave();
    }
}

impl<Out, S: Sink<Out>> Unpin for Driver<Out, S> {}
