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
