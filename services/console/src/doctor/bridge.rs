//! Whether bridges can be had: is there an adapter, does the event bridge answer, and what can it do.
//!
//! It is connected under a name of the doctor's own, because some brokers throw out an older connection of the same name,
//! which would be that of a running node; nothing is subscribed or published. Queue bridge and state store have no
//! adapters yet that could be asked.

use std::time::{Duration, Instant};

use roadshow_bridges::{Capability, ConnectContext, Error, EventBridge, Health, IncarnationId, NodeId};
use roadshow_services::config::{Resolved, Settings};
use tokio::time::{interval, timeout};

use super::finding::{Area, Finding};
use super::words::{shown, size, time};
use crate::prepared::{self, Prepared};

/// How long connecting may take, getting ready, and closing.
const DEADLINE: Duration = Duration::from_secs(3);
/// How often a bridge that is connected is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// The settings that name a bridge or a store.
const PLACES: [&str; 3] = ["event_bridge", "queue_bridge", "state_store"];

/// What was found out, and what the event bridge can do if that could be asked.
pub(super) async fn examine(prepared: &Prepared, is_offline: bool) -> (Vec<Finding>, Option<Capability>) {
    let mut findings = unknown(prepared);
    let settings = prepared.resolved.settings();
    let scheme = settings.event_bridge.scheme();
    if !prepared.schemes.contains(&scheme) {
        return (findings, None);
    }
    // The memory bridge is in this process: asking it is no way out.
    if is_offline && scheme != "memory" {
        findings.push(Area::Surroundings.note(
            "event_bridge",
            format!("{} was not asked: --offline", settings.event_bridge),
            "run it again without --offline where the node will run",
        ));
        return (findings, None);
    }
    let (finding, capability) = asked(prepared, settings).await;
    findings.push(finding);
    if let Some(capability) = &capability
        && scheme != "memory"
    {
        findings.push(Area::Surroundings.ok(capability.name, facts(capability)));
        findings.extend(too_large(capability, &prepared.resolved));
    }
    (findings, capability)
}

/// What matters of a bridge to whoever runs services over it.
fn facts(capability: &Capability) -> String {
    let durable = match (capability.durable, capability.durable_process) {
        (true, true) => "keeps events for absent subscribers, through its own crash too",
        (true, false) => "keeps events for absent subscribers while it runs",
        (false, _) => "keeps no events for absent subscribers",
    };
    let nobody = match capability.unroutable {
        true => "says at once when nobody serves a command",
        false => "does not say when nobody serves a command: the caller waits for its deadline",
    };
    let backlog = match capability.holds_backlog {
        true => "keeps commands that nobody has room for",
        false => "keeps no commands: what finds no room is refused at once",
    };
    let mut facts = format!("{durable}; {nobody}; {backlog}");
    if let Some(bytes) = capability.payload_bytes_max {
        facts.push_str(&format!("; takes payloads up to {}", size(bytes as u64)));
    }
    facts
}

/// Payloads that services may send and the broker will not take.
fn too_large(capability: &Capability, resolved: &Resolved) -> Option<Finding> {
    let (limit, most) = (resolved.settings().payload_limit, capability.payload_bytes_max?);
    (limit > most).then(|| {
        let message = format!(
            "{} is more than {} takes: what is larger than {} is refused before it is sent",
            size(limit as u64),
            capability.name,
            size(most as u64)
        );
        let advice = format!(
            "lower payload_limit to {}, or let the broker take more",
            size(most as u64)
        );
        Area::Surroundings.note("payload_limit", message, &advice)
    })
}

fn unknown(prepared: &Prepared) -> Vec<Finding> {
    let problems = prepared::unknown_bridges(&prepared.resolved, &prepared.schemes);
    let problem = |text: String| {
        let of = |name: &&str| text.starts_with(&format!("cannot use {name} "));
        let subject = PLACES.into_iter().find(of).unwrap_or("bridges");
        let advice = format!("correct {subject}, or use a program that registers the adapter with .connector(..)");
        Area::Surroundings.problem(subject, shown(&text), &advice)
    };
    problems.into_iter().map(problem).collect()
}

/// Connects, looks and closes, each within its deadline.
async fn asked(prepared: &Prepared, settings: &Settings) -> (Finding, Option<Capability>) {
    let subject = "event_bridge";
    let url = &settings.event_bridge;
    let advice = "see that the broker runs and that address and credentials of event_bridge are right";
    let begun = Instant::now();
    let bridge = match timeout(DEADLINE, connect(prepared, settings)).await {
        Ok(Ok(bridge)) => bridge,
        Ok(Err(error)) => {
            let message = format!("cannot connect to {url}: {}", shown(&error.to_string()));
            return (Area::Surroundings.problem(subject, message, advice), None);
        }
        Err(_elapsed) => {
            let message = format!("cannot connect to {url}: no answer within {}", time(DEADLINE));
            return (Area::Surroundings.problem(subject, message, advice), None);
        }
    };
    let (capability, health) = (bridge.capability(), settled(&*bridge).await);
    let took = begun.elapsed();
    let closed = timeout(DEADLINE, bridge.close()).await;
    let finding = if !health.is_ready() {
        Area::Surroundings.problem(
            subject,
            format!("{url} is connected and not ready: {}", shown(&health.to_string())),
            advice,
        )
    } else if let Ok(Ok(())) = closed {
        let where_ = if capability.name == "memory" {
            "in this process"
        } else {
            "connected"
        };
        Area::Surroundings.ok(subject, format!("{url} {where_}, in {}", time(took)))
    } else {
        let why = match closed {
            Ok(Err(error)) => shown(&error.to_string()),
            _ => format!("no answer within {}", time(DEADLINE)),
        };
        Area::Surroundings.warning(
            subject,
            format!("{url} answers, and closing the connection failed: {why}"),
            advice,
        )
    };
    (finding, Some(capability))
}

