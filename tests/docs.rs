//! The pages as their readers use them: what is generated is up to date, what is listed is complete, what is shown runs.
//!
//! `UPDATE_DOCS=1 cargo nextest run -p roadshow --test docs` writes the generated parts anew. Links and paths are checked
//! in `tests/tidy.rs`, Rust examples are doctests; the book itself is built by `.ci/run`.

#![cfg(all(feature = "console", feature = "demo"))]

#[path = "docs/book.rs"]
mod book;
#[path = "docs/command_line.rs"]
mod command_line;
#[path = "docs/examples.rs"]
mod examples;
#[path = "docs/generated.rs"]
mod generated;
#[path = "docs/licences.rs"]
mod licences;
#[path = "docs/logs.rs"]
mod logs;
#[path = "docs/metrics.rs"]
mod metrics;
#[allow(dead_code, reason = "these tests need less of it than those that it was written for")]
#[path = "../services/console/tests/it/program.rs"]
mod program;
#[path = "docs/settings.rs"]
mod settings;
#[allow(dead_code, reason = "these tests need less of it than those that it was written for")]
#[path = "cli/web.rs"]
mod web;

use std::path::{Path, PathBuf};

use program::{Ended, Program};

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page of the repository.
fn page(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path} can be read: {error}"))
}

fn binary() -> PathBuf {
    std::env::var_os("TEST_BIN_ROADSHOW").map_or_else(|| env!("CARGO_BIN_EXE_roadshow").into(), PathBuf::from)
}

/// Runs the program to its end.
fn run(args: &[&str]) -> Ended {
    Program::start(&binary(), args).end()
}
