//! The text of the page: written from columns, and read back row by row.

use std::fmt::Write as _;

use roadshow_bridges::Capability;

use super::results::Column;
use crate::adapter::Adapter;
use crate::case::Case;
use crate::cases;

const HEAD: &str = "# Bridges\n\nWritten by `UPDATE_BRIDGES=1 cargo nextest run -p roadshow-conformance --test page` from the \
results of the suite\n([ADDING_A_BRIDGE](ADDING_A_BRIDGE.md)); do not edit it by hand. `pass`: the case ran against a real \
server and passed.\n`declared false`: the adapter says that it cannot, and a definition that needs it is refused when it \
starts.\n`no server`: there is no connection to lose.\n";

/// The facts of a capability, as the page lists them.
pub(super) fn facts(capability: &Capability) -> Vec<(&'static str, bool)> {
    vec![
        ("confirm", capability.confirm),
        ("unroutable", capability.unroutable),
        ("durable", capability.durable),
        ("durable_process", capability.durable_process),
        ("redelivery", capability.redelivery),
        ("redelivery_to_other", capability.redelivery_to_other),
        ("delay", capability.delay),
        ("dead_letters", capability.dead_letters),
        ("ordered", capability.ordered),
        ("holds_backlog", capability.holds_backlog),
        ("overflow_visible", capability.overflow_visible),
        ("depth", capability.depth),
        ("rest", capability.rest),
        ("shared_values", capability.shared_values),
        ("server_dedup", capability.server_dedup),
        ("replay", capability.replay),
    ]
}

pub(super) fn yes_or_no(holds: bool) -> &'static str {
    if holds { "yes" } else { "no" }
}

/// What an adapter declares, a row a line.
pub(super) fn declared(adapter: &dyn Adapter, cell: impl Fn(&Case) -> String) -> String {
    let mut text = String::new();
    for (fact, holds) in facts(&adapter.capability()) {
        let _ = writeln!(text, "{fact}\t{}", yes_or_no(holds));
    }
    for case in cases::all() {
        let _ = writeln!(text, "{}\t{}", case.id, cell(&case));
    }
    text
}

/// The whole page.
pub(super) fn page(columns: &[Column]) -> String {
    let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
    let mut text = format!("{HEAD}\n## What they can\n\n");
    let line = "--- | ".repeat(columns.len());
    let _ = writeln!(text, "| fact | {} |\n| --- | {}", names.join(" | "), line.trim_end());
    for (fact, _) in facts(&Capability::default()) {
        let _ = writeln!(text, "| {fact} | {} |", cells(columns, fact).join(" | "));
    }
    let _ = writeln!(
        text,
        "\n## The cases\n\n| case | {} | property |\n| --- | {line}--- |",
        names.join(" | ")
    );
    for case in cases::all() {
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            case.id,
            cells(columns, case.id).join(" | "),
            case.property
        );
    }
    text
}

fn cells<'a>(columns: &'a [Column], row: &str) -> Vec<&'a str> {
    let cell = |column: &'a Column| {
        column
            .cells
            .iter()
            .find(|(name, _)| name == row)
            .map_or("-", |(_, cell)| cell)
    };
    columns.iter().map(cell).collect()
}

/// The rows of an adapter's column, of both tables.
pub(super) fn column(page: &str, name: &str) -> Option<Vec<(String, String)>> {
    let mut place = None;
    let mut rows = Vec::new();
    for line in page.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        if matches!(cells.first(), Some(&"fact" | &"case")) {
            place = cells.iter().position(|cell| *cell == name);
            continue;
        }
        if let (Some(row), Some(cell)) = (cells.first(), place.and_then(|place| cells.get(place))) {
            rows.push(((*row).to_owned(), (*cell).to_owned()));
        }
    }
    (!rows.is_empty()).then_some(rows)
}

/// Every case has its row with its property, and no row is left of a case that is gone.
pub(super) fn check_rows(page: &str) -> Result<(), String> {
    let expected: Vec<_> = cases::all()
        .iter()
        .map(|case| (case.id.to_owned(), case.property.to_owned()))
        .collect();
    let cases_of_page = page.split_once("\n| case ").map_or("", |(_, cases)| cases);
    let rows = cases_of_page.lines().skip(2).filter(|line| line.starts_with('|'));
    let found: Vec<_> = rows
        .filter_map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            Some(((*cells.first()?).to_owned(), (*cells.last()?).to_owned()))
        })
        .collect();
    if found == expected {
        return Ok(());
    }
    let differing = expected
        .iter()
        .find(|row| !found.contains(row))
        .or(found.iter().find(|row| !expected.contains(row)));
    Err(format!(
        "docs/bridges.md is stale, first of all at {differing:?}: run the suites, then write it again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_back_as_it_was_written() {
        let column_of = |name: &str, cell: &str| Column {
            name: name.to_owned(),
            cells: cases::all()
                .iter()
                .map(|case| (case.id.to_owned(), cell.to_owned()))
                .collect(),
        };
        let page = page(&[column_of("one", "pass"), column_of("two", "declared false")]);
        let of_two = column(&page, "two").expect("it has the column");
        assert!(of_two.contains(&("E01".to_owned(), "declared false".to_owned())));
        assert!(column(&page, "three").is_none_or(|rows| rows.is_empty()));
        assert_eq!(check_rows(&page), Ok(()));
        assert!(check_rows(&page.replace("| E01 |", "| E99 |")).is_err());
    }

    #[test]
    fn every_id_and_name_of_a_case_is_its_own() {
        let mut ids: Vec<_> = cases::all().iter().map(|case| case.id).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
