//! The supervision tree as a picture in text: one line for everything that can start and end.
//!
//! A pure function from the tree to lines. What nodes of later versions add to the tree is passed over.

use serde::Deserialize;

/// How many characters of a cause stand on its line.
const CAUSE_CHARS_MAX: usize = 160;

/// A node of the tree as another process tells it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TreeNode {
    id: String,
    kind: String,
    state: String,
    restarts: u64,
    uptime_ms: u64,
    last_failure: Option<String>,
    delay_ms: Option<u64>,
    children: Vec<TreeNode>,
}

/// One line before its columns are aligned.
struct Row {
    name: String,
    kind: String,
    state: String,
    restarts: String,
    uptime: String,
    cause: String,
}

/// Draws the tree; without a line end after the last line.
pub(crate) fn draw(tree: &TreeNode) -> String {
    let mut rows = vec![Row {
        name: "NAME".to_owned(),
        kind: "KIND".to_owned(),
        state: "STATE".to_owned(),
        restarts: "RESTARTS".to_owned(),
        uptime: "UP".to_owned(),
        cause: "LAST FAILURE".to_owned(),
    }];
    rows.push(row(String::new(), tree));
    add_children(&mut rows, "", tree);
    if rows.iter().skip(1).all(|row| row.cause.is_empty()) {
        rows[0].cause.clear();
    }
    let width = |of: fn(&Row) -> &str| rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0);
    let name = width(|row| &row.name);
    let kind = width(|row| &row.kind);
    let state = width(|row| &row.state);
    let restarts = width(|row| &row.restarts);
    let uptime = width(|row| &row.uptime);
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let line = format!(
                "{:name$}  {:kind$}  {:state$}  {:>restarts$}  {:>uptime$}  {}",
                row.name, row.kind, row.state, row.restarts, row.uptime, row.cause
            );
            line.trim_end().to_owned()
        })
        .collect();
    lines.join("\n")
}

fn add_children(rows: &mut Vec<Row>, indent: &str, node: &TreeNode) {
    let last = node.children.len().saturating_sub(1);
    for (at, child) in node.children.iter().enumerate() {
        let (branch, below) = if at == last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        rows.push(row(format!("{indent}{branch}"), child));
        add_children(rows, &format!("{indent}{below}"), child);
    }
}

fn row(indent: String, node: &TreeNode) -> Row {
    let state = match node.delay_ms {
        Some(delay) => format!("{} {delay} ms", shown(&node.state)),
        None => shown(&node.state),
    };
    Row {
        name: indent + &shown(&node.id),
        kind: shown(&node.kind),
        state,
        restarts: node.restarts.to_string(),
        uptime: if node.uptime_ms == 0 {
            "-".to_owned()
        } else {
            time(node.uptime_ms)
        },
        cause: node.last_failure.as_deref().map(shown).unwrap_or_default(),
    }
}

/// A time in its two largest units.
fn time(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{}.{}s", seconds, ms % 1_000 / 100),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// A text from another process, fit for one line of a terminal.
fn shown(text: &str) -> String {
    let mut line: String = text
        .chars()
        .take(CAUSE_CHARS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(CAUSE_CHARS_MAX).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(json: serde_json::Value) -> TreeNode {
        serde_json::from_value(json).expect("a tree")
    }

    #[test]
    fn a_tree_is_drawn_with_states_restarts_and_causes() {
        let tree = tree(serde_json::json!({
            "id": "node", "kind": "node", "state": "ready", "uptime_ms": 61_000, "children": [
                {"id": "router", "kind": "router", "state": "ready", "uptime_ms": 1_500, "later": {}},
                {"id": "services", "kind": "services", "state": "ready", "uptime_ms": 90_061_000, "children": [
                    {"id": "user.1", "kind": "service", "state": "backing_off", "delay_ms": 20, "restarts": 12,
                     "last_failure": "the factory failed:\nno route"}
                ]}
            ]
        }));
        let expected = [
            "NAME          KIND      STATE              RESTARTS     UP  LAST FAILURE",
            "node          node      ready                     0  1m01s",
            "├─ router     router    ready                     0   1.5s",
            "└─ services   services  ready                     0  1d01h",
            "   └─ user.1  service   backing_off 20 ms        12      -  the factory failed: no route",
        ];
        assert_eq!(draw(&tree).lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn nothing_of_a_foreign_tree_can_move_the_cursor_or_fill_the_screen() {
        let drawn = draw(&tree(serde_json::json!({
            "id": "\u{1b}[2J", "last_failure": "x".repeat(10_000), "children": []
        })));
        assert!(drawn.len() < 400 && !drawn.contains('\u{1b}'), "{drawn}");
    }
}
