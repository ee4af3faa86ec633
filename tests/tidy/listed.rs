//! Exceptions to a rule, file by file, each with its reason.
//!
//! A list that only grows stops being read: an entry that excuses nothing any more is a finding too.

use super::source::Source;
use super::tree::Finding;

/// A rule with the files that may break it.
#[derive(Debug)]
pub(crate) struct Listed<'a> {
    /// What is said about a file that is not listed.
    pub(crate) rule: &'a str,
    /// Path and reason.
    pub(crate) files: &'a [(&'a str, &'a str)],
}

impl Listed<'_> {
    /// What `places` finds in files that are not listed, and entries that are not needed.
    pub(crate) fn findings(&self, sources: &[Source], places: impl Fn(&Source) -> Vec<usize>) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut used = Vec::new();
        for source in sources {
            let places = places(source);
            if let Some((path, _)) = self.files.iter().find(|(path, _)| *path == source.path) {
                used.extend((!places.is_empty()).then_some(*path));
                continue;
            }
            found.extend(
                places
                    .iter()
                    .map(|byte| Finding::new(&source.path, source.line_of(*byte), self.rule)),
            );
        }
        let stale = self
            .files
            .iter()
            .filter(|(path, reason)| !used.contains(path) || reason.is_empty());
        found.extend(stale.map(|(path, _)| {
            let rule = format!("excused without need or without a reason from: {}", self.rule);
            Finding::new(path, 1, rule)
        }));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_file_is_excused_and_an_entry_without_need_is_found() {
        let sources = [
            Source::new("a.rs", "x"),
            Source::new("b.rs", "x"),
            Source::new("c.rs", ""),
        ];
        let files = [("b.rs", "it must"), ("c.rs", "it had to"), ("gone.rs", "it had to")];
        let listed = Listed {
            rule: "no x",
            files: &files,
        };
        let found = listed.findings(&sources, |source| source.words("x").collect());
        let paths: Vec<&str> = found.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(paths, ["a.rs", "c.rs", "gone.rs"]);
    }
}
