//! Durable groups at the server: one durable pull consumer for each group and what it hears.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use roadshow_bridges::{Error, Subscription};
use serde_json::{Value, json};

use super::api::{Api, nanos};
use crate::tasks::lock;

/// How many messages of one group may be in the hands of all its members together.
const MAX_ACK_PENDING: u64 = 65_536;
/// How many pulls of one group may be open at the same time.
const MAX_WAITING: u64 = 4_096;
/// How much of a group's name stands in the consumer's, which has 255 characters at most.
const NAME_LEN_MAX: usize = 200;

/// One durable group at the server.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) stream: String,
    /// The consumer's name: the group's, and a hash of all that makes it this one.
    pub(crate) consumer: String,
    /// The group's own name.
    pub(crate) name: String,
    filter: String,
    ack_wait: Duration,
    created: Mutex<String>,
    /// Where the look for messages that cannot be read goes on; 0 is at the beginning.
    look_from: AtomicU64,
}

impl Group {
    pub(crate) fn new(stream: String, subscription: &Subscription, filter: String, ack_wait: Duration) -> Self {
        let name = subscription.group.clone().unwrap_or_default();
        Self {
            stream,
            consumer: consumer(&name, &filter),
            name,
            filter,
            ack_wait,
            created: Mutex::default(),
            look_from: AtomicU64::new(0),
        }
    }

    /// When the server made the group, as it was last seen. Another time is another group, and maybe another stream.
    pub(crate) fn created(&self) -> String {
        lock(&self.created).clone()
    }

    /// What the group hears.
    pub(crate) fn filter(&self) -> &str {
        &self.filter
    }

    /// Where the look for messages that cannot be read goes on; 0 is at the beginning.
    pub(crate) fn looked(&self) -> u64 {
        self.look_from.load(Ordering::Relaxed)
    }

    /// Remembers where the look for messages that cannot be read goes on.
    pub(crate) fn look_from(&self, place: u64) {
        self.look_from.store(place, Ordering::Relaxed);
    }

    /// Makes the group unless it is there. Returns how long the server waits for an acknowledgement, and remembers
    /// when the group was made.
    ///
    /// # Errors
    ///
    /// `Config` if the server refuses it or there is another group of that name; `Unavailable`.
    pub(crate) async fn ensure(&self, api: &Api) -> Result<Duration, Error> {
        const WHAT: &str = "cannot set up a durable group";
        let explain = |error: super::api::ApiError| error.explain(WHAT).with("group", &self.name);
        let place = format!("{}.{}", self.stream, self.consumer);
        let info = match api.call(&format!("CONSUMER.INFO.{place}"), &Value::Null).await {
            Err(error) if error.is_missing() => {
                let made = api
                    .call(&format!("CONSUMER.DURABLE.CREATE.{place}"), &self.plan())
                    .await;
                made.map_err(explain)?
            }
            other => other.map_err(explain)?,
        };
        let config = &info["config"];
        let is_ours = config["filter_subject"] == json!(self.filter)
            && config["ack_policy"] == json!("explicit")
            && config.get("deliver_subject").is_none();
        if !is_ours {
            let error = Error::config("cannot use a durable group: there is another consumer of that name");
            return Err(error.with("group", &self.name).with("consumer", &self.consumer));
        }
        info["created"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut lock(&self.created));
        Ok(config["ack_wait"].as_u64().map_or(self.ack_wait, Duration::from_nanos))
    }

    /// A group hears what is published after it was made; the stream keeps it from then on. No server-side limit of
    /// deliveries: one that was reached would leave the message in the stream for ever.
    fn plan(&self) -> Value {
        json!({
            "stream_name": self.stream,
            "config": {
                "durable_name": self.consumer,
                "deliver_policy": "new",
                "replay_policy": "instant",
                "ack_policy": "explicit",
                "ack_wait": nanos(self.ack_wait),
                "max_deliver": -1,
                "filter_subject": self.filter,
                "max_ack_pending": MAX_ACK_PENDING,
                "max_waiting": MAX_WAITING,
            },
        })
    }

    /// Lets the server forget the pulls that nobody hears any more. A server of 2.9 else takes a message that is given back
    /// for such a pull, finds nobody, and brings it only after `ack_wait`. It looks through its pulls when it is asked.
    pub(crate) async fn forget_pulls(&self, api: &Api) {
        let asked = api
            .call(
                &format!("CONSUMER.INFO.{}.{}", self.stream, self.consumer),
                &Value::Null,
            )
            .await;
        if asked.is_err() {
            tracing::debug!(group = self.name, "the server was not asked for its pulls");
        }
    }

    /// Where the group is pulled from.
    pub(crate) fn pull_subject(&self) -> String {
        format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", self.stream, self.consumer)
    }
}

/// The consumer of a group: two subjects with one group name are two groups.
fn consumer(group: &str, filter: &str) -> String {
    let hash = fnv(group.bytes().chain([0]).chain(filter.bytes()));
    let shown = &group[..group.len().min(NAME_LEN_MAX)];
    format!("{shown}-{hash:016x}")
}

/// FNV-1a.
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_group_name_on_two_subjects_is_two_consumers() {
        let name = consumer("shop=1=loyalty", "ns.evt.a");
        assert_eq!(name, consumer("shop=1=loyalty", "ns.evt.a"));
        assert_ne!(name, consumer("shop=1=loyalty", "ns.evt.b"));
        assert!(name.starts_with("shop=1=loyalty-") && !name.contains(['.', '*', '>', '%', '/', ' ']));
    }

    #[test]
    fn a_long_name_is_cut_and_still_its_own() {
        let (one, two) = (consumer(&"g".repeat(255), "x"), consumer(&"g".repeat(254), "x"));
        assert!(one.len() <= 255 && one != two);
    }
}
