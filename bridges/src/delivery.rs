//! The delivery: one message in the hands of one subscriber, to be settled exactly once.
//!
//! It is an owned guard. Settling takes it by value, so nobody settles twice; dropping it unsettled gives the message back,
//! so a handler that panics or is cut off loses nothing. An attempt begins when the handler does: what is given
//! back before [`Delivery::begin`] was never tried.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::envelope::Envelope;

/// What a bridge needs to find its message again.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Parcel {
    /// The message.
    pub envelope: Arc<Envelope>,
    /// The bridge's own mark, for example a delivery tag; 0 if it needs none.
    pub tag: u64,
    /// How often a handler was started with the message in this group, this delivery included once it has begun.
    pub starts: u32,
    /// Whether this delivery has begun.
    pub begun: bool,
    /// When the message was published, as far as the bridge knows.
    pub since: Option<Instant>,
    /// Whether this is a message of our own that came back to its reply address, because nobody listens to its subject.
    pub returned: bool,
    /// Whether a subscriber that was lost may have begun with it, and the bridge cannot tell.
    pub may_have_begun: bool,
}

impl Parcel {
    /// A parcel that nobody has started with.
    pub fn new(envelope: Arc<Envelope>) -> Self {
        Self {
            envelope,
            tag: 0,
            starts: 0,
            begun: false,
            since: None,
            returned: false,
            may_have_begun: false,
        }
    }
}

/// What becomes of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement<'a> {
    /// It is done: forget it.
    Ack,
    /// It is not done: bring it again, not before this time has passed.
    Nack {
        /// How long to wait.
        after: Duration,
    },
    /// It can never be done: dead-letter it.
    Reject {
        /// Why, for people.
        reason: &'a str,
    },
}

/// How a bridge settles; one is shared by all deliveries of a subscriber.
///
/// # Behavior
///
/// `settle` is called exactly once for each delivery, from any thread, also outside a runtime and while a panic unwinds: it
/// must not block, wait or panic. An adapter hands the settlement to its own task over a channel that has room for a whole
/// window. A parcel that has not `begun` is given back uncounted.
pub trait Settler: Send + Sync + fmt::Debug {
    /// Settles one delivery.
    fn settle(&self, parcel: Parcel, settlement: Settlement<'_>);
}

/// One message in the hands of one subscriber.
///
/// Dropping it unsettled is a [`nack`](Delivery::nack) without delay.
#[must_use = "a dropped delivery is given back at once"]
pub struct Delivery {
    /// `None` once it is settled.
    parcel: Option<Parcel>,
    settler: Arc<dyn Settler>,
}

impl Delivery {
    /// Hands a parcel to a subscriber.
    pub fn new(parcel: Parcel, settler: Arc<dyn Settler>) -> Self {
        Self {
            parcel: Some(parcel),
            settler,
        }
    }

    fn parcel(&self) -> &Parcel {
        self.parcel
            .as_ref()
            .expect("a delivery has its parcel until it is settled by value")
    }

    /// The message.
    pub fn envelope(&self) -> &Envelope {
        &self.parcel().envelope
    }

    /// The message, shared: it may outlive the delivery.
    pub fn shared_envelope(&self) -> Arc<Envelope> {
        Arc::clone(&self.parcel().envelope)
    }

    /// Whether a message of our own came back, because nobody listens to its subject; the envelope then has the reply
    /// address as its subject and nothing else that counts.
    pub fn is_returned(&self) -> bool {
        self.parcel().returned
    }

    /// Whether a subscriber that was lost may have begun with it, and the bridge cannot tell: what must not run twice must
    /// not run now.
    pub fn may_have_begun(&self) -> bool {
        self.parcel().may_have_begun
    }

    /// How long ago the message was published, as far as the bridge knows; not asked of wall clocks.
    pub fn age(&self) -> Option<Duration> {
        self.parcel().since.map(|since| since.elapsed())
    }

    /// Says that the handler starts now, and returns which attempt this is, counted from 1 and from what the sender
    /// had counted before. A second call changes nothing.
    pub fn begin(&mut self) -> u32 {
        let parcel = self
            .parcel
            .as_mut()
            .expect("a delivery has its parcel until it is settled by value");
        if !parcel.begun {
            parcel.begun = true;
            parcel.starts = parcel.starts.saturating_add(1);
        }
        let before = parcel.envelope.identity.attempt.saturating_sub(1);
        before.saturating_add(parcel.starts)
    }

    /// Whether [`Delivery::begin`] was called.
    pub fn has_begun(&self) -> bool {
        self.parcel().begun
    }

    /// It is done: the bridge forgets it.
    pub fn ack(mut self) {
        self.settle(Settlement::Ack);
    }

    /// It is not done: the bridge brings it again, to any subscriber of the group, after this time.
    pub fn nack(mut self, after: Duration) {
        self.settle(Settlement::Nack { after });
    }

    /// It was not really tried: the bridge brings it again after this time, and the attempt does not count.
    pub fn give_back(mut self, after: Duration) {
        if let Some(parcel) = self.parcel.as_mut().filter(|parcel| parcel.begun) {
            parcel.begun = false;
            parcel.starts = parcel.starts.saturating_sub(1);
        }
        self.settle(Settlement::Nack { after });
    }

    /// It can never be done: the bridge puts it among the dead letters.
    pub fn reject(mut self, reason: &str) {
        self.settle(Settlement::Reject { reason });
    }

    fn settle(&mut self, settlement: Settlement<'_>) {
        if let Some(parcel) = self.parcel.take() {
            self.settler.settle(parcel, settlement);
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.settle(Settlement::Nack { after: Duration::ZERO });
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("parcel", &self.parcel)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bytes::Bytes;

    use super::*;
    use crate::{Identity, Kind, MessageId, Namespace};

    #[derive(Debug, Default)]
    struct Log(Mutex<Vec<(u32, bool, String)>>);

    impl Settler for Log {
        fn settle(&self, parcel: Parcel, settlement: Settlement<'_>) {
            let line = (parcel.starts, parcel.begun, format!("{settlement:?}"));
            self.0.lock().expect("no test panics here").push(line);
        }
    }

    fn delivery(log: &Arc<Log>, attempt: u32) -> Delivery {
        let mut identity = Identity::root(MessageId::from_u128(1));
        identity.attempt = attempt;
        let subject = Namespace::default().members_subject();
        let envelope = Envelope::new(Kind::Event, subject, identity, Bytes::new());
        Delivery::new(Parcel::new(Arc::new(envelope)), Arc::clone(log) as Arc<dyn Settler>)
    }

    #[test]
    fn each_delivery_is_settled_once_and_a_dropped_one_is_given_back() {
        let log = Arc::new(Log::default());
        delivery(&log, 1).ack();
        delivery(&log, 1).reject("broken");
        drop(delivery(&log, 1));
        let mut begun = delivery(&log, 1);
        begun.begin();
        drop(begun);
        let nack = "Nack { after: 0ns }".to_owned();
        let expected = [
            (0, false, "Ack".to_owned()),
            (0, false, "Reject { reason: \"broken\" }".to_owned()),
            (0, false, nack.clone()),
            (1, true, nack),
        ];
        assert_eq!(*log.0.lock().expect("no test panics here"), expected);
    }

    #[test]
    fn the_attempt_counts_on_from_the_senders() {
        let log = Arc::new(Log::default());
        let mut delivery = delivery(&log, 3);
        assert!(!delivery.has_begun());
        assert_eq!((delivery.begin(), delivery.begin()), (3, 3));
        delivery.ack();
    }
}
