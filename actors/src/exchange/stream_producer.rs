//! The producing side of a stream over a bridge: the items of a local handler become frames, as many as the consumer
//! has granted.
//!
//! The intake of the service polls it beside its commands. It ends with the one word that ends the stream, or without one
//! where nobody is left to hear it; dropped, it cancels the handler.

use std::time::Duration;

use bytes::Bytes;
use roadshow_bridges::{Delivery, Failure, Kind};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::stream_wire::{Peer, Sent};
use crate::inbox::InboxPlace;
use crate::stream::ItemReader;
use crate::stream::credit::Credit;
use crate::stream::items::draining;
use crate::stream::pulse::{Due, Pulse};

/// How far a handler may be ahead of what its consumer has granted, in items.
pub(super) const AHEAD: usize = 4;
/// Room for credits, heartbeats and a cancel: what finds none is said again.
pub(super) const CONTROL_ROOM: usize = 64;
/// How long a heartbeat may take to be sent.
const TELL_MAX: Duration = Duration::from_secs(1);

/// One stream that is fed here and read elsewhere.
pub(super) struct Producer {
    pub(super) peer: Peer,
    pub(super) items: ItemReader<Bytes>,
    /// Where credits and the cancel arrive.
    pub(super) control: mpsc::Receiver<Delivery>,
    pub(super) _place: InboxPlace,
    pub(super) credit: Credit,
    pub(super) pulse: Pulse,
    pub(super) drain: CancellationToken,
}

/// What happens next.
enum Step {
    Item(Option<Result<Bytes, Failure>>),
    Told(Option<Delivery>),
    Draining,
    Time,
}

/// Why nothing is sent any more.
enum Over {
    /// The stream has ended: the consumer is to be told.
    Ended(Result<(), Failure>),
    /// Nobody is there to be told.
    Gone,
}

impl Producer {
    /// Sends frames until the stream is over, and says so.
    pub(super) async fn run(mut self) {
        loop {
            let over = match self.step().await {
                Step::Item(item) => self.item(item).await,
                Step::Told(told) => self.hear(told),
                // The consumer may never grant again what is still to be sent.
                Step::Draining => Err(Over::Ended(Err(draining()))),
                Step::Time => self.time().await,
            };
            match over {
                Ok(()) => {}
                Err(Over::Ended(end)) => return self.peer.end(self.credit.sent(), end).await,
                Err(Over::Gone) => return,
            }
        }
    }

    async fn step(&mut self) -> Step {
        let (open, now) = (self.credit.allows(), Instant::now());
        let due = match self.pulse.due(now) {
            Due::At(due) => due,
            Due::Beat => now,
            // Not only when there is nothing to send: an item may always be ready.
            Due::Silent => return Step::Time,
        };
        tokio::select! {
            biased;
            told = self.control.recv() => Step::Told(told),
            item = self.items.next(), if open => Step::Item(item),
            () = self.drain.cancelled(), if !open => Step::Draining,
            () = sleep_until(due) => Step::Time,
        }
    }

    async fn item(&mut self, item: Option<Result<Bytes, Failure>>) -> Result<(), Over> {
        let item = match item {
            Some(Ok(item)) => item,
            Some(Err(failure)) => return Err(Over::Ended(Err(failure))),
            None => return Err(Over::Ended(Ok(()))),
        };
        let place = self.credit.spend();
        let sent = {
            let mut sending = std::pin::pin!(self.peer.send(Kind::Frame, place, item, None));
            loop {
                tokio::select! {
                    biased;
                    sent = &mut sending => break sent,
                    // A broker that is slow must not keep a cancel from being heard.
                    told = self.control.recv() => hear(told, &mut self.credit, &mut self.pulse)?,
                }
            }
        };
        self.pulse.speak(Instant::now());
        match sent {
            Sent::Away => Ok(()),
            Sent::Gone => Err(Over::Gone),
            Sent::Failed(failure) => {
                // It was not sent, so it does not count among those that were.
                let sent = place - 1;
                self.peer.end(sent, Err(failure)).await;
                Err(Over::Gone)
            }
        }
    }

    fn hear(&mut self, told: Option<Delivery>) -> Result<(), Over> {
        hear(told, &mut self.credit, &mut self.pulse)
    }

    async fn time(&mut self) -> Result<(), Over> {
        match self.pulse.due(Instant::now()) {
            Due::Silent => match self.control.try_recv() {
                Ok(told) => self.hear(Some(told)),
                Err(_nothing) => Err(Over::Gone),
            },
            Due::Beat => {
                self.pulse.speak(Instant::now());
                let listens = self.peer.tell(Kind::Heartbeat, self.credit.sent(), TELL_MAX).await;
                listens.then_some(()).ok_or(Over::Gone)
            }
            Due::At(_) => Ok(()),
        }
    }
}

/// What the consumer says: how far to send, that it lives, or that it has gone.
fn hear(told: Option<Delivery>, credit: &mut Credit, pulse: &mut Pulse) -> Result<(), Over> {
    // Without a place in the inbox nothing is heard any more: the node stops.
    let told = told.ok_or(Over::Gone)?;
    let (envelope, returned) = (told.shared_envelope(), told.is_returned());
    told.ack();
    pulse.hear(Instant::now());
    match envelope.kind {
        _ if returned => Err(Over::Gone),
        Kind::Cancel => Err(Over::Gone),
        Kind::Credit | Kind::Heartbeat => {
            credit.raise(envelope.sequence);
            Ok(())
        }
        _ => Ok(()),
    }
}
