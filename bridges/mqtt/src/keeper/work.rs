//! What the keeper waits for: one future each, and every one of them ends.

use std::sync::Arc;

use roadshow_bridges::Envelope;
use tokio::time::Instant;

use super::Done;
use crate::dead;
use crate::group::{Group, Item};
use crate::outbox::{Again, Target};
use crate::outlet::{Job, Leaving};
use crate::packet;
use crate::shared::{ANSWER, Shared, unix_ms};
use crate::wire::{Counters, Message, Sent, Wire};

/// Ends the subscriptions of a group, then gives back what waits there; only then it has left.
pub(super) async fn leave(shared: Arc<Shared>, group: Arc<Group>, leaving: Leaving) -> Done {
    shared.take_out(&group).await;
    let delayed = shared.outlet.undelay(&group);
    delayed.into_iter().for_each(|item| group.give_back(item));
    group.drain();
    drop(leaving);
    Done::Left(group)
}

/// Sends a message that no outbox keeps to the other members of its group.
pub(super) async fn pass_on(shared: Arc<Shared>, wire: Arc<Wire>, name: Arc<str>, item: Item) -> Done {
    let mut envelope = Envelope::clone(&item.envelope);
    envelope.identity.attempt = envelope.identity.attempt.saturating_add(item.starts);
    let topic = shared.topics.of(&envelope.subject);
    let message = topic.and_then(|topic| {
        Ok(Message {
            topic: shared.topics.again(&name, &topic),
            payload: envelope.payload.to_bytes()?,
            properties: packet::write(&shared.namespace, &shared.topics, &envelope, None)?,
            retain: false,
        })
    });
    let Ok(message) = message else {
        Counters::count(&shared.counters.unreadable);
        return Done::Job(None);
    };
    match wire.send(message, Instant::now() + ANSWER).await {
        Sent::Routed | Sent::Unknown => {}
        Sent::Unsent => {
            return Done::Job(Some(Job::GiveBack { group: name, item }));
        }
        Sent::Unrouted | Sent::Refused(_) => {
            Counters::count(&shared.counters.unheard);
            tracing::debug!(group = %name, "nobody of the group is left for a message that was given back");
        }
    }
    Done::Job(None)
}

/// Writes a dead letter, then says that the message is settled.
pub(super) async fn bury(
    shared: Arc<Shared>,
    wire: Arc<Wire>,
    name: Option<Arc<str>>,
    group: Option<Arc<Group>>,
    item: Item,
    reason: String,
) -> Done {
    let attempts = item
        .envelope
        .identity
        .attempt
        .saturating_sub(1)
        .saturating_add(item.starts);
    let message = dead::letter(
        &shared.namespace,
        &shared.topics,
        &item.envelope,
        name.as_deref(),
        attempts,
        &reason,
    );
    let (sent, topic) = match message {
        Ok(message) => {
            let topic = message.topic.clone();
            (wire.send(message, Instant::now() + ANSWER).await, topic)
        }
        Err(error) => (Sent::Refused(error), String::new()),
    };
    match sent {
        Sent::Unknown | Sent::Unsent => {
            return Done::Job(Some(Job::Dead {
                name,
                group,
                item,
                reason,
            }));
        }
        Sent::Refused(error) => {
            Counters::count(&shared.counters.no_dead_letter);
            tracing::warn!(error = %error, id = %item.envelope.identity.id, "a dead letter could not be written");
        }
        Sent::Routed | Sent::Unrouted => {}
    }
    if let Some(group) = group {
        group.done(item.envelope.identity.id, item.outbox);
    }
    Done::Letter(name.unwrap_or_else(|| "none".into()), topic)
}

/// Sends a message of the outbox again, to the group that owes its settlement.
pub(super) async fn send_again(
    shared: Arc<Shared>,
    wire: Arc<Wire>,
    target: Target,
    kept: Arc<Envelope>,
    starts: u32,
    expires: Instant,
) -> Done {
    let id = kept.identity.id;
    Counters::count(&shared.counters.resent);
    let mut envelope = Envelope::clone(&kept);
    envelope.identity.attempt = envelope.identity.attempt.saturating_add(starts);
    if target.group.is_none() {
        // A command's budget is what is left of it.
        envelope.identity.budget = Some(expires.saturating_duration_since(Instant::now()));
        envelope.sent_ms = Some(unix_ms());
    }
    let outbox = Some(shared.outbox_id);
    let properties = packet::write(&shared.namespace, &shared.topics, &envelope, outbox);
    let message = properties.and_then(|properties| {
        Ok(Message {
            topic: target.again.to_string(),
            payload: envelope.payload.to_bytes()?,
            properties,
            retain: false,
        })
    });
    let how = match message {
        Ok(message) => match wire.send(message, Instant::now() + ANSWER).await {
            Sent::Routed => Again::Routed,
            Sent::Unrouted => Again::Unrouted,
            Sent::Refused(_) | Sent::Unknown | Sent::Unsent => Again::Unknown,
        },
        Err(_) => Again::Unknown,
    };
    Done::Again(id, target, how)
}
