//! The bounds of a memory bus and the manners of one bridge on it: plain data.

use std::time::Duration;

/// The bounds of a memory bus.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryBusSettings {
    /// The most waiting messages of one group, the delayed ones included; a subscription may ask for less.
    pub queue_messages_max: usize,
    /// The most bytes of waiting messages of one group: encoded payloads, and 512 for each message.
    pub queue_bytes_max: usize,
    /// The largest encoded payload, in bytes.
    pub payload_bytes_max: usize,
    /// The most groups, a subscriber without group counted as one.
    pub groups_max: usize,
    /// The most subscribers of one group.
    pub members_max: usize,
    /// The largest window of a subscriber.
    pub window_max: usize,
    /// After that many starts a message is dead-lettered: a backstop far beyond the runtime's own count.
    pub starts_max: u32,
    /// The most dead letters; the oldest makes room and is counted.
    pub dead_letters_max: usize,
    /// The most bytes of dead letters' payloads.
    pub dead_letter_bytes_max: usize,
}

impl Default for MemoryBusSettings {
    fn default() -> Self {
        Self {
            queue_messages_max: 65_536,
            queue_bytes_max: 256 * 1024 * 1024,
            payload_bytes_max: 1024 * 1024,
            groups_max: 16_384,
            members_max: 1_024,
            window_max: 65_536,
            starts_max: 50,
            dead_letters_max: 10_000,
            dead_letter_bytes_max: 64 * 1024 * 1024,
        }
    }
}

/// What a publisher does when a group is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// Fails with `Exhausted` at once.
    Refuse,
    /// Waits for room, and fails with `Exhausted` after this time.
    Wait(Duration),
}

/// The manners of one bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryBridgeSettings {
    /// What a publisher does when a group is full.
    pub when_full: WhenFull,
    /// How long `close` waits for deliveries that are out.
    pub close_grace: Duration,
}

impl Default for MemoryBridgeSettings {
    fn default() -> Self {
        Self {
            when_full: WhenFull::Refuse,
            close_grace: Duration::from_secs(5),
        }
    }
}
