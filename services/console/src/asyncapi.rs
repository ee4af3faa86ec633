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

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};
use roadshow_gateway::yaml_of_json;

use crate::app::App;
use crate::end::{self, End};
use crate::prepared::{self, Prepared};
use document::{About, document};

const YAML: &str = "yaml";
const OUT: &str = "out";

/// Adds what only this command takes.
pub(crate) fn with_flags(command: Command, name: &str) -> Command {
    let yaml = Arg::new(YAML)
        .long(YAML)
        .action(ArgAction::SetTrue)
        .help("Print YAML in place of JSON");
    let out = Arg::new(OUT)
        .long(OUT)
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("Write to this file in place of stdout");
    let help = format!(
        "Addresses are written as the broker of --event-bridge has them: with slashes for mqtt:, with dots elsewhere. \
         Nothing is connected.\n\nExamples:\n  {name} asyncapi --yaml --out asyncapi.yaml\n  {name} asyncapi \
         --services user --event-bridge nats://127.0.0.1:4222\n\nExit codes: 0 done, 1 the file cannot be written, 2 \
         wrong usage, settings or definitions."
    );
    command.args([yaml, out]).after_help(help)
}

/// Prints the document, or writes it.
pub(crate) async fn run(app: App, matches: &ArgMatches) -> End {
    let text = match written(app, matches) {
        Ok(text) => text,
        Err(end) => return end,
    };
    let Some(file) = matches.get_one::<PathBuf>(OUT) else {
        // The document ends its last line itself.
        return end::print(text.trim_end_matches('\n'));
    };
    match std::fs::write(file, &text) {
        Ok(()) => End::Done,
        Err(error) => {
            end::tell(&format!("error: cannot write {}: {error}", file.display()));
            End::Failed
        }
    }
}

fn written(app: App, matches: &ArgMatches) -> Result<String, End> {
    let title = app.name;
    let Prepared { builder, resolved, .. } = prepared::prepare(app, matches)?;
    let contracts = builder
        .contracts(&resolved)
        .map_err(|error| prepared::not_started(&error))?;
    let settings = resolved.settings();
    let about = About {
        title,
        version: env!("CARGO_PKG_VERSION"),
        namespace: &settings.namespace,
        bridge: &settings.event_bridge,
    };
    let mut json = serde_json::to_string_pretty(&document(&about, &contracts))
        .map_err(|error| end::gave_up("the document cannot be written as JSON", &[error.to_string()]))?;
    json.push('\n');
    Ok(if matches.get_flag(YAML) { yaml_of_json(&json) } else { json })
}
