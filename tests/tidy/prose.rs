//! Rules about the pages: links resolve, and the pages with a form keep it.
//!
//! Only links to files and headings of this repository are followed: a test does not depend on somebody's server.

use std::collections::BTreeSet;

use super::tree::{Finding, TextFile, root};

const DECISIONS: &str = "docs/decisions/";

/// Links to a file or a heading that is not there.
pub(crate) fn broken_links(pages: &[TextFile]) -> Vec<Finding> {
    let mut found = Vec::new();
    for page in pages {
        for (line, target) in links(&page.text) {
            if !resolves(pages, page, target) {
                let rule = format!("link `{target}` leads nowhere");
                found.push(Finding::new(&page.path, line, rule));
            }
        }
    }
    found
}

/// Paths of this repository, named in code marks, that are not there: a code map goes stale otherwise.
pub(crate) fn stale_paths(pages: &[TextFile]) -> Vec<Finding> {
    let mut found = Vec::new();
    // The changelog names what was; the guide names files of the project that its reader writes.
    let is_of_now = |page: &&TextFile| page.path != "CHANGELOG.md" && !page.path.starts_with("docs/guide/");
    for page in pages.iter().filter(is_of_now) {
        for (line, text) in prose_lines(&page.text) {
            let stale = text.split('`').skip(1).step_by(2).filter(|code| is_stale(code));
            found.extend(stale.map(|code| Finding::new(&page.path, line, format!("`{code}` is not there"))));
        }
    }
    found
}

fn is_stale(code: &str) -> bool {
    let is_path = code.contains('/') && code.chars().all(|c| c.is_alphanumeric() || "/._-".contains(c));
    let top = code.split('/').next().unwrap_or("");
    // What is built below target/ is there or not, as it happens.
    let is_ours = !top.is_empty() && top != "target" && root().join(top).is_dir();
    is_path && is_ours && !root().join(code).exists()
}

/// The pages whose form is fixed: changelog, glossary, decisions.
pub(crate) fn forms(pages: &[TextFile]) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(changelog(pages));
    found.extend(glossary(pages));
    found.extend(decisions(pages));
    found
}

fn page<'a>(pages: &'a [TextFile], path: &str) -> Option<&'a TextFile> {
    pages.iter().find(|page| page.path == path)
}

fn changelog(pages: &[TextFile]) -> Option<Finding> {
    let path = "CHANGELOG.md";
    let has_section = page(pages, path).is_some_and(|page| page.text.contains("\n## [Unreleased]\n"));
    (!has_section).then(|| Finding::new(path, 1, "the changelog has a section `## [Unreleased]`"))
}

fn glossary(pages: &[TextFile]) -> Vec<Finding> {
    let path = "docs/GLOSSARY.md";
    let Some(page) = page(pages, path) else {
        return vec![Finding::new(path, 1, "there is a glossary")];
    };
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (line, heading) in headings(&page.text) {
        if !seen.insert(heading.to_lowercase()) {
            found.push(Finding::new(path, line, format!("`{heading}` is explained twice")));
        }
    }
    found
}

fn decisions(pages: &[TextFile]) -> Vec<Finding> {
    let index_path = format!("{DECISIONS}README.md");
    let Some(index) = page(pages, &index_path) else {
        return vec![Finding::new(&index_path, 1, "decisions have an index")];
    };
    let listed: Vec<&str> = links(&index.text).into_iter().map(|(_, target)| target).collect();
    let mut found = Vec::new();
    for page in pages {
        let Some(name) = page.path.strip_prefix(DECISIONS).filter(|name| *name != "README.md") else {
            continue;
        };
        if !listed.contains(&name) {
            found.push(Finding::new(
                &page.path,
                1,
                "a decision is listed in docs/decisions/README.md",
            ));
        }
        let headings: Vec<&str> = headings(&page.text).into_iter().map(|(_, heading)| heading).collect();
        for part in ["Status", "Context", "Decision", "Consequences"] {
            if !headings.contains(&part) {
                found.push(Finding::new(
                    &page.path,
                    1,
                    format!("a decision has a part `## {part}`"),
                ));
            }
        }
    }
    found
}

