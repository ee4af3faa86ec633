//! What the services declare, against itself, against each other and against the bridge.

use roadshow_bridges::Capability;
use roadshow_services::config::{HttpListen, Resolved, Settings};
use roadshow_services::{Address, HttpRoute, NodeBuilder, ServiceContract, SubscriptionContract};

use super::finding::{Area, Finding, Level};
use super::order;
use super::words::{count, shown, some_of, time};

/// The services that would run here, or everything that keeps them from running.
pub(super) fn contracts(builder: &NodeBuilder, resolved: &Resolved) -> Result<Vec<ServiceContract>, Vec<Finding>> {
    let strangers = strangers(builder, resolved);
    if !strangers.is_empty() {
        return Err(strangers);
    }
    builder.contracts(resolved).map_err(|error| {
        let problem = |cause: &String| {
            Area::Definitions.problem(
                "services",
                shown(cause),
                "correct the declaration: a node does not start with it",
            )
        };
        error.causes().iter().map(problem).collect()
    })
}

/// Settings about services that are not there.
fn strangers(builder: &NodeBuilder, resolved: &Resolved) -> Vec<Finding> {
    let known = known(builder);
    let names: Vec<&str> = known.iter().map(|contract| contract.id.name()).collect();
    let Err(errors) = resolved.check_services(&names) else {
        return Vec::new();
    };
    let advice = match names[..] {
        [] => "this program has no services".to_owned(),
        _ => format!("the services of this program are {}", names.join(", ")),
    };
    let problem = |error: &roadshow_services::config::ConfigError| {
        Area::Definitions.problem(error.subject(), shown(&error.to_string()), &advice)
    };
    errors.iter().map(problem).collect()
}

/// Every service of the program, whatever the settings choose; nothing if they cannot be together.
pub(super) fn known(builder: &NodeBuilder) -> Vec<ServiceContract> {
    let everything = Settings::resolve(None, std::iter::empty(), &[], None);
    everything
        .ok()
        .and_then(|all| builder.contracts(&all).ok())
        .unwrap_or_default()
}

/// What is to be said of services that could start. `known` are those that the program has, running here or not.
pub(super) fn findings(contracts: &[ServiceContract], known: &[ServiceContract], resolved: &Resolved) -> Vec<Finding> {
    let settings = resolved.settings();
    let mut findings: Vec<Finding> = contracts.iter().map(described).collect();
    if contracts.is_empty() {
        findings.push(Area::Definitions.warning(
            "services",
            "no service would run here",
            "give the application one with .service(..), or name one with --services",
        ));
    }
    let routes: usize = contracts.iter().map(|contract| routes_of(contract).count()).sum();
    if settings.http == HttpListen::Off && routes > 0 {
        findings.push(Area::Definitions.note(
            "http",
            format!(
                "it is off, and {} over HTTP",
                told(routes, "route is reached", "routes are reached")
            ),
            "give an address with --http, or leave it off if another node serves them",
        ));
    }
    for contract in contracts {
        findings.extend(unserved(contract, contracts, known, settings));
    }
    findings.extend(order::findings(contracts));
    findings
}

/// Routes that nobody can come in by.
pub(super) fn closed(contracts: &[ServiceContract], resolved: &Resolved, has_hook: bool) -> Option<Finding> {
    if has_hook || resolved.settings().http == HttpListen::Off {
        return None;
    }
    let routes = contracts.iter().flat_map(routes_of);
    let closed = routes.filter(|(_, route)| !route.public);
    let names: Vec<String> = closed.map(|(address, _)| address.to_string()).collect();
    (!names.is_empty()).then(|| {
        Area::Definitions.note(
            "closed routes",
            format!("{}: closed routes answer 401 to everybody", some_of(&names)),
            "give the application a hook with .authenticate(..), or declare the route .public()",
        )
    })
}

/// The routes of a service, with what stands at them.
fn routes_of(contract: &ServiceContract) -> impl Iterator<Item = (Address, &HttpRoute)> {
    let commands = contract.commands.iter().map(|one| (one.address, one.http.as_ref()));
    let streams = contract.streams.iter().map(|one| (one.address, one.http.as_ref()));
    commands
        .chain(streams)
        .filter_map(|(address, route)| Some((address, route?)))
}

