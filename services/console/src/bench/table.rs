//! The report for people.

use std::fmt::Write;

use super::report::{Report, Row};
use super::units::{rate, time};

const COLUMNS: usize = 11;
const HEADINGS: [&str; COLUMNS] = [
    "row",
    "in flight",
    "per second",
    "p50",
    "p99",
    "p99.9",
    "max",
    "baseline",
    "per second",
    "ratio",
    "bar",
];

/// The report as a table, with a line about the machine above it.
pub(super) fn render(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = format!("{}\n{}\n{}\n\n", machine.title(), machine.versions(), machine.others());
    let cells: Vec<[String; COLUMNS]> = std::iter::once(HEADINGS.map(str::to_owned))
        .chain(report.rows.iter().map(cells))
        .collect();
    let widths: [usize; COLUMNS] =
        std::array::from_fn(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    for row in &cells {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let written = match is_text(column) {
                true => write!(line, "{cell:<width$}  "),
                false => write!(line, "{cell:>width$}  "),
            };
            written.expect("a string takes what is written");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str("\nratio = ours / baseline, of what the bar compares; medians of rounds in turn\n");
    text
}

fn is_text(column: usize) -> bool {
    matches!(HEADINGS[column], "row" | "baseline" | "bar")
}

/// What a row is called: what it measures, over which broker, to how many.
pub(super) fn label(row: &Row) -> String {
    let mut label = row.name.to_owned();
    if row.bridge != "memory" {
        label.push_str(&format!(" over {}", row.bridge));
    }
    if let Some(subscribers) = row.subscribers.filter(|count| *count > 1) {
        label.push_str(&format!(" to {subscribers}"));
    }
    label
}

fn cells(row: &Row) -> [String; COLUMNS] {
    [
        label(row),
        row.in_flight.to_string(),
        rate(row.per_second),
        time(row.p50_ns),
        time(row.p99_ns),
        time(row.p999_ns),
        time(row.max_ns),
        row.baseline.to_owned(),
        rate(row.baseline_per_second),
        format!("{:.2}", row.ratio),
        row.bar
            .map(|bar| format!("{}: {}", bar.wanted(), bar.verdict(row)))
            .unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::load::Load;
    use super::super::machine::Machine;
    use super::super::report::{Bar, tests};
    use super::*;

    #[test]
    fn a_row_says_whether_it_reaches_its_bar() {
        let row = Row {
            name: "restart",
            in_flight: 1,
            per_second: 12_345.0,
            p50_ns: 80_000,
            p99_ns: 1_500_000,
            p999_ns: 2_000_000,
            max_ns: 3_000_000,
            baseline: "ractor_respawn",
            baseline_per_second: 345_000.0,
            ratio: 27.5,
            bar: Some(Bar::P50AtMost(Duration::from_micros(100))),
            ..tests::row()
        };
        let report = Report {
            machine: Machine::this(Load::default()),
            rows: vec![row],
        };
        let text = render(&report);
        let line = text.lines().find(|line| line.starts_with("restart")).expect("the row");
        let words: Vec<&str> = line.split_whitespace().collect();
        let expected =
            "restart 1 12.3 k 80.00µs 1.50ms 2.00ms 3.00ms ractor_respawn 345.0 k 27.50 p50 ≤ 100 µs: reached";
        assert_eq!(words, expected.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn the_lines_above_the_table_say_what_else_ran() {
        let machine = Machine::this(Load {
            load_average_before: Some(1.5),
            others_percent: Some(12.34),
        });
        let text = render(&Report { machine, rows: vec![] });
        assert!(
            text.contains("load average 1.50 before; others had 12.3 % of the cores meanwhile"),
            "{text}"
        );
    }
}
