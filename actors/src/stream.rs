//! Streams inside a node: from the handler that sends items to the one reader that takes them.
//!
//! A stream is opened at an endpoint as a call is made: the same admission, the same gate, the same first poll. What
//! differs is its end. The opening is bounded by the time budget of the call; once open, a stream lives until its handler
//! ends, its reader goes, its longest duration has passed, or its node drains, and it holds its permit all the while.
//! Items pass through a channel of bounded length, so a reader that is slow holds its handler back.
//!
//! How a stream crosses a bridge is in `exchange`; its pure parts (credit, places, silence) are here.

pub(crate) mod credit;
mod endpoint;
pub(crate) mod items;
pub(crate) mod places;
pub(crate) mod pulse;
mod sink;

pub use endpoint::{HEARTBEAT, Life, accepting};
pub use items::{Acceptance, ItemReader, ItemSender};
