//! Publishing: from an envelope to what the broker says of it.
//!
//! Each publish is a future of its own, so what can be done before is done before, and what hardly anybody needs has a
//! box of its own: a large future costs the allocator more than everything else here.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use roadshow_bridges::{Envelope, Error, Kind, MessageId, Published};
use rumqttc::PublishProperties;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::group::DELAY_MAX;
use crate::outbox::{Full, Target};
use crate::room::Waiting;
use crate::shared::{ANSWER, Shared};
use crate::wire::{Message, Sent, properties_bytes};
use crate::{lock, packet, recent};

/// A message that is written and not published yet.
pub(crate) struct Outgoing {
    published: recent::Published,
    properties: PublishProperties,
}

impl Outgoing {
    /// Writes an envelope.
    ///
    /// # Errors
    ///
    /// `Rejected`: the payload is too large, or the envelope cannot be spelled on MQTT.
    pub(crate) fn new(shared: &Shared, mut envelope: Envelope, payload_bytes_max: usize) -> Result<Self, Error> {
        let payload = payload(&envelope, payload_bytes_max)?;
        let topic = shared.topics.of(&envelope.subject)?;
        // Every event says whose it is: a group may come on record while it is on its way.
        let tells = envelope.kind == Kind::Event || !shared.targets(&envelope, &topic).is_empty();
        let properties = packet::write(
            &shared.namespace,
            &shared.topics,
            &envelope,
            tells.then_some(shared.outbox_id),
        )?;
        let bytes = payload.len() + topic.len() + properties_bytes(&properties);
        envelope.payload = payload.into();
        Ok(Self {
            published: recent::Published {
                envelope: Arc::new(envelope),
                topic: topic.into(),
                bytes,
            },
            properties,
        })
    }

    /// The message, and what is remembered of it.
    ///
    /// # Errors
    ///
    /// None in practice: the payload was made bytes before.
    fn split(self) -> Result<(Message, recent::Published), Error> {
        let message = Message {
            topic: String::from(&*self.published.topic),
            payload: self.published.envelope.payload.to_bytes()?,
            properties: self.properties,
            retain: false,
        };
        Ok((message, self.published))
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("topic", &self.published.topic)
            .finish_non_exhaustive()
    }
}

/// The payload's bytes.
fn payload(envelope: &Envelope, limit: usize) -> Result<Bytes, Error> {
    let payload = envelope.payload.to_bytes()?;
    if payload.len() <= limit {
        return Ok(payload);
    }
    let error = Error::rejected(format!(
        "cannot publish to {}: the payload is too large",
        envelope.subject
    ));
    Err(error.with("bytes", payload.len()).with("limit", limit))
}

/// Publishes, and says what became of it.
pub(crate) async fn publish(shared: &Shared, outgoing: Outgoing) -> Result<Published, Error> {
    let budget = outgoing.published.envelope.identity.budget;
    let begun = Instant::now();
    if !shared.presence.health().is_ready() {
        Box::pin(shared.presence.ready(budget)).await?;
    }
    let left = budget.map_or(ANSWER, |budget| budget.saturating_sub(begun.elapsed()));
    let limit = Instant::now() + left.min(DELAY_MAX);
    let (_flight, targets) = match admit_now(shared, &outgoing.published) {
        Some(admitted) => admitted,
        None => Box::pin(admit(shared, &outgoing.published, limit)).await?,
    };
    let (message, published) = outgoing.split()?;
    let Some(wire) = shared.wire() else {
        forget(shared, published.envelope.identity.id);
        return Err(lost(&published.envelope));
    };
    let sent = wire.send(message, limit.min(Instant::now() + ANSWER)).await;
    answer(shared, sent, published, &targets)
}

/// A turn with the client, and room in the outbox, if nobody has to wait for either.
fn admit_now<'a>(shared: &'a Shared, published: &recent::Published) -> Option<(SemaphorePermit<'a>, Vec<Target>)> {
    let flight = shared.flights.try_acquire().ok()?;
    let targets = if shared.room.has_no_line() {
        keep(shared, published).ok()
    } else {
        None
    };
    targets.map(|targets| (flight, targets))
}

/// A turn with the client, and room in the outbox: a full one makes the publisher wait, and refuses him only in the end.
/// Whoever waits for room keeps no turn, and whoever has room sends at once: the outbox counts from then on.
async fn admit<'a>(
    shared: &'a Shared,
    published: &recent::Published,
    limit: Instant,
) -> Result<(SemaphorePermit<'a>, Vec<Target>), Error> {
    let turn = || flight(shared, limit.min(Instant::now() + ANSWER));
    let flight = turn().await?;
    if shared.room.has_no_line()
        && let Ok(targets) = keep(shared, published)
    {
        return Ok((flight, targets));
    }
    drop(flight);
    let full = || shared.outbox_full(&published.envelope);
    let first = shared.room.line(limit).await?.ok_or_else(full)?;
    loop {
        if shared.has_failed() {
            // The next in the line hears it too.
            shared.room.freed();
            shared.presence.ready(None).await?;
        }
        if shared.is_closing() {
            shared.room.freed();
            return Err(Error::closed("cannot publish: the bridge was closed"));
        }
        let flight = turn().await?;
        if let Ok(targets) = keep(shared, published) {
            return Ok((flight, targets));
        }
        drop(flight);
        if !first.freed(limit).await {
            return Err(full());
        }
    }
}

