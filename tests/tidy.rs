//! The house rules that a program can check: the direction of dependencies, and the rules of style.
//!
//! Every rule is a function from text to findings with a table of its own beside it (a rule that cannot fail is
//! worthless); the tests here run them over the repository. A reviewer who says the same thing twice adds it here.

mod tidy {
    pub(crate) mod functions;
    pub(crate) mod globals;
    pub(crate) mod listed;
    pub(crate) mod manifests;
    pub(crate) mod messages;
    pub(crate) mod paths;
    pub(crate) mod prose;
    pub(crate) mod source;
    pub(crate) mod tasks;
    pub(crate) mod tree;
    pub(crate) mod words;
}

use tidy::source::Source;
use tidy::tree::{expect_none, files_ending, text_files};
use tidy::{functions, globals, manifests, messages, paths, prose, tasks, words};

fn findings_in_sources<F>(rule: F)
where
    F: Fn(&Source) -> Vec<tidy::tree::Finding>,
{
    let sources = Source::all();
    assert!(sources.len() > 10, "the walk found the sources");
    expect_none(&sources.iter().flat_map(rule).collect::<Vec<_>>());
}

#[test]
fn every_dependency_follows_the_direction_of_the_design() {
    let members = manifests::members();
    assert!(members.len() > 5, "the workspace's members were read");
    expect_none(&manifests::findings(&members));
}

#[test]
fn the_code_keeps_to_the_rules_about_words() {
    findings_in_sources(words::findings);
}

#[test]
fn every_message_can_be_joined_into_a_longer_one() {
    findings_in_sources(messages::findings);
}

#[test]
fn every_function_fits_a_screen() {
    findings_in_sources(functions::too_long);
}

#[test]
fn every_test_is_named_by_the_sentence_that_holds() {
    findings_in_sources(functions::prefixed_tests);
}

#[test]
fn every_task_has_an_owner() {
    expect_none(&tasks::unowned(&Source::all()));
}

#[test]
fn nothing_is_global() {
    expect_none(&globals::findings(&Source::all()));
}

#[test]
fn no_test_waits_by_sleeping() {
    findings_in_sources(tasks::sleeps);
}

#[test]
fn no_file_names_a_machine() {
    expect_none(&text_files().iter().flat_map(paths::findings).collect::<Vec<_>>());
}

#[test]
fn every_link_between_pages_resolves() {
    expect_none(&prose::broken_links(&files_ending(".md")));
}

#[test]
fn every_path_that_a_page_names_is_there() {
    expect_none(&prose::stale_paths(&files_ending(".md")));
}

#[test]
fn the_pages_have_their_form() {
    expect_none(&prose::forms(&files_ending(".md")));
}
