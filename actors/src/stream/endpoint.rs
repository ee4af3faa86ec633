//! Opening a stream at an endpoint: admission, gate and first poll as for a call, then the handler on its own.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use roadshow_bridges::{Executed, Failure};

use super::items::{Acceptance, ItemReader, ItemSender, acceptance, parts, refuse_drain};
use super::sink::StreamSink;
use crate::call::spend_budget;
use crate::clock::Stamp;
use crate::endpoint::Endpoint;
use crate::request::Request;

/// How often a quiet stream says that it lives, at least.
pub const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long a stream may live, and how far its handler may be ahead of its reader.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// Items that wait for the reader; 0 counts as 1.
    pub window: usize,
    /// The longest duration, from its start; `None` is for ever.
    pub max_duration: Option<Duration>,
    /// How often it says over a bridge that it lives, while it is quiet.
    pub heartbeat: Duration,
}

impl<In: Send + 'static> Endpoint<In, ()> {
    /// Opens a stream: starts the handler on what `make` puts together, and waits until it feeds the stream.
    ///
    /// # Errors
    /// As [`Endpoint::call`], and what the handler answered before it had sent anything or waited for anything.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the stream.
    pub async fn open<T: Send + 'static>(
        &self,
        make: impl FnOnce(ItemSender<T>, Acceptance) -> In,
        life: Life,
        request: Request<'_>,
    ) -> Result<ItemReader<T>, Failure> {
        spend_budget().await;
        let core = self.core();
        let started = core.node().clock().now();
        let deadline = request.deadline(started, core.limits().deadline);
        core.check(&request, started, deadline)?;
        let drain = core.node().intake().clone();
        refuse_drain(&drain)?;
        let permit = match self.try_admit() {
            Some(permit) => permit,
            None => self.admit(None, deadline, started).await?,
        };
        let parts = parts(life.window, drain.clone());
        let (accept, accepted) = acceptance();
        let sink = StreamSink::new(parts.terminal, drain);
        let request = request.lasting(life.max_duration.unwrap_or(Duration::MAX));
        let input = make(parts.sender, accept);
        let mut asked = Some((input, request, permit.into_owned(core), sink));
        while asked.is_some() {
            core.check_phase()?;
            poll_fn(|cx| {
                let live = core.service().gate().peek();
                if let Some(incarnation) = &*live
                    && let Some((input, request, permit, sink)) = asked.take()
                {
                    self.deliver(input, request, permit, incarnation, sink, cx);
                }
                Poll::Ready(())
            })
            .await;
            if asked.is_some() {
                core.wait_at_gate(deadline).await?;
            }
        }
        let mut reader = parts.reader;
        self.within(deadline, reader.opened(accepted)).await?;
        Ok(reader)
    }

    /// Waits for a handler that has started, also where the caller is on no runtime or on another one.
    async fn within<T>(&self, deadline: Stamp, opened: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let node = self.core().node();
        let opens = {
            let _on_runtime = node.runtime().enter();
            tokio::time::timeout_at(node.clock().instant(deadline), opened)
        };
        opens.await.unwrap_or_else(|_elapsed| {
            let text = "the stream was not opened within the time budget";
            Err(Failure::timeout(text).with_executed(Executed::Unknown))
        })
    }
}

/// Runs a stream's handler, and accepts the stream once it waits or ends well. A failure before that refuses it.
///
/// # Errors
/// What the handler answered.
///
/// # Cancel safety
/// Dropping the future drops the handler.
pub async fn accepting(accept: Acceptance, handler: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let mut handler = pin!(handler);
    let mut accept = Some(accept);
    poll_fn(|cx| {
        let polled = handler.as_mut().poll(cx);
        let accept = accept.take();
        if !matches!(polled, Poll::Ready(Err(_)))
            && let Some(accept) = accept
        {
            accept.accept();
        }
        polled
    })
    .await
}
