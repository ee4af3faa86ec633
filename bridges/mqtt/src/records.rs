//! The records of durable groups: which groups an event has, so that a sender knows whose acknowledgement it waits for.
//!
//! Each durable subscription leaves a small retained message under its event's topic and its own name. It stays while the
//! subscription is away, is refreshed while it is there, and is believed for a day after that. An empty one removes it.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::outbox::Target;
use crate::topic::Topics;

/// How long a record is believed after it was refreshed.
pub(crate) const BELIEVED: Duration = Duration::from_secs(24 * 3600);
/// How far ahead another machine's clock may be.
const SKEW: Duration = Duration::from_secs(3600);
/// The most records that are kept.
const RECORDS_MAX: usize = 4096;
const RECORD_LEN_MAX: usize = 1024;

#[derive(Debug, Serialize, Deserialize)]
struct Text {
    refreshed_ms: u64,
}

#[derive(Debug)]
struct Record {
    target: Target,
    refreshed_ms: u64,
}

/// The groups of every event.
#[derive(Debug, Default)]
pub(crate) struct Records {
    count: usize,
    by_topic: HashMap<String, Vec<Record>>,
    /// How many were not kept because there are too many.
    pub(crate) refused: u64,
}

/// What a record said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) target: Target,
    /// Whether the group was not known before.
    pub(crate) is_new: bool,
}

/// A record as it is published.
pub(crate) fn encode(now_ms: u64) -> Bytes {
    let text = Text { refreshed_ms: now_ms };
    serde_json::to_vec(&text).map(Bytes::from).unwrap_or_default()
}

impl Records {
    /// Takes a record over; returns whom it is about, and whether that is news.
    pub(crate) fn apply(&mut self, topics: &Topics, topic: &str, payload: &[u8], now_ms: u64) -> Option<Applied> {
        let (event, group) = topics.parse_record(topic)?;
        if payload.is_empty() {
            self.remove(event, group);
            return None;
        }
        if payload.len() > RECORD_LEN_MAX || topic.len() > RECORD_LEN_MAX {
            return None;
        }
        let text: Text = serde_json::from_slice(payload).ok()?;
        let refreshed_ms = text.refreshed_ms;
        is_believed(refreshed_ms, now_ms).then_some(())?;
        let known = self.by_topic.get_mut(event).and_then(|records| {
            let mut records = records.iter_mut();
            records.find(|record| record.target.group.as_deref() == Some(group))
        });
        if let Some(record) = known {
            record.refreshed_ms = record.refreshed_ms.max(refreshed_ms);
            return Some(Applied {
                target: record.target.clone(),
                is_new: false,
            });
        }
        if self.count >= RECORDS_MAX {
            self.drop_old(now_ms);
        }
        if self.count >= RECORDS_MAX {
            self.refused += 1;
            return None;
        }
        let target = Target {
            group: Some(group.into()),
            again: topics.again(group, event).into(),
        };
        self.count += 1;
        let record = Record {
            target: target.clone(),
            refreshed_ms,
        };
        self.by_topic.entry(event.to_owned()).or_default().push(record);
        Some(Applied { target, is_new: true })
    }

    /// The groups of an event.
    pub(crate) fn targets(&self, topic: &str, now_ms: u64) -> Vec<Target> {
        let Some(records) = self.by_topic.get(topic) else {
            return Vec::new();
        };
        let believed = records.iter().filter(|record| is_believed(record.refreshed_ms, now_ms));
        believed.map(|record| record.target.clone()).collect()
    }

    fn remove(&mut self, event: &str, group: &str) {
        let Some(records) = self.by_topic.get_mut(event) else {
            return;
        };
        let before = records.len();
        records.retain(|record| record.target.group.as_deref() != Some(group));
        self.count -= before - records.len();
        if records.is_empty() {
            self.by_topic.remove(event);
        }
    }

    fn drop_old(&mut self, now_ms: u64) {
        for records in self.by_topic.values_mut() {
            records.retain(|record| is_believed(record.refreshed_ms, now_ms));
        }
        self.by_topic.retain(|_, records| !records.is_empty());
        self.count = self.by_topic.values().map(Vec::len).sum();
    }
}

fn is_believed(refreshed_ms: u64, now_ms: u64) -> bool {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let age = now_ms.saturating_sub(refreshed_ms);
    let ahead = refreshed_ms.saturating_sub(now_ms);
    age <= ms(BELIEVED) && ahead <= ms(SKEW)
}

#[cfg(test)]
mod tests {
    use roadshow_bridges::Namespace;

    use super::*;

    const DAY_MS: u64 = 24 * 3600 * 1000;

    fn topics() -> Topics {
        Topics::new(&Namespace::default())
    }

    fn record(event: &str, group: &str) -> String {
        topics().record(group, event)
    }

    fn groups(records: &Records, event: &str, now_ms: u64) -> Vec<String> {
        let targets = records.targets(event, now_ms);
        targets
            .iter()
            .map(|target| target.group.as_deref().unwrap_or("any").to_owned())
            .collect()
    }

    #[test]
    fn an_event_has_the_groups_on_record_for_a_day() {
        let mut records = Records::default();
        let event = "roadshow/evt/user/created";
        for group in ["a=1=x", "b=1=y"] {
            for is_new in [true, false] {
                let applied = records.apply(&topics(), &record(event, group), &encode(DAY_MS), DAY_MS);
                let applied = applied.expect("a record");
                assert_eq!(&*applied.target.again, format!("roadshow/again/{group}/{event}"));
                assert_eq!(applied.is_new, is_new);
            }
        }
        assert_eq!(groups(&records, event, DAY_MS), ["a=1=x", "b=1=y"]);
        assert!(groups(&records, "roadshow/evt/user", DAY_MS).is_empty());
        let later = 3 * DAY_MS / 2;
        records.apply(&topics(), &record(event, "b=1=y"), &encode(later), later);
        assert_eq!(groups(&records, event, 2 * DAY_MS + 1), ["b=1=y"]);
        records.apply(&topics(), &record(event, "b=1=y"), b"", later);
        assert_eq!(groups(&records, event, later), ["a=1=x"]);
    }

    #[test]
    fn what_cannot_be_a_record_is_passed_over() {
        let mut records = Records::default();
        let good = record("roadshow/evt/a", "g");
        let table: [(&str, &[u8]); 5] = [
            (&good, b"{"),
            (&good, b"{\"refreshed_ms\":-1}"),
            (&good, &encode(3 * DAY_MS)),
            (&good, &[b' '; RECORD_LEN_MAX + 1]),
            ("other/groups/x/g", &encode(DAY_MS)),
        ];
        for (topic, payload) in table {
            assert_eq!(records.apply(&topics(), topic, payload, DAY_MS), None, "{topic}");
        }
        assert_eq!(records.count, 0);
    }

    #[test]
    fn the_records_are_bounded_and_old_ones_make_room() {
        let mut records = Records::default();
        for number in 0..RECORDS_MAX + 10 {
            let topic = record(&format!("roadshow/evt/e{number}"), "g");
            records.apply(&topics(), &topic, &encode(DAY_MS), DAY_MS);
        }
        assert_eq!((records.count, records.refused), (RECORDS_MAX, 10));
        let later = 3 * DAY_MS;
        let topic = record("roadshow/evt/new", "g");
        assert!(records.apply(&topics(), &topic, &encode(later), later).is_some());
        assert_eq!(records.count, 1);
    }
}
