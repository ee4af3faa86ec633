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
    let urls = [
        ("event_bridge", &settings.event_bridge, schemes),
        ("queue_bridge", &settings.queue_bridge, &["memory"]),
        ("state_store", &settings.state_store, &["memory"]),
    ];
    let unknown = urls
        .into_iter()
        .filter(|(_, url, known)| !known.contains(&url.scheme()));
    unknown
        .map(|(name, url, known)| {
            format!(
                "cannot use {name} from {}: this program has no adapter for {}:, only for {}:",
                resolved.origin(name),
                url.scheme(),
                known.join(":, ")
            )
        })
        .collect()
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