/// What a bridge says of itself once it is ready, or when it has had the time to be: one that is connected may still wait for
/// the broker to confirm what it hears for itself.
async fn settled(bridge: &dyn EventBridge) -> Health {
    let ready = async {
        let mut ticks = interval(ASK_EVERY);
        while !bridge.health().is_ready() {
            ticks.tick().await;
        }
    };
    let _in_time = timeout(DEADLINE, ready).await;
    bridge.health()
}

async fn connect(prepared: &Prepared, settings: &Settings) -> Result<std::sync::Arc<dyn EventBridge>, Error> {
    let name = format!("doctor-{}", std::process::id());
    let name: NodeId = name.parse().expect("a word and a number are a token");
    // What contradicts itself is a problem of its own, and then nothing is tried with it.
    let access = settings.bridge.access(&settings.event_bridge).unwrap_or_default();
    let context = ConnectContext::new(settings.namespace.clone(), name, IncarnationId::from_u64(1)).access(access);
    let connectors = prepared.builder.connectors();
    connectors.event_bridge(settings.event_bridge.expose(), &context).await
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::Pin;
    use std::sync::Arc;

    use roadshow_bridges::{Connector, ErrorKind};
    use roadshow_services::NodeBuilder;

    use super::*;
    use crate::doctor::finding::Level;
    use crate::doctor::sample::resolved;
    use crate::front::Front;

    /// A broker that refuses `deny:` and never answers `hush:`.
    #[derive(Debug)]
    struct Broker;

    impl Connector for Broker {
        fn schemes(&self) -> &[&'static str] {
            &["deny", "hush"]
        }

        fn event_bridge<'a>(
            &'a self,
            url: &'a str,
            context: &'a ConnectContext,
        ) -> Pin<Box<dyn Future<Output = Result<Arc<dyn EventBridge>, Error>> + Send + 'a>> {
            assert!(context.node.as_str().starts_with("doctor-"), "not the name of a node");
            Box::pin(async move {
                if url.starts_with("hush") {
                    return pending().await;
                }
                Err(Error::config("cannot log in: the password is wrong"))
            })
        }
    }

    fn prepared(file: &str) -> Prepared {
        Prepared {
            builder: NodeBuilder::default().connector(Broker),
            resolved: resolved(file),
            front: Front::new("shop"),
            schemes: vec!["memory", "deny", "hush"],
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bridge_that_refuses_or_is_silent_is_a_problem() {
        assert_eq!(Error::config("x").kind(), ErrorKind::Config);
        let table = [
            (
                "deny://u:hunter2@h",
                "cannot connect to deny://***@h: cannot log in: the password is wrong",
            ),
            ("hush://h", "cannot connect to hush://h: no answer within 3s"),
        ];
        for (url, expected) in table {
            let (found, capability) = examine(&prepared(&format!("event_bridge = '{url}'")), false).await;
            assert_eq!(
                (found.len(), found[0].level, found[0].message.as_str()),
                (1, Level::Problem, expected)
            );
            assert!(capability.is_none() && !format!("{found:?}").contains("hunter2"));
        }
    }

    #[test]
    fn what_matters_of_a_bridge_is_told_in_words() {
        let mut capability = Capability::none("some");
        let least = facts(&capability);
        assert!(
            least.contains("keeps no events") && least.contains("waits for its deadline"),
            "{least}"
        );
        capability.durable = true;
        capability.holds_backlog = true;
        capability.unroutable = true;
        capability.payload_bytes_max = Some(512 << 10);
        let most = facts(&capability);
        for expected in ["while it runs", "says at once", "keeps commands", "up to 512KiB"] {
            assert!(most.contains(expected), "{expected} in {most}");
        }
        let found = too_large(&capability, &resolved("")).expect("1MiB is more");
        assert!(found.message.contains("1MiB is more than some takes"), "{found:?}");
        assert!(too_large(&capability, &resolved("payload_limit = '512KiB'")).is_none());
    }

    #[tokio::test]
    async fn offline_asks_nobody_but_the_memory_bridge() {
        let (found, capability) = examine(&prepared("event_bridge = 'hush://h'"), true).await;
        assert_eq!((found[0].level, capability), (Level::Note, None));
        let (found, capability) = examine(&prepared(""), true).await;
        assert_eq!(
            (found[0].level, capability.map(|known| known.name)),
            (Level::Ok, Some("memory"))
        );
    }

    #[tokio::test]
    async fn a_scheme_without_an_adapter_is_a_problem_of_its_setting() {
        let prepared = prepared("event_bridge = 'nats://u:hunter2@h'\nstate_store = 'redis://h'");
        let (found, _) = examine(&prepared, false).await;
        let told: Vec<_> = found
            .iter()
            .map(|finding| (finding.level, finding.subject.as_str()))
            .collect();
        assert_eq!(
            told,
            [(Level::Problem, "event_bridge"), (Level::Problem, "state_store")]
        );
        assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
    }
}
