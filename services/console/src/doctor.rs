//! `doctor`: looks at settings, definitions and surroundings without starting anything, and says what to change.
//!
//! What is known is put together once (settings, contracts, the bridge's capability, what the system tells), and the
//! judgements on it are pure functions, one module for each. Everything is looked at, whatever was found before; only
//! settings that cannot be read end it at once, as they end `up`. Deliberately not here: changing anything, starting a
//! service's factory, and reading a service's own section, which only the service can.

mod bridge;
mod budgets;
mod definitions;
mod door;
mod finding;
mod machine;
mod order;
mod print;
mod restarts;
#[cfg(test)]
mod sample;
mod settings;
mod words;

use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};

use self::finding::{Area, Finding};
use self::print::Report;
use crate::app::App;
use crate::call;
use crate::end::{self, End};
use crate::prepared::{self, Prepared};
use crate::style::Style;

const GRACE: &str = "grace";
const JSON: &str = "json";
const OFFLINE: &str = "offline";

const HELP: &str = "Give it the flags and variables that `up` will get. Marks: ok; note: it works, and whoever runs it \
                    should know; warning: it works until the day it matters; problem: a node would not start, or not do \
                    what it was told to.\n\nThe grace period is what whoever stops the node waits between SIGTERM and \
                    SIGKILL: terminationGracePeriodSeconds of Kubernetes (30s unless set), TimeoutStopSec of systemd. \
                    Nobody can ask for it from inside, so it is checked only when --grace says it: a stop takes \
                    shutdown_budget and 3s more. Without --grace a stop longer than 30s is a note.\n\nWith --offline \
                    neither a broker nor the HTTP address is tried.\n\nExit codes: 0 no problem (notes and warnings are \
                    none), 1 a problem, 2 wrong usage, or settings that cannot be read.";

/// Adds what only the doctor takes.
pub(crate) fn with_flags(command: Command, name: &str) -> Command {
    let grace = Arg::new(GRACE)
        .long(GRACE)
        .value_name("DURATION")
        .value_parser(call::duration)
        .help("How long whoever stops the node waits before killing it, as in 30s [default: not checked]");
    let json = Arg::new(JSON)
        .long(JSON)
        .action(ArgAction::SetTrue)
        .help("Print one JSON document: settings, findings, ok");
    let offline = Arg::new(OFFLINE)
        .long(OFFLINE)
        .action(ArgAction::SetTrue)
        .help("Skip what touches the network");
    let examples = format!(
        "Examples:\n  {name} doctor\n  {name} doctor --config prod.toml --grace 30s\n  {name} doctor --offline --json | \
         jq '.findings[] | select(.level == \"problem\")'\n\n{HELP}"
    );
    command.args([grace, json, offline]).after_help(examples)
}

/// What was asked for beside the settings.
#[derive(Clone, Copy, Debug)]
struct Asked {
    grace: Option<Duration>,
    is_offline: bool,
}

/// Checks and says what to change.
pub(crate) async fn run(app: App, matches: &ArgMatches) -> End {
    let asked = Asked {
        grace: matches.get_one::<Duration>(GRACE).copied(),
        is_offline: matches.get_flag(OFFLINE),
    };
    let prepared = match prepared::prepare(app, matches) {
        Ok(prepared) => prepared,
        Err(end) => return end,
    };
    let findings = examine(&prepared, asked).await;
    let report = Report::new(settings::rows(&prepared.resolved), findings);
    let text = if matches.get_flag(JSON) {
        match serde_json::to_string(&report) {
            Ok(document) => document,
            Err(error) => return end::gave_up("the report cannot be written as JSON", &[error.to_string()]),
        }
    } else {
        print::page(&report, Style::for_stdout())
    };
    match end::print(&text) {
        End::Done if !report.ok => End::Failed,
        written => written,
    }
}

/// Everything there is to find.
async fn examine(prepared: &Prepared, asked: Asked) -> Vec<Finding> {
    let Prepared {
        builder,
        resolved,
        front,
        ..
    } = prepared;
    let mut findings = settings::findings(resolved);
    let (bridges, capability) = bridge::examine(prepared, asked.is_offline).await;
    let contracts = match definitions::contracts(builder, resolved) {
        Ok(contracts) => {
            findings.extend(definitions::findings(
                &contracts,
                &definitions::known(builder),
                resolved,
            ));
            findings.extend(definitions::closed(&contracts, resolved, front.has_hook()));
            if let Some(capability) = capability {
                findings.extend(definitions::against(&contracts, &capability));
            }
            Some(contracts)
        }
        Err(problems) => {
            findings.extend(problems);
            None
        }
    };
    findings.extend(bridges);
    findings.push(door::address(resolved, asked.is_offline).await);
    findings.extend(door::exposure(resolved));
    findings.extend(door::tls(resolved));
    findings.extend(machine::files(resolved));
    findings.extend(machine::open_files(resolved, machine::limits().as_deref()));
    findings.push(machine::log_filter(resolved));
    findings.push(machine::clock());
    findings.push(budgets::grace(resolved, asked.grace));
    if let Some(contracts) = contracts {
        findings.extend(budgets::drain(&contracts, resolved));
        findings.extend(budgets::timeouts(&contracts, resolved));
        findings.extend(restarts::findings(&contracts, resolved));
        findings.push(budgets::memory(&contracts, resolved, machine::memory()));
    } else {
        let advice = "correct the definitions and run it again";
        findings.push(Area::Budgets.note("endpoints", "not looked at while nobody knows what would run", advice));
    }
    findings
}
