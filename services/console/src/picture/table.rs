//! The rows of the picture: cells, their widths, and what happens when they do not fit.

use super::text::{cut, shown, time, wrap};
use super::{Paper, TreeNode, words};
use crate::style::{Style, Tone};

/// The columns, as they stand beside each other.
const TITLES: [&str; 6] = ["NAME", "KIND", "STATE", "INC", "RESTARTS", "UP"];
const CAUSE: &str = "LAST FAILURE";
/// Which columns are left out, one after the other, where there is no room.
const LEFT_OUT_FIRST: [usize; 4] = [1, 3, 5, 4];
/// What stands between two columns.
const GAP: usize = 2;
/// How far a cause below its row is further in than the row's name.
const CAUSE_INDENT: usize = 2;
/// On how many lines a cause is told.
const CAUSE_LINES_MAX: usize = 3;
/// The narrowest column in which a cause can be read.
const CAUSE_WIDTH_MIN: usize = 24;

/// One row before its columns are aligned.
struct Row {
    path: String,
    /// What the branches of the tree look like on a line below this one.
    below: String,
    cells: [Cell; TITLES.len()],
    cause: String,
    is_well: bool,
}

struct Cell {
    text: String,
    tone: Tone,
    is_number: bool,
}

impl Cell {
    fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            tone: Tone::Plain,
            is_number: false,
        }
    }

    fn toned(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    fn number(text: impl Into<String>) -> Self {
        Self {
            is_number: true,
            ..Self::new(text)
        }
    }

    /// Padded to `width`, then painted, so that colours do not count.
    fn aligned(&self, width: usize, style: Style) -> String {
        let pad = " ".repeat(width.saturating_sub(self.text.chars().count()));
        let text = style.tone(self.tone, &self.text);
        if self.is_number { pad + &text } else { text + &pad }
    }
}

/// Draws the titles and all rows.
pub(super) fn lines(tree: &TreeNode, paper: &Paper<'_>) -> Vec<String> {
    let mut rows = vec![row("", "", "", tree)];
    add_children(&mut rows, "", tree);
    let gutter = if paper.changed.is_some() { 2 } else { 0 };
    let room = paper.width.map(|width| width.saturating_sub(gutter));
    let columns = columns(&rows, room);
    let mut lines = vec![mark(false, paper) + &titles(&rows, &columns, room, paper.style)];
    for row in &rows {
        let has_changed = paper.changed.is_some_and(|changed| changed.contains(&row.path));
        for (at, line) in row.lines(&columns, room, paper.style).into_iter().enumerate() {
            lines.push(mark(has_changed && at == 0, paper) + &line);
        }
    }
    match paper.width {
        Some(width) => lines.into_iter().map(|line| narrowed(line, width)).collect(),
        None => lines,
    }
}

/// What stands before a line where changes are marked.
fn mark(has_changed: bool, paper: &Paper<'_>) -> String {
    match paper.changed {
        None => String::new(),
        Some(_) if has_changed => paper.style.warn("▸ "),
        Some(_) => "  ".to_owned(),
    }
}

/// The columns that are drawn, with their widths.
fn columns(rows: &[Row], room: Option<usize>) -> Vec<(usize, usize)> {
    let width = |column: usize| {
        let of_rows = rows.iter().map(|row| row.cells[column].text.chars().count()).max();
        of_rows.unwrap_or(0).max(TITLES[column].len())
    };
    let mut columns: Vec<(usize, usize)> = (0..TITLES.len()).map(|column| (column, width(column))).collect();
    for column in LEFT_OUT_FIRST {
        if room.is_none_or(|room| total(&columns) <= room) {
            break;
        }
        columns.retain(|(kept, _)| *kept != column);
    }
    columns
}

fn total(columns: &[(usize, usize)]) -> usize {
    let gaps = GAP * columns.len().saturating_sub(1);
    columns.iter().map(|(_, width)| width).sum::<usize>() + gaps
}

