//! `openapi`: the OpenAPI document of the commands that declare a route.
//!
//! It is made of the same services, settings and gateway as `up` would start, so that it is the text which the node
//! serves; nothing is started for it. With `--node` it is that text, fetched.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};
use roadshow_gateway::OpenApi;
use roadshow_services::NodeLimits;

use crate::app::App;
use crate::end::{self, End};
use crate::output;
use crate::prepared::{self, Prepared};
use crate::target::TargetArgs;
use crate::up;

const NODE: &str = "node";
const CA: &str = "ca";
const HELP: &str = "Exit codes: 0 done, 1 the node cannot be reached or serves no document (the problem as JSON on \
                    stderr), or the file cannot be written, 2 wrong usage, settings or definitions.";

/// Adds what only this command takes.
pub(crate) fn with_flags(command: Command, name: &str) -> Command {
    let node = Arg::new(NODE)
        .long(NODE)
        .value_name("URL")
        .help("Fetch the document of the node that runs there, in place of this program's own");
    let ca = Arg::new(CA)
        .long(CA)
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .requires(NODE)
        .help("Certificates to trust for https beside this machine's: a file in PEM");
    let examples = format!(
        "Examples:\n  {name} openapi --yaml --out openapi.yaml\n  {name} openapi --services user | jq '.paths | keys'\n  \
         {name} openapi --node http://127.0.0.1:9000\n\n{HELP}"
    );
    command.args(output::flags()).args([node, ca]).after_help(examples)
}

/// Prints the document, or writes it.
pub(crate) async fn run(app: App, matches: &ArgMatches) -> End {
    let yaml = output::is_yaml(matches);
    let text = match matches.get_one::<String>(NODE) {
        Some(node) => fetched(TargetArgs::at(node.clone(), matches.get_one(CA).cloned()), yaml).await,
        None => own(app, matches).map(|document| if yaml { document.to_yaml() } else { document.to_json() }),
    };
    match text {
        Ok(text) => output::put(&text, matches),
        Err(end) => end,
    }
}

async fn fetched(target: TargetArgs, yaml: bool) -> Result<String, End> {
    let client = target.client().map_err(|problem| end::wrong_usage(&problem))?;
    client.openapi(yaml).await.map_err(|error| end::unanswered(&error))
}

/// The document of the services that `up` would start under the same settings.
fn own(app: App, matches: &ArgMatches) -> Result<OpenApi, End> {
    let Prepared {
        builder,
        resolved,
        front,
        ..
    } = prepared::prepare(app, matches)?;
    let contracts = builder
        .contracts(&resolved)
        .map_err(|error| prepared::not_started(&error))?;
    // Where it would listen stands in no document, and it may be off.
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let gateway = up::gateway_at(nowhere, front, &resolved).map_err(|problem| end::wrong_usage(&problem))?;
    let settings = resolved.settings();
    let mut limits = NodeLimits::default();
    limits.timeout_max = settings.call.max_timeout;
    limits.payload_max = settings.payload_limit;
    Ok(gateway.openapi(&contracts, &limits))
}
