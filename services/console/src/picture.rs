//! The supervision tree as a picture in text: a heading, and one line for everything that can start and end.
//!
//! A pure function from the tree to lines. What nodes of later versions add to the tree is passed over. Every state has
//! a symbol and a word beside its colour. On a terminal a picture keeps to its width: columns that matter less are left
//! out, and a cause that does not fit stands below. Elsewhere nothing is left out and every row is one line.

mod table;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::style::{Style, Tone};
use text::{cut, shown, time};

/// A node of the tree as another process tells it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TreeNode {
    /// The node's id; only the root has it.
    node: Option<String>,
    id: String,
    kind: String,
    state: String,
    restarts: u64,
    incarnation: u64,
    uptime_ms: u64,
    last_failure: Option<String>,
    delay_ms: Option<u64>,
    children: Vec<TreeNode>,
}

/// How a picture is drawn.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Paper<'a> {
    /// Its colours.
    pub(crate) style: Style,
    /// How many columns there are; without a bound nothing is cut.
    pub(crate) width: Option<usize>,
    /// The paths whose lines have just changed; without it there is no column that marks them.
    pub(crate) changed: Option<&'a BTreeSet<String>>,
}

/// What a state looks like.
#[derive(Clone, Copy)]
struct Look {
    symbol: char,
    words: &'static str,
    tone: Tone,
}

impl TreeNode {
    /// What is worth a second look when it changes, by path: everything but the time.
    pub(crate) fn facts(&self) -> BTreeMap<String, String> {
        let mut facts = BTreeMap::new();
        self.visit("", &mut |path, node| {
            let TreeNode {
                state,
                restarts,
                incarnation,
                last_failure,
                ..
            } = node;
            facts.insert(
                path.to_owned(),
                format!("{state} {restarts} {incarnation} {last_failure:?}"),
            );
        });
        facts
    }

    fn visit<'a>(&'a self, above: &str, see: &mut impl FnMut(&str, &'a TreeNode)) {
        let path = format!("{above}/{}", self.id);
        see(&path, self);
        for child in &self.children {
            child.visit(&path, see);
        }
    }

    fn look(&self) -> Look {
        look(&self.state)
    }
}

/// Draws a tree, line by line.
pub(crate) fn draw(tree: &TreeNode, paper: &Paper<'_>) -> Vec<String> {
    let mut lines = vec![heading(tree, paper), String::new()];
    lines.extend(table::lines(tree, paper));
    lines
}

/// The node's name and state, how many parts are in which state, and how often something was restarted.
fn heading(tree: &TreeNode, paper: &Paper<'_>) -> String {
    let mut states: Vec<(&str, usize)> = Vec::new();
    let mut restarts = 0;
    for child in &tree.children {
        child.visit("", &mut |_, node| {
            restarts += node.restarts;
            match states.iter_mut().find(|(state, _)| *state == node.state) {
                Some((_, count)) => *count += 1,
                None => states.push((&node.state, 1)),
            }
        });
    }
    states.sort_by_key(|(state, _)| std::cmp::Reverse(*state == "ready"));
    let style = paper.style;
    let name = shown(tree.node.as_deref().unwrap_or(&tree.id));
    let mut plain = format!("{name}  ");
    let mut line = style.strong(&name) + "  ";
    let mut add = |text: &str, tone: Tone| {
        plain.push_str(text);
        line.push_str(&style.tone(tone, text));
    };
    let own = tree.look();
    add(&format!("{} {}", own.symbol, words(tree)), own.tone);
    if tree.uptime_ms > 0 {
        add(&format!(", up {}", time(tree.uptime_ms)), Tone::Plain);
    }
    for (at, (state, count)) in states.into_iter().enumerate() {
        add(if at == 0 { "  ·  " } else { ", " }, Tone::Faint);
        let look = look(state);
        let words = if look.words.is_empty() {
            &shown(state)
        } else {
            look.words
        };
        add(&format!("{count} {words}"), look.tone);
    }
    add("  ·  ", Tone::Faint);
    let plural = if restarts == 1 { "" } else { "s" };
    add(
        &format!("{restarts} restart{plural}"),
        if restarts == 0 { Tone::Plain } else { Tone::Warn },
    );
    match paper.width {
        // Colours cannot be cut in the middle; a heading that is too long is rare and does without.
        Some(width) if plain.chars().count() > width => cut(&plain, width),
        _ => line,
    }
}

/// The words for a node's state, with the delay that it waits for.
fn words(node: &TreeNode) -> String {
    let words = match node.look().words {
        "" => shown(&node.state),
        words => words.to_owned(),
    };
    match node.delay_ms {
        Some(delay) => format!("{words}, {}", time(delay)),
        None => words,
    }
}

