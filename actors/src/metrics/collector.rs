//! Functions that add samples when the page is rendered.
//!
//! A collector reads what its owner keeps anyway, so nothing is paid between two readings and nothing can go stale. It
//! lives as long as its owner holds the [`Collector`] that registering returned: an actor that is started again
//! registers again without piling up.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use thiserror::Error;

use super::exposition::Exposition;

/// How many collectors a node takes.
const COLLECTORS_MAX: usize = 256;

/// Adds samples to a page.
pub type CollectFn = Box<dyn Fn(&mut Exposition) + Send + Sync>;

/// The node has as many collectors as it takes.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("cannot register a collector of metrics: there are {COLLECTORS_MAX} already")]
pub struct TooManyCollectors;

#[derive(Default)]
struct Table {
    next: u64,
    by_number: BTreeMap<u64, Arc<CollectFn>>,
}

/// The collectors of a node, asked in the order in which they were registered.
#[derive(Clone, Default)]
pub(crate) struct Collectors(Arc<Mutex<Table>>);

impl Collectors {
    pub(crate) fn register(&self, collect: CollectFn) -> Result<Collector, TooManyCollectors> {
        let mut table = lock(&self.0);
        if table.by_number.len() >= COLLECTORS_MAX {
            return Err(TooManyCollectors);
        }
        let number = table.next;
        table.next += 1;
        table.by_number.insert(number, Arc::new(collect));
        Ok(Collector {
            number,
            table: Arc::downgrade(&self.0),
        })
    }

    pub(crate) fn expose(&self, page: &mut Exposition) {
        let collectors: Vec<_> = lock(&self.0).by_number.values().cloned().collect();
        for collect in collectors {
            // A page without one number is worth more at night than no page. The panic hook has told already.
            let asked = catch_unwind(AssertUnwindSafe(|| collect(page)));
            drop(asked);
        }
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a collector registered; dropping it ends that.
#[must_use = "dropping this unregisters the collector"]
pub struct Collector {
    number: u64,
    table: Weak<Mutex<Table>>,
}

impl Collector {
    /// Keeps the collector for the life of its node.
    pub fn keep(mut self) {
        self.table = Weak::new();
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let Some(table) = self.table.upgrade() else { return };
        // What the collector holds is dropped without the lock: it may hold another `Collector`.
        let collect = lock(&table).by_number.remove(&self.number);
        drop(collect);
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Collector").field(&self.number).finish()
    }
}