fn titles(rows: &[Row], columns: &[(usize, usize)], room: Option<usize>, style: Style) -> String {
    let titles: Vec<String> = columns
        .iter()
        .map(|(column, width)| {
            let title = TITLES[*column];
            let is_number = rows.first().is_some_and(|row| row.cells[*column].is_number);
            if is_number {
                format!("{title:>width$}")
            } else {
                format!("{title:width$}")
            }
        })
        .collect();
    let mut line = titles.join("  ");
    if rows.iter().any(|row| row.fits_beside(columns, room)) {
        line.push_str("  ");
        line.push_str(CAUSE);
    }
    style.faint(line.trim_end())
}

impl Row {
    /// Whether there is a cause, and room for it on the row's own line.
    fn fits_beside(&self, columns: &[(usize, usize)], room: Option<usize>) -> bool {
        let left = room.map(|room| room.saturating_sub(total(columns) + GAP));
        !self.cause.is_empty() && left.is_none_or(|left| self.cause.chars().count() <= left && left >= CAUSE_WIDTH_MIN)
    }

    fn lines(&self, columns: &[(usize, usize)], room: Option<usize>, style: Style) -> Vec<String> {
        let tone = if self.is_well { Tone::Faint } else { Tone::Bad };
        let cells: Vec<String> = columns
            .iter()
            .map(|(column, width)| self.cells[*column].aligned(*width, style))
            .collect();
        let line = cells.join("  ");
        if self.cause.is_empty() {
            return vec![line.trim_end().to_owned()];
        }
        let Some(room) = room.filter(|_| !self.fits_beside(columns, room)) else {
            return vec![format!("{line}  {}", style.tone(tone, &self.cause))];
        };
        let indent = self.below.clone() + &" ".repeat(CAUSE_INDENT);
        let width = room.saturating_sub(indent.chars().count());
        let causes = wrap(&self.cause, width, CAUSE_LINES_MAX);
        let causes = causes.iter().map(|cause| indent.clone() + &style.tone(tone, cause));
        std::iter::once(line.trim_end().to_owned()).chain(causes).collect()
    }
}

/// A line that does not exceed the terminal. One that would loses its colours with its end.
fn narrowed(line: String, width: usize) -> String {
    let plain = crate::style::without_colours(&line);
    if plain.trim_end().chars().count() > width {
        cut(&plain, width)
    } else {
        line
    }
}

fn add_children(rows: &mut Vec<Row>, indent: &str, node: &TreeNode) {
    let above = rows.last().map(|row| row.path.clone()).unwrap_or_default();
    let last = node.children.len().saturating_sub(1);
    for (at, child) in node.children.iter().enumerate() {
        let (branch, below) = if at == last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        let below = format!("{indent}{below}");
        rows.push(row(&above, &format!("{indent}{branch}"), &below, child));
        add_children(rows, &below, child);
    }
}

fn row(above: &str, branch: &str, below: &str, node: &TreeNode) -> Row {
    let look = node.look();
    let is_well = node.state == "ready";
    let or_none = |number: u64, text: String| if number == 0 { "-".to_owned() } else { text };
    let restarts = Cell::number(node.restarts.to_string());
    let trunk = if node.children.is_empty() { "" } else { "│" };
    Row {
        path: format!("{above}/{}", node.id),
        below: format!("{below}{trunk}"),
        cells: [
            Cell::new(format!("{branch}{}", shown(&node.id))),
            Cell::new(shown(&node.kind)).toned(Tone::Faint),
            Cell::new(format!("{} {}", look.symbol, words(node))).toned(look.tone),
            Cell::number(or_none(node.incarnation, node.incarnation.to_string())),
            if node.restarts > 0 {
                restarts.toned(Tone::Warn)
            } else {
                restarts
            },
            Cell::number(or_none(node.uptime_ms, time(node.uptime_ms))),
        ],
        cause: node.last_failure.as_deref().map(shown).unwrap_or_default(),
        is_well,
    }
}