/// The lines of a page outside fenced code, numbered from 1.
fn prose_lines(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push((index + 1, line));
        }
    }
    lines
}

fn headings(text: &str) -> Vec<(usize, &str)> {
    prose_lines(text)
        .into_iter()
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(number, line)| (number, line.trim_start_matches('#').trim()))
        .collect()
}

/// The targets of `[text](target)` outside code, with their lines.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose_lines(text) {
        let mut in_code = false;
        let mut at = 0;
        while let Some(offset) = line[at..].find(['`', ']']) {
            at += offset;
            if line[at..].starts_with('`') {
                in_code = !in_code;
            } else if !in_code && let Some(rest) = line[at..].strip_prefix("](") {
                found.extend(rest.split(')').next().map(|target| (number, target)));
            }
            at += 1;
        }
    }
    found
}

fn resolves(pages: &[TextFile], from: &TextFile, target: &str) -> bool {
    if target.contains("://") || target.starts_with("mailto:") {
        return true;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() {
        from.path.clone()
    } else {
        join(&from.path, file)
    };
    if !root().join(&path).exists() && page(pages, &path).is_none() {
        return false;
    }
    let Some(page) = page(pages, &path) else {
        return anchor.is_empty();
    };
    anchor.is_empty() || headings(&page.text).iter().any(|(_, heading)| slug(heading) == anchor)
}

/// The path of `file` as seen from the page at `from`.
fn join(from: &str, file: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in file.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A heading's anchor as forges make it: lowercase, spaces to hyphens, other signs dropped.
fn slug(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_of(path: &str, text: &str) -> TextFile {
        TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_link_resolves_to_a_file_or_a_heading() {
        let table = [
            ("[a](../Cargo.toml) [b](https://example.org) [c](#a-word-two)", 0),
            ("[a](gone.md)", 1),
            ("[a](#gone) and [b](other.md#gone)", 2),
            ("[a](other.md#other-page)", 0),
            ("`[a](gone.md)`\n```\n[a](gone.md)\n```", 0),
        ];
        for (text, expected) in table {
            let pages = [
                page_of("docs/page.md", &format!("# A word, two\n{text}")),
                page_of("docs/other.md", "# Other page\n"),
            ];
            assert_eq!(broken_links(&pages).len(), expected, "{text}");
        }
    }

    #[test]
    fn a_path_that_is_not_there_is_found() {
        let table = [
            ("see `tests/tidy/prose.rs` and `tests/run`", 0),
            ("see `tests/tidy/poetry.rs`", 1),
            ("`/api/v1/users` and `application/json` and `tests/x y`", 0),
            ("```\n`tests/gone.rs`\n```", 0),
        ];
        for (text, expected) in table {
            assert_eq!(stale_paths(&[page_of("docs/page.md", text)]).len(), expected, "{text}");
        }
    }

    #[test]
    fn pages_without_their_form_are_found() {
        let decision = "## Status\n## Context\n## Decision\n## Consequences\n";
        let good = [
            ("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n"),
            ("docs/GLOSSARY.md", "### Node\n### Route\n"),
            ("docs/decisions/README.md", "[one](0001-one.md)"),
            ("docs/decisions/0001-one.md", decision),
        ];
        let breaches = [
            ("CHANGELOG.md", "# Changelog\n"),
            ("docs/GLOSSARY.md", "### Node\n### node\n"),
            ("docs/decisions/README.md", "none"),
            ("docs/decisions/0001-one.md", "## Status\n## Context\n## Consequences\n"),
        ];
        let found = |changed: Option<(&str, &str)>| {
            let pages: Vec<TextFile> = good
                .iter()
                .map(|(path, text)| {
                    let text = changed.filter(|(of, _)| of == path).map_or(*text, |(_, text)| text);
                    page_of(path, text)
                })
                .collect();
            forms(&pages).len()
        };
        assert_eq!(found(None), 0);
        for breach in breaches {
            assert_eq!(found(Some(breach)), 1, "{breach:?}");
        }
    }
}
