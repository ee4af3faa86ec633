//! Settling the deliveries of a durable group.
//!
//! An acknowledgement goes to the client at once, from the thread that settles, and is not confirmed: one that is lost is
//! a delivery that comes again, and a member that remembers it acknowledges it again without starting a handler.

use std::sync::Arc;

use async_nats::Client;
use async_nats::client::traits::Publisher;
use async_nats::message::OutboundMessage;
use bytes::Bytes;
use futures_util::FutureExt;
use roadshow_bridges::{Parcel, Settlement, Settler};

use super::held::Hand;
use crate::queue::{Chore, Queue, due};

/// It is done.
pub(crate) const ACK: &[u8] = b"+ACK";
/// It is still in hand.
pub(crate) const PROGRESS: &[u8] = b"+WPI";
/// It is never to come again.
pub(crate) const TERM: &[u8] = b"+TERM";

/// Settles the deliveries of one member.
#[derive(Debug)]
pub(crate) struct DurableSettler {
    pub(crate) client: Client,
    pub(crate) queue: Arc<Queue>,
    pub(crate) hand: Arc<Hand>,
}

impl Settler for DurableSettler {
    fn settle(&self, parcel: Parcel, settlement: Settlement<'_>) {
        match settlement {
            Settlement::Reject { reason } => self.queue.leave(Chore::Dead(parcel, reason.to_owned())),
            Settlement::Nack { after } => self.queue.leave(Chore::Again(parcel, due(after))),
            _ => self.ack(parcel),
        }
    }
}

impl DurableSettler {
    fn ack(&self, parcel: Parcel) {
        let Some(ack) = self.hand.ack(parcel.tag) else {
            self.queue.settled();
            return;
        };
        let message = note(ack, Bytes::from_static(ACK));
        if matches!(self.client.publish_message(message).now_or_never(), Some(Ok(()))) {
            self.hand.done(parcel.tag);
            self.queue.settled();
        } else {
            self.queue.leave(Chore::Done(parcel));
        }
    }
}

/// A word about a message to the server.
pub(crate) fn note(ack: async_nats::Subject, word: Bytes) -> OutboundMessage {
    OutboundMessage {
        subject: ack,
        reply: None,
        payload: word,
        headers: None,
    }
}
