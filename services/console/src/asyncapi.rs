//! `asyncapi`: the AsyncAPI document of all commands and events, for whoever talks to the broker and not to us.
//!
//! It is made of the same services and settings as `up` would start, and of nothing else: no broker is asked.

mod bridge;
mod channels;
mod document;
mod headers;
mod schemas;
#[cfg(test)]
mod tests;

use clap::{ArgMatches, Command};
use roadshow_gateway::yaml_of_json;

use crate::app::App;
use crate::end::{self, End};
use crate::output;
use crate::prepared::{self, Prepared};
use document::{About, document};

/// Adds what only this command takes.
pub(crate) fn with_flags(command: Command, name: &str) -> Command {
    let help = format!(
        "Addresses are written as the broker of --event-bridge has them: with slashes for mqtt:, with dots elsewhere. \
         Nothing is connected.\n\nExamples:\n  {name} asyncapi --yaml --out asyncapi.yaml\n  {name} asyncapi \
         --services user --event-bridge nats://127.0.0.1:4222\n\nExit codes: 0 done, 1 the file cannot be written, 2 \
         wrong usage, settings or definitions."
    );
    command.args(output::flags()).after_help(help)
}

/// Prints the document, or writes it.
pub(crate) async fn run(app: App, matches: &ArgMatches) -> End {
    match written(app, matches) {
        Ok(text) => output::put(&text, matches),
        Err(end) => end,
    }
}

fn written(app: App, matches: &ArgMatches) -> Result<String, End> {
    let Prepared {
        builder,
        resolved,
        front,
        ..
    } = prepared::prepare(app, matches)?;
    let contracts = builder
        .contracts(&resolved)
        .map_err(|error| prepared::not_started(&error))?;
    let settings = resolved.settings();
    let about = About {
        title: front.name,
        version: front.version,
        namespace: &settings.namespace,
        bridge: &settings.event_bridge,
    };
    let mut json = serde_json::to_string_pretty(&document(&about, &contracts))
        .map_err(|error| end::gave_up("the document cannot be written as JSON", &[error.to_string()]))?;
    json.push('\n');
    Ok(if output::is_yaml(matches) {
        yaml_of_json(&json)
    } else {
        json
    })
}
