//! Moving a message on: again for its group, at once or after a while, or among the dead letters.
//!
//! The message is published first and confirmed, then the delivery is acknowledged: what breaks in between makes a
//! duplicate, never a loss. Of the two the delivery is marked by the broker as one that may have begun.

use std::sync::Arc;
use std::time::Duration;

use lapin::types::ShortString;
use lapin::{BasicProperties, Connection};
use roadshow_bridges::{Envelope, Error, Published, Subject, reconnect_delay};
use tokio::time::{Instant, sleep, sleep_until};

use crate::bridge::Shared;
use crate::layout::{Keeping, Plan, Queue};
use crate::publishing::Publisher;
use crate::seat::Seat;
use crate::tiers::tier;
use crate::wire::{self, Cause, Outgoing};

/// How long one try may take.
const TRY_MAX: Duration = Duration::from_secs(5);
/// How often it is tried before the delivery is given back as it was.
const TRIES: u32 = 5;

/// Moves the messages of one subscription on one connection.
pub(crate) struct Mover {
    pub(crate) shared: Arc<Shared>,
    pub(crate) publisher: Publisher,
    pub(crate) connection: Arc<Connection>,
    pub(crate) plan: Plan,
    pub(crate) seat: Arc<Seat>,
}

impl Mover {
    /// What the subscription's group is called.
    fn group(&self) -> &str {
        self.seat.subscription.group.as_deref().unwrap_or_default()
    }

    /// Publishes a message again for this group, with the number of its last attempt if it had one; `true` once the broker has
    /// it. What nobody has begun may be one that runs only once, and a copy says nothing of the one before it: in a group that
    /// does not last there is no second one of it where the first may have arrived.
    pub(crate) async fn again(&self, envelope: &Envelope, attempt: Option<u32>, after: Duration) -> bool {
        let moving = || async {
            let mut envelope = envelope.clone();
            envelope.identity.attempt = attempt.unwrap_or(envelope.identity.attempt);
            let properties = wire::properties(&envelope, &self.shared.namespace)?;
            let properties = wire::with_header(properties, wire::SUBJECT, envelope.subject.as_str());
            let outgoing = Outgoing {
                exchange: self.waiting_room(after).await?,
                routing_key: self.plan.queue.name.clone(),
                mandatory: true,
                properties: properties.with_delivery_mode(2),
                payload: envelope.payload.to_bytes()?,
            };
            self.publisher.send_copy(&outgoing, Instant::now() + TRY_MAX).await
        };
        let is_once = attempt.is_none() && self.plan.keeping == Keeping::Group;
        self.tried("bring a message again", is_once, moving).await
    }

    /// Publishes a message among the dead letters; `true` once the broker has it.
    pub(crate) async fn dead(&self, envelope: &Envelope, attempts: u32, reason: &str) -> bool {
        let Some(dead) = &self.plan.dead else {
            tracing::warn!(subject = %envelope.subject, reason, "a rejected message is dropped: its subscriber has no group");
            self.shared.counters.rejected_alone.add(1);
            return true;
        };
        let moving = || async {
            self.ensure(dead).await?;
            let outgoing = Outgoing {
                exchange: self.shared.layout.exchange.clone(),
                routing_key: dead.name.clone(),
                mandatory: true,
                properties: self.dead_properties(envelope, attempts, reason, dead)?,
                payload: envelope.payload.to_bytes()?,
            };
            self.publisher.send_copy(&outgoing, Instant::now() + TRY_MAX).await
        };
        self.tried("keep a dead letter", false, moving).await
    }

    fn dead_properties(
        &self,
        envelope: &Envelope,
        attempts: u32,
        reason: &str,
        dead: &Queue,
    ) -> Result<BasicProperties, Error> {
        let cause = Cause {
            reason,
            group: self.group(),
            subject: envelope.subject.as_str(),
            attempts,
        };
        let mut letter = envelope.clone();
        let subject = Subject::foreign(dead.name.as_str());
        letter.subject = subject.map_err(|error| Error::rejected("cannot name a dead letter").with_source(error))?;
        // A dead letter is nobody's question any more.
        letter.reply_to = None;
        Ok(wire::with_cause(
            wire::properties(&letter, &self.shared.namespace)?,
            &cause,
        ))
    }

    /// The exchange of the queue in which a message waits, there and good to be relied on; the default one, which knows
    /// the group's own queue, if it need not wait.
    async fn waiting_room(&self, after: Duration) -> Result<ShortString, Error> {
        let Some(tier) = tier(after) else {
            return Ok(ShortString::default());
        };
        let lasts = self.plan.keeping == Keeping::Durable;
        let queue = self.shared.layout.tier(tier, lasts)?;
        self.ensure(&queue).await?;
        Ok(queue.name)
    }

    /// Waits until a queue is there and can be relied on.
    async fn ensure(&self, queue: &Queue) -> Result<(), Error> {
        sleep_until(self.shared.ensured.ensure(&self.connection, queue).await?).await;
        Ok(())
    }

    /// Tries until the broker has it, a few times; what `is_once`, only until the broker may have it.
    async fn tried<F: Future<Output = Result<Published, Error>>>(
        &self,
        act: &str,
        is_once: bool,
        moving: impl Fn() -> F,
    ) -> bool {
        for attempt in 1..=TRIES {
            match moving().await {
                Ok(Published::Accepted) => return true,
                Ok(published) => {
                    // Somebody has removed the queue, or the connection was lost.
                    self.shared.ensured.forget();
                    tracing::debug!(group = self.group(), ?published, attempt, "could not {act}");
                    if is_once && published == Published::Indeterminate {
                        break;
                    }
                }
                Err(error) => tracing::debug!(group = self.group(), %error, attempt, "could not {act}"),
            }
            sleep(reconnect_delay(attempt, rand::random())).await;
        }
        tracing::warn!(group = self.group(), "could not {act}: it is given back");
        false
    }
}
