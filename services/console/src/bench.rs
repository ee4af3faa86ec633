//! `roadshow bench`: how fast this machine calls, tells and restarts, beside what others reach on it in the same run.
//!
//! A number without its baseline says little: machines differ, and the same machine differs from hour to hour. So every
//! row measures two contenders in turn (ours, theirs, ours, theirs, …), each on a runtime of its own with two workers
//! and with the same payloads, 128 bytes in and 64 bytes out, and reports medians. Everything that a node does for a
//! call is on: deadline, metrics, the disabled span.
//!
//! Every contender warms up before its first round and, shorter, before each. Latencies are HDR histograms of passes of
//! their own. What else the machine did meanwhile is measured too and stands in the report.
//!
//! With a bridge there are rows over it too. Their baseline is the broker's own client library doing the same work with the
//! same payload and headers; ours are two nodes of this process with a connection each, as the library has two.
//!
//! Deliberately not here: a verdict in the exit code, since a loaded machine misses bars
//! that the code reaches.

mod bare;
mod calls;
mod channel;
mod comparison;
mod contender;
mod error;
mod events;
mod flow;
mod load;
mod machine;
mod mailbox;
mod messages;
mod plot;
mod remote;
mod report;
mod respawn;
mod restarts;
mod rows;
mod stage;
mod table;
mod units;

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use error::Error;
use load::Watch;
use machine::Machine;
use remote::Remote;
use report::Report;
use roadshow_services::Connectors;
pub(crate) use rows::RowName;

use crate::end::{tell, wrong_usage};
use crate::target;

const HELP: &str = "Examples:\n  bench --rows local_call,restart\n  bench --json > bench.json\n  bench --plot \
                    bench.svg\n  bench --event-bridge nats://127.0.0.1:4222\n\nA line of the table is two sides in turn: a warm-up of a fourteenth of the line's \
                    seconds each, then five rounds and a pass for latencies each, every one of the same length, of \
                    which the first tenth is warm-up again. Whatever else the machine does then is in the numbers: the \
                    report says how much it was.\n\nExit codes: 0 measured, whatever the numbers are, 1 something \
                    could not be measured, 2 wrong usage, a plot that cannot be written included.";

/// What `roadshow bench` measures, and how it says so.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct BenchArgs {
    /// Print one JSON document instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Rows to measure, separated by commas; all of them by default.
    #[arg(long, value_name = "ROW", value_delimiter = ',', value_enum)]
    pub(crate) rows: Vec<RowName>,
    /// Measure over this event bridge too, whatever it is that runs there [env: ROADSHOW_EVENT_BRIDGE]
    #[arg(long, value_name = "URL")]
    pub(crate) event_bridge: Option<String>,
    /// The namespace of these rows; what a broker keeps of it stays there [default: roadshow_bench]
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Seconds that one line of the table takes, its baseline included.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub(crate) seconds: u16,
    /// Draw the report into this file too, as SVG.
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
}

/// Measures, and prints the report on stdout; on a terminal, progress goes to stderr.
///
/// Exits 0 when everything was measured, whatever the numbers are, 1 when something could not be, and 2 before anything
/// is measured when the plot could not be written.
///
/// # Cancel safety
/// Dropping the future prints nothing; the measurement under way ends in its own thread first.
pub(crate) async fn run(args: BenchArgs, connectors: &Connectors) -> ExitCode {
    let plan = match plan(&args, connectors) {
        Ok(plan) => plan,
        Err(problem) => return wrong_usage(&problem).into(),
    };
    if let Some(file) = &args.plot
        && let Err(cause) = check_writable(file)
    {
        let problem = format!("cannot write the plot to {}: {cause}", file.display());
        return wrong_usage(&problem).into();
    }
    if cfg!(debug_assertions) {
        tell("this program was built without optimisation: its numbers say nothing");
    }
    let (json, plot) = (args.json, args.plot.clone());
    // The contenders have runtimes of their own, which may only be driven from outside this one.
    let measured = tokio::task::spawn_blocking(move || measure(&plan)).await;
    let outcome = match measured {
        Ok(Ok(report)) => publish(&report, json, plot.as_deref()),
        Ok(Err(error)) => Err(error),
        Err(ended) => Err(Error::new("measuring", ended)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("error: bench failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Finds out whether a file can be written without changing what is in it. A file that was not there is not there after.
fn check_writable(file: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).open(file) {
        Ok(_) => fs::remove_file(file),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            OpenOptions::new().write(true).open(file).map(drop)
        }
        Err(error) => Err(error),
    }
}

/// What is measured, and over what.
#[derive(Debug)]
struct Plan {
    rows: Vec<RowName>,
    remote: Option<Remote>,
    length: Duration,
}

/// Decides what is measured.
///
/// # Errors
/// A bridge that nobody can reach from here, and rows that take one where none is named.
fn plan(args: &BenchArgs, connectors: &Connectors) -> Result<Plan, String> {
    let remote = match target::named_bridge(args.event_bridge.as_deref())? {
        Some((origin, url)) => {
            let remote = Remote::new(&url, args.namespace.as_deref(), connectors);
            Some(remote.map_err(|problem| format!("cannot use {origin}: {problem}"))?)
        }
        None => None,
    };
    let rows = match args.rows.as_slice() {
        [] if remote.is_some() => [RowName::LOCAL, RowName::REMOTE].concat(),
        [] => RowName::LOCAL.to_vec(),
        chosen => chosen.to_vec(),
    };
    if let (None, Some(row)) = (&remote, rows.iter().find(|row| row.is_remote())) {
        return Err(format!(
            "cannot measure {}: name a bridge with --event-bridge URL",
            row.as_str()
        ));
    }
    Ok(Plan {
        rows,
        remote,
        length: Duration::from_secs(args.seconds.into()),
    })
}

fn measure(plan: &Plan) -> Result<Report, Error> {
    let shows_progress = io::stderr().is_terminal();
    let watch = Watch::start();
    let mut rows = Vec::new();
    for (n, name) in plan.rows.iter().enumerate() {
        if shows_progress {
            tell(&format!(
                "measuring {} ({} of {})",
                name.as_str(),
                n + 1,
                plan.rows.len()
            ));
        }
        rows.extend(name.measure(plan.length, plan.remote.as_ref())?);
    }
    Ok(Report {
        machine: Machine::this(watch.load()),
        rows,
    })
}

/// Prints the report first: a plot that cannot be written any more does not cost what was measured.
fn publish(report: &Report, json: bool, plot: Option<&Path>) -> Result<(), Error> {
    let text = if json {
        serde_json::to_string(report).map_err(|cause| Error::new("writing the report as JSON", cause))?
    } else {
        table::render(report)
    };
    let printed = writeln!(io::stdout().lock(), "{text}").map_err(|cause| Error::new("printing the report", cause));
    if let Some(file) = plot {
        fs::write(file, plot::render(report)).map_err(|cause| Error::new("writing the plot", cause))?;
    }
    printed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_whether_a_file_can_be_written_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let (new, old) = (folder.path().join("new.svg"), folder.path().join("old.svg"));
        fs::write(&old, "a picture").expect("written");
        check_writable(&new).expect("a folder takes files");
        check_writable(&old).expect("a file can be replaced");
        assert!(!new.exists());
        assert_eq!(fs::read_to_string(&old).expect("read"), "a picture");
        assert!(check_writable(folder.path()).is_err(), "a folder is no file");
        assert!(check_writable(&folder.path().join("no/such/folder.svg")).is_err());
    }
}
