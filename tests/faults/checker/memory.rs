//! I9: no fault makes a node's memory grow without bound, and what it took it gives back.

use super::{Evidence, Sample, Verdict};

/// What a node may hold beyond its baseline while something is broken.
const GROWTH_BYTES_MAX: u64 = 128 << 20;
/// What it may keep afterwards.
const KEPT_BYTES_MAX: u64 = 32 << 20;
/// How long a node runs before its memory is the baseline; the highest of these samples counts.
const BASELINE_MS: u64 = 8_000;

const MIB: u64 = 1 << 20;

/// I9: the most that a node held beyond its baseline, and what is left of it at the end.
pub(super) fn bounded(evidence: &Evidence) -> Verdict {
    let mut nodes: Vec<usize> = evidence.samples.iter().map(|sample| sample.node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let (mut most, mut kept, mut offenders) = (0, 0, Vec::new());
    for node in nodes {
        let of_node = || evidence.samples.iter().filter(move |sample| sample.node == node);
        let begun = of_node().map(|sample| sample.t_ms).min().unwrap_or(0);
        let peak = |samples: &mut dyn Iterator<Item = &Sample>| samples.map(|sample| sample.bytes).max().unwrap_or(0);
        let baseline = peak(&mut of_node().filter(|sample| sample.t_ms <= begun + BASELINE_MS));
        let grown = peak(&mut of_node()).saturating_sub(baseline);
        let last = of_node()
            .max_by_key(|sample| sample.t_ms)
            .map_or(0, |sample| sample.bytes);
        let left = last.saturating_sub(baseline);
        if grown > GROWTH_BYTES_MAX {
            offenders.push(format!("node {node}: {} MiB beyond its baseline", grown / MIB));
        }
        if left > KEPT_BYTES_MAX {
            offenders.push(format!(
                "node {node}: {} MiB beyond its baseline at the end",
                left / MIB
            ));
        }
        (most, kept) = (most.max(grown), kept.max(left));
    }
    Verdict::new("I9", "memory grows by 128 MiB at most and is given back")
        .count("MiB grown", most / MIB)
        .count("MiB kept", kept / MIB)
        .against(offenders)
}
