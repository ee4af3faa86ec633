//! Where a member's pulls are answered, and how it is left without losing what is on its way.
//!
//! async-nats forgets a subscription as soon as it is told to end it, and throws away what the server had sent until it read
//! that. The server believes all of it to be in our hand, and brings it to somebody only after its `ack_wait`. So the
//! inbox ends by number: "after so many messages", more than can be on their way, and we send ourselves as many. Both sides
//! count the same messages in the same order, and end at the same one.

use async_nats::connection::State;
use async_nats::{Client, Message, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use roadshow_bridges::Error;

use super::JetStream;
use crate::link::Link;

/// How many messages the server may have sent that no pull was for: its words about pulls.
const WORDS_MAX: u64 = 16;

/// Where one member's pulls are answered; a new one for each connection, so that no old pull is answered there.
#[derive(Debug)]
pub(crate) struct Inbox {
    root: String,
    client: Client,
    subscriber: Subscriber,
    /// The change of the link after which it was opened. On another connection the server counts from 0 again.
    pub(crate) opened: u64,
    /// How many messages were taken out.
    taken: u64,
}

impl Inbox {
    pub(crate) async fn open(jetstream: &JetStream, link: &Link) -> Result<Self, Error> {
        let opened = link.changes();
        let root = jetstream.api.replies().further("d");
        let client = jetstream.api.client().clone();
        let subscriber = client.subscribe(format!("{root}*")).await;
        let subscriber = subscriber
            .map_err(|error| Error::closed("cannot subscribe: the NATS client has ended").with_source(error))?;
        Ok(Self {
            root,
            client,
            subscriber,
            opened,
            taken: 0,
        })
    }

    /// Where the pull of this number is answered.
    pub(crate) fn reply(&self, pull: u64) -> String {
        format!("{}{pull}", self.root)
    }

    /// The next message; `None` after the last one. The future may be dropped.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        let message = self.subscriber.next().await?;
        self.taken += 1;
        Some(message)
    }

    /// A message that is here already.
    pub(crate) fn next_now(&mut self) -> Option<Message> {
        self.next().now_or_never().flatten()
    }

    /// Asks for the end on the connection that it was opened on, where at most so many messages are still to come for open pulls. `false` if nothing can come any more.
    pub(crate) async fn end(&mut self, on_the_way: usize) -> bool {
        if self.client.connection_state() != State::Connected {
            return false;
        }
        let most = WORDS_MAX.saturating_add(u64::try_from(on_the_way).unwrap_or(u64::MAX));
        if self.subscriber.unsubscribe_after(self.taken + most).await.is_err() {
            return false;
        }
        for _ in 0..most {
            let last = format!("{}end", self.root);
            if self.client.publish(last, Bytes::new()).await.is_err() {
                return false;
            }
        }
        true
    }
}
