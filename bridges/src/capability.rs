//! What a bridge can do: facts, as data. The runtime, `doctor` and the conformance suite read the same struct.
//!
//! A definition that needs what a bridge lacks is refused at start. A field that is true is a case that runs.

/// What an event bridge can do.
///
/// A name says what holds, never how: `unroutable`, not `basic_return`. Limits are in the unit of their name; `None` is
/// no limit of the bridge's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Capability {
    /// The adapter's name, for messages to people.
    pub name: &'static str,
    /// `publish` resolves when the broker has the message; without it, an accepted message may be lost unseen.
    pub confirm: bool,
    /// That nobody listens to a command is told at once: by `publish`, or by the command itself that comes back to its reply
    /// address ([`Delivery::is_returned`](crate::Delivery::is_returned)).
    pub unroutable: bool,
    /// A durable subscription gets what was published while its subscribers were away, if the broker lived.
    pub durable: bool,
    /// A durable subscription survives a crash of the broker's process.
    pub durable_process: bool,
    /// A `nack` brings the message again.
    pub redelivery: bool,
    /// What a lost or leaving subscriber had not settled goes to another one of its group.
    pub redelivery_to_other: bool,
    /// A `nack` may ask for a delay.
    pub delay: bool,
    /// A rejected message is kept where it can be looked at.
    pub dead_letters: bool,
    /// What one publisher sends to one subject arrives in order at a single subscriber.
    pub ordered: bool,
    /// The broker keeps what its subscribers have no room for; without it, a permit cannot come before the delivery.
    pub holds_backlog: bool,
    /// A full group is told to the publisher instead of losing a message.
    pub overflow_visible: bool,
    /// The number of waiting messages can be asked for.
    pub depth: bool,
    /// A subscription of [`Reach::Rest`](crate::Reach::Rest) is served.
    pub rest: bool,
    /// A typed value passes without being encoded.
    pub shared_values: bool,
    /// A message whose id came a short time ago is delivered once.
    pub server_dedup: bool,
    /// A subscription may start in the past.
    pub replay: bool,
    /// The largest payload, in bytes.
    pub payload_bytes_max: Option<usize>,
    /// The longest subject, in bytes.
    pub subject_bytes_max: Option<usize>,
    /// The largest window of a subscription, in messages.
    pub window_max: Option<usize>,
    /// The longest delay of a `nack`, in milliseconds.
    pub delay_ms_max: Option<u64>,
}

impl Capability {
    /// Nothing but a name: an adapter sets what holds.
    pub fn none(name: &'static str) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }
}