fn told(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn described(contract: &ServiceContract) -> Finding {
    let routes = contract.commands.iter().filter(|one| one.http.is_some()).count();
    let streamed = contract.streams.iter().filter(|one| one.http.is_some()).count();
    let durable = contract.subscriptions.iter().filter(|one| one.durable).count();
    let mut parts = vec![count(contract.commands.len(), "command")];
    if routes > 0 {
        parts[0] += &format!(" ({routes} over HTTP)");
    }
    if !contract.streams.is_empty() {
        let over_http = match streamed {
            0 => String::new(),
            streamed => format!(" ({streamed} over HTTP)"),
        };
        parts.push(count(contract.streams.len(), "stream") + &over_http);
    }
    let durable = match durable {
        0 => String::new(),
        durable => format!(" ({durable} durable)"),
    };
    parts.push(count(contract.subscriptions.len(), "subscription") + &durable);
    if contract.optional {
        parts.push("optional".to_owned());
    }
    Area::Definitions.ok(contract.id.to_string(), parts.join(", "))
}

/// Declared calls that nobody here answers.
///
/// The memory bridge ends with the process, so nobody else can answer either; with another bridge a node may, which
/// cannot be seen before it is asked.
fn unserved(
    contract: &ServiceContract,
    contracts: &[ServiceContract],
    known: &[ServiceContract],
    settings: &Settings,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_alone = settings.event_bridge.scheme() == "memory";
    for address in &contract.calls {
        let here = contracts.iter().find(|other| other.id == address.service());
        let subject = contract.id.to_string();
        if let Some(here) = here {
            let is_command = here.commands.iter().any(|command| command.address == *address);
            if !is_command && !here.streams.iter().any(|stream| stream.address == *address) {
                let message = format!(
                    "it calls {address}, and {} has no such command or stream: not_found, each time",
                    here.id
                );
                findings.push(Area::Definitions.problem(
                    subject,
                    message,
                    "correct .calls and .opens, or declare the command with .command and the stream with .stream",
                ));
            }
            continue;
        }
        let (level, what) = match (is_alone, settings.strict_contracts) {
            (true, true) => (
                Level::Problem,
                "nobody serves it here: with strict_contracts the node does not become ready",
            ),
            (true, false) => (
                Level::Warning,
                "nobody serves it here, and the memory bridge reaches nobody else: unavailable",
            ),
            (false, _) => (Level::Note, "nobody serves it here: another node has to"),
        };
        let name = address.service().name();
        let advice = if known.iter().any(|other| other.id == address.service()) {
            format!("add {name} to services, or choose a bridge over which another node serves it")
        } else {
            format!(
                "add a service {} to the application, or choose a bridge over which another node serves it",
                address.service()
            )
        };
        findings.push(Area::Definitions.found(level, subject, format!("it calls {address}; {what}"), &advice));
    }
    findings
}

/// The subscriptions of a service, with what people call them: `email.1 on user.created`.
pub(super) fn subscriptions(contract: &ServiceContract) -> impl Iterator<Item = (String, &SubscriptionContract)> {
    let named = |one: &SubscriptionContract| format!("{} on {}", contract.id, one.event);
    contract.subscriptions.iter().map(move |one| (named(one), one))
}

/// What subscriptions need, against what the bridge can do.
pub(super) fn against(contracts: &[ServiceContract], capability: &Capability) -> Vec<Finding> {
    let bridge = capability.name;
    let mut findings = Vec::new();
    let mut lost = Vec::new();
    for (name, one) in contracts.iter().flat_map(subscriptions) {
        for lacking in one.lacking(capability) {
            // A sentence of the contract's holds the way out behind its colon, if it has one.
            let (message, advice) = lacking.split_once(": ").unwrap_or((
                &lacking,
                "lower the concurrency of the subscription, or choose another bridge",
            ));
            findings.push(Area::Definitions.problem(name.clone(), shown(message), advice));
        }
        if one.attempts > 1 && capability.redelivery {
            let longest = (1..one.attempts.min(64))
                .filter_map(|attempt| one.retry.delay(attempt, 1.0))
                .max();
            let most = capability.delay_ms_max.map(std::time::Duration::from_millis);
            if let (Some(longest), Some(most)) = (longest, most.filter(|_| capability.delay))
                && longest > most
            {
                findings.push(Area::Definitions.warning(
                    name.clone(),
                    format!(
                        "its retry waits up to {}, and {bridge} delays at most {}",
                        time(longest),
                        time(most)
                    ),
                    &format!("cap the retry with .cap({})", time(most)),
                ));
            }
            if !capability.delay && longest.is_some_and(|longest| !longest.is_zero()) {
                findings.push(Area::Definitions.note(
                    name.clone(),
                    format!(
                        "{bridge} cannot delay: its {} attempts come one after the other at once",
                        one.attempts
                    ),
                    "expect a short outage to use up all attempts, or choose a bridge that delays",
                ));
            }
        }
        if !capability.dead_letters {
            lost.push(name);
        }
    }
    if !lost.is_empty() {
        findings.push(Area::Definitions.note(
            "dead letters",
            format!(
                "{bridge} keeps none: what {} cannot handle is gone after the last attempt",
                some_of(&lost)
            ),
            "choose a bridge that keeps dead letters where such a loss matters",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use roadshow_services::{Method, Retry};

    use super::*;
    use crate::doctor::sample::{A, B, Ping, Rang, Service, contracts as of, resolved, service};

    fn told(services: Vec<Service<()>>, known: Vec<Service<()>>, file: &str) -> Vec<(Level, String)> {
        let findings = findings(&of(services), &of(known), &resolved(file));
        findings
            .into_iter()
            .map(|finding| (finding.level, finding.message))
            .collect()
    }

    #[test]
    fn routes_that_nobody_can_come_in_by_are_named() {
        let shut = || of(vec![service(A).command::<Ping<0>>(|c| c.http(Method::Get, "/ping"))]);
        let found = closed(&shut(), &resolved(""), false).expect("nobody comes in");
        assert_eq!(found.level, Level::Note);
        assert_eq!(found.message, "a.1.ping: closed routes answer 401 to everybody");
        assert_eq!(closed(&shut(), &resolved(""), true), None);
        assert_eq!(closed(&shut(), &resolved("http = 'off'"), false), None);
        let open = service(A).command::<Ping<0>>(|c| c.http(Method::Get, "/ping").public());
        assert_eq!(closed(&of(vec![open]), &resolved(""), false), None);
        assert_eq!(
            closed(&of(vec![service(A).command::<Ping<0>>(|c| c)]), &resolved(""), false),
            None
        );
    }

    #[test]
    fn a_service_is_described_in_a_line() {
        let a = service(A)
            .command::<Ping<0>>(|c| c.http(Method::Get, "/ping"))
            .subscribe::<Rang>(|s| s.durable("bell"))
            .optional();
        let expected = "1 command (1 over HTTP), 1 subscription (1 durable), optional";
        assert_eq!(told(vec![a], vec![], ""), [(Level::Ok, expected.to_owned())]);
    }

    #[test]
    fn a_call_that_nobody_serves_weighs_what_it_costs() {
        let table = [
            ("", Level::Warning, "the memory bridge reaches nobody else"),
            ("strict_contracts = true", Level::Problem, "does not become ready"),
            ("event_bridge = 'nats://h'", Level::Note, "another node has to"),
            (
                "event_bridge = 'nats://h'\nstrict_contracts = true",
                Level::Note,
                "another node has to",
            ),
        ];
        for (file, level, text) in table {
            let told = told(vec![service(A).calls::<Ping<1>>()], vec![], file);
            assert_eq!(told.len(), 2, "{told:?}");
            assert_eq!(told[1].0, level, "{file}");
            assert!(told[1].1.contains(text) && told[1].1.contains("b.1.ping"), "{told:?}");
        }
    }

    #[test]
    fn a_service_that_the_settings_leave_out_is_the_advice() {
        let (here, known) = (
            of(vec![service(A).calls::<Ping<1>>()]),
            of(vec![service(A), service(B)]),
        );
        let found = findings(&here, &known, &resolved("services = ['a']"));
        let advice = found.last().and_then(|finding| finding.advice.as_deref());
        assert!(
            advice.is_some_and(|advice| advice.starts_with("add b to services")),
            "{advice:?}"
        );
    }

    #[test]
    fn a_command_that_its_service_has_not_is_a_problem() {
        let told = told(vec![service(B), service(A).calls::<Ping<1>>()], vec![], "");
        assert_eq!(told.last().map(|(level, _)| *level), Some(Level::Problem), "{told:?}");
    }

    #[test]
    fn routes_without_a_gateway_are_noted() {
        let a = service(A).command::<Ping<0>>(|c| c.http(Method::Get, "/ping"));
        let told = told(vec![a], vec![], "http = 'off'");
        assert_eq!(
            told[1],
            (Level::Note, "it is off, and 1 route is reached over HTTP".to_owned())
        );
    }

    #[test]
    fn what_the_bridge_lacks_is_said_with_the_way_out() {
        let durable = of(vec![service(A).subscribe::<Rang>(|s| s.durable("bell"))]);
        let mut capability = Capability::none("wire");
        let found = against(&durable, &capability);
        let levels: Vec<Level> = found.iter().map(|finding| finding.level).collect();
        assert_eq!(
            levels,
            [Level::Problem, Level::Problem, Level::Problem, Level::Note],
            "{found:?}"
        );
        assert!(
            found
                .iter()
                .all(|finding| finding.advice.as_deref().is_some_and(|advice| advice.len() > 10))
        );
        (capability.durable, capability.dead_letters, capability.redelivery) = (true, true, true);
        let found = against(&durable, &capability);
        assert!(
            found.len() == 1 && found[0].message.contains("cannot delay"),
            "{found:?}"
        );
        (capability.delay, capability.delay_ms_max) = (true, Some(60_000));
        assert_eq!(against(&durable, &capability), []);
    }

    #[test]
    fn a_retry_that_waits_longer_than_the_bridge_can_is_warned_of() {
        let retry = Retry::fixed(3, Duration::from_secs(3_600));
        let patient = of(vec![service(A).subscribe::<Rang>(|s| s.retry(retry))]);
        let mut capability = Capability::none("wire");
        (capability.redelivery, capability.delay, capability.dead_letters) = (true, true, true);
        capability.delay_ms_max = Some(60_000);
        let found = against(&patient, &capability);
        assert_eq!(found[0].message, "its retry waits up to 1h, and wire delays at most 1m");
    }
}
