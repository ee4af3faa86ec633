//! Rules about tasks and time: who owns a task, and that no test waits by sleeping.

use super::source::Source;
use super::tree::Finding;

/// Where a task may be spawned outside a test, and who owns it: an entry that matches nothing any more is a finding.
const OWNED: &[(&str, &str)] = &[];

/// The marker, with a reason, that lets a handler of a test sleep under paused time.
const ALLOW_SLEEP: &str = "// allow-sleep: ";

/// Tasks that no actor, supervisor, set or tracker is known to own.
pub(crate) fn unowned(sources: &[Source]) -> Vec<Finding> {
    unowned_but(sources, OWNED)
}

fn unowned_but(sources: &[Source], owned: &[(&str, &str)]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut used = Vec::new();
    for source in sources {
        let spawns = spawns(source);
        if let Some((path, _)) = owned.iter().find(|(path, _)| *path == source.path) {
            used.extend((!spawns.is_empty()).then_some(*path));
            continue;
        }
        let rule = "no task without an owner: spawn from an actor, a supervisor, a set or a tracker, or list the owner in tests/tidy/tasks.rs";
        found.extend(
            spawns
                .iter()
                .map(|byte| Finding::new(&source.path, source.line_of(*byte), rule)),
        );
    }
    let stale = owned
        .iter()
        .filter(|(path, reason)| !used.contains(path) || reason.is_empty());
    found.extend(stale.map(|(path, _)| {
        Finding::new(path, 1, "listed in tests/tidy/tasks.rs, but spawns no task")
    }));
    found
}

fn spawns(source: &Source) -> Vec<usize> {
    source
        .words("spawn")
        .filter(|byte| {
            let before = &source.code[..*byte];
            before.ends_with("tokio::") || before.ends_with("task::")
        })
        .filter(|byte| !source.is_test(*byte))
        .collect()
}

/// Sleeps in tests: a test waits for the thing itself, with a deadline.
pub(crate) fn sleeps(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for word in ["sleep", "sleep_until"] {
        for byte in source.words(word) {
            let line = source.line_of(byte);
            let is_call = source.code[byte + word.len()..].starts_with('(');
            let is_method = source.code[..byte].ends_with('.')
                || source.code[..byte].trim_end().ends_with("fn");
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
        let library = Source::new(
            "a/src/b.rs",
            "fn f() { tokio::spawn(x); set.spawn(y); }\n#[test]\nfn t() { tokio::spawn(x); }",
        );
        let found = unowned_but(std::slice::from_ref(&library), &[]);
        assert_eq!(
            found.iter().map(|finding| finding.line).collect::<Vec<_>>(),
            [1]
        );
        assert!(unowned_but(&[library], &[("a/src/b.rs", "the set owns it")]).is_empty());
    }

    #[test]
    fn an_owner_of_nothing_is_taken_off_the_list() {
        let quiet = Source::new("a/src/b.rs", "fn f() {}");
        let found = unowned_but(
            &[quiet],
            &[
                ("a/src/b.rs", "the set owns it"),
                ("a/src/gone.rs", "nobody"),
            ],
        );
        assert_eq!(found.len(), 2);
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
            assert_eq!(
                sleeps(&Source::new("tests/call.rs", text)).len(),
                expected,
                "{text}"
            );
            assert!(
                sleeps(&Source::new("a/src/b.rs", text)).is_empty(),
                "{text}"
            );
        }
    }
}
