//! `emit`: publishes one event.

use roadshow_services::{Connectors, EventNameBuf};

use crate::call::WhoArgs;
use crate::end::{self, End};
use crate::payload;
use crate::target::ReachArgs;

/// The arguments of `emit`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(crate) struct EmitArgs {
    /// The event's name, as in user.created
    event: EventNameBuf,
    /// What happened: JSON, or @FILE, or - for stdin; left out, stdin if that is no terminal
    #[arg(allow_negative_numbers = true)]
    json: Option<String>,
    #[command(flatten)]
    who: WhoArgs,
    #[command(flatten)]
    reach: ReachArgs,
}

/// Emits; done once the event bridge has the event.
pub(crate) async fn run(args: EmitArgs, connectors: &Connectors) -> End {
    let target = match args.reach.target(connectors) {
        Ok(target) => target,
        Err(problem) => return end::wrong_usage(&problem),
    };
    let payload = match payload::read(args.json).await {
        Ok(Some(payload)) => payload,
        Ok(None) => return end::wrong_usage("the JSON is missing: give it as the last argument; stdin is empty"),
        Err(problem) => return end::wrong_usage(&problem),
    };
    match target.emit(&args.event, payload.into(), args.who.options()).await {
        Ok(()) => End::Done,
        Err(end) => end,
    }
}
