//! Routes: which subscription at the broker leads to which groups here.
//!
//! Each filter has a subscription identifier, which the broker puts into what it delivers; a filter stays the
//! same over every connection. A broker that knows no identifiers is matched by topic.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::group::Group;

/// Where a filter leads.
#[derive(Debug, Clone)]
pub(crate) enum Route {
    /// To subscribers.
    Group(Arc<Group>),
    /// To the records of durable groups.
    Records,
    /// To our outbox.
    Marks,
}

/// One subscription at the broker.
#[derive(Debug)]
struct Filter {
    text: String,
    routes: Vec<Route>,
    /// The connection on which the broker has confirmed it.
    confirmed: u64,
    /// Whether the broker is asked to end it: no connection asks for it again, and nobody is added.
    ends: bool,
}

#[derive(Debug)]
struct Table {
    next: usize,
    filters: BTreeMap<usize, Filter>,
    by_text: HashMap<String, usize>,
}

/// Every subscription at the broker.
#[derive(Debug)]
pub(crate) struct Routes(RwLock<Table>);

impl Routes {
    pub(crate) fn new() -> Self {
        Self(RwLock::new(Table {
            next: 1,
            filters: BTreeMap::new(),
            by_text: HashMap::new(),
        }))
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a route behind a filter.
    pub(crate) fn add(&self, text: &str, route: Route) -> usize {
        let mut table = self.write();
        let id = match table.by_text.get(text) {
            Some(id) => *id,
            None => {
                let id = table.next;
                table.next += 1;
                table.by_text.insert(text.to_owned(), id);
                let filter = Filter {
                    text: text.to_owned(),
                    routes: Vec::new(),
                    confirmed: 0,
                    ends: false,
                };
                table.filters.insert(id, filter);
                id
            }
        };
        if let Some(filter) = table.filters.get_mut(&id) {
            filter.routes.push(route);
        }
        id
    }

    /// Marks the filters of a group that lead to nobody who lives; returns those that were not marked before.
    pub(crate) fn end(&self, group: &Arc<Group>) -> Vec<String> {
        let mut table = self.write();
        let mut ended = Vec::new();
        for filter in table.filters.values_mut().filter(|filter| !filter.ends) {
            let mut routes = filter.routes.iter();
            let leads = routes.any(|route| matches!(route, Route::Group(other) if Arc::ptr_eq(other, group)));
            let mut routes = filter.routes.iter();
            if leads && routes.all(|route| matches!(route, Route::Group(group) if group.is_closed())) {
                filter.ends = true;
                ended.push(filter.text.clone());
            }
        }
        ended
    }

    /// Takes a group out, and the filters that lead nowhere without it.
    pub(crate) fn remove(&self, group: &Arc<Group>) {
        let mut table = self.write();
        let table = &mut *table;
        table.filters.retain(|_, filter| {
            let before = filter.routes.len();
            filter
                .routes
                .retain(|route| !matches!(route, Route::Group(other) if Arc::ptr_eq(other, group)));
            let ends = filter.routes.is_empty() && before > 0;
            if ends {
                table.by_text.remove(&filter.text);
            }
            !ends
        });
    }

    /// The first group behind a filter: the only one, if it has a name.
    pub(crate) fn group(&self, text: &str) -> Option<Arc<Group>> {
        let table = self.read();
        let filter = table.by_text.get(text).and_then(|id| table.filters.get(id))?;
        filter.routes.iter().find_map(|route| match route {
            Route::Group(group) => Some(Arc::clone(group)),
            _ => None,
        })
    }

    /// Whether the broker is asked to end a filter.
    pub(crate) fn is_ending(&self, text: &str) -> bool {
        let table = self.read();
        let filter = table.by_text.get(text).and_then(|id| table.filters.get(id));
        filter.is_some_and(|filter| filter.ends)
    }

    /// The identifier of a filter.
    pub(crate) fn id(&self, text: &str) -> Option<usize> {
        self.read().by_text.get(text).copied()
    }

    /// Every group, each once.
    pub(crate) fn groups(&self) -> Vec<Arc<Group>> {
        let table = self.read();
        let mut groups: Vec<Arc<Group>> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for route in table.filters.values().flat_map(|filter| &filter.routes) {
            if let Route::Group(group) = route
                && known.insert(Arc::as_ptr(group))
            {
                groups.push(Arc::clone(group));
            }
        }
        groups
    }

    /// Every filter that does not end, with its identifier.
    pub(crate) fn filters(&self) -> Vec<(usize, String)> {
        let table = self.read();
        let filters = table.filters.iter().filter(|(_, filter)| !filter.ends);
        filters.map(|(id, filter)| (*id, filter.text.clone())).collect()
    }

    /// Says that the broker has confirmed a filter on a connection.
    pub(crate) fn confirm(&self, id: usize, epoch: u64) {
        if let Some(filter) = self.write().filters.get_mut(&id) {
            filter.confirmed = epoch;
        }
    }

    /// Whether the broker has confirmed a filter on a connection; what is gone needs no confirmation.
    pub(crate) fn is_confirmed(&self, id: usize, epoch: u64) -> bool {
        self.read()
            .filters
            .get(&id)
            .is_none_or(|filter| filter.confirmed == epoch)
    }

    /// Where a message goes: by the identifiers that came with it, else by its topic.
    pub(crate) fn find(&self, ids: &[usize], topic: &str) -> Vec<Route> {
        let table = self.read();
        if ids.is_empty() {
            let matching = table.filters.values().filter(|filter| is_heard(&filter.text, topic));
            return matching.flat_map(|filter| filter.routes.iter().cloned()).collect();
        }
        let known = ids.iter().filter_map(|id| table.filters.get(id));
        known.flat_map(|filter| filter.routes.iter().cloned()).collect()
    }
}

/// Whether a filter, shared or not, hears a topic.
fn is_heard(filter: &str, topic: &str) -> bool {
    let shared = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
    rumqttc::matches(topic, shared.map_or(filter, |(_, filter)| filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_filter_hears_what_its_plain_one_does() {
        let table = [
            ("a/b", "a/b", true),
            ("a/+", "a/b", true),
            ("a/+", "a/b/c", false),
            ("a/+", "a", false),
            ("$share/g/a/+", "a/b", true),
            ("$share/g=1/a/b", "a/c", false),
            ("a/groups/#", "a/groups/x/y/g", true),
        ];
        for (filter, topic, heard) in table {
            assert_eq!(is_heard(filter, topic), heard, "{filter} {topic}");
        }
    }

    #[test]
    fn identifiers_go_before_topics() {
        let routes = Routes::new();
        let records = routes.add("a/groups/#", Route::Records);
        let marks = routes.add("a/acks/0", Route::Marks);
        assert!(matches!(routes.find(&[marks], "a/groups/x")[..], [Route::Marks]));
        assert!(matches!(routes.find(&[], "a/groups/x")[..], [Route::Records]));
        assert!(routes.find(&[77], "a/groups/x").is_empty());
        assert!(!routes.is_confirmed(records, 1));
        routes.confirm(records, 1);
        assert!(routes.is_confirmed(records, 1) && !routes.is_confirmed(records, 2));
    }
}
