//! Which groups hear a subject: a registry behind a lock, and the snapshot of it that publishers read without one.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::group::{Group, GroupKey};
use crate::names::Subject;
use crate::subscription::Reach;

type Table = HashMap<Subject, Arc<[Arc<Group>]>, RandomState>;

/// What publishers read. Cloning copies the tables, not the groups.
#[derive(Debug, Clone, Default)]
pub(super) struct Routes {
    exact: Table,
    children: Table,
    rest: Table,
}

impl Routes {
    /// The groups that hear a subject: those of the subject itself (or, where there is none, those of the rest), and those
    /// of its parent's children.
    pub(super) fn find(&self, subject: &Subject) -> (&[Arc<Group>], &[Arc<Group>]) {
        let exact = match self.exact.get(subject) {
            Some(groups) => groups,
            None if self.rest.is_empty() => &[][..],
            None => {
                let parent = subject.parent().and_then(|parent| self.rest.get(parent));
                parent.map_or(&[][..], |groups| groups)
            }
        };
        let children = if self.children.is_empty() {
            &[][..]
        } else {
            let parent = subject.parent().and_then(|parent| self.children.get(parent));
            parent.map_or(&[][..], |groups| groups)
        };
        (exact, children)
    }

    fn table(&mut self, reach: Reach) -> &mut Table {
        match reach {
            Reach::Exact => &mut self.exact,
            Reach::Children => &mut self.children,
            Reach::Rest => &mut self.rest,
        }
    }
}

/// Every group of a bus. Locked before any group's lock, never after.
#[derive(Debug, Default)]
pub(super) struct Registry {
    routes: Routes,
    named: HashMap<GroupKey, Arc<Group>, RandomState>,
    count: usize,
    next_id: u64,
}

impl Registry {
    pub(super) fn snapshot(&self) -> Arc<Routes> {
        Arc::new(self.routes.clone())
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The group with this name, if there is one.
    pub(super) fn named(&self, key: &GroupKey) -> Option<&Arc<Group>> {
        self.named.get(key)
    }

    /// Adds a group. Its id is larger than those before, so every list is sorted by id.
    pub(super) fn add(&mut self, group: &Arc<Group>) {
        let table = self.routes.table(group.key.reach);
        let old = table.get(&group.key.subject).map_or(&[][..], |groups| groups);
        let groups = old.iter().chain([group]).cloned().collect();
        table.insert(group.key.subject.clone(), groups);
        if group.key.name.is_some() {
            self.named.insert(group.key.clone(), Arc::clone(group));
        }
        self.count += 1;
    }

    /// Removes a group; `false` if it is not there.
    pub(super) fn remove(&mut self, group: &Group) -> bool {
        let table = self.routes.table(group.key.reach);
        let Some(old) = table.get(&group.key.subject) else {
            return false;
        };
        let kept: Arc<[_]> = old.iter().filter(|other| other.id != group.id).cloned().collect();
        if kept.len() == old.len() {
            return false;
        }
        if kept.is_empty() {
            table.remove(&group.key.subject);
        } else {
            table.insert(group.key.subject.clone(), kept);
        }
        if group.key.name.is_some() {
            self.named.remove(&group.key);
        }
        self.count -= 1;
        true
    }

    pub(super) fn groups(&self) -> Vec<Arc<Group>> {
        let tables = [&self.routes.exact, &self.routes.children, &self.routes.rest];
        let mut groups: Vec<_> = tables
            .iter()
            .flat_map(|table| table.values())
            .flat_map(|list| list.iter().cloned())
            .collect();
        groups.sort_unstable_by_key(|group| group.id);
        groups
    }
}
