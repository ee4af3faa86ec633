//! What `up` does with a service that does not start, on the example program `unready`, what `doctor` says of
//! `tangled`, and whom `locked` lets in.

mod doctor;
mod locked;
mod program;
mod trust;

use std::path::PathBuf;

use program::Program;

/// An example, which cargo builds beside the tests of this package.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("target folder");
    folder
        .join("examples")
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

fn unready() -> PathBuf {
    example("unready")
}

#[test]
fn a_service_that_cannot_start_ends_the_node_with_the_chain_of_causes() {
    let program = Program::start(&unready(), &["up", "--http", "off", "--log-filter", "off"]);
    let ended = program.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.out, "");
    let causes: Vec<&str> = ended.err.lines().collect();
    assert!(causes[0].starts_with("error: "), "{causes:?}");
    for (at, pair) in causes.windows(2).enumerate() {
        let depth = |line: &str| line.len() - line.trim_start().len();
        assert_eq!(depth(pair[1]), 2 * (at + 1), "each cause is further in: {causes:?}");
    }
    let [.., outer, inner] = causes[..] else {
        panic!("{causes:?}")
    };
    assert_eq!(outer.trim(), "cannot connect to the database");
    assert_eq!(inner.trim(), "the disk is on fire");
}

#[test]
fn a_service_that_is_optional_is_gone_without() {
    let mut program = Program::start(&unready(), &["up", "--http", "127.0.0.1:0", "--optional"]);
    let at = program.ready();
    let tree = Program::start(&unready(), &["tree", "--node", &format!("http://{at}")]).end();
    assert_eq!(tree.code, Some(0), "{tree:?}");
    let failed = tree.out.lines().find(|line| line.contains("ledger.1"));
    assert!(failed.is_some_and(|line| line.contains("failed")), "{}", tree.out);
    program.signal("TERM");
    assert_eq!(program.end().code, Some(0));
}

#[test]
fn a_signal_ends_a_start_that_hangs() {
    for (signal, other) in [("TERM", "INT"), ("INT", "TERM")] {
        let mut program = Program::start(&unready(), &["up", "--http", "127.0.0.1:0", "--hang"]);
        program.hears("listening");
        program.signal(signal);
        // It is given up or stopped: how far the start has come is not known here.
        program.hears("signal=");
        let ended = program.end();
        assert!(matches!(ended.code, Some(0)), "{signal}, not {other}: {ended:?}");
        assert_eq!(ended.out, "", "it was never ready");
    }
}
