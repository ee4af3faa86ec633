//! How a message is made and handed over: what need not wait does not pay for what must.

use std::time::Duration;

use lapin::types::ShortString;
use roadshow_bridges::{Envelope, Error, Kind, Published};
use tokio::time::{Instant, timeout_at};

use super::AmqpBridge;
use crate::lane::Handed;
use crate::text::short;
use crate::wire::{self, Outgoing};

/// How long a confirmation is waited for.
const CONFIRM_MAX: Duration = Duration::from_secs(5);
/// How long a message waits for a broker that takes none.
const BLOCKED_MAX: Duration = Duration::from_secs(1);
/// A reply address that is no queue: the broker says "unroutable" although it delivers.
const DIRECT_REPLY: &str = "amq.rabbitmq.reply-to.";

impl AmqpBridge {
    /// Whether a message may go straight to the queue of an inbox: to route it by its subject, word by word, costs the
    /// broker more than all else that it does for a reply.
    fn goes_straight(&self, envelope: &Envelope) -> bool {
        envelope.kind != Kind::Event && self.shared.namespace.is_inbox(&envelope.subject)
    }

    /// The message of an envelope, straight to a queue if it may.
    fn outgoing_straight(&self, envelope: &Envelope) -> Result<Outgoing, Error> {
        let outgoing = self.outgoing(envelope)?;
        let subject = &envelope.subject;
        let Some(queue) = subject.parent().filter(|_| self.goes_straight(envelope)) else {
            return Ok(outgoing);
        };
        Ok(Outgoing {
            exchange: ShortString::default(),
            routing_key: short("a queue", queue)?,
            properties: wire::with_header(outgoing.properties, wire::SUBJECT, subject.as_str()),
            ..outgoing
        })
    }

    /// The message of an envelope.
    fn outgoing(&self, envelope: &Envelope) -> Result<Outgoing, Error> {
        let payload = envelope.payload.to_bytes()?;
        let limit = self.shared.settings.payload_bytes_max;
        if payload.len() > limit {
            let error = Error::rejected(format!(
                "cannot publish to {}: the payload is too large",
                envelope.subject
            ));
            return Err(error.with("bytes", payload.len()).with("limit", limit));
        }
        let subject = envelope.subject.as_str();
        let exchange = self.shared.layout.exchange_of(envelope.kind, subject);
        let direct = subject.starts_with(DIRECT_REPLY);
        let durable = envelope.kind == Kind::Event;
        Ok(Outgoing {
            exchange,
            routing_key: short("a subject", subject)?,
            mandatory: !durable && envelope.kind.needs_subscriber() && !direct,
            properties: wire::properties(envelope, &self.shared.namespace)?,
            payload,
        })
    }

    /// Hands a message over, if nothing has to be waited for.
    fn handed(&self, envelope: &Envelope) -> Result<Option<Handed>, Error> {
        let outgoing = self.outgoing_straight(envelope)?;
        let is_ready = self.shared.readiness.presence().health().is_ready();
        Ok(is_ready.then(|| self.publisher.hand(outgoing)).flatten())
    }

    /// Publishes, and says what became of it.
    pub(super) async fn published(&self, envelope: &Envelope) -> Result<Published, Error> {
        let mut published = None;
        if let Some(handed) = self.handed(envelope)? {
            let longest = envelope.identity.budget.unwrap_or(CONFIRM_MAX).min(CONFIRM_MAX);
            published = handed.outcome(Instant::now() + longest).await?;
        }
        // In boxes of their own: few have to wait, and all others would carry their size about.
        let published = match published {
            Some(published) => published,
            None => Box::pin(self.published_later(envelope, || self.outgoing_straight(envelope))).await?,
        };
        // An inbox that another one than its node hears has no queue of its name: only the exchange knows who does.
        if published == Published::Unroutable && self.goes_straight(envelope) {
            return Box::pin(self.published_later(envelope, || self.outgoing(envelope))).await;
        }
        Ok(published)
    }

    /// Publishes as soon as there is a connection and room.
    async fn published_later(
        &self,
        envelope: &Envelope,
        make: impl Fn() -> Result<Outgoing, Error>,
    ) -> Result<Published, Error> {
        let budget = envelope.identity.budget;
        let end = Instant::now() + budget.unwrap_or(CONFIRM_MAX).min(Duration::from_secs(3600));
        self.unblocked(end).await?;
        let presence = self.shared.readiness.presence();
        presence.ready(budget).await?;
        let deadline = end.min(Instant::now() + CONFIRM_MAX);
        self.publisher.send(make, deadline).await
    }

    /// Waits a little for a broker that takes no messages.
    async fn unblocked(&self, end: Instant) -> Result<(), Error> {
        if self.shared.readiness.why_blocked().is_none() {
            return Ok(());
        }
        let mut health = self.shared.readiness.presence().watch();
        let deadline = end.min(Instant::now() + BLOCKED_MAX);
        let free = health.wait_for(|_| self.shared.readiness.why_blocked().is_none());
        let waited = timeout_at(deadline, free).await.is_ok();
        match self.shared.readiness.why_blocked() {
            Some(why) if !waited => {
                Err(Error::exhausted("cannot publish: the broker blocks publishers").with("because", why))
            }
            _ => Ok(()),
        }
    }
}
