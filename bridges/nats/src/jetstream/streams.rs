//! The streams: events, dead letters, and what is written down about starts.
//!
//! One stream each per namespace, on disk, with a bound in bytes: a server whose disk is full stops answering at all. A
//! stream that is there with other settings is used as it is; whoever made it knows why.

use std::sync::Arc;
use std::time::Duration;

use roadshow_bridges::{Error, Namespace};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::api::{Api, nanos};

/// For how long a message id is remembered.
const DUPLICATES: Duration = Duration::from_secs(120);
/// How long dead letters, and notes about starts, are kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// One stream as we would make it.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pattern: String,
    config: Value,
}

impl Plan {
    /// Events: kept until every durable group has them; refused when full.
    pub(crate) fn events(ns: &Namespace, max_bytes: i64, message_max: usize) -> Self {
        let name = format!("{ns}_evt");
        Self::new(
            name,
            format!("{ns}.evt.>"),
            "interest",
            max_bytes,
            json!({
                "discard": "new",
                "max_msg_size": message_max,
                "duplicate_window": nanos(DUPLICATES),
            }),
        )
    }

    /// Dead letters: the oldest make room.
    pub(crate) fn dead(ns: &Namespace, max_bytes: i64) -> Self {
        let name = format!("{ns}_dead");
        Self::new(
            name,
            format!("{ns}.dead.>"),
            "limits",
            max_bytes,
            json!({
                "discard": "old",
                "max_age": nanos(KEPT),
                "duplicate_window": nanos(DUPLICATES),
            }),
        )
    }

    /// How often what was started: one small note per message that failed.
    pub(crate) fn starts(ns: &Namespace, max_bytes: i64) -> Self {
        let name = format!("{ns}_starts");
        Self::new(
            name,
            format!("{ns}.starts.>"),
            "limits",
            max_bytes,
            json!({
                "discard": "old",
                "max_age": nanos(KEPT),
                "max_msgs_per_subject": 1,
                "allow_direct": true,
            }),
        )
    }

    fn new(name: String, pattern: String, retention: &str, max_bytes: i64, further: Value) -> Self {
        let mut config = json!({
            "name": name,
            "subjects": [pattern],
            "retention": retention,
            "storage": "file",
            "max_bytes": max_bytes,
            "max_msgs": -1,
            "max_consumers": -1,
            "num_replicas": 1,
        });
        if let (Value::Object(config), Value::Object(further)) = (&mut config, further) {
            config.extend(further);
        }
        Self { name, pattern, config }
    }

    /// Makes the stream unless it is there. Returns its settings.
    ///
    /// # Errors
    ///
    /// `Config` if the server refuses it or another stream of that name hears something else; `Unavailable`.
    pub(crate) async fn ensure(&self, api: &Api) -> Result<Value, Error> {
        const WHAT: &str = "cannot set up a JetStream stream";
        let explain = |error: super::api::ApiError| error.explain(WHAT).with("stream", &self.name);
        let found = match api.call(&format!("STREAM.INFO.{}", self.name), &Value::Null).await {
            Err(error) if error.is_missing() => {
                match api.call(&format!("STREAM.CREATE.{}", self.name), &self.config).await {
                    Ok(made) => made,
                    // Another node may have been quicker, with other settings.
                    Err(error) => {
                        let again = api.call(&format!("STREAM.INFO.{}", self.name), &Value::Null).await;
                        again.map_err(|_| explain(error))?
                    }
                }
            }
            other => other.map_err(explain)?,
        };
        let mut settings = found;
        let settings = settings.get_mut("config").map(Value::take).unwrap_or_default();
        let hears = settings["subjects"]
            .as_array()
            .is_some_and(|subjects| subjects.contains(&json!(self.pattern)));
        if !hears {
            let error = Error::config("cannot use a JetStream stream: it does not hear what it must");
            return Err(error.with("stream", &self.name).with("must hear", &self.pattern));
        }
        let other = self.differences(&settings);
        if !other.is_empty() {
            let settings = other.join(" ");
            tracing::warn!(
                stream = self.name,
                settings,
                "a JetStream stream has settings of its own; it is used as it is"
            );
        }
        Ok(settings)
    }

    /// Which settings a stream has otherwise than we would make it.
    fn differences(&self, found: &Value) -> Vec<&str> {
        let ours = self.config.as_object().into_iter().flatten();
        let differs = |(name, wanted): &(&String, &Value)| found.get(name.as_str()).is_some_and(|is| is != *wanted);
        ours.filter(differs).map(|(name, _)| name.as_str()).collect()
    }
}

/// A stream that is made when it is first needed, and from then on kept there. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Needed {
    plan: Arc<Plan>,
    made: Arc<OnceCell<()>>,
}

impl Needed {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            plan: Arc::new(plan),
            made: Arc::default(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.plan.name
    }

    /// Makes the stream, the first time.
    ///
    /// # Errors
    ///
    /// As [`Plan::ensure`].
    pub(crate) async fn make(&self, api: &Api) -> Result<(), Error> {
        let make = || async { self.plan.ensure(api).await.map(drop) };
        self.made.get_or_try_init(make).await.map(drop)
    }

    /// Makes the stream again if it was made: the server may have lost it.
    ///
    /// # Errors
    ///
    /// As [`Plan::ensure`].
    pub(crate) async fn renew(&self, api: &Api) -> Result<(), Error> {
        if self.made.initialized() {
            self.plan.ensure(api).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_its_own_are_named() {
        let plan = Plan::events(&Namespace::default(), 1000, 500);
        let mut found = plan.config.clone();
        assert!(plan.differences(&found).is_empty());
        (found["max_bytes"], found["retention"]) = (json!(7), json!("limits"));
        assert_eq!(plan.differences(&found), ["max_bytes", "retention"]);
    }
}
