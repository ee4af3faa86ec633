//! A handler at work: its future, polled and dropped where a panic cannot escape.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use roadshow_bridges::Failure;
use tracing::Span;

/// How a handler ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ended<Out> {
    /// It answered, with a reply or a failure.
    Answered(Result<Out, Failure>),
    /// It panicked; the text is what the panic said.
    Panicked(String),
    /// Its deadline passed while it was at work. It may still be.
    Late,
    /// It was dropped at work: too long past its deadline, or the node stopped.
    Abandoned,
}

/// A handler's future under its span.
pub(crate) struct Running<Out> {
    future: Option<BoxFuture<'static, Result<Out, Failure>>>,
    span: Span,
}

impl<Out> fmt::Debug for Running<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("span", &self.span)
            .finish_non_exhaustive()
    }
}

impl<Out> Running<Out> {
    pub(crate) fn new(future: BoxFuture<'static, Result<Out, Failure>>, span: Span) -> Self {
        Running {
            future: Some(future),
            span,
        }
    }

    /// Polls the handler. Once it has ended its future is gone.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended<Out>> {
        let _in_span = self.span.enter();
        let future = &mut self.future;
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let Some(running) = future.as_mut() else {
                return Poll::Pending;
            };
            let polled = Pin::as_mut(running).poll(cx);
            if polled.is_ready() {
                // Dropped where it was polled, so that a panic of what it holds is caught too.
                *future = None;
            }
            polled
        }));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(answer)) => Poll::Ready(Ended::Answered(answer)),
            Err(panic) => {
                let message = panic_message(&*panic);
                let future = self.future.take();
                // A second panic, while dropping what the first one left, adds nothing.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
                Poll::Ready(Ended::Panicked(message))
            }
        }
    }

    /// Drops the handler wherever it stands.
    ///
    /// # Errors
    /// What a panic said while it was dropped.
    pub(crate) fn end(&mut self) -> Result<(), String> {
        let _in_span = self.span.enter();
        let future = self.future.take();
        catch_unwind(AssertUnwindSafe(|| drop(future))).map_err(|panic| panic_message(&*panic))
    }
}

impl<Out> Drop for Running<Out> {
    fn drop(&mut self) {
        if self.future.is_some() {
            // Dropped together with its task: nobody is left to tell.
            let _ = self.end();
        }
    }
}

/// The text of a panic, where it has one.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&'static str>() {
        return (*text).to_owned();
    }
    panic
        .downcast_ref::<String>()
        .cloned()
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    struct PanicsInDrop;

    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }

    fn poll(running: &mut Running<()>) -> Poll<Ended<()>> {
        running.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_panic_is_caught_with_its_text() {
        let mut running = Running::<()>::new(Box::pin(async { panic!("no {}", 7) }), Span::none());
        let Poll::Ready(Ended::Panicked(text)) = poll(&mut running) else {
            panic!("expected a panic")
        };
        assert_eq!(text, "no 7");
    }

    #[test]
    fn a_panic_while_dropping_is_a_panic() {
        let held = PanicsInDrop;
        let future = Box::pin(async move {
            let _held = &held;
            Ok(())
        });
        let mut running = Running::new(future, Span::none());
        assert!(matches!(poll(&mut running), Poll::Ready(Ended::Panicked(text)) if text == "in drop"));
    }
}
