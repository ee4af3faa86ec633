//! `up`: one node, from its settings to its exit code.
//!
//! Signals are taken before anything starts. What they mean depends on how far the node is: while it starts, the first
//! one gives up the start; afterwards it begins the drain.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use clap::ArgMatches;
use roadshow_gateway::{Cors, Gateway};
use roadshow_services::config::{HttpListen, Resolved};
use roadshow_services::{Drained, Node, NodeBuilder};
use tracing::{info, warn};

use crate::app::App;
use crate::end::{self, End};
use crate::front::Front;
use crate::log;
use crate::prepared::{self, Prepared};
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
            Err(error) => return prepared::not_started(&error),
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
                let end = prepared::not_started(&error);
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
    let Prepared {
        builder,
        resolved,
        front,
        schemes,
    } = prepared::prepare(app, matches)?;
    let problems = prepared::unknown_bridges(&resolved, &schemes);
    if !problems.is_empty() {
        return Err(prepared::wrong_settings(problems.into_iter()));
    }
    let gateway = gateway(front, &resolved).map_err(|problem| end::wrong_usage(&problem))?;
    log::install(&resolved).map_err(|problem| end::wrong_usage(&problem))?;
    for variable in resolved.ignored_variables() {
        info!(variable, "passed over: Kubernetes makes it, it is no setting");
    }
    let builder = match gateway {
        Some(gateway) => builder.component(gateway),
        None => builder,
    };
    Ok((builder.settings(resolved.clone()), resolved))
}

/// The gateway that the settings describe, if it is to listen.
fn gateway(front: Front, resolved: &Resolved) -> Result<Option<Gateway>, String> {
    let HttpListen::At(address) = resolved.settings().http else {
        return Ok(None);
    };
    gateway_at(address, front, resolved).map(Some)
}

/// The gateway that the settings describe, wherever it listens. It has the application's hook, and its documents bear the name of
/// the application.
pub(crate) fn gateway_at(address: SocketAddr, front: Front, resolved: &Resolved) -> Result<Gateway, String> {
    let settings = resolved.settings();
    let told = &settings.gateway;
    let mut gateway = Gateway::new(address)
        .access_log(told.access_log)
        .docs(told.docs)
        .connections(NonZeroUsize::new(told.connections).unwrap_or(NonZeroUsize::MIN))
        .header_timeout(told.header_timeout)
        .body_timeout(told.body_timeout)
        .write_timeout(told.write_timeout)
        .bodies_limit(told.bodies_limit);
    if let Some(token) = &settings.http_token {
        gateway = gateway.token(token.clone());
    }
    if let Some((cert, key)) = told.tls()? {
        gateway = gateway.tls(cert, key);
    }
    if !told.cors_origins.is_empty() {
        let cors = Cors::origins(&told.cors_origins).map_err(|problem| format!("gateway.cors_origins: {problem}"))?;
        gateway = gateway.cors(cors);
    }
    Ok(front.on(gateway))
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
