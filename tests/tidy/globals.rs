//! Nothing is global: everything hangs from a node, and two nodes live in one process.
//!
//! Looks for thread-locals and for statics that can change. Constants in statics are not state, and tests may count.

use super::listed::Listed;
use super::source::Source;
use super::tree::Finding;

const GLOBALS: Listed<'_> = Listed {
    rule: "no global state: it hangs from a node, or tests/tidy/globals.rs says why it may not",
    files: &[
        (
            "actors/src/metrics/thread_slot.rs",
            "says which shard a thread writes; holds nothing of a node (docs/decisions/0006)",
        ),
        (
            "actors/src/core.rs",
            "remembers which runtime the thread's last task belongs to (docs/decisions/0006)",
        ),
    ],
};

/// What lets a static change.
const MUTABLE: &[&str] = &["Atomic", "Cell", "Lock", "Mutex", "ArcSwap", "Once", "Table"];

/// Global state outside the listed files.
pub(crate) fn findings(sources: &[Source]) -> Vec<Finding> {
    GLOBALS.findings(sources, globals)
}

fn globals(source: &Source) -> Vec<usize> {
    let locals = source.words("thread_local");
    let statics = source.words("static").filter(|byte| {
        let is_lifetime = source.code[..*byte].ends_with('\'');
        let item = source.code[*byte..].split(['=', ';', '{']).next().unwrap_or("");
        !is_lifetime && (item.contains(" mut ") || MUTABLE.iter().any(|word| item.contains(word)))
    });
    locals.chain(statics).filter(|byte| !source.is_test(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_that_can_change_is_found_and_a_constant_is_not() {
        let table = [
            ("static COUNT: AtomicU64 = AtomicU64::new(0);", 1),
            ("thread_local! { static X: u8 = const { 0 }; }", 1),
            ("static NODE: OnceLock<Node> = OnceLock::new();", 1),
            ("pub(crate) static NAMES: &[&str] = &[];", 0),
            ("fn f(x: &'static AtomicU64) {}", 0),
            ("#[test]\nfn t() { static COUNT: AtomicU64 = AtomicU64::new(0); }", 0),
        ];
        for (text, expected) in table {
            assert_eq!(globals(&Source::new("a/src/b.rs", text)).len(), expected, "{text}");
        }
    }
}
