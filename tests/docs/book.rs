//! The book of `docs/`: it holds every page, and its links stay inside it.
//!
//! That links lead to a file and a heading at all is checked in `tests/tidy/prose.rs`.

use std::collections::BTreeSet;
use std::path::Path;

use crate::{page, root};

/// Pages of `docs/` that are no part of the book, with the reason.
const OUTSIDE: [(&str, &str); 2] = [
    ("SUMMARY.md", "it is the list of the book's pages"),
    ("PROGRESS.md", "it is kept while an issue is open, and then deleted"),
];

/// The pages of the folder, relative to it.
fn pages() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join("docs").join(&folder)).expect("a folder of pages") {
            let entry = entry.expect("an entry");
            let path = format!("{folder}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                folders.push(format!("{path}/"));
            } else if path.ends_with(".md") && OUTSIDE.iter().all(|(outside, _)| *outside != path) {
                found.insert(path);
            }
        }
    }
    found
}

/// The local targets of a page's links and pictures, without their anchors.
fn targets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let links = line.split("](").skip(1).filter(|_| !fenced);
        let targets = links.filter_map(|rest| rest.split([')', '#', ' ']).next());
        found.extend(
            targets
                .filter(|target| !target.is_empty() && !target.contains(':'))
                .map(str::to_owned),
        );
    }
    found
}

/// A page with what it includes, as mdBook puts it together: `{{#include FILE:FROM:}}` or `{{#include FILE:ANCHOR}}`.
fn whole(path: &str) -> String {
    let text = page(&format!("docs/{path}"));
    let Some((before, rest)) = text.split_once("{{#include ../") else {
        return text;
    };
    let (what, after) = rest.split_once("}}").expect("an include ends");
    let (file, part) = what.split_once(':').expect("an include names a part");
    let included = page(file);
    let included = match part.trim_end_matches(':').parse::<usize>() {
        Ok(from) => included.lines().skip(from - 1).collect::<Vec<_>>().join("\n"),
        Err(_) => included
            .split_once(&format!("ANCHOR: {part} -->"))
            .unwrap_or_else(|| panic!("{file} has the anchor {part}"))
            .1
            .to_owned(),
    };
    format!("{before}{included}{after}")
}

/// Where a link of a page leads, relative to `docs/`; `None` if out of it.
fn led_to(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[test]
fn every_page_is_in_the_book_once() {
    let listed = targets(&page("docs/SUMMARY.md"));
    let distinct: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(distinct.len(), listed.len(), "a page stands twice in docs/SUMMARY.md");
    let pages = pages();
    let missing: Vec<_> = pages.difference(&distinct).collect();
    assert!(missing.is_empty(), "docs/SUMMARY.md does not list {missing:?}");
    let gone: Vec<_> = distinct.difference(&pages).collect();
    assert!(
        gone.is_empty(),
        "docs/SUMMARY.md lists {gone:?}, which are not in docs/"
    );
}

#[test]
fn no_link_of_the_book_leads_out_of_it() {
    let pages = pages();
    for from in &pages {
        for target in targets(&whole(from)) {
            let to = led_to(from, &target);
            let is_there = to.as_deref().is_some_and(|to| {
                pages.contains(to) || (!to.ends_with(".md") && Path::new(&root().join("docs").join(to)).is_file())
            });
            assert!(is_there, "the link {target} of docs/{from} leads out of the book");
        }
    }
}

#[test]
fn links_are_found_outside_code_and_led_from_their_page() {
    let text = "[a](b.md#c) [d](https://example.org) ![e](images/e.png)\n```\n[f](g.md)\n```\n[h](#i)";
    assert_eq!(targets(text), ["b.md", "images/e.png"]);
    assert_eq!(led_to("guide/a.md", "../b.md").as_deref(), Some("b.md"));
    assert_eq!(led_to("a.md", "../README.md"), None);
}
