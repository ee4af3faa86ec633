//! How much memory this process has, as the system counts it.

use std::fs;

/// The size of a page where Linux does not say otherwise.
const PAGE_BYTES: usize = 4096;

/// What of this process is in memory now, in bytes; 0 where the system does not tell.
pub(crate) fn resident_bytes() -> usize {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * PAGE_BYTES
}
