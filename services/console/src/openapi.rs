//! `openapi`: the OpenAPI document of the commands that declare a route.
//!
//! It is made of the same services, settings and gateway as `up` would start, so that it is the text which the node
//! serves; nothing is started for it. With `--node` it is that text, fetched.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};
use roadshow_gateway::OpenApi;
use roadshow_services::NodeLimits;

use crate::app::App;
use crate::end::{self, End};
use crate::prepared::{self, Prepared};
use crate::target::TargetArgs;
use crate::up;

const YAML: &str = "yaml";
const OUT: &str = "out";
const NODE: &str = "node";
const HELP: &str = "Exit codes: 0 done, 1 the node cannot be reached or serves no document (the problem as JSON on \
                    stderr), or the file cannot be written, 2 wrong usage, settings or definitions.";

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
    let node = Arg::new(NODE)
        .long(NODE)
        .value_name("URL")
        .help("Fetch the document of the node that runs there, in place of this program's own");
    let examples = format!(
        "Examples:\n  {name} openapi --yaml --out openapi.yaml\n  {name} openapi --services user | jq '.paths | keys'\n  \
         {name} openapi --node http://127.0.0.1:9000\n\n{HELP}"
    );
    command.args([yaml, out, node]).after_help(examples)
}

/// Prints the document, or writes it.
pub(crate) async fn run(app: App, matches: &ArgMatches) -> End {
    let yaml = matches.get_flag(YAML);
    let text = match matches.get_one::<String>(NODE) {
        Some(node) => fetched(node.clone(), yaml).await,
        None => own(app, matches).map(|document| if yaml { document.to_yaml() } else { document.to_json() }),
    };
    match (text, matches.get_one::<PathBuf>(OUT)) {
        (Err(end), _) => end,
        (Ok(text), Some(file)) => write(file, &text),
        // The document ends its last line itself.
        (Ok(text), None) => end::print(text.trim_end_matches('\n')),
    }
}

async fn fetched(node: String, yaml: bool) -> Result<String, End> {
    let client = TargetArgs::at(node).client();
    let client = client.map_err(|problem| end::wrong_usage(&problem))?;
    client.openapi(yaml).await.map_err(|error| end::unanswered(&error))
}

/// The document of the services that `up` would start under the same settings.
fn own(app: App, matches: &ArgMatches) -> Result<OpenApi, End> {
    let name = app.name;
    let Prepared { builder, resolved, .. } = prepared::prepare(app, matches)?;
    let contracts = builder
        .contracts(&resolved)
        .map_err(|error| prepared::not_started(&error))?;
    // Where it would listen stands in no document, and it may be off.
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let gateway = up::gateway_at(nowhere, name, &resolved).map_err(|problem| end::wrong_usage(&problem))?;
    let settings = resolved.settings();
    let mut limits = NodeLimits::default();
    limits.timeout_max = settings.call.max_timeout;
    limits.payload_max = settings.payload_limit;
    Ok(gateway.openapi(&contracts, &limits))
}

fn write(file: &Path, text: &str) -> End {
    match std::fs::write(file, text) {
        Ok(()) => End::Done,
        Err(error) => {
            end::tell(&format!("error: cannot write {}: {error}", file.display()));
            End::Failed
        }
    }
}
