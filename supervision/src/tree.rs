//! The live tree: one small table in which supervisors and other owners note the state of what they own.
//!
//! It is written when something starts or ends, never per message, so one lock for all of a node is enough. Deliberately
//! not here: references to actors. The tree knows states, not who to talk to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::exit::Exit;
use crate::snapshot::{NodeState, TreeNode};

/// A shared handle to the tree of one node. Clones share it.
#[derive(Clone)]
pub struct Tree {
    table: Arc<Mutex<Table>>,
    began: Instant,
}

#[derive(Default)]
struct Table {
    /// Keys grow, so a set of them is in start order.
    next_key: u64,
    root: Option<u64>,
    rows: BTreeMap<u64, Entry>,
}

struct Entry {
    parent: Option<u64>,
    children: BTreeSet<u64>,
    id: Arc<str>,
    kind: Arc<str>,
    state: NodeState,
    /// Whether what runs here says itself when it is ready.
    speaks_for_itself: bool,
    restarts: u64,
    incarnation: u64,
    ready_since: Option<Duration>,
    delay: Option<Duration>,
    last_failure: Option<Arc<Exit>>,
}

impl Tree {
    /// An empty tree; its clock starts now. The first root supervisor becomes its root.
    ///
    /// # Panics
    ///
    /// With tokio's paused clock, outside a runtime.
    #[must_use]
    pub fn new() -> Self {
        Self {
            table: Arc::default(),
            began: Instant::now(),
        }
    }

    /// Time since the tree began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// A copy of the whole tree. Before a root has started, a node without a name that is pending.
    #[must_use]
    pub fn snapshot(&self) -> TreeNode {
        let now = self.elapsed();
        let table = self.lock();
        table
            .root
            .and_then(|root| table.copy(root, now))
            .unwrap_or_else(|| TreeNode {
                id: String::new(),
                kind: "supervisor".to_owned(),
                state: NodeState::Pending,
                restarts: 0,
                incarnation: 0,
                uptime_ms: 0,
                last_failure: None,
                delay_ms: None,
                children: Vec::new(),
            })
    }

    /// Adds a node below the root, for something that is not a supervised child. It is removed when the leaf is dropped.
    #[must_use]
    pub fn leaf(&self, id: &str, kind: &str) -> Leaf {
        let root = self.lock().root;
        self.insert(root, id, kind)
    }

    /// The root as a leaf; it stays in the table after the leaf is gone, so that the end of a tree can be seen.
    pub(crate) fn root(&self, id: &str, kind: &str) -> Leaf {
        let mut leaf = self.insert(None, id, kind);
        leaf.removes = false;
        let mut table = self.lock();
        let former = table.root.replace(leaf.key);
        if let Some(former) = former {
            table.remove(former);
        }
        leaf
    }

    /// Another handle to a node that somebody else owns; dropping it removes nothing.
    pub(crate) fn borrow(&self, key: u64) -> Leaf {
        Leaf {
            tree: self.clone(),
            key,
            removes: false,
        }
    }

    pub(crate) fn insert(&self, parent: Option<u64>, id: &str, kind: &str) -> Leaf {
        let mut table = self.lock();
        let key = table.next_key;
        table.next_key += 1;
        let entry = Entry {
            parent,
            children: BTreeSet::new(),
            id: id.into(),
            kind: kind.into(),
            state: NodeState::Pending,
            speaks_for_itself: false,
            restarts: 0,
            incarnation: 0,
            ready_since: None,
            delay: None,
            last_failure: None,
        };
        table.rows.insert(key, entry);
        if let Some(parent) = parent.and_then(|parent| table.rows.get_mut(&parent)) {
            parent.children.insert(key);
        }
        drop(table);
        Leaf {
            tree: self.clone(),
            key,
            removes: true,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Every change is a plain assignment, so a panic elsewhere cannot have left the table half changed.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree")
            .field("nodes", &self.lock().rows.len())
            .finish_non_exhaustive()
    }
}

impl Table {
    fn copy(&self, key: u64, now: Duration) -> Option<TreeNode> {
        let entry = self.rows.get(&key)?;
        let uptime = entry
            .ready_since
            .map_or(Duration::ZERO, |since| now.saturating_sub(since));
        Some(TreeNode {
            id: entry.id.to_string(),
            kind: entry.kind.to_string(),
            state: entry.state,
            restarts: entry.restarts,
            incarnation: entry.incarnation,
            uptime_ms: millis(uptime),
            last_failure: entry.last_failure.as_ref().map(|exit| exit.to_string()),
            delay_ms: entry.delay.map(millis),
            children: entry
                .children
                .iter()
                .filter_map(|child| self.copy(*child, now))
                .collect(),
        })
    }

