//! The subscriber's side of a group.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use roadshow_bridges::{Delivery, DeliverySource};
use tokio::task::coop;

use crate::group::Group;

/// One member's deliveries.
#[derive(Debug)]
pub(crate) struct Source {
    group: Arc<Group>,
    member: u64,
}

impl Source {
    pub(crate) fn new(group: Arc<Group>, member: u64) -> Self {
        Self { group, member }
    }
}

impl DeliverySource for Source {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        // A subscriber that never waits must still let others run.
        let budget = ready!(coop::poll_proceed(cx));
        let poll = self.group.poll(self.member, Some(cx));
        if poll.is_ready() {
            budget.made_progress();
        }
        poll
    }

    fn try_next(&mut self) -> Option<Delivery> {
        match self.group.poll(self.member, None) {
            Poll::Ready(delivery) => delivery,
            Poll::Pending => None,
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.group.leave(self.member);
    }
}
