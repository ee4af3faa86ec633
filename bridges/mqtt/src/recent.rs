//! The events that were published a moment ago.
//!
//! A new durable group is on record at the broker before its subscriber may count on anything, but its record is on its way
//! to the senders while they go on publishing. What a sender published in that moment is remembered here, so that the group
//! owes its settlement too. Bounded by time, number and bytes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use roadshow_bridges::Envelope;
use tokio::time::Instant;

/// How long a record may be on its way after the broker has confirmed an event.
const MOMENT: Duration = Duration::from_millis(250);
const EVENTS_MAX: usize = 4096;
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// One event that was published.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) topic: Arc<str>,
    pub(crate) bytes: usize,
}

/// The events of the last moment.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    bytes: usize,
    events: VecDeque<(Instant, Published)>,
}

impl Recent {
    /// Remembers an event.
    pub(crate) fn add(&mut self, event: Published, now: Instant) {
        self.bytes += event.bytes;
        self.events.push_back((now, event));
        self.forget(now);
    }

    /// The events of the last moment on a topic.
    pub(crate) fn on(&mut self, topic: &str, now: Instant) -> Vec<Published> {
        self.forget(now);
        let events = self.events.iter().filter(|(_, event)| &*event.topic == topic);
        events.map(|(_, event)| event.clone()).collect()
    }

    /// Forgets what is older than a moment.
    pub(crate) fn forget(&mut self, now: Instant) {
        while let Some((at, event)) = self.events.front() {
            let old = now.saturating_duration_since(*at) > MOMENT;
            if !old && self.events.len() <= EVENTS_MAX && self.bytes <= BYTES_MAX {
                return;
            }
            self.bytes -= event.bytes;
            self.events.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use roadshow_bridges::{Identity, Kind, MessageId, Namespace};

    use super::*;

    fn event(topic: &str, number: u128, bytes: usize) -> Published {
        let subject = Namespace::default().members_subject();
        let identity = Identity::root(MessageId::from_u128(number));
        Published {
            envelope: Arc::new(Envelope::new(Kind::Event, subject, identity, Bytes::new())),
            topic: topic.into(),
            bytes,
        }
    }

    fn ids(recent: &mut Recent, topic: &str, now: Instant) -> Vec<u128> {
        let events = recent.on(topic, now);
        events
            .iter()
            .map(|event| event.envelope.identity.id.as_u128())
            .collect()
    }

    #[test]
    fn an_event_is_remembered_for_a_moment() {
        let now = Instant::now();
        let mut recent = Recent::default();
        recent.add(event("a", 1, 1), now);
        recent.add(event("b", 2, 1), now);
        recent.add(event("a", 3, 1), now + MOMENT);
        assert_eq!(ids(&mut recent, "a", now + MOMENT), [1, 3]);
        assert_eq!(ids(&mut recent, "a", now + MOMENT * 3 / 2), [3]);
        assert_eq!((ids(&mut recent, "a", now + MOMENT * 3), recent.bytes), (vec![], 0));
    }

    #[test]
    fn number_and_bytes_are_bounded() {
        let now = Instant::now();
        let mut recent = Recent::default();
        for number in 0..5000 {
            recent.add(event("a", number, 1), now);
        }
        assert_eq!(ids(&mut recent, "a", now).len(), EVENTS_MAX);
        recent.add(event("a", 7, BYTES_MAX), now);
        assert_eq!(ids(&mut recent, "a", now), [7]);
    }
}
