//! The probe's stream: numbers, as many and as fast as it is told, between two lines of the ledger.

use std::time::Duration;

use roadshow_services::{Address, Code, Context, Failure, Items, Stream, StreamHandler, Validate, Violations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ledger::{Kind, Line};
use super::{PROBE, Probe, REPLY_BYTES_MAX, Run, obey, unwritten};

/// What the probe is told to count. Fields of [`Run`] that are not here are passed over.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Count {
    /// How many numbers, from 1.
    pub n: u64,
    /// How long to wait before each number but the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u64>,
    /// How many bytes of filling each number brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<usize>,
    /// Stands in the ledger.
    #[serde(default = "unnamed")]
    pub id: String,
    /// How long to wait before the first number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleep_ms: Option<u64>,
    /// The code of the failure to end with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub fail: Option<Code>,
    /// Whether to panic at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panic: Option<bool>,
    /// Whether to end the whole process at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<bool>,
    /// A call to make after the last number, to the probe itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then_call: Option<Box<Run>>,
}

fn unnamed() -> String {
    "count".to_owned()
}

/// One number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counted {
    /// The number, from 1.
    pub number: u64,
    /// The filling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filling: Option<String>,
}

impl Stream for Count {
    const ADDRESS: Address = PROBE.command("count");
    type Item = Counted;
}

impl Validate for Count {
    fn validate(&self, violations: &mut Violations) {
        let fits = (1..=super::ID_BYTES_MAX).contains(&self.id.len());
        violations.check("id", fits, format!("must have 1 to {} bytes", super::ID_BYTES_MAX));
        let fits = self.bytes.is_none_or(|bytes| bytes <= REPLY_BYTES_MAX);
        violations.check("bytes", fits, format!("must be at most {REPLY_BYTES_MAX}"));
    }
}

impl StreamHandler<Count> for Probe {
    async fn open(&self, input: Count, items: Items<Counted>, ctx: &Context) -> Result<(), Failure> {
        let write = |line: &Line<'_>| self.ledger.write(line).map_err(|error| unwritten(&error));
        write(&Line::start(&input.id, Kind::Stream, ctx))?;
        let result = count(&input, &items, ctx).await;
        let panics = input.panic == Some(true) && result.is_ok();
        let outcome = match &result {
            _ if panics => "panic",
            Ok(()) => "ok",
            Err(failure) => failure.code.as_str(),
        };
        write(&Line::end(&input.id, Kind::Stream, ctx, outcome))?;
        if panics {
            std::panic::panic_any(format!("the probe was told to panic by {}", input.id));
        }
        result
    }
}

async fn count(input: &Count, items: &Items<Counted>, ctx: &Context) -> Result<(), Failure> {
    wait(input.sleep_ms, ctx).await?;
    for number in 1..=input.n {
        if number > 1 {
            wait(input.every_ms, ctx).await?;
        }
        let filling = input.bytes.map(|bytes| "x".repeat(bytes));
        items.send(Counted { number, filling }).await?;
    }
    let rest = Run {
        id: input.id.clone(),
        fail: input.fail,
        abort: input.abort,
        then_call: input.then_call.clone(),
        ..Run::default()
    };
    obey(&rest, ctx).await.map(|_ran| ())
}

/// Waits, but not for a consumer that has gone.
async fn wait(ms: Option<u64>, ctx: &Context) -> Result<(), Failure> {
    let Some(ms) = ms else { return Ok(()) };
    tokio::select! {
        () = ctx.cancelled() => Err(Failure::unavailable("the stream was called off")),
        () = tokio::time::sleep(Duration::from_millis(ms)) => Ok(()),
    }
}
