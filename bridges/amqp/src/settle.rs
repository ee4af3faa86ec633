//! Settling: what is to be done about a delivery, decided where it is settled and done by the task that owns its channel.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use roadshow_bridges::{Envelope, Parcel, Settlement, Settler};
use tokio::sync::mpsc;

use crate::bridge::Shared;

/// After that many starts a message is dead-lettered: a backstop far beyond the runtime's own count.
const STARTS_MAX: u32 = 50;

/// What is to be done about a delivery.
#[derive(Debug)]
pub(crate) enum Act {
    /// Acknowledge it.
    Ack,
    /// Give it back as it is; its holder has not begun.
    GiveBack {
        envelope: Arc<Envelope>,
        /// Whether somebody before may have begun: only the broker's own mark says that.
        is_marked: bool,
    },
    /// Publish it again for the same group, then acknowledge it.
    Again {
        envelope: Arc<Envelope>,
        /// Which start of the handler the next one will be.
        attempt: u32,
        after: Duration,
    },
    /// Publish it among the dead letters, then acknowledge it.
    Dead {
        envelope: Arc<Envelope>,
        attempts: u32,
        reason: String,
    },
}

/// A delivery that was settled.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) tag: u64,
    pub(crate) act: Act,
}

/// Settles the deliveries of one subscription on one connection.
pub(crate) struct AmqpSettler {
    settled: mpsc::Sender<Settled>,
    shared: Arc<Shared>,
    starts_max: u32,
}

impl AmqpSettler {
    /// Tells the task at the other end, whose channel has room for a whole window.
    pub(crate) fn new(settled: mpsc::Sender<Settled>, shared: Arc<Shared>, starts_max: Option<NonZeroU32>) -> Self {
        let starts_max = starts_max.map_or(STARTS_MAX, NonZeroU32::get);
        Self {
            settled,
            shared,
            starts_max,
        }
    }
}

impl Settler for AmqpSettler {
    fn settle(&self, parcel: Parcel, settlement: Settlement<'_>) {
        let settled = Settled {
            tag: parcel.tag,
            act: act(parcel, settlement, self.starts_max),
        };
        // The task is gone with its connection: the broker brings the message again.
        if self.settled.try_send(settled).is_err() {
            self.shared.counters.stale_settlements.add(1);
        }
    }
}

impl fmt::Debug for AmqpSettler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpSettler").finish_non_exhaustive()
    }
}

fn act(parcel: Parcel, settlement: Settlement<'_>, starts_max: u32) -> Act {
    let Parcel {
        envelope,
        starts,
        begun,
        may_have_begun: is_marked,
        ..
    } = parcel;
    let attempts = envelope.identity.attempt.saturating_sub(1).saturating_add(starts);
    match settlement {
        Settlement::Ack => Act::Ack,
        Settlement::Reject { reason } => Act::Dead {
            envelope,
            attempts,
            reason: reason.to_owned(),
        },
        Settlement::Nack { after } if !begun && after.is_zero() => Act::GiveBack { envelope, is_marked },
        Settlement::Nack { .. } if begun && attempts >= starts_max => Act::Dead {
            envelope,
            attempts,
            reason: format!("gave up after {attempts} starts"),
        },
        Settlement::Nack { after } => Act::Again {
            envelope,
            attempt: attempts.saturating_add(1),
            after,
        },
        // A way of settling that is not known here loses nothing.
        _ => Act::GiveBack { envelope, is_marked },
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use roadshow_bridges::{Identity, Kind, MessageId, Namespace};

    use super::*;

    fn told(attempt: u32, starts: u32, begun: bool, settlement: Settlement<'_>) -> String {
        let mut parcel = parcel(attempt);
        (parcel.starts, parcel.begun) = (starts, begun);
        said(parcel, settlement)
    }

    fn parcel(attempt: u32) -> Parcel {
        let mut identity = Identity::root(MessageId::from_u128(1));
        identity.attempt = attempt;
        let subject = Namespace::default().members_subject();
        Parcel::new(Arc::new(Envelope::new(Kind::Event, subject, identity, Bytes::new())))
    }

    fn said(parcel: Parcel, settlement: Settlement<'_>) -> String {
        match act(parcel, settlement, 3) {
            Act::Ack => "ack".to_owned(),
            Act::GiveBack { is_marked: true, .. } => "give back as it came".to_owned(),
            Act::GiveBack { .. } => "give back".to_owned(),
            Act::Again { attempt, after, .. } => format!("again {attempt} after {}", after.as_millis()),
            Act::Dead { attempts, reason, .. } => format!("dead {attempts}: {reason}"),
        }
    }

    #[test]
    fn what_was_not_begun_is_not_counted() {
        let nack = |ms| Settlement::Nack {
            after: Duration::from_millis(ms),
        };
        assert_eq!(told(1, 0, false, nack(0)), "give back");
        assert_eq!(told(2, 0, false, nack(50)), "again 2 after 50");
        assert_eq!(told(1, 1, true, nack(0)), "again 2 after 0");
        assert_eq!(told(2, 1, true, nack(70)), "again 3 after 70");
    }

    #[test]
    fn what_somebody_before_may_have_begun_is_given_back_with_that_mark() {
        let mut parcel = parcel(1);
        parcel.may_have_begun = true;
        let nack = Settlement::Nack { after: Duration::ZERO };
        assert_eq!(said(parcel, nack), "give back as it came");
    }

    #[test]
    fn the_backstop_and_a_rejection_end_among_the_dead_letters() {
        let nack = Settlement::Nack { after: Duration::ZERO };
        assert_eq!(told(3, 1, true, nack), "dead 3: gave up after 3 starts");
        assert_eq!(
            told(1, 1, true, Settlement::Reject { reason: "broken" }),
            "dead 1: broken"
        );
        assert_eq!(told(9, 1, true, Settlement::Ack), "ack");
    }
}
