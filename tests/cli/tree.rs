//! `tree` as people and scripts see it: on a terminal, in a pipe, once and watched.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::ledger::Ledger;
use crate::program::Program;
use crate::terminal::OnTerminal;
use crate::{Up, binary};

const HIDE_CURSOR: &str = "\u{1b}[?25l";
const SHOW_CURSOR: &str = "\u{1b}[?25h";
const LEAVE_SCREEN: &str = "\u{1b}[?1049l";
const PANIC: [&str; 3] = ["call", "probe.1.run", r#"{"id":"a","panic":true}"#];

fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| {
        plain + part.split_once('m').map_or("", |(_, text)| text)
    })
}

#[test]
fn colours_and_width_are_for_terminals_only() {
    let ledger = Ledger::new("tree-colours");
    let up = Up::new(&["--probe", ledger.path(), "--node-id", "shop-1"]);
    assert_eq!(up.client(&PANIC).code, Some(1));
    let url = up.url();
    let args = ["tree", "--node", &url];

    let (code, shown) = OnTerminal::start(&args, 60, &[]).end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(
        shown.contains("\u{1b}[1mshop-1\u{1b}[0m") && shown.contains("\u{1b}[32m● ready"),
        "{shown:?}"
    );
    let plain = without_colours(&shown);
    assert!(
        plain.lines().all(|line| line.trim_end().chars().count() <= 60),
        "{plain}"
    );
    // The cause does not fit beside its row: it stands below, and goes on in the next line.
    assert!(
        plain.contains("panicked: handler panicked:") && !plain.contains("LAST FAILURE"),
        "{plain}"
    );

    let variables = [("NO_COLOR", "1"), ("COLUMNS", "200")];
    let (_, shown) = OnTerminal::start(&args, 60, &variables).end();
    assert!(!shown.contains('\u{1b}') && shown.contains("LAST FAILURE"), "{shown:?}");
    let (_, shown) = OnTerminal::start(&args, 60, &[("TERM", "dumb")]).end();
    assert!(!shown.contains('\u{1b}'), "{shown:?}");

    let piped = Program::start_with(&binary(), &args, &[("COLUMNS", "20")], "").end();
    assert!(
        !piped.out.contains('\u{1b}') && piped.out.contains("LAST FAILURE"),
        "{}",
        piped.out
    );
    let row = piped.out.lines().find(|line| line.contains("handler panicked"));
    assert!(
        row.is_some_and(|row| row.ends_with("told to panic by a")),
        "{}",
        piped.out
    );
    assert_eq!(up.stop().code, Some(0));
}

#[test]
fn a_watch_gives_the_terminal_back_however_it_ends() {
    for (signal, expected) in [("INT", 130), ("TERM", 143)] {
        let up = Up::new(&["--services", "user"]);
        let mut watch = OnTerminal::start(&["tree", "--watch", "100ms", "--node", &up.url()], 100, &[]);
        watch.shows(HIDE_CURSOR);
        watch.shows("user.1");
        watch.signal(signal);
        let (code, rest) = watch.end();
        assert_eq!(code, Some(expected), "{rest:?}");
        let (_, after) = rest.split_once(LEAVE_SCREEN).unwrap_or_else(|| panic!("{rest:?}"));
        assert!(rest.contains(SHOW_CURSOR), "{rest:?}");
        assert!(after.contains("user.1"), "what was seen last stays: {after:?}");
        assert_eq!(up.stop().code, Some(0));
    }
}

#[test]
fn a_watch_marks_what_changes_and_says_when_the_node_goes_away_and_when_it_is_back() {
    let ledger = Ledger::new("tree-watch");
    let up = Up::new(&["--probe", ledger.path()]);
    let mut watch = OnTerminal::start(&["tree", "--watch", "100ms", "--node", &up.url()], 120, &[]);
    watch.shows("probe.1");
    assert_eq!(up.client(&PANIC).code, Some(1));
    watch.shows("▸ ");
    watch.shows("handler panicked");
    let at = up.at.clone();
    assert_eq!(up.stop().code, Some(0));
    watch.shows(&format!("✗ cannot reach the node at {at}"));
    let mut back = Program::start(&binary(), &["up", "--http", &at, "--services", "user"]);
    back.ready();
    watch.shows("● ready");
    watch.signal("INT");
    assert_eq!(watch.end().0, Some(130));
    back.signal("TERM");
    assert_eq!(back.end().code, Some(0));
}

#[test]
fn a_watch_in_a_pipe_prints_a_picture_or_a_document_per_change() {
    let ledger = Ledger::new("tree-pipe");
    let up = Up::new(&["--probe", ledger.path()]);
    let url = up.url();
    let mut pictures = Program::start(&binary(), &["tree", "--watch", "100ms", "--node", &url]);
    let mut documents = Program::start(&binary(), &["tree", "--watch", "100ms", "--json", "--node", &url]);
    pictures.prints("probe.1");
    documents.prints("\"restarts\":0");
    assert_eq!(up.client(&PANIC).code, Some(1));
    pictures.prints("handler panicked");
    documents.prints("handler panicked");
    assert_eq!(up.stop().code, Some(0));
    documents.hears("asked again every 100ms");
    documents.signal("TERM");
    let ended = documents.end();
    assert_eq!(ended.code, Some(143), "{ended:?}");
    let read: Vec<Value> = ended
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect();
    assert!((2..20).contains(&read.len()), "one a change: {}", read.len());
    assert_eq!(ended.err.matches("asked again").count(), 1, "{}", ended.err);

    pictures.signal("INT");
    let ended = pictures.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    let drawn: Vec<&str> = ended.out.split("\n---\n").collect();
    assert!((2..20).contains(&drawn.len()), "one a change: {}", ended.out);
    assert!(drawn.iter().all(|picture| picture.contains("probe.1")), "{}", ended.out);
    assert!(!ended.out.contains('\u{1b}'), "{}", ended.out);
}

#[test]
fn a_watch_that_nobody_reads_ends() {
    let ledger = Ledger::new("tree-unread");
    let up = Up::new(&["--probe", ledger.path()]);
    let mut watch = Command::new(binary())
        .args(["tree", "--watch", "100ms", "--json", "--node", &up.url()])
        .env_remove("ROADSHOW_EVENT_BRIDGE")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut out = watch.stdout.take().expect("a pipe");
    std::io::Read::read_exact(&mut out, &mut [0; 1]).expect("it prints");
    drop(out);
    assert_eq!(up.client(&PANIC).code, Some(1));
    let ended = watch.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stderr.is_empty(), "{ended:?}");
    assert_eq!(up.stop().code, Some(0));
}

#[test]
fn a_watch_does_not_go_on_where_it_is_refused() {
    let up = Up::new(&["--services", "user", "--http-token", "correct-horse"]);
    let url = up.url();
    let variables = [("ROADSHOW_HTTP_TOKEN", "wrong")];
    let ended = Program::start_with(&binary(), &["tree", "--watch", "--node", &url], &variables, "").end();
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.err.contains("\"code\":\"unauthenticated\""), "{}", ended.err);
    assert_eq!(up.stop().code, Some(0));
}
