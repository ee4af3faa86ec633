//! The machine's wall clock: the ledger of the probe bears it, so history and ledger are compared by it.

use std::time::SystemTime;

/// Milliseconds of Unix time.
#[expect(
    clippy::disallowed_methods,
    reason = "the history is compared with the ledger, which bears the machine's time"
)]
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
