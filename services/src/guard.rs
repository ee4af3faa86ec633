//! Guards: checks that stand before a handler, and after it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use roadshow_bridges::Failure;

use crate::context::Context;

/// A check on a message before its handler runs, or on a reply before it is sent.
///
/// Closures that need no waiting are guards too: `|input: &CreateUser, ctx: &Context| …`.
pub trait Guard<T>: Send + Sync + 'static {
    /// Lets the value pass, or answers in the handler's place.
    ///
    /// # Errors
    /// The failure that the caller gets.
    fn check(&self, value: &T, ctx: &Context) -> impl Future<Output = Result<(), Failure>> + Send;
}

impl<T, F> Guard<T> for F
where
    T: Sync,
    F: Fn(&T, &Context) -> Result<(), Failure> + Send + Sync + 'static,
{
    fn check(&self, value: &T, ctx: &Context) -> impl Future<Output = Result<(), Failure>> + Send {
        std::future::ready(self(value, ctx))
    }
}

type Check<T> = Arc<dyn for<'a> Fn(&'a T, &'a Context) -> BoxFuture<'a, Result<(), Failure>> + Send + Sync>;

/// The guards of one kind on one command, in the order in which they were declared.
pub(crate) struct Guards<T>(Vec<Check<T>>);

impl<T> Default for Guards<T> {
    fn default() -> Self {
        Guards(Vec::new())
    }
}

impl<T> Clone for Guards<T> {
    fn clone(&self) -> Self {
        Guards(self.0.clone())
    }
}

impl<T> fmt::Debug for Guards<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} guards", self.0.len())
    }
}

impl<T: Sync + 'static> Guards<T> {
    pub(crate) fn add(&mut self, guard: impl Guard<T>) {
        let guard = Arc::new(guard);
        self.0.push(Arc::new(move |value, ctx| {
            let guard = Arc::clone(&guard);
            async move { guard.check(value, ctx).await }.boxed()
        }));
    }

    /// Asks one guard after the other; the first that refuses decides.
    pub(crate) async fn check(&self, value: &T, ctx: &Context) -> Result<(), Failure> {
        for guard in &self.0 {
            guard(value, ctx).await?;
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
