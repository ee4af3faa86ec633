//! What every contender is sent: 128 bytes in, 64 bytes out.

use std::any::Any;
use std::panic::resume_unwind;

use roadshow::{Address, Command, Event, EventName, ServiceId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The service that is called.
pub(crate) const BENCH: ServiceId = ServiceId::new("bench", 1);

/// 64 bytes of answer.
pub(crate) type Reply = [u64; 8];

/// Asks for an answer at once.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Ask {
    words: [u64; 16],
}

impl Ask {
    /// What every handler does.
    pub(crate) fn answer(&self) -> Reply {
        std::array::from_fn(|n| self.words[2 * n].wrapping_add(self.words[2 * n + 1]))
    }
}

impl Command for Ask {
    const ADDRESS: Address = BENCH.command("ask");
    type Reply = Reply;
}

/// Asks the handler to call `Ask` so many times, one after the other.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AskNested {
    pub(crate) times: u32,
}

impl Command for AskNested {
    const ADDRESS: Address = BENCH.command("ask_nested");
    type Reply = Reply;
}

/// Asks the handler to panic.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Crash;

impl Crash {
    /// Unwinds as a panic does, without the panic hook, which would be most of the time.
    pub(crate) fn unwind(self) -> ! {
        resume_unwind(Box::new("asked to crash") as Box<dyn Any + Send>)
    }
}

impl Command for Crash {
    const ADDRESS: Address = BENCH.command("crash");
    type Reply = ();
}

/// 128 bytes of news.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Told {
    words: [u64; 16],
}

impl Told {
    /// The last of a row of events, which its taker answers.
    pub(crate) fn last() -> Self {
        Told { words: [1; 16] }
    }

    /// Whether it is the last of its row.
    pub(crate) fn is_last(&self) -> bool {
        self.words[0] == 1
    }
}

impl Event for Told {
    const NAME: EventName = EventName::new("bench.told");
}
