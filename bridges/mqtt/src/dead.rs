//! Dead letters: what could never be done, kept by the broker as retained messages, one under each id.
//!
//! MQTT keeps nothing for a reader that is away but the last retained message of a topic, so each letter has a topic
//! of its own. Each node keeps at most [`LETTERS_MAX`] of a group; the oldest is removed for the next.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use roadshow_bridges::{Envelope, Error, Namespace};

use crate::packet;
use crate::topic::Topics;
use crate::wire::Message;

/// The most letters of one group that one life of a node keeps.
pub(crate) const LETTERS_MAX: usize = 1000;
/// The most groups whose letters are counted.
const GROUPS_MAX: usize = 4096;
/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 1024;

/// Which letters this node has written.
#[derive(Debug, Default)]
pub(crate) struct Letters(HashMap<Arc<str>, VecDeque<String>>);

impl Letters {
    /// Notes a letter; returns the topic of one that has to go.
    pub(crate) fn note(&mut self, group: &Arc<str>, topic: String) -> Option<String> {
        if !self.0.contains_key(group) && self.0.len() >= GROUPS_MAX {
            return Some(topic);
        }
        let letters = self.0.entry(Arc::clone(group)).or_default();
        if letters.contains(&topic) {
            return None;
        }
        letters.push_back(topic);
        if letters.len() > LETTERS_MAX {
            letters.pop_front()
        } else {
            None
        }
    }
}

/// A letter as it is published.
///
/// # Errors
///
/// `Rejected` if the message cannot be spelled on MQTT.
pub(crate) fn letter(
    namespace: &Namespace,
    topics: &Topics,
    envelope: &Envelope,
    group: Option<&str>,
    attempts: u32,
    reason: &str,
) -> Result<Message, Error> {
    let parent = topics.dead(group);
    let topic = format!("{parent}/{}", envelope.identity.id);
    let mut dead = envelope.clone();
    // The kind is written beside what the subject of the letter implies.
    dead.subject = topics
        .subject(&topic)
        .ok_or_else(|| Error::rejected("cannot write a dead letter: its group has no topic"))?;
    let mut properties = packet::write(namespace, topics, &dead, None)?;
    let calm = |c: char| if c.is_control() { ' ' } else { c };
    let reason: String = reason.chars().take(REASON_CHARS_MAX).map(calm).collect();
    let why = [
        ("rs-dead-reason", reason),
        ("rs-dead-attempts", attempts.to_string()),
        ("rs-dead-subject", envelope.subject.to_string()),
        ("rs-dead-group", group.unwrap_or("none").to_owned()),
    ];
    let users = &mut properties.user_properties;
    users.retain(|(name, _)| !name.starts_with("rs-dead-"));
    users.extend(why.map(|(name, value)| (name.to_owned(), value)));
    let payload = envelope.payload.to_bytes()?;
    Ok(Message {
        topic,
        // A retained message without a body would remove what is kept; without one means `null`.
        payload: if payload.is_empty() {
            Bytes::from_static(b"null")
        } else {
            payload
        },
        properties,
        retain: true,
    })
}

#[cfg(test)]
mod tests {
    use roadshow_bridges::{EventName, Identity, MessageId};

    use super::*;

    #[test]
    fn a_letter_says_why_and_keeps_the_message() {
        let namespace = Namespace::default();
        let topics = Topics::new(&namespace);
        let name = EventName::new("user.created");
        let identity = Identity::root(MessageId::from_u128(15));
        let event = Envelope::event(namespace.event_subject(name), name.into(), identity, Bytes::new());
        let message = letter(&namespace, &topics, &event, Some("mail=1=welcome"), 3, "bad\nthing").expect("a letter");
        assert_eq!(
            message.topic,
            "roadshow/dead/mail/1/welcome/0000000000000000000000000000000f"
        );
        assert!(message.retain && message.payload == "null");
        let value = |name: &str| {
            let found = message
                .properties
                .user_properties
                .iter()
                .find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(value("rs-dead-reason"), Some("bad thing"));
        assert_eq!(value("rs-dead-attempts"), Some("3"));
        assert_eq!(value("rs-dead-subject"), Some("roadshow.evt.user.created"));
        assert_eq!(value("type"), Some("user.created"));
    }

    #[test]
    fn the_oldest_letter_makes_room() {
        let mut letters = Letters::default();
        let group: Arc<str> = "g".into();
        for number in 0..LETTERS_MAX {
            assert_eq!(letters.note(&group, number.to_string()), None);
        }
        assert_eq!(letters.note(&group, "5".to_owned()), None);
        assert_eq!(letters.note(&group, "new".to_owned()).as_deref(), Some("0"));
        assert_eq!(letters.note(&"other".into(), "x".to_owned()), None);
    }
}
