//! What `up` and the commands that look at definitions begin with: settings, services and adapters, before any I/O but
//! the configuration's.

use std::path::PathBuf;

use clap::ArgMatches;
use roadshow_services::config::{self, Resolved};
use roadshow_services::{Error, ErrorKind, NodeBuilder};

use crate::app::App;
use crate::command_line::{self, CONFIG};
use crate::end::{self, End};
use crate::front::Front;

/// The features of the facade that bring an adapter of event bridges, and the schemes that it knows.
const FEATURES: [(&[&str], &str); 3] = [
    (&["nats", "tls"], "nats"),
    (&["amqp", "amqps"], "amqp"),
    (&["mqtt", "mqtts"], "mqtt"),
];

/// How a missing adapter is told.
type Words = fn(&str, &[&str]) -> String;

/// A node that could be started, and the settings it would run under.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) builder: NodeBuilder,
    pub(crate) resolved: Resolved,
    pub(crate) front: Front,
    /// URL schemes that some connector knows.
    pub(crate) schemes: Vec<&'static str>,
}

/// Reads the configuration and makes the services that flags bring.
pub(crate) fn prepare(app: App, matches: &ArgMatches) -> Result<Prepared, End> {
    let config = matches.get_one::<PathBuf>(CONFIG);
    let flags = command_line::given_settings(matches);
    let resolved = config::load(config.map(PathBuf::as_path), &flags)
        .map_err(|errors| wrong_settings(errors.iter().map(ToString::to_string)))?;
    let mut builder = app.node;
    for flags in app.flags {
        let services = flags.services(matches).map_err(|error| end::of_clap(&error))?;
        builder = services.into_iter().fold(builder, NodeBuilder::any_service);
    }
    Ok(Prepared {
        builder,
        resolved,
        front: app.front,
        schemes: app.schemes,
    })
}

/// Finds bridges and stores that this program has no adapter for. Only event bridges have adapters so far.
pub(crate) fn unknown_bridges(resolved: &Resolved, schemes: &[&str]) -> Vec<String> {
    let settings = resolved.settings();
    let memory: &[&str] = &["memory"];
    let urls = [
        (
            "event_bridge",
            &settings.event_bridge,
            schemes,
            no_event_adapter as Words,
        ),
        ("queue_bridge", &settings.queue_bridge, memory, no_adapter),
        ("state_store", &settings.state_store, memory, no_adapter),
    ];
    let unknown = urls
        .into_iter()
        .filter(|(_, url, known, _)| !known.contains(&url.scheme()));
    unknown
        .map(|(name, url, known, words)| {
            let (origin, why) = (resolved.origin(name), words(url.scheme(), known));
            format!("cannot use {name} from {origin}: {why}")
        })
        .collect()
}

/// Says that a scheme of an event bridge has no adapter here, and with which feature it would have one.
pub(crate) fn no_event_adapter(scheme: &str, known: &[&str]) -> String {
    let text = no_adapter(scheme, known);
    match FEATURES.iter().find(|(schemes, _)| schemes.contains(&scheme)) {
        Some((_, feature)) => format!("{text}; the feature {feature} of roadshow brings it"),
        None => text,
    }
}

fn no_adapter(scheme: &str, known: &[&str]) -> String {
    format!(
        "this program has no adapter for {scheme}:, only for {}:",
        known.join(":, ")
    )
}

/// Ends with everything that is wrong with settings or definitions, one line each.
pub(crate) fn wrong_settings(problems: impl Iterator<Item = String>) -> End {
    for problem in problems {
        end::tell(&format!("error: {problem}"));
    }
    End::WrongUsage
}

/// Ends because a node could not start, or its definitions contradict themselves.
pub(crate) fn not_started(error: &Error) -> End {
    match error.kind() {
        ErrorKind::Definition => wrong_settings(error.causes().iter().cloned()),
        _ => end::gave_up("the node could not start", error.causes()),
    }
}