/// A turn with the client, so that what it holds is bounded while the broker is slow.
async fn flight(shared: &Shared, until: Instant) -> Result<SemaphorePermit<'_>, Error> {
    if let Ok(permit) = shared.flights.try_acquire() {
        return Ok(permit);
    }
    let waiting = Waiting::new(&shared.flights_waiting)?;
    let permit = timeout_at(until, shared.flights.acquire()).await;
    drop(waiting);
    match permit {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Error::exhausted(
            "cannot publish: the broker does not keep up with what is published",
        )),
    }
}

/// Puts a message into the outbox, if somebody has to settle it; who that is.
fn keep(shared: &Shared, published: &recent::Published) -> Result<Vec<Target>, Full> {
    let envelope = &published.envelope;
    let targets = shared.targets(envelope, &published.topic);
    if targets.is_empty() {
        return Ok(targets);
    }
    let longest = shared.settings.outbox_age_max;
    let age_max = match envelope.kind {
        Kind::Event => longest,
        _ => envelope.identity.budget.unwrap_or(longest),
    };
    let (kept, owed) = (Arc::clone(envelope), targets.clone());
    lock(&shared.outbox).keep(kept, published.bytes, owed, Instant::now(), age_max)?;
    Ok(targets)
}

fn forget(shared: &Shared, id: MessageId) {
    lock(&shared.outbox).forget(id);
    shared.room.freed();
}

/// What the broker's answer means to the publisher.
fn answer(shared: &Shared, sent: Sent, published: recent::Published, targets: &[Target]) -> Result<Published, Error> {
    let envelope = Arc::clone(&published.envelope);
    let id = envelope.identity.id;
    if envelope.kind == Kind::Event && matches!(sent, Sent::Routed | Sent::Unrouted) {
        shared.confirmed(published, targets);
    }
    match sent {
        Sent::Routed => return Ok(Published::Accepted),
        Sent::Unrouted if !envelope.kind.needs_subscriber() => {
            lock(&shared.outbox).unheard(id, Instant::now());
            return Ok(Published::Accepted);
        }
        // It stays in the outbox, if it is there: it may have arrived, and comes again with its id.
        Sent::Unknown => return Ok(Published::Indeterminate),
        _ => forget(shared, id),
    }
    match sent {
        Sent::Refused(error) => Err(error.with("subject", &envelope.subject)),
        Sent::Unsent => Err(lost(&envelope)),
        _ => Ok(Published::Unroutable),
    }
}

fn lost(envelope: &Envelope) -> Error {
    Error::unavailable("cannot publish: the connection to the broker is gone").with("subject", &envelope.subject)
}

#[cfg(test)]
mod tests {
    use roadshow_bridges::{Access, EventName, Identity, Namespace};

    use super::*;
    use crate::settings::Settings;

    /// What the system's allocator hands out of its cache of a thread; larger pieces cost it ten times as much.
    const CHEAP: usize = 1032;

    #[test]
    fn a_publish_is_small_enough_to_be_made_for_every_message() {
        let settings = Settings::parse("mqtt://broker", &Access::default()).expect("a url");
        let shared = Shared::new(settings, Namespace::default(), 1);
        let name = EventName::new("a.b");
        let subject = Namespace::default().event_subject(name);
        let identity = Identity::root(MessageId::from_u128(1));
        let envelope = Envelope::event(subject, name.into(), identity, Bytes::new());
        let outgoing = Outgoing::new(&shared, envelope, 10).expect("an event");
        let size = size_of_val(&publish(&shared, outgoing));
        assert!(size <= CHEAP, "{size} bytes");
    }

    #[test]
    fn headers_count_among_the_bytes_of_an_event() {
        let settings = Settings::parse("mqtt://broker", &Access::default()).expect("a url");
        let shared = Shared::new(settings, Namespace::default(), 1);
        let name = EventName::new("a.b");
        let subject = Namespace::default().event_subject(name);
        let identity = Identity::root(MessageId::from_u128(1));
        let mut envelope = Envelope::event(subject, name.into(), identity, Bytes::new());
        assert!(envelope.headers.push("x-long", &"y".repeat(4000)));
        let outgoing = Outgoing::new(&shared, envelope, 10).expect("an event");
        assert!(outgoing.published.bytes > 4000, "{} bytes", outgoing.published.bytes);
    }
}
