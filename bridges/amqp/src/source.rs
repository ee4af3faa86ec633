//! The subscriber's side of a seat: hands out what has arrived on the connection of now, and nothing while there is none.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use roadshow_bridges::{Delivery, DeliverySource};
use tokio::sync::mpsc;

use crate::seat::{Arrived, Seat};

#[derive(Debug)]
pub(crate) struct Source {
    seat: Arc<Seat>,
    inbound: mpsc::Receiver<Arrived>,
}

impl Source {
    pub(crate) fn new(seat: Arc<Seat>, inbound: mpsc::Receiver<Arrived>) -> Self {
        Self { seat, inbound }
    }

    /// Gives back what nobody has taken, and takes no more.
    fn end(&mut self) {
        self.inbound.close();
        while let Ok(arrived) = self.inbound.try_recv() {
            drop(arrived);
        }
    }

    /// A delivery, unless the broker has it on its way to somebody again.
    fn fresh(&self, arrived: Arrived) -> Option<Delivery> {
        let is_live = self.seat.is_live(arrived.session, &arrived.channel);
        is_live.then_some(arrived.delivery)
    }
}

impl DeliverySource for Source {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        loop {
            if self.seat.is_closed() {
                self.end();
                return Poll::Ready(None);
            }
            let Some(arrived) = ready!(self.inbound.poll_recv(cx)) else {
                return Poll::Ready(None);
            };
            if let Some(delivery) = self.fresh(arrived) {
                return Poll::Ready(Some(delivery));
            }
        }
    }

    fn try_next(&mut self) -> Option<Delivery> {
        loop {
            if self.seat.is_closed() {
                self.end();
                return None;
            }
            let arrived = self.inbound.try_recv().ok()?;
            if let Some(delivery) = self.fresh(arrived) {
                return Some(delivery);
            }
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.end();
    }
}