    fn remove(&mut self, key: u64) {
        let Some(entry) = self.rows.remove(&key) else { return };
        if let Some(parent) = entry.parent.and_then(|parent| self.rows.get_mut(&parent)) {
            parent.children.remove(&key);
        }
        for child in entry.children {
            self.remove(child);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One node of the tree, held by what owns it. Dropping the leaf removes the node and everything below it.
pub struct Leaf {
    tree: Tree,
    key: u64,
    removes: bool,
}

impl Leaf {
    /// Adds a node below this one.
    #[must_use]
    pub fn leaf(&self, id: &str, kind: &str) -> Self {
        self.tree.insert(Some(self.key), id, kind)
    }

    /// Notes that it is ready; its uptime starts again unless it was ready already.
    pub fn ready(&self) {
        let now = self.tree.elapsed();
        self.change(|entry| entry.pass_to_ready(now));
    }

    /// Notes that the start of a child has ended well. A supervisor among the children may have failed since, or may
    /// still be waiting for children of its own, so it is left alone.
    pub(crate) fn started(&self) {
        let now = self.tree.elapsed();
        self.change(|entry| {
            if !entry.speaks_for_itself {
                entry.pass_to_ready(now);
            }
        });
    }

    /// From now until the next start, only what runs here says when it is ready.
    pub(crate) fn speak_for_itself(&self) {
        self.change(|entry| {
            entry.pass_to(NodeState::Starting);
            entry.speaks_for_itself = true;
        });
    }

    /// Notes a state other than ready.
    pub fn set(&self, state: NodeState) {
        if state == NodeState::Ready {
            return self.ready();
        }
        self.change(|entry| entry.pass_to(state));
    }

    /// Notes that it failed for good, and why.
    pub fn fail(&self, exit: Exit) {
        self.fail_with(Arc::new(exit));
    }

    pub(crate) fn fail_with(&self, exit: Arc<Exit>) {
        self.change(|entry| {
            entry.pass_to(NodeState::Failed);
            entry.last_failure = Some(exit);
        });
    }

    /// Notes the beginning of the start number `incarnation`.
    pub fn starting(&self, incarnation: u64) {
        self.change(|entry| {
            entry.pass_to(NodeState::Starting);
            entry.speaks_for_itself = false;
            entry.incarnation = incarnation;
        });
    }

    /// Notes that it ended and is restarted after `delay`.
    pub fn restarting(&self, delay: Duration, exit: Option<Exit>) {
        self.restarting_with(delay, exit.map(Arc::new));
    }

    pub(crate) fn restarting_with(&self, delay: Duration, exit: Option<Arc<Exit>>) {
        self.change(|entry| {
            entry.pass_to(NodeState::BackingOff);
            entry.delay = Some(delay);
            entry.restarts += 1;
            entry.last_failure = exit.or(entry.last_failure.take());
        });
    }

    /// Notes one more restart of something that is restarted along with a sibling.
    pub(crate) fn restarted_along(&self) {
        self.change(|entry| entry.restarts += 1);
    }

    pub(crate) fn key(&self) -> u64 {
        self.key
    }

    fn change(&self, apply: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.tree.lock().rows.get_mut(&self.key) {
            apply(entry);
        }
    }
}

impl Entry {
    fn pass_to_ready(&mut self, now: Duration) {
        self.ready_since = self.ready_since.or(Some(now));
        self.delay = None;
        self.state = NodeState::Ready;
    }

    fn pass_to(&mut self, state: NodeState) {
        self.state = state;
        self.ready_since = None;
        self.delay = None;
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        if self.removes {
            self.tree.lock().remove(self.key);
        }
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitKind;

    #[tokio::test(start_paused = true)]
    async fn a_leaf_shows_its_state_and_goes_with_its_owner() {
        let tree = Tree::new();
        let root = tree.root("node", "supervisor");
        let gateway = tree.leaf("gateway", "http");
        let port = gateway.leaf("port", "socket");
        gateway.ready();
        tokio::time::advance(Duration::from_millis(250)).await;
        gateway.ready();
        port.fail(Exit::new(ExitKind::Failed, vec!["in use".into()]));
        let snapshot = tree.snapshot();
        let seen = snapshot.child("gateway").expect("gateway was added");
        assert_eq!(
            (seen.state, seen.uptime_ms, seen.kind.as_str()),
            (NodeState::Ready, 250, "http")
        );
        let seen = snapshot.find("gateway/port").expect("port was added");
        assert_eq!(
            (seen.state, seen.last_failure.as_deref()),
            (NodeState::Failed, Some("failed: in use"))
        );
        drop(gateway);
        assert!(
            tree.snapshot().children.is_empty(),
            "a node takes everything below it along"
        );
        drop((port, root));
        assert_eq!(tree.snapshot().id, "node", "the root stays to be seen");
    }
}
