//! A seat: one subscription of this bridge, which outlives connections.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use lapin::ChannelStatus;
use roadshow_bridges::{Delivery, Reach, Subject, Subscription};
use tokio::sync::mpsc;

/// The session of a seat that no connection serves; sessions are counted from 1.
const NONE: u64 = 0;

/// A delivery, and where it arrived.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) session: u64,
    /// The channel that it came on: once that is over, the broker has it again.
    pub(crate) channel: ChannelStatus,
    pub(crate) delivery: Delivery,
}

/// One subscription.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) id: u64,
    pub(crate) subscription: Subscription,
    /// The session of now, or none; deliveries of an earlier one are not handed out any more.
    session: AtomicU64,
    closed: AtomicBool,
    /// Where deliveries go; taken when the seat is closed.
    outbound: Mutex<Option<mpsc::Sender<Arrived>>>,
}

impl Seat {
    /// A seat, and where its deliveries come out.
    pub(crate) fn new(id: u64, subscription: Subscription) -> (Self, mpsc::Receiver<Arrived>) {
        let (outbound, inbound) = mpsc::channel(subscription.window.get());
        let seat = Self {
            id,
            subscription,
            session: AtomicU64::new(NONE),
            closed: AtomicBool::new(false),
            outbound: Mutex::new(Some(outbound)),
        };
        (seat, inbound)
    }

    /// Begins a session; `None` if the seat is closed.
    pub(crate) fn begin(&self, session: u64) -> Option<mpsc::Sender<Arrived>> {
        let outbound = self.outbound.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.session.store(session, Ordering::Release);
        outbound
    }

    /// Ends this session, unless a later one has begun.
    pub(crate) fn end(&self, session: u64) {
        // An error means that it is over already.
        let _ = self
            .session
            .compare_exchange(session, NONE, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Ends the session of now: its connection is given up.
    pub(crate) fn interrupt(&self) {
        self.session.store(NONE, Ordering::Release);
    }

    /// Whether what came in this session on this channel is still ours; else the broker has it again.
    pub(crate) fn is_live(&self, session: u64, channel: &ChannelStatus) -> bool {
        self.session.load(Ordering::Acquire) == session && channel.connected()
    }

    /// Says that no delivery is handed out any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.outbound.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Whether deliveries are handed out no more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The backstop of the subscription.
    pub(crate) fn starts_max(&self) -> Option<NonZeroU32> {
        self.subscription.starts_max
    }

    /// The subject of a message that is heard here; `None` if it came to the queue by a binding of former times.
    ///
    /// What was put straight into the queue without a word on its subject is for the one that is heard.
    pub(crate) fn heard(&self, subject: Option<Subject>, straight: bool) -> Option<Subject> {
        let own = &self.subscription.subject;
        match (self.subscription.reach, subject) {
            (Reach::Exact, Some(subject)) if subject == *own => Some(subject),
            (Reach::Exact, _) if straight => Some(own.clone()),
            (Reach::Exact, _) | (_, None) => None,
            (_, Some(subject)) => (subject.parent() == Some(own.as_str())).then_some(subject),
        }
    }
}

#[cfg(test)]
mod tests {
    use roadshow_bridges::{Namespace, ServiceId};

    use super::*;

    fn subject(text: &str) -> Option<Subject> {
        Some(Subject::foreign(text).expect("visible"))
    }

    #[test]
    fn only_what_is_heard_has_a_subject() {
        let root = Namespace::default().command_root(ServiceId::new("user", 1));
        let (children, _) = Seat::new(1, Subscription::children(root.clone()));
        assert!(children.heard(subject("roadshow.cmd.user.1.create"), false).is_some());
        for other in [
            "roadshow.cmd.user.1",
            "roadshow.cmd.user.2.create",
            "roadshow.cmd.user.1.a.b",
        ] {
            assert!(children.heard(subject(other), true).is_none(), "{other}");
        }
        let (exact, _) = Seat::new(2, Subscription::new(root.clone()));
        assert_eq!(exact.heard(subject("roadshow.retry"), true), Some(root.clone()));
        assert_eq!(exact.heard(subject("roadshow.retry"), false), None);
        assert_eq!(exact.heard(Some(root.clone()), false), Some(root));
    }
}
