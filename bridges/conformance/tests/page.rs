//! The pages about bridges say what is so. `UPDATE_BRIDGES=1` writes `docs/bridges.md` from the results of the runs.

use std::fs;
use std::path::Path;

#[test]
fn the_page_shows_every_case() {
    if std::env::var_os("UPDATE_BRIDGES").is_some() {
        roadshow_conformance::write_page().expect("every suite has left its results");
    }
    if let Err(stale) = roadshow_conformance::check_page() {
        panic!("{stale}");
    }
}

#[test]
fn every_block_of_the_guide_is_a_part_of_the_toy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let toy = fs::read_to_string(root.join("tests/toy.rs")).expect("the toy is there");
    let page = fs::read_to_string(root.join("../../docs/ADDING_A_BRIDGE.md")).expect("the page is there");
    let blocks: Vec<_> = page
        .split("```rust\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(blocks.len() >= 4, "the page shows code");
    for block in blocks {
        assert!(toy.contains(block), "this is no part of tests/toy.rs:\n{block}");
    }
}
