//! The files of the repository as the checks see them: path relative to the root, and text.
//!
//! Walks the folder instead of asking git, so that a file is checked before it is added. What is left out: build
//! output, hidden folders but `.ci` and `.config`, and anything that is not text.

use std::fs;
use std::path::{Path, PathBuf};

/// One breach of one rule, as it is shown: `path:line: rule`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Path relative to the root, with slashes.
    pub(crate) path: String,
    /// Line, from 1.
    pub(crate) line: usize,
    /// The rule, and what was found.
    pub(crate) rule: String,
}

impl Finding {
    /// A breach at `path:line`.
    pub(crate) fn new(path: &str, line: usize, rule: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            rule: rule.into(),
        }
    }
}

/// Fails the test that calls it with one line a finding.
pub(crate) fn expect_none(findings: &[Finding]) {
    let lines: Vec<String> = findings
        .iter()
        .map(|finding| format!("{}:{}: {}", finding.path, finding.line, finding.rule))
        .collect();
    assert!(lines.is_empty(), "{} findings\n{}", lines.len(), lines.join("\n"));
}

/// A text file of the repository.
#[derive(Debug)]
pub(crate) struct TextFile {
    /// Path relative to the root, with slashes.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

/// The root of the repository: the folder of the facade package.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file of the repository, in the order of its paths.
pub(crate) fn text_files() -> Vec<TextFile> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(root().join(&folder)).expect("a folder of the repository can be listed");
        for entry in entries {
            let entry = entry.expect("an entry of the repository can be read");
            let relative = folder.join(entry.file_name());
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if is_ours(&name) {
                    folders.push(relative);
                }
            } else if let Ok(text) = fs::read_to_string(entry.path()) {
                let path = relative.to_string_lossy().replace('\\', "/");
                files.push(TextFile { path, text });
            }
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

/// The files of [`text_files`] whose name ends with `ending`.
pub(crate) fn files_ending(ending: &str) -> Vec<TextFile> {
    let mut files = text_files();
    files.retain(|file| file.path.ends_with(ending));
    files
}

fn is_ours(folder: &str) -> bool {
    match folder.strip_prefix('.') {
        Some(hidden) => matches!(hidden, "ci" | "config" | "github"),
        None => !folder.starts_with("target") && folder != "node_modules",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_finds_this_file_and_no_build_output() {
        let files = files_ending(".rs");
        assert!(files.iter().any(|file| file.path == "tests/tidy/tree.rs"));
        assert!(!files.iter().any(|file| file.path.starts_with("target")));
    }

    #[test]
    #[should_panic(expected = "a/b.rs:7: no reason")]
    fn a_finding_fails_the_test_with_its_place() {
        expect_none(&[Finding::new("a/b.rs", 7, "no reason")]);
    }
}
