//! The subscriber's side of a seat: takes messages in batches and hands them out one by one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::task::coop;

use super::bus::Bus;
use super::group::{Item, Taken};
use super::seat::Seat;
use crate::deliveries::DeliverySource;
use crate::delivery::{Delivery, Parcel, Settler};

#[derive(Debug)]
pub(super) struct Source {
    bus: Arc<Bus>,
    seat: Arc<Seat>,
    /// Taken from the group, counted as outstanding, not handed out.
    batch: VecDeque<Item>,
}

impl Source {
    pub(super) fn new(bus: Arc<Bus>, seat: Arc<Seat>) -> Self {
        Self {
            bus,
            seat,
            batch: VecDeque::new(),
        }
    }

    /// The next message: from the batch, else from the group.
    fn take(&mut self, waker: Option<&Waker>) -> Poll<Option<Delivery>> {
        loop {
            if self.seat.is_closed() {
                self.leave();
                return Poll::Ready(None);
            }
            if let Some(item) = self.batch.pop_front() {
                return Poll::Ready(Some(self.deliver(item)));
            }
            let room = self.seat.room();
            if room == 0 {
                match waker {
                    Some(waker) if !self.seat.block(waker) => continue,
                    _ => return Poll::Pending,
                }
            }
            let seat = &self.seat;
            match seat
                .group
                .take(seat.id, room, waker, || seat.is_closed(), &mut self.batch)
            {
                Taken::Some(count) => seat.took(count),
                Taken::Closed => seat.close(),
                Taken::None => {
                    self.bus.timer.ensure_running();
                    return Poll::Pending;
                }
            }
        }
    }

    fn deliver(&self, item: Item) -> Delivery {
        let mut parcel = Parcel::new(item.envelope);
        (parcel.starts, parcel.since) = (item.starts, item.since);
        Delivery::new(parcel, Arc::clone(&self.seat) as Arc<dyn Settler>)
    }

    /// Gives back what nobody started, in its order, then leaves the group.
    fn leave(&mut self) {
        let count = self.batch.len();
        for item in self.batch.drain(..).rev() {
            if !self.seat.group.give_back(item, true) {
                self.bus.count_lost(1);
            }
        }
        self.seat.release(count);
        self.bus.leave(&self.seat);
    }
}

impl DeliverySource for Source {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        // A subscriber that never waits must still let others run.
        let budget = ready!(coop::poll_proceed(cx));
        let poll = self.take(Some(cx.waker()));
        if poll.is_ready() {
            budget.made_progress();
        }
        poll
    }

    fn try_next(&mut self) -> Option<Delivery> {
        match self.take(None) {
            Poll::Ready(delivery) => delivery,
            Poll::Pending => None,
        }
    }

    fn stop_waiting(&mut self) {
        self.seat.group.stop_waiting(self.seat.id);
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.seat.close();
        self.leave();
    }
}
