//! The link to the server: what the client tells about its connection, and what follows for health.
//!
//! async-nats reconnects for ever and subscribes again by itself. It says so before the server has read a single byte,
//! and its `flush` only empties the socket. So the link asks itself a question over the new connection: the answer can
//! only come back after the server has read every subscription that was written before it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_nats::{Client, ClientError, ConnectErrorKind, Event, ServerError};
use bytes::Bytes;
use roadshow_bridges::{Health, Presence};
use tokio::sync::{Notify, watch};

use crate::counters::Counters;
use crate::replies::Replies;

/// How often the server may refuse our credentials in a row before the bridge has failed for good. More than one: a server
/// that is restarted with new settings may refuse for a moment.
const REFUSALS_MAX: u32 = 3;
/// How long one question to ourselves may take.
pub(crate) const PROBE: Duration = Duration::from_secs(5);

/// What the client says about its connection, turned into health.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) presence: Presence,
    counters: Arc<Counters>,
    replies: Arc<Replies>,
    /// How often the connection came or went.
    changes: watch::Sender<u64>,
    /// Told when a connection came.
    pub(crate) connected: Notify,
    refusals: AtomicU32,
    /// Whether the first connection was announced; it is confirmed by whoever connects.
    begun: AtomicBool,
    closed: AtomicBool,
}

