//! The tree as data: what `/_node/tree` shows.
//!
//! A snapshot is a copy; it does not change any more. Deliberately not here: the live tree ([`Tree`](crate::Tree)).

use std::fmt;

use serde::Serialize;

/// Where a node of the tree is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeState {
    /// Its turn to start has not come.
    Pending,
    /// Its start is running.
    Starting,
    /// It is ready.
    Ready,
    /// It ended and waits to be started again.
    BackingOff,
    /// It has been told to stop.
    Stopping,
    /// It was stopped, or ended and is not to be restarted.
    Stopped,
    /// Its supervisor gave up on it, or it gave up itself.
    Failed,
}

impl NodeState {
    /// The word used on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::BackingOff => "backing_off",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One node of a snapshot, with everything below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TreeNode {
    /// Its name among its siblings.
    pub id: String,
    /// What it is: `supervisor`, `worker`, or its spec's label.
    pub kind: String,
    /// Where it is in its life.
    pub state: NodeState,
    /// How often it was restarted since its supervisor started.
    pub restarts: u64,
    /// Which start it is, counted from 1; 0 before the first.
    pub incarnation: u64,
    /// For how long it has been ready, in milliseconds; 0 unless it is.
    pub uptime_ms: u64,
    /// How it last ended, if it ever failed: the causes joined by colons.
    pub last_failure: Option<String>,
    /// The delay of the restart it waits for, in milliseconds; left out unless it is backing off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// What is below it, in start order.
    pub children: Vec<TreeNode>,
}

impl TreeNode {
    /// The child called `id`.
    #[must_use]
    pub fn child(&self, id: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.id == id)
    }

    /// The node that `path`, ids below this node joined by slashes, leads to.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Self> {
        path.split('/').try_fold(self, |node, id| node.child(id))
    }

    /// Calls `visit` with the path and the node of this and everything below, parents first.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&str, &'a Self)) {
        self.walk_below("", visit);
    }

    fn walk_below<'a>(&'a self, above: &str, visit: &mut impl FnMut(&str, &'a Self)) {
        let path = if above.is_empty() {
            self.id.clone()
        } else {
            format!("{above}/{}", self.id)
        };
        visit(&path, self);
        for child in &self.children {
            child.walk_below(&path, visit);
        }
    }
}
