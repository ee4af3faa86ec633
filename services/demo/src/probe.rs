//! The service `probe` 1: does what it is told (wait, fail, panic, die) and writes every start and end into a ledger.
//!
//! With it anyone tests a deployment from outside: the ledger, not our own counters, says what ran how often. A handler
//! writes while it holds its permit and before it answers, so a line that is missing means that nothing happened.
//!
//! Only a node that was started with `--probe LEDGER` has it. Its queue comes with the queues.

mod count;
mod flags;
mod ledger;

use std::convert::Infallible;
use std::time::Duration;

use roadshow_services::{
    Address, Code, Command, CommandHandler, Context, Event, EventHandler, EventName, Failure, Outcome, Service,
    ServiceId, Validate, Violations, outcome_of,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use count::{Count, Counted};
pub use flags::ProbeFlags;
pub use ledger::Ledger;
use ledger::{Kind, Line};

/// The service's name and version.
pub const PROBE: ServiceId = ServiceId::new("probe", 1);

/// How many bytes of filling a reply may be asked for.
pub const REPLY_BYTES_MAX: usize = 64 << 20;

/// How many bytes an id may have.
const ID_BYTES_MAX: usize = 1_024;

/// What the probe is told to do, as a command and as an event. Fields that it does not know are passed over.
///
/// In this order: wait, call, then panic, abort or fail, else answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Stands in the ledger.
    pub id: String,
    /// A key of the tester's; comes back in the reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How long to wait first, whoever has gone meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleep_ms: Option<u64>,
    /// The code of the failure to end with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub fail: Option<Code>,
    /// Whether to panic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panic: Option<bool>,
    /// Whether to end the whole process on the spot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<bool>,
    /// How many bytes of filling to answer with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_bytes: Option<usize>,
    /// A call to make after the wait, to the probe itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then_call: Option<Box<Run>>,
}

impl Command for Run {
    const ADDRESS: Address = PROBE.command("run");
    type Reply = Ran;
}

impl Event for Run {
    const NAME: EventName = EventName::new("probe.event");
}

impl Validate for Run {
    fn validate(&self, violations: &mut Violations) {
        let fits = (1..=ID_BYTES_MAX).contains(&self.id.len());
        violations.check("id", fits, format!("must have 1 to {ID_BYTES_MAX} bytes"));
        let fits = self.reply_bytes.is_none_or(|bytes| bytes <= REPLY_BYTES_MAX);
        violations.check("reply_bytes", fits, format!("must be at most {REPLY_BYTES_MAX}"));
    }
}

/// What the probe answers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Ran {
    /// As it was asked.
    pub id: String,
    /// As it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The node that answers.
    pub node: String,
    /// Which life of the service answers, from 1.
    pub incarnation: u64,
    /// Which start on this message it was, from 1.
    pub attempt: u32,
    /// The filling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filling: Option<String>,
    /// What the nested call answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<Box<Ran>>,
}

/// The state of the service: its ledger.
#[derive(Debug)]
pub struct Probe {
    ledger: Ledger,
}

impl Probe {
    /// Does as told, between two lines of the ledger.
    async fn run(&self, input: &Run, kind: Kind, ctx: &Context) -> Result<Ran, Failure> {
        self.ledger
            .write(&Line::start(&input.id, kind, ctx))
            .map_err(|error| unwritten(&error))?;
        let result = obey(input, ctx).await;
        let ends_badly = input.panic == Some(true) && result.is_ok();
        let outcome = match &result {
            _ if ends_badly => "panic",
            Ok(_) => "ok",
            Err(failure) => failure.code.as_str(),
        };
        self.ledger
            .write(&Line::end(&input.id, kind, ctx, outcome))
            .map_err(|error| unwritten(&error))?;
        if ends_badly {
            std::panic::panic_any(format!("the probe was told to panic by {}", input.id));
        }
        result
    }
}

async fn obey(input: &Run, ctx: &Context) -> Result<Ran, Failure> {
    if let Some(sleep_ms) = input.sleep_ms {
        tokio::time::sleep(Duration::from_millis(sleep_ms)).await;
    }
    let called = match &input.then_call {
        Some(nested) => Some(Box::new(ctx.call(Run::clone(nested)).await?)),
        None => None,
    };
    if input.abort == Some(true) {
        std::process::abort();
    }
    if let Some(code) = input.fail {
        return Err(Failure::new(code, "the probe was told to fail"));
    }
    Ok(Ran {
        id: input.id.clone(),
        key: input.key.clone(),
        node: ctx.node_id().to_owned(),
        incarnation: ctx.incarnation(),
        attempt: ctx.attempt(),
        filling: input.reply_bytes.map(|bytes| "x".repeat(bytes)),
        called,
    })
}

fn unwritten(error: &std::io::Error) -> Failure {
    Failure::internal("the ledger could not be written").with_details(serde_json::json!({ "cause": error.to_string() }))
}

impl CommandHandler<Run> for Probe {
    async fn handle(&self, input: Run, ctx: &Context) -> Result<Ran, Failure> {
        self.run(&input, Kind::Command, ctx).await
    }
}

impl EventHandler<Run> for Probe {
    async fn receive(&self, event: &Run, ctx: &Context) -> Outcome {
        outcome_of(self.run(event, Kind::Event, ctx).await.map(|_ran| ()))
    }
}

/// Declares the service, if the flags ask for it.
#[must_use]
pub fn probe(flags: ProbeFlags) -> Option<Service<Probe>> {
    let ledger = flags.probe?;
    let factory = move || {
        let ledger = ledger.clone();
        async move { Ok::<_, Infallible>(Probe { ledger }) }
    };
    let service = Service::new(PROBE, factory)
        .command::<Run>(|c| {
            c.concurrency(flags.probe_concurrency)
                .waiting(flags.probe_waiting)
                .validate()
        })
        .stream::<Count>(|s| {
            s.concurrency(flags.probe_concurrency)
                .waiting(flags.probe_waiting)
                .validate()
        })
        .subscribe::<Run>(|s| s.durable("ledger").concurrency(flags.probe_concurrency));
    Some(service)
}
