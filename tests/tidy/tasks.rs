//! Rules about tasks and time: who owns a task, and that no test waits by sleeping.

use super::listed::Listed;
use super::source::Source;
use super::tree::Finding;

const TASKS: Listed<'_> = Listed {
    rule: "no task without an owner: an actor, a supervisor, a set or a tracker spawns it, or tests/tidy/tasks.rs says who owns it",
    files: &[
        (
            "bridges/src/memory/timer.rs",
            "the timer holds its one task, which ends when nothing waits and is aborted when the bus closes",
        ),
        (
            "actors/src/bridge.rs",
            "it closes a bridge that failed when nobody is left to wait for that, and its time is bounded",
        ),
        (
            "actors/src/owned_task.rs",
            "an actor holds it, hears of its end, and aborts it when it is dropped",
        ),
        (
            "actors/src/call.rs",
            "the deadline wheel holds every handler that was handed over, and ends them with the node",
        ),
        (
            "bridges/conformance/src/proxy.rs",
            "the proxy holds the task that owns its connections, and aborts it when it is dropped",
        ),
        (
            "supervision/src/supervisor/task.rs",
            "the supervisor holds each start and timer as a `Task`, which aborts it when it is dropped",
        ),
    ],
};

/// The marker, with a reason, that lets a handler of a test sleep under paused time.
const ALLOW_SLEEP: &str = "// allow-sleep: ";

/// Tasks that no actor, supervisor, set or tracker is known to own.
pub(crate) fn unowned(sources: &[Source]) -> Vec<Finding> {
    TASKS.findings(sources, spawns)
}

fn spawns(source: &Source) -> Vec<usize> {
    let spawners = ["tokio::", "task::", "runtime().", "runtime.", "handle."];
    source
        .words("spawn")
        .filter(|byte| {
            let statement = source.code[..*byte].rsplit(';').next().unwrap_or("");
            let before: String = statement.split_whitespace().collect();
            spawners.iter().any(|spawner| before.ends_with(spawner))
        })
        .filter(|byte| !source.is_test(*byte))
        .collect()
}

/// Sleeps in tests: a test waits for the thing itself, with a deadline.
pub(crate) fn sleeps(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    if source.path.contains("examples/") {
        return found;
    }
    for word in ["sleep", "sleep_until"] {
        for byte in source.words(word) {
            let line = source.line_of(byte);
            let is_call = source.code[byte + word.len()..].starts_with('(');
            let is_method = source.code[..byte].ends_with('.') || source.code[..byte].trim_end().ends_with("fn");
            if source.is_test(byte) && is_call && !is_method && !is_allowed(source, line) {
                let rule = "no sleep in a test: wait for the thing with a deadline, or advance paused time";
                found.push(Finding::new(&source.path, line, rule));
            }
        }
    }
    found
}

fn is_allowed(source: &Source, line: usize) -> bool {
    [line, line.saturating_sub(1)].iter().any(|number| {
        let text = source.line(*number);
        text.split_once(ALLOW_SLEEP)
            .is_some_and(|(_, reason)| !reason.trim().is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_needs_an_owner_outside_tests() {
        let text = "fn f() {\n tokio::spawn(x);\n task::spawn(x);\n set.spawn(y);\n node.runtime()\n .spawn(x);\n}\n#[test]\nfn t() { tokio::spawn(x); }";
        let source = Source::new("a/src/b.rs", text);
        let lines: Vec<usize> = spawns(&source).iter().map(|byte| source.line_of(*byte)).collect();
        assert_eq!(lines, [2, 3, 6]);
    }

    #[test]
    fn a_test_sleeps_only_with_a_reason() {
        let table = [
            ("tokio::time::sleep(d).await;", 1),
            ("std::thread::sleep(d);", 1),
            ("sleep_until(d).await;", 1),
            (
                "sleep(d).await; // allow-sleep: the handler's work, under paused time",
                0,
            ),
            ("// allow-sleep: the handler's work\nsleep(d).await;", 0),
            ("sleep(d).await; // allow-sleep: ", 1),
            ("node.sleep(d); fn sleep(d: u8) {} let sleep = 1;", 0),
        ];
        for (text, expected) in table {
            assert_eq!(sleeps(&Source::new("tests/call.rs", text)).len(), expected, "{text}");
            assert!(sleeps(&Source::new("a/src/b.rs", text)).is_empty(), "{text}");
        }
    }
}
