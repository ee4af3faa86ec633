//! The chaos program: nodes, a broker and a generator; faults drawn from a seed; and a checker that says what broke.
//!
//! `tests/chaos` builds and starts it. The probe's ledger and the generator's history are the truth; what the nodes count of
//! themselves is not asked. The same seed draws the same faults and the same orders again.

mod checker;
mod clock;
mod history;
#[allow(dead_code, reason = "the tests over brokers ask more of it")]
mod http;
mod ledger;
mod node;
mod options;
mod random;
mod run;
mod schedule;
mod system;
mod workload;

use std::process::ExitCode;

use options::{Options, Scenario, USAGE};
use roadshow_conformance::broker::Broker;
use tokio::io::AsyncReadExt as _;

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if options.scenario == Scenario::Broker {
        return lend_a_broker(&options).await;
    }
    let folder = tempfile::Builder::new().prefix("roadshow-chaos-").tempdir();
    let folder = folder.expect("a folder for what the run leaves behind");
    let binary = node::binary(None);
    let held = run::run(&options, &binary, folder.path()).await;
    match held {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => {}
        Err(error) => eprintln!("the run was not finished: {error}"),
    }
    let kept = folder.keep();
    eprintln!("history, ledger and logs are kept in {}", kept.display());
    ExitCode::FAILURE
}

/// Runs a broker for whoever started this, says where it is, and ends it when the input ends.
async fn lend_a_broker(options: &Options) -> ExitCode {
    let kind = system::broker_kind(options.transport).expect("a scenario without a broker was refused");
    match Broker::start(kind).await {
        Ok(broker) => {
            println!("broker {}", broker.url());
            // An input that cannot be read has ended, too.
            let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
