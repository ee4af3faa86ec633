//! The end of a group that does not last: its queue goes with its last subscriber, so that a command for it is unroutable
//! at once.
//!
//! The broker refuses to remove a queue that somebody uses or in which something waits. What waits is left for a
//! successor for a while, then it is handed to whoever hears the rest, if anybody does and nobody may have begun it; else it stays
//! for the minute that the queue lives. Nothing is unbound: a new subscriber of the group may come at any moment.

use std::time::Duration;

use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{FieldTable, ShortString};
use roadshow_bridges::Published;
use tokio::time::{Instant, sleep};

use crate::bridge::Phase;
use crate::moves::Mover;
use crate::wire::{self, Outgoing};

/// How long what waits is left for a successor.
const SUCCESSOR_MAX: Duration = Duration::from_millis(500);
/// How often the queue is emptied before it is left alone.
const ROUNDS: u32 = 8;
/// How long handing a message on may take.
const HAND_MAX: Duration = Duration::from_secs(5);

impl Mover {
    /// Removes the queue, if nobody uses it; what waits in it goes to whoever hears the rest.
    pub(crate) async fn dissolve(&self) {
        if self.remove(true).await {
            return;
        }
        let closing = self.shared.closing(|phase| phase != Phase::Open);
        tokio::select! {
            () = closing => {}
            () = sleep(SUCCESSOR_MAX) => {
                for _ in 0..ROUNDS {
                    if !self.is_forsaken().await || !self.hand_on().await || self.remove(true).await {
                        return;
                    }
                }
            }
        }
    }

    /// Removes the queue, if nobody uses it; whether it was removed. The broker ends a channel that asks in vain, so it has
    /// one of its own.
    pub(crate) async fn remove(&self, if_empty: bool) -> bool {
        let Ok(channel) = self.connection.create_channel().await else {
            return false;
        };
        let options = QueueDeleteOptions {
            if_unused: true,
            if_empty,
            ..QueueDeleteOptions::default()
        };
        channel
            .queue_delete(self.plan.queue.name.clone(), options)
            .await
            .is_ok()
    }

    /// Whether something waits and nobody is there to take it.
    async fn is_forsaken(&self) -> bool {
        let Ok(channel) = self.connection.create_channel().await else {
            return false;
        };
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let asked = channel.queue_declare(self.plan.queue.name.clone(), passive, FieldTable::default());
        asked
            .await
            .is_ok_and(|queue| queue.consumer_count() == 0 && queue.message_count() > 0)
    }

    /// Hands what waits to whoever hears the rest; `false` as soon as nobody does, or if something stays: what may have begun
    /// would lose the broker's mark of that, and its caller be told that it did not.
    async fn hand_on(&self) -> bool {
        let Ok(channel) = self.connection.create_channel().await else {
            return false;
        };
        let queue = &self.plan.queue.name;
        let mut is_whole = true;
        while let Ok(Some(message)) = channel.basic_get(queue.clone(), BasicGetOptions::default()).await {
            let message = message.delivery;
            if message.redelivered {
                // The broker has it back when the channel is closed.
                is_whole = false;
                continue;
            }
            // What was given back came by the default exchange, where its routing key is the queue's name.
            let told = wire::subject_of(&message).and_then(|subject| ShortString::try_new(subject.as_str()).ok());
            let outgoing = Outgoing {
                exchange: self.shared.layout.rest.clone(),
                routing_key: told.unwrap_or(message.routing_key),
                mandatory: true,
                properties: message.properties,
                payload: message.data.into(),
            };
            let handed = self.publisher.send_copy(&outgoing, Instant::now() + HAND_MAX).await;
            if !matches!(handed, Ok(Published::Accepted)) {
                let options = BasicNackOptions {
                    multiple: false,
                    requeue: true,
                };
                let _kept = channel.basic_nack(message.delivery_tag, options).await;
                return false;
            }
            if channel
                .basic_ack(message.delivery_tag, BasicAckOptions::default())
                .await
                .is_err()
            {
                return false;
            }
        }
        channel.close(200, "OK".into()).await.is_ok() && is_whole
    }
}
