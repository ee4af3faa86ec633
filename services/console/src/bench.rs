//! `roadshow bench`: how fast this machine calls, tells and restarts, beside what others reach on it in the same run.
//!
//! A number without its baseline says little: machines differ, and the same machine differs from hour to hour. So every
//! row measures two contenders in turn (ours, theirs, ours, theirs, …), each on a runtime of its own with two workers
//! and with the same payloads, 128 bytes in and 64 bytes out, and reports medians. Everything that a node does for a
//! call is on: deadline, metrics, the disabled span.
//!
//! Deliberately not here: rows that need a broker, and a verdict in the exit code, since a loaded machine misses bars
//! that the code reaches.

mod calls;
mod channel;
mod comparison;
mod contender;
mod error;
mod events;
mod machine;
mod mailbox;
mod messages;
mod report;
mod respawn;
mod restarts;
mod rows;
mod stage;
mod table;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use error::Error;
use machine::Machine;
use report::Report;
pub(crate) use rows::RowName;

/// What `roadshow bench` measures, and how it says so.
#[derive(Clone, Debug, clap::Args)]

pub(crate) struct BenchArgs {
    /// Print one JSON document instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Rows to measure, separated by commas; all of them by default.
    #[arg(long, value_name = "ROW", value_delimiter = ',', value_enum)]
    pub(crate) rows: Vec<RowName>,
    /// Seconds that one line of the table takes, its baseline included.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub(crate) seconds: u16,
}

/// Measures, and prints the report on stdout; progress goes to stderr.
///
/// Exits 0 when everything was measured, whatever the numbers are, and 1 when something could not be.
///
/// # Cancel safety
/// Dropping the future prints nothing; the measurement under way ends in its own thread first.
pub(crate) async fn run(args: BenchArgs) -> ExitCode {
    if cfg!(debug_assertions) {
        eprintln!("this program was built without optimisation: its numbers say nothing");
    }
    let json = args.json;
    // The contenders have runtimes of their own, which may only be driven from outside this one.
    let measured = tokio::task::spawn_blocking(move || measure(&args)).await;
    let outcome = match measured {
        Ok(Ok(report)) => print(&report, json),
        Ok(Err(error)) => Err(error),
        Err(ended) => Err(Error::new("measuring", ended)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &BenchArgs) -> Result<Report, Error> {
    let chosen = if args.rows.is_empty() {
        RowName::ALL
    } else {
        args.rows.as_slice()
    };
    let length = Duration::from_secs(args.seconds.into());
    let mut rows = Vec::new();
    for name in chosen {
        eprintln!("measuring {}", name.as_str());
        rows.extend(name.measure(length)?);
    }
    Ok(Report {
        machine: Machine::this(),
        rows,
    })
}

fn print(report: &Report, json: bool) -> Result<(), Error> {
    let text = if json {
        serde_json::to_string(report).map_err(|cause| Error::new("writing the report as JSON", cause))?
    } else {
        table::render(report)
    };
    writeln!(io::stdout().lock(), "{text}").map_err(|cause| Error::new("printing the report", cause))
}
