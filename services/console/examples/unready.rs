//! A program with a service that never starts: what a node does about it can be watched, and is tested.
//!
//! `unready up` tries until the budget is used up and ends with exit code 1 and the causes; `unready up --optional`
//! serves without the service.

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use roadshow_services::{Backoff, Budget, Service, ServiceId};

/// The flags that the service brings to `up`.
#[derive(Clone, Copy, clap::Args)]
struct UnreadyFlags {
    /// Let the node go on without the service
    #[arg(long)]
    optional: bool,
    /// Take as long as the deadline allows instead of failing
    #[arg(long)]
    hang: bool,
    /// Back off between the tries as services do by default, instead of a few milliseconds
    #[arg(long)]
    patient: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot connect to the database")]
struct NoDatabase(#[source] std::io::Error);

fn unready(flags: UnreadyFlags) -> Service<()> {
    let UnreadyFlags {
        optional,
        hang,
        patient,
    } = flags;
    let quick = Backoff::new(Duration::from_millis(1), Duration::from_millis(10));
    let budget = Budget::exits();
    let budget = if patient { budget } else { budget.backoff(quick) };
    let service = Service::new(ServiceId::new("ledger", 1), move || async move {
        if hang {
            std::future::pending::<()>().await;
        }
        Err::<(), _>(NoDatabase(std::io::Error::other("the disk is on fire")))
    })
    .exit_budget(budget);
    if optional { service.optional() } else { service }
}

#[tokio::main]
async fn main() -> ExitCode {
    let well = Service::new(ServiceId::new("well", 1), || async { Ok::<_, Infallible>(()) });
    roadshow_console::app("unready")
        .service(well)
        .service_with_args(unready)
        .main()
        .await
}
