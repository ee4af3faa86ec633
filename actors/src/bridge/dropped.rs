//! What the bridges of a node dropped: one series for each reason, which goes on when a bridge is connected anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use roadshow_bridges::{DropReason, EventBridge};
use tracing::warn;

use crate::metrics::{Collector, Exposition, NodeMetrics};
use crate::sync::lock_std;

const DROPPED: &str = "roadshow_bridge_dropped_total";
const HELP: &str = "What the event bridge dropped.";

type Counts = BTreeMap<(&'static str, DropReason), u64>;

/// What the bridges of one node dropped.
#[derive(Debug, Default)]
pub(crate) struct BridgeDrops {
    books: Mutex<Books>,
    collector: OnceLock<Option<Collector>>,
}

/// The bridges are asked under the lock, so that none is counted twice, or not at all, while it goes. That is
/// short: they only read their counters.
#[derive(Debug, Default)]
struct Books {
    /// The last word of those that are gone.
    gone: Counts,
    /// More than one while a bridge that failed is closed and its successor is connected.
    live: Vec<Arc<dyn EventBridge>>,
}

impl BridgeDrops {
    /// Shows what `bridge` drops, and goes on counting it when what is returned is dropped.
    pub(crate) fn watch(self: &Arc<Self>, metrics: &NodeMetrics, bridge: &Arc<dyn EventBridge>) -> WatchedBridge {
        lock_std(&self.books).live.push(Arc::clone(bridge));
        self.collector.get_or_init(|| {
            let drops = Arc::downgrade(self);
            let collect = move |page: &mut Exposition| {
                if let Some(drops) = drops.upgrade() {
                    drops.expose(page);
                }
            };
            let registered = metrics.register_collector(Box::new(collect));
            registered
                .inspect_err(|error| warn!(%error, "what the event bridge drops is not shown"))
                .ok()
        });
        WatchedBridge {
            drops: Arc::clone(self),
            bridge: Arc::clone(bridge),
        }
    }

    fn counts(&self) -> Counts {
        let books = lock_std(&self.books);
        let mut counts = books.gone.clone();
        for bridge in &books.live {
            add(&mut counts, &**bridge);
        }
        counts
    }

    fn expose(&self, page: &mut Exposition) {
        for ((bridge, reason), count) in self.counts() {
            let labels = [("bridge", bridge), ("reason", reason.as_str())];
            page.counter(DROPPED, HELP, &labels, count);
        }
    }
}

fn add(counts: &mut Counts, bridge: &dyn EventBridge) {
    let name = bridge.capability().name;
    for (reason, count) in bridge.dropped() {
        *counts.entry((name, reason)).or_default() += count;
    }
}

/// A bridge whose counts are shown. Dropping it keeps the last of them.
#[derive(Debug)]
pub(crate) struct WatchedBridge {
    drops: Arc<BridgeDrops>,
    bridge: Arc<dyn EventBridge>,
}

impl Drop for WatchedBridge {
    fn drop(&mut self) {
        let mut books = lock_std(&self.drops.books);
        add(&mut books.gone, &*self.bridge);
        // This holds the bridge too, so none is dropped under the lock.
        books.live.retain(|live| !Arc::ptr_eq(live, &self.bridge));
    }
}