impl Link {
    pub(crate) fn new(counters: Arc<Counters>, replies: Arc<Replies>) -> Self {
        Self {
            presence: Presence::new(),
            counters,
            replies,
            changes: watch::Sender::new(0),
            connected: Notify::new(),
            refusals: AtomicU32::new(0),
            begun: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// Hears one event of the client.
    pub(crate) fn hear(&self, event: Event) {
        match event {
            Event::Connected => self.came(),
            Event::Disconnected => self.went("the connection was lost"),
            Event::SlowConsumer(_) => self.counters.slow_consumer(),
            Event::ServerError(error) => self.server_said(&error),
            Event::ClientError(ClientError::Other(why)) => self.attempt_failed(&why),
            Event::ClientError(error) => tracing::warn!(%error, "the NATS client reports an error"),
            Event::LameDuckMode => tracing::warn!("the NATS server is about to shut down"),
            Event::Draining | Event::Closed => {}
        }
    }

    fn came(&self) {
        self.refusals.store(0, Ordering::Relaxed);
        if self.begun.swap(true, Ordering::Relaxed) {
            self.changes.send_modify(|changes| *changes += 1);
            self.connected.notify_one();
        }
    }

    fn went(&self, why: &'static str) {
        self.changes.send_modify(|changes| {
            *changes += 1;
            self.presence.set(Health::Reconnecting {
                reason: Cow::Borrowed(why),
            });
        });
        self.replies.lost();
    }

    /// The number of changes so far; what is concluded from it holds until it changes.
    pub(crate) fn changes(&self) -> u64 {
        *self.changes.borrow()
    }

    /// Waits until something has changed since.
    pub(crate) async fn changed(&self, since: u64) {
        let mut changes = self.changes.subscribe();
        // The link outlives whoever waits here, so there is always a sender.
        drop(changes.wait_for(|changes| *changes != since).await);
    }

    /// Asks the server something, unless the connection is lost meanwhile: then no answer would come. One that is here counts.
    pub(crate) async fn while_connected<T>(&self, question: impl Future<Output = T>) -> Option<T> {
        let changes = self.changes();
        tokio::select! {
            biased;
            answer = question => Some(answer),
            () = self.changed(changes) => None,
        }
    }

    /// Ready, if nothing has changed since.
    pub(crate) fn confirmed(&self, since: u64) {
        self.set_since(since, Health::Ready);
    }

    /// Connected, but not yet as it must be.
    pub(crate) fn lacks(&self, since: u64, what: &'static str) {
        self.set_since(
            since,
            Health::Reconnecting {
                reason: Cow::Borrowed(what),
            },
        );
    }

    /// Sets health under the lock of the changes, so that an old "ready" cannot follow a new loss.
    fn set_since(&self, since: u64, health: Health) {
        self.changes.send_if_modified(|changes| {
            if *changes == since {
                if health.is_ready() {
                    self.presence.next_epoch();
                }
                self.presence.set(health);
            }
            false
        });
    }

    fn server_said(&self, error: &ServerError) {
        let text = error.to_string();
        if let Some(subject) = forbidden_subscription(&text) {
            tracing::error!(subject, "the NATS server does not allow this node to subscribe");
            let reason = Cow::Owned(format!("the server does not allow a subscription to {subject}"));
            self.presence.set(Health::Failed { reason });
        } else {
            tracing::warn!(said = text, "the NATS server reports an error");
        }
    }

    fn attempt_failed(&self, why: &str) {
        if !is_refusal(why) {
            tracing::debug!(why, "cannot connect to the NATS server again yet");
            return;
        }
        if self.refusals.fetch_add(1, Ordering::Relaxed) + 1 >= REFUSALS_MAX {
            let reason = Cow::Borrowed("the server refuses our credentials");
            self.presence.set(Health::Failed { reason });
        }
    }

    /// A subscription ended that nobody has left: the client is gone, and does not come back.
    pub(crate) fn client_ended(&self) {
        let reason = Cow::Borrowed("the NATS client has ended");
        self.presence.set(Health::Failed { reason });
    }

    /// Says that no further connection is wanted.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.presence.set(Health::Closed);
    }

    /// How long to wait before an attempt to connect.
    pub(crate) fn delay(&self, attempt: usize) -> Duration {
        if self.closed.load(Ordering::Acquire) {
            // The client cannot be told to stop trying while it is away.
            Duration::from_secs(24 * 3600)
        } else if self.begun.load(Ordering::Relaxed) {
            let attempt = u32::try_from(attempt).unwrap_or(u32::MAX);
            roadshow_bridges::reconnect_delay(attempt, rand::random())
        } else {
            Duration::ZERO
        }
    }
}

/// Whether an attempt to connect failed because of who we are. The client hands over the text of its error's kind only.
fn is_refusal(why: &str) -> bool {
    [
        ConnectErrorKind::AuthorizationViolation,
        ConnectErrorKind::Authentication,
    ]
    .iter()
    .any(|kind| kind.to_string() == why)
}

/// The subject of a subscription that the server refused.
fn forbidden_subscription(text: &str) -> Option<&str> {
    const WHAT: &str = "permissions violation for subscription to ";
    let at = text.to_ascii_lowercase().find(WHAT)?;
    Some(text[at + WHAT.len()..].trim_matches(|c| matches!(c, '"' | '\'')))
}

/// Asks ourselves a question over the connection of now; whether the answer came.
pub(crate) async fn probe(client: &Client, replies: &Arc<Replies>) -> bool {
    let (subject, answer) = replies.expect();
    let asked = tokio::time::timeout(PROBE, client.publish(subject, Bytes::new())).await;
    matches!(asked, Ok(Ok(()))) && answer.within(PROBE).await.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new() -> Link {
        Link::new(Arc::new(Counters::new()), crate::replies::tests::replies())
    }

    fn link() -> Link {
        let link = new();
        link.hear(Event::Connected);
        link.confirmed(link.changes());
        link
    }

    #[test]
    fn ready_is_said_only_of_the_connection_of_now() {
        let link = link();
        assert!(link.presence.health().is_ready());
        let before = link.changes();
        link.hear(Event::Disconnected);
        assert!(!link.presence.health().is_ready());
        link.hear(Event::Connected);
        link.confirmed(before);
        assert!(!link.presence.health().is_ready(), "that was another connection");
        link.confirmed(link.changes());
        assert_eq!((link.presence.health(), link.presence.epoch()), (Health::Ready, 2));
    }

    #[test]
    fn refusals_in_a_row_end_it_and_a_server_that_is_away_does_not() {
        let link = link();
        link.hear(Event::Disconnected);
        let refused = || Event::ClientError(ClientError::Other("authorization violation".to_owned()));
        for _ in 0..50 {
            link.hear(Event::ClientError(ClientError::Other("IO error".to_owned())));
        }
        link.hear(refused());
        link.hear(refused());
        link.hear(Event::Connected);
        link.hear(refused());
        link.hear(refused());
        assert!(matches!(link.presence.health(), Health::Reconnecting { .. }));
        link.hear(refused());
        assert!(matches!(link.presence.health(), Health::Failed { .. }));
    }

    #[test]
    fn a_subscription_that_is_not_allowed_ends_it_and_names_the_subject() {
        let link = link();
        let said = |text: &str| link.hear(Event::ServerError(ServerError::Other(text.to_owned())));
        said("Permissions Violation for Publish to \"$SYS.x\"");
        assert!(link.presence.health().is_ready());
        said("Permissions Violation for Subscription to \"ns.cmd.user.1.*\"");
        let health = link.presence.health().to_string();
        assert!(health.contains("ns.cmd.user.1.*"), "{health}");
    }

    #[test]
    fn the_first_attempt_is_at_once_and_after_the_end_there_is_none() {
        let link = new();
        assert_eq!(link.delay(1), Duration::ZERO);
        link.hear(Event::Connected);
        assert!((20..=5000).contains(&link.delay(9).as_millis()));
        link.close();
        assert!(link.delay(1) > Duration::from_secs(3600));
    }
}
