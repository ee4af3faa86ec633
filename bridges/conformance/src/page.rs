//! `docs/bridges.md`: which adapter passes which case, written from what the runs have left below `target/`.
//!
//! Each passed case leaves a small file. The page is written from those files only, and only when none is missing, so a cell
//! that says `pass` is a case that ran. Without a run every suite still compares its own column with what its adapter
//! declares.

mod results;
mod text;

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::adapter::Adapter;
use crate::case::{Case, NO_SERVER};
use crate::cases;

use results::Results;

/// The adapters that the page shows, in its order. Those of other repositories have pages of their own.
pub(crate) const ADAPTERS: &[&str] = &["memory", "nats", "amqp", "mqtt"];

/// What the page says of one case and one adapter.
pub(crate) fn cell(case: &Case, adapter: &dyn Adapter) -> String {
    let missing = case.missing(&adapter.capability(), adapter.home());
    let text = match missing.as_deref() {
        None => "pass",
        Some(NO_SERVER) => NO_SERVER,
        Some(_) => "declared false",
    };
    text.to_owned()
}

fn page_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/bridges.md")
}

/// Leaves word that a case has passed.
pub(crate) fn record(adapter: &dyn Adapter, case: &Case, seed: u64) -> io::Result<()> {
    Results::of_this_program()?.record(adapter, case, seed)
}

/// Takes back what an earlier run has left of a case, before it runs again.
pub(crate) fn forget(adapter: &dyn Adapter, case: &Case) -> io::Result<()> {
    Results::of_this_program()?.forget(adapter, case)
}

/// Compares the page's column of an adapter with what the adapter declares.
pub(crate) fn check_column(adapter: &dyn Adapter) -> Result<(), String> {
    let name = adapter.capability().name;
    if !ADAPTERS.contains(&name) {
        return Ok(());
    }
    let page = fs::read_to_string(page_path()).map_err(|error| format!("cannot read docs/bridges.md: {error}"))?;
    let Some(column) = text::column(&page, name) else {
        return Err(format!("docs/bridges.md has no column for {name}"));
    };
    let facts = text::facts(&adapter.capability()).into_iter();
    let facts = facts.map(|(fact, holds)| (fact.to_owned(), text::yes_or_no(holds).to_owned()));
    let cases = cases::all()
        .into_iter()
        .map(|case| (case.id.to_owned(), cell(&case, adapter)));
    let wrong: Vec<_> = facts
        .chain(cases)
        .filter(|expected| !column.contains(expected))
        .map(|(row, cell)| format!("{row}: {cell}"))
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!(
        "docs/bridges.md does not say of {name}: {}; write it again with `UPDATE_BRIDGES=1` (docs/ADDING_A_BRIDGE.md)",
        wrong.join(", ")
    ))
}

/// Writes the page from the results of the runs.
///
/// # Errors
///
/// A case of an adapter has no result: run its suite first.
pub fn write_page() -> io::Result<()> {
    let results = Results::of_this_program()?;
    let mut columns = Vec::new();
    for name in ADAPTERS {
        columns.push(results.column(name)?);
    }
    fs::write(page_path(), text::page(&columns))
}

/// Checks that the page has a row for every case, with the property that the case has.
///
/// # Errors
///
/// The rows that are missing, or stale.
pub fn check_page() -> Result<(), String> {
    let page = fs::read_to_string(page_path()).map_err(|error| format!("cannot read docs/bridges.md: {error}"))?;
    text::check_rows(&page)
}
