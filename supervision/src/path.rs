//! Where something stands in the tree: ids from the root down, joined by slashes.
//!
//! A path is text, not a lookup key: two lives of one child share it. Deliberately not here: parsing and globbing.

use std::fmt;
use std::sync::Arc;

/// A place in the tree, such as `node/services/user`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreePath(Arc<str>);

impl TreePath {
    /// The path of a root called `id`.
    #[must_use]
    pub fn root(id: &str) -> Self {
        Self(id.into())
    }

    /// The path of the child `id` below this one.
    #[must_use]
    pub fn join(&self, id: &str) -> Self {
        Self(format!("{}/{id}", self.0).into())
    }

    /// The whole path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last id of the path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_ids_from_the_root_down() {
        let path = TreePath::root("node").join("services").join("user");
        assert_eq!(path.as_str(), "node/services/user");
        assert_eq!(path.name(), "user");
        assert_eq!(TreePath::root("node").name(), "node");
    }
}
