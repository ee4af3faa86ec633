//! `up`: one node, from its settings to its exit code.
//!
//! Signals are taken before anything starts. What they mean depends on how far the node is: while it starts, the first
//! one gives up the start; afterwards it begins the drain.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;
use roadshow_gateway::Gateway;
use roadshow_services::config::{self, HttpListen, Resolved};
use roadshow_services::{Drained, Error, ErrorKind, Node, NodeBuilder};
use tracing::{info, warn};

use crate::app::App;
use crate::command_line::{self, CONFIG};
use crate::end::{self, End};
use crate::log;
use crate::signals::{Signal, Signals};

/// How long handlers of a node that has given up may take to end: nobody is left to hear their answers.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs a node until a signal or its own end.
pub(crate) async fn run(app: App, matches: &ArgMatches) -> End {
    let (builder, resolved) = match prepare(app, matches) {
        Ok(prepared) => prepared,
        Err(end) => return end,
    };
    let mut signals = match Signals::take() {
        Ok(signals) => signals,
        Err(error) => return end::gave_up("signals cannot be taken", &[error.to_string()]),
    };
    let node = tokio::select! {
        launched = builder.launch() => match launched {
            Ok(node) => node,
            Err(error) => return not_started(&error),
        },
        signal = signals.first() => {
            info!(signal = signal.name, "the start was given up");
            return End::Done;
        }
    };
    install_recorder(&node);
    tokio::select! {
        ready = node.ready() => match ready {
            Ok(()) => {}
            Err(error) => {
                let end = not_started(&error);
                let _stopped_already = node.shutdown(LAST_WORDS).await;
                return end;
            }
        },
        signal = signals.first() => return stop(node, signal, &resolved).await,
    }
    announce(&node);
    tokio::select! {
        exit = node.wait() => {
            let _stopped_already = node.shutdown(LAST_WORDS).await;
            end::gave_up("the node gave up", &exit.causes)
        }
        signal = signals.first() => stop(node, signal, &resolved).await,
    }
}

/// Lets the macros of the `metrics` facade count on the node.
fn install_recorder(node: &Node) {
    if let Err(error) = metrics::set_global_recorder(node.view().recorder()) {
        warn!(%error, "metrics of macros are counted elsewhere: this process has a global recorder already");
    }
}

/// Everything that can be wrong without any I/O but the configuration's.
fn prepare(app: App, matches: &ArgMatches) -> Result<(NodeBuilder, Resolved), End> {
    let config = matches.get_one::<PathBuf>(CONFIG);
    let flags = command_line::given_settings(matches);
    let resolved = config::load(config.map(PathBuf::as_path), &flags)
        .map_err(|errors| wrong_settings(errors.iter().map(ToString::to_string)))?;
    let problems = unknown_bridges(&resolved, &app.schemes);
    if !problems.is_empty() {
        return Err(wrong_settings(problems.into_iter()));
    }
    let mut builder = app.node;
    for flags in app.flags {
        let services = flags.services(matches).map_err(|error| end::of_clap(&error))?;
        builder = services.into_iter().fold(builder, NodeBuilder::any_service);
    }
    log::install(&resolved).map_err(|problem| end::wrong_usage(&problem))?;
    for variable in resolved.ignored_variables() {
        info!(variable, "passed over: Kubernetes makes it, it is no setting");
    }
    builder = match gateway(&resolved) {
        Some(gateway) => builder.component(gateway),
        None => builder,
    };
    Ok((builder.settings(resolved.clone()), resolved))
}

fn gateway(resolved: &Resolved) -> Option<Gateway> {
    let settings = resolved.settings();
    let HttpListen::At(address) = settings.http else {
        return None;
    };
    let gateway = Gateway::new(address);
    Some(match &settings.http_token {
        Some(token) => gateway.token(token.clone()),
        None => gateway,
    })
}

/// Finds bridges and stores that this program has no adapter for. Only event bridges have adapters so far.
fn unknown_bridges(resolved: &Resolved, schemes: &[&str]) -> Vec<String> {
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

fn wrong_settings(problems: impl Iterator<Item = String>) -> End {
    for problem in problems {
        end::tell(&format!("error: {problem}"));
    }
    End::WrongUsage
}

fn not_started(error: &Error) -> End {
    match error.kind() {
        ErrorKind::Definition => wrong_settings(error.causes().iter().cloned()),
        _ => end::gave_up("the node could not start", error.causes()),
    }
}

fn announce(node: &Node) {
    let view = node.view();
    let http = view.location(Gateway::NAME).unwrap_or_else(|| "-".to_owned());
    end::print(&format!("ready node={} http={http}", view.id()));
}

async fn stop(node: Node, signal: Signal, resolved: &Resolved) -> End {
    info!(
        signal = signal.name,
        "stopping; a second signal ends the process at once"
    );
    let drained = node.shutdown(resolved.settings().shutdown_budget).await;
    if drained.is_clean() {
        return End::Done;
    }
    let Drained { abandoned, killed, .. } = drained;
    warn!(abandoned, killed = killed.join(" "), "the stop was not clean");
    end::tell(&format!(
        "error: the stop was not clean: {abandoned} calls and deliveries abandoned, killed: {}",
        if killed.is_empty() {
            "nothing".to_owned()
        } else {
            killed.join(", ")
        }
    ));
    End::Abandoned
}
