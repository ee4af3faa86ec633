//! How a supervisor speaks to its observer.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::event::{Event, EventKind, Observer};
use crate::path::TreePath;
use crate::tree::Tree;

/// The observer of one supervisor, with what every event of it has in common.
pub(crate) struct Reporter {
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) path: TreePath,
    pub(crate) tree: Tree,
}

impl Reporter {
    pub(crate) fn new(observer: Arc<dyn Observer>, path: TreePath, tree: Tree) -> Self {
        Self { observer, path, tree }
    }

    pub(crate) fn now(&self) -> Duration {
        self.tree.elapsed()
    }

    pub(crate) fn emit(&self, child: &Arc<str>, incarnation: u64, kind: EventKind) {
        let event = Event {
            supervisor: self.path.clone(),
            child: child.clone(),
            incarnation,
            at: self.now(),
            kind,
        };
        // An observer that panics must not take the tree with it.
        if catch_unwind(AssertUnwindSafe(|| self.observer.event(&event))).is_err() {
            tracing::error!(supervisor = %self.path, %child, "observer panicked");
        }
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