fn look(state: &str) -> Look {
    let (symbol, words, tone) = match state {
        "ready" => ('●', "ready", Tone::Good),
        "starting" => ('◐', "starting", Tone::Warn),
        "backing_off" => ('↻', "backing off", Tone::Warn),
        "stopping" => ('◑', "stopping", Tone::Warn),
        "pending" => ('·', "pending", Tone::Faint),
        "stopped" => ('○', "stopped", Tone::Faint),
        "failed" => ('✗', "failed", Tone::Bad),
        // A state of a later version.
        _ => ('?', "", Tone::Plain),
    };
    Look { symbol, words, tone }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::style::without_colours;

    fn tree() -> TreeNode {
        serde_json::from_value(json!({
            "node": "shop-1", "id": "node", "kind": "node", "state": "ready", "uptime_ms": 61_000, "children": [
                {"id": "router", "kind": "router", "state": "ready", "uptime_ms": 1_500, "incarnation": 1, "later": {}},
                {"id": "services", "kind": "services", "state": "ready", "uptime_ms": 90_061_000, "incarnation": 1,
                 "children": [
                    {"id": "user.1", "kind": "service", "state": "backing_off", "delay_ms": 20, "restarts": 12,
                     "incarnation": 12, "last_failure": "the factory failed:\nno route"}
                ]}
            ]
        }))
        .expect("a tree")
    }

    #[test]
    fn a_tree_is_drawn_with_states_restarts_and_causes() {
        let expected = [
            "shop-1  ● ready, up 1m01s  ·  2 ready, 1 backing off  ·  12 restarts",
            "",
            "NAME          KIND      STATE                INC  RESTARTS     UP  LAST FAILURE",
            "node          node      ● ready                -         0  1m01s",
            "├─ router     router    ● ready                1         0   1.5s",
            "└─ services   services  ● ready                1         0  1d01h",
            "   └─ user.1  service   ↻ backing off, 20ms   12        12      -  the factory failed: no route",
        ];
        assert_eq!(draw(&tree(), &Paper::default()), expected);
    }

    #[test]
    fn colours_change_nothing_else() {
        for width in [None, Some(100), Some(60), Some(30)] {
            let plain = Paper {
                width,
                ..Paper::default()
            };
            let coloured = Paper {
                style: Style::coloured(),
                ..plain
            };
            let lines: Vec<String> = draw(&tree(), &coloured)
                .iter()
                .map(|line| without_colours(line))
                .collect();
            assert_eq!(lines, draw(&tree(), &plain), "{width:?}");
        }
        let coloured = Paper {
            style: Style::coloured(),
            ..Paper::default()
        };
        let drawn = draw(&tree(), &coloured).join("\n");
        assert!(drawn.contains("\u{1b}[33m↻ backing off, 20ms"), "{drawn:?}");
    }

    #[test]
    fn a_picture_keeps_to_the_width_of_its_terminal() {
        for width in 1..=120 {
            let paper = Paper {
                width: Some(width),
                ..Paper::default()
            };
            for line in draw(&tree(), &paper) {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
        let paper = Paper {
            width: Some(70),
            ..Paper::default()
        };
        let expected = [
            "shop-1  ● ready, up 1m01s  ·  2 ready, 1 backing off  ·  12 restarts",
            "",
            "NAME          KIND      STATE                INC  RESTARTS     UP",
            "node          node      ● ready                -         0  1m01s",
            "├─ router     router    ● ready                1         0   1.5s",
            "└─ services   services  ● ready                1         0  1d01h",
            "   └─ user.1  service   ↻ backing off, 20ms   12        12      -",
            "        the factory failed: no route",
        ];
        assert_eq!(draw(&tree(), &paper), expected);
    }

    #[test]
    fn what_has_changed_is_marked_and_time_alone_is_no_change() {
        let before = tree();
        let mut after = tree();
        after.uptime_ms += 1_000;
        assert_eq!(before.facts(), after.facts());
        after.children[0].restarts = 1;
        let (old, new) = (before.facts(), after.facts());
        let changed = new
            .iter()
            .filter(|(path, facts)| old.get(*path) != Some(facts))
            .map(|(path, _)| path.clone())
            .collect();
        let paper = Paper {
            changed: Some(&changed),
            ..Paper::default()
        };
        let drawn = draw(&after, &paper);
        let marked: Vec<&String> = drawn.iter().filter(|line| line.starts_with("▸ ")).collect();
        assert!(matches!(marked[..], [line] if line.contains("router")), "{drawn:#?}");
    }

    #[test]
    fn nothing_of_a_foreign_tree_can_move_the_cursor_or_fill_the_screen() {
        let foreign: TreeNode = serde_json::from_value(json!({
            "id": "\u{1b}[2J", "state": "\u{9b}2J", "last_failure": "x".repeat(100_000), "children": [
                {"id": "right\u{202e}to left", "kind": "\u{7f}\r\n", "state": "\u{1b}]0;title\u{7}"}
            ]
        }))
        .expect("a tree");
        for width in [None, Some(80)] {
            let paper = Paper {
                width,
                ..Paper::default()
            };
            let drawn = draw(&foreign, &paper).join("");
            assert!(drawn.len() < 10_000, "{}", drawn.len());
            assert!(
                !drawn.contains(['\u{1b}', '\u{9b}', '\r', '\u{202e}', '\u{7}']),
                "{drawn:?}"
            );
        }
    }
}
