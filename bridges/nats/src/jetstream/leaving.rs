//! How a member of a durable group leaves an inbox: to start over with another one, or for good.
//!
//! What the server has sent there is in our hand as far as it knows; what we do not take comes again after `ack_wait` only.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Message;
use tokio::time::{Instant, Interval, sleep, timeout_at};

use super::ack;
use super::durable::Durable;
use super::inbox::Inbox;
use super::pulls::{EXPIRES, HEARTBEAT};

/// How long to wait before a group that is in trouble is looked for again.
const AGAIN: Duration = Duration::from_millis(250);
/// How long what is on its way to an inbox that is left may take.
const EMPTY_MAX: Duration = Duration::from_secs(5);

/// The inbox of a connection that was lost. A server that lived on still has its pulls, and answers them there once we are back.
#[derive(Debug)]
pub(crate) struct Former {
    inbox: Inbox,
    until: Instant,
}

/// The next message of a former inbox; `None` when nothing is answered there any more. Waits for ever if there is none.
pub(crate) async fn next_of(former: &mut Option<Former>) -> Option<Message> {
    match former {
        Some(Former { inbox, until }) => timeout_at(*until, inbox.next()).await.ok().flatten(),
        None => std::future::pending().await,
    }
}

impl Durable {
    /// Pulls anew, from an inbox of its own; after trouble only when the group was found.
    pub(super) async fn start_over(&mut self, after_trouble: bool) {
        if after_trouble {
            sleep(AGAIN).await;
            let ensured = self.group.ensure(&self.jetstream.api);
            if let Some(Err(error)) = self.shared.link.while_connected(ensured).await {
                tracing::warn!(%error, group = self.group.name, "a durable group cannot be found");
            }
        }
        let is_of_now = self.inbox.opened == self.shared.link.changes();
        if is_of_now {
            self.empty_inbox().await;
        }
        self.pulls.clear(Instant::now());
        if let Ok(inbox) = Inbox::open(&self.jetstream, &self.shared.link).await {
            let inbox = std::mem::replace(&mut self.inbox, inbox);
            let until = Instant::now() + EXPIRES + HEARTBEAT;
            self.former = (!is_of_now).then_some(Former { inbox, until });
        }
        self.forget_former();
    }

    /// Ends the inbox of this connection, and takes what was still on its way there.
    async fn empty_inbox(&mut self) {
        let deadline = Instant::now() + EMPTY_MAX;
        let (shared, opened) = (Arc::clone(&self.shared), self.inbox.opened);
        let on_the_way = self.pulls.on_the_way();
        let is_of_now = opened == shared.link.changes();
        let mut ending = is_of_now && matches!(timeout_at(deadline, self.inbox.end(on_the_way)).await, Ok(true));
        while ending {
            let message = tokio::select! {
                biased;
                message = timeout_at(deadline, self.inbox.next()) => message,
                // What was on its way is lost with the connection, and comes again.
                () = shared.link.changed(opened) => break,
            };
            match message {
                Ok(Some(message)) => self.take_last(message).await,
                Ok(None) => {
                    let forgets = self.group.forget_pulls(&self.jetstream.api);
                    shared.link.while_connected(forgets).await;
                    return;
                }
                Err(_elapsed) => ending = false,
            }
        }
        let group = &self.group.name;
        tracing::debug!(group, "a durable group was left without the server's word");
        while let Some(message) = self.inbox.next_now() {
            self.take_last(message).await;
        }
    }

    /// Takes a message from an inbox that is left; what the server says about its pulls means nothing any more.
    pub(super) async fn take_last(&mut self, mut message: Message) {
        let address = message.reply.as_deref().and_then(ack::read);
        if let (Some(reply), Some(address)) = (message.reply.clone(), address) {
            message.status = None;
            self.accept(&message, reply, address, Instant::now()).await;
        }
    }

    /// Forgets what it knows of a group that is no more: the one of now was made at another time.
    fn forget_former(&mut self) {
        let created = self.group.created();
        if created != self.created {
            self.created = created;
            self.hand.forget();
        }
    }

    /// Leaves the server first, then gives back what had arrived, then waits for what is out.
    pub(super) async fn leave(mut self, ticks: &mut Interval) {
        self.empty_inbox().await;
        if let Some(Former { mut inbox, .. }) = self.former.take() {
            while let Some(message) = inbox.next_now() {
                self.take_last(message).await;
            }
        }
        loop {
            self.do_chores().await;
            self.queue.chores_done();
            if self.queue.is_over() {
                break;
            }
            tokio::select! {
                () = self.queue.work.notified() => {}
                _ = ticks.tick() => self.tick().await,
            }
        }
    }
}
