//! What is sent: 128 bytes in, 64 bytes out, the same for every contender.

use std::any::Any;
use std::panic::resume_unwind;

use roadshow_services::{Address, Command, Event, EventName, ServiceId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The service that is called.
pub(super) const BENCH: ServiceId = ServiceId::new("bench", 1);

/// 64 bytes of answer.
pub(super) type Reply = [u64; 8];

/// Asks for an answer at once.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(super) struct Ask {
    words: [u64; 16],
}

impl Ask {
    /// What every contender's handler does.
    pub(super) fn answer(&self) -> Reply {
        std::array::from_fn(|n| self.words[2 * n].wrapping_add(self.words[2 * n + 1]))
    }
}

impl Command for Ask {
    const ADDRESS: Address = BENCH.command("ask");
    type Reply = Reply;
}

/// Asks for an answer after one yield to the scheduler.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(super) struct AskYielding(pub(super) Ask);

impl Command for AskYielding {
    const ADDRESS: Address = BENCH.command("ask_yielding");
    type Reply = Reply;
}

/// Asks the handler to panic.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(super) struct Crash;

impl Crash {
    /// Unwinds as a panic does, without a word from the panic hook, which would be most of the time and all of stderr.
    pub(super) fn unwind(self) -> ! {
        resume_unwind(Box::new("asked to crash") as Box<dyn Any + Send>)
    }
}

impl Command for Crash {
    const ADDRESS: Address = BENCH.command("crash");
    type Reply = ();
}

/// Asks for itself: what goes over a broker, as long in JSON as the others are in memory.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Echo {
    pub(super) text: String,
}

impl Default for Echo {
    fn default() -> Self {
        Echo { text: "x".repeat(117) }
    }
}

impl Command for Echo {
    const ADDRESS: Address = BENCH.command("echo");
    type Reply = Echo;
}

/// News that go over a broker, of one run. Durable and plain subscribers hear events of different names: a broker or an
/// outbox may keep what a durable group has not settled long after its row, and plain rows would fill it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct News<const DURABLE: bool> {
    /// What an earlier run left at the broker is not counted.
    pub(super) run: String,
    text: String,
}

impl<const DURABLE: bool> News<DURABLE> {
    /// 128 bytes of JSON.
    pub(super) fn of(run: &str) -> Self {
        News {
            run: run.to_owned(),
            text: "x".repeat(108_usize.saturating_sub(run.len())),
        }
    }
}

impl<const DURABLE: bool> Event for News<DURABLE> {
    const NAME: EventName = EventName::new(match DURABLE {
        true => "bench.news",
        false => "bench.gossip",
    });
}

/// 128 bytes of news.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(super) struct Told {
    /// When it was told, in nanoseconds since the bench began; 0 where nobody measures.
    pub(super) sent_ns: u64,
    words: [u64; 15],
}

impl Told {
    /// News with the time on it.
    pub(super) fn at(sent_ns: u64) -> Self {
        Told {
            sent_ns,
            ..Told::default()
        }
    }
}

impl Event for Told {
    const NAME: EventName = EventName::new("bench.told");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_over_a_broker_has_128_bytes() {
        let echo = serde_json::to_vec(&Echo::default()).expect("JSON");
        let news = serde_json::to_vec(&News::<true>::of("a0123456789")).expect("JSON");
        assert_eq!((echo.len(), news.len()), (128, 128));
    }
}
