//! The guide, followed literally: what its pages say is typed, run and compared, and what they show is compiled.
//!
//! A page is Markdown; comments such as `<!-- guide: up -->`, which a reader does not see, say what a block is
//! (`guide/page.rs` lists them all), and a block that nothing is known of fails the test. The program `roadshow` of the
//! page is `$TEST_BIN_ROADSHOW`, or the one that cargo has built for these tests.
//!
//! The page's node listens on port 8080, as a reader's does. So that nothing else is in its way the test runs itself in a
//! network of its own (`unshare`); where the system does not allow that, port 8080 must be free.
//!
//! The project is built into the target folder of this workspace, from the same lock, without the network: crates that
//! the workspace has built are not built again.

#![cfg(all(feature = "console", feature = "demo", target_os = "linux"))]

#[path = "guide/network.rs"]
mod network;
#[path = "guide/page.rs"]
mod page;
#[path = "guide/reader.rs"]
mod reader;
#[path = "guide/terminal.rs"]
mod terminal;
#[path = "guide/wildcard.rs"]
mod wildcard;

use page::Page;
use reader::Reader;

const LINTS: &str = "cargo fmt --check && cargo clippy --quiet --all-targets -- -D warnings";

#[test]
fn the_first_page_can_be_followed_word_for_word() {
    if !network::is_own("the_first_page_can_be_followed_word_for_word") {
        return;
    }
    let page = Page::read("docs/guide/getting-started.md");
    let mut reader = Reader::new();
    reader.follow(&page);
    // What the page makes of the project is as clean as what `new` wrote.
    reader.types(LINTS);
    reader.ends();
}

#[test]
fn a_new_project_of_any_name_is_formatted_free_of_warnings_and_passes_its_tests() {
    let mut reader = Reader::new();
    // The longest name: if a line of it fits, every line fits.
    let name = format!("my-{}-shop", "x".repeat(32));
    reader.types(&format!("roadshow new 'in here/{name}' && cd 'in here/{name}'"));
    reader.types(LINTS);
    reader.types("cargo test --quiet");
    reader.types(
        "git init --quiet . && git status --short --untracked-files=all | grep -v target/ | wc -l | grep -qx 11",
    );
    reader.ends();
}

#[test]
fn new_says_what_it_wrote_and_refuses_with_a_way_out() {
    let mut reader = Reader::new();
    reader.types(
        "roadshow new 'my shop' --name shop >out 2>next
        grep -q '^{\"name\":\"shop\",\"dir\":\"my shop\",\"files\":\\[\"Cargo.toml\",' out
        grep -qx \"  cd 'my shop'\" next && grep -qx '  cargo run -- up' next",
    );
    reader.types("mkdir here && cd here && roadshow new . && ls Cargo.toml && cd ..");
    reader.types("touch before && ls -A > before");
    let refused = [
        ("new 'my shop' --name shop", 1, "is not empty"),
        ("new out --name shop", 1, "a file of this name"),
        ("new Shop", 2, "try --name shop"),
        ("new shop --path here", 2, "is no checkout of Roadshow"),
        ("new", 2, "DIR"),
    ];
    for (line, code, way_out) in refused {
        reader.types(&format!(
            "code=0; roadshow {line} 2>.said || code=$?; test $code = {code}; grep -q -- '{way_out}' .said; rm .said"
        ));
    }
    reader.types("ls -A | diff before -");
    reader.ends();
}
