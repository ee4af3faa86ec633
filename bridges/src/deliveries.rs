//! Deliveries: the bounded stream that a subscription hands out.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};

use crate::delivery::Delivery;

/// Where deliveries come from; each adapter has one.
///
/// # Behavior
///
/// Never hands out more than the subscription's window while they are unsettled. Dropping a source is cancelling it: what
/// it holds and nobody has started goes back to the broker, uncounted.
pub trait DeliverySource: Send + fmt::Debug {
    /// The next delivery, or `None` for ever once the subscription has ended.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>>;

    /// A delivery that is there already.
    fn try_next(&mut self) -> Option<Delivery>;

    /// Hears that nobody waits any more, although `poll_next` was pending: a wake-up that was meant for this
    /// subscriber belongs to another one.
    fn stop_waiting(&mut self) {}
}

/// The deliveries of one subscription. Dropping it is [`Deliveries::cancel`].
#[must_use = "dropping the deliveries ends the subscription"]
pub struct Deliveries(Box<dyn DeliverySource>);

impl Deliveries {
    /// Wraps what an adapter has.
    pub fn new(source: impl DeliverySource + 'static) -> Self {
        Self(Box::new(source))
    }

    /// Waits for the next delivery; `None` once the subscription or its bridge was closed, and then for ever.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no delivery: one is taken only in the poll that returns it.
    pub async fn next(&mut self) -> Option<Delivery> {
        let mut waiting = Waiting {
            source: &mut *self.0,
            pending: false,
        };
        poll_fn(|cx| waiting.poll(cx)).await
    }

    /// The next delivery, if one is there now.
    pub fn try_next(&mut self) -> Option<Delivery> {
        self.0.try_next()
    }

    /// As [`Deliveries::next`], for a hand-written future.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.0.poll_next(cx)
    }

    /// Ends the subscription. What nobody has started is given back uncounted; deliveries that are out may still be
    /// settled. No delivery is handed out afterwards.
    pub fn cancel(self) {
        drop(self);
    }
}

/// Passes a wake-up on when the future that waited for it is dropped.
struct Waiting<'a> {
    source: &'a mut dyn DeliverySource,
    pending: bool,
}

impl Waiting<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let poll = self.source.poll_next(cx);
        self.pending = poll.is_pending();
        poll
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.pending {
            self.source.stop_waiting();
        }
    }
}

impl fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Deliveries").field(&self.0).finish()
    }
}
