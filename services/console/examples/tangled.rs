//! Services that declare what the doctor warns of: a circle, a wrong order, a budget that cannot be used up, a handler
//! that outlasts every drain.
//!
//! `cargo run -p roadshow-console --example tangled -- doctor` says what to change.

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use roadshow_services::{Address, Backoff, Budget, Command, CommandHandler, Context, Failure, Service, ServiceId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const BASKET: ServiceId = ServiceId::new("basket", 1);
const STOCK: ServiceId = ServiceId::new("stock", 1);
const REPORT: ServiceId = ServiceId::new("report", 1);
const PRINTER: ServiceId = ServiceId::new("printer", 1);

#[derive(Deserialize, JsonSchema, Serialize)]
struct Fill;

#[derive(Deserialize, JsonSchema, Serialize)]
struct Reserve;

#[derive(Deserialize, JsonSchema, Serialize)]
struct Count;

#[derive(Deserialize, JsonSchema, Serialize)]
struct Print;

impl Command for Fill {
    const ADDRESS: Address = BASKET.command("fill");
    type Reply = ();
}

impl Command for Reserve {
    const ADDRESS: Address = STOCK.command("reserve");
    type Reply = ();
}

impl Command for Count {
    const ADDRESS: Address = REPORT.command("count");
    type Reply = ();
}

impl Command for Print {
    const ADDRESS: Address = PRINTER.command("print");
    type Reply = ();
}

/// Does nothing, whatever it is asked.
struct Idle;

impl<C: Command<Reply = ()>> CommandHandler<C> for Idle {
    async fn handle(&self, _input: C, _ctx: &Context) -> Result<(), Failure> {
        Ok(())
    }
}

fn idle(id: ServiceId) -> Service<Idle> {
    Service::new(id, || async { Ok::<_, Infallible>(Idle) })
}

#[tokio::main]
async fn main() -> ExitCode {
    let minute = Duration::from_secs(60);
    let slow = Budget::new(5, Duration::from_secs(30)).backoff(Backoff::new(minute, minute));
    let report = idle(REPORT)
        .command::<Count>(|c| c.deadline(10 * minute))
        .calls::<Reserve>()
        .exit_budget(slow);
    roadshow_console::app("tangled")
        .service(report)
        .service(idle(BASKET).command::<Fill>(|c| c).calls::<Reserve>())
        .service(idle(STOCK).command::<Reserve>(|c| c).calls::<Fill>().calls::<Print>())
        .main()
        .await
}
