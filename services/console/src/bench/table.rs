//! The report for people.

use std::fmt::Write;
use std::time::Duration;

use super::report::{Bar, Report, Row};

const HEADINGS: [&str; 9] = [
    "row",
    "in flight",
    "per second",
    "p50",
    "p99",
    "baseline",
    "per second",
    "ratio",
    "bar",
];

/// The report as a table, with a line about the machine above it.
pub(super) fn render(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = format!(
        "{}, {} cores, {}, {}, roadshow {}, {}\n\n",
        machine.cpu, machine.cores, machine.kernel, machine.rustc, machine.roadshow, machine.date
    );
    let cells: Vec<[String; 9]> = std::iter::once(HEADINGS.map(str::to_owned))
        .chain(report.rows.iter().map(cells))
        .collect();
    let widths: [usize; 9] =
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

fn cells(row: &Row) -> [String; 9] {
    [
        row.name.to_owned(),
        row.in_flight.to_string(),
        rate(row.per_second),
        time(row.p50_ns),
        time(row.p99_ns),
        row.baseline.to_owned(),
        rate(row.baseline_per_second),
        format!("{:.2}", row.ratio),
        row.bar.map(|bar| verdict(bar, row)).unwrap_or_default(),
    ]
}

fn verdict(bar: Bar, row: &Row) -> String {
    let wanted = match bar {
        Bar::RatioAtLeast(least) => format!("ratio ≥ {least}"),
        Bar::RatioAtMost(most) => format!("time ratio ≤ {most}"),
        Bar::PerSecondAtLeast(least) => format!("≥ {}/s", rate(least)),
        Bar::P50AtMost(most) => format!("p50 ≤ {most:?}"),
    };
    let verdict = if bar.is_reached(row) { "reached" } else { "missed" };
    format!("{wanted}: {verdict}")
}

fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate >= 1e6 => format!("{:.2} M", rate / 1e6),
        rate if rate >= 1e3 => format!("{:.1} k", rate / 1e3),
        rate => format!("{rate:.0}"),
    }
}

fn time(nanoseconds: u64) -> String {
    format!("{:.2?}", Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::super::machine::Machine;
    use super::*;

    #[test]
    fn a_row_says_whether_it_reaches_its_bar() {
        let row = Row {
            name: "restart",
            bridge: "memory",
            in_flight: 1,
            per_second: 12_345.0,
            p50_ns: 80_000,
            p99_ns: 1_500_000,
            baseline: "ractor_respawn",
            baseline_per_second: 345_000.0,
            ratio: 27.5,
            bar: Some(Bar::P50AtMost(Duration::from_micros(100))),
        };
        let report = Report {
            machine: Machine::this(),
            rows: vec![row],
        };
        let text = render(&report);
        let line = text.lines().find(|line| line.starts_with("restart")).expect("the row");
        let words: Vec<&str> = line.split_whitespace().collect();
        let expected = "restart 1 12.3 k 80.00µs 1.50ms ractor_respawn 345.0 k 27.50 p50 ≤ 100µs: reached";
        assert_eq!(words, expected.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn rates_are_short() {
        for (per_second, expected) in [(999.4, "999"), (1e3, "1.0 k"), (8_500_000.0, "8.50 M")] {
            assert_eq!(rate(per_second), expected);
        }
    }
}
