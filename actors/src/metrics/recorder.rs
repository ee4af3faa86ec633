//! The door for users' own metrics: a recorder of the `metrics` facade that writes into one node.
//!
//! Handles made with it, macros under `metrics::with_local_recorder`, and macros anywhere once a program installed it as
//! the global recorder end in the same cells as the runtime's own numbers, on the same page. Making a handle looks a
//! key up in a map under a lock; a caller that counts often keeps its handle.
//!
//! Series that nobody touches any more stay; that is why their number is limited (`series`).

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use metrics_util::registry::{Registry, Storage};

use super::buckets::BucketTable;
use super::cells::Cells;
use super::counter::{ShardedCounter, SharedGauge};
use super::exposition::{Exposition, Kind};
use super::histogram::ValueHistogram;
use super::series::{SeriesLimits, SeriesTable, Verdict, overflow_key};

/// Makes the storage of a new series.
struct CellStorage {
    cells: Cells,
    buckets: BucketTable,
}

impl Storage<Key> for CellStorage {
    type Counter = Arc<ShardedCounter>;
    type Gauge = Arc<SharedGauge>;
    type Histogram = Arc<ValueHistogram>;

    fn counter(&self, _: &Key) -> Self::Counter {
        Arc::new(ShardedCounter::new(&self.cells))
    }

    fn gauge(&self, _: &Key) -> Self::Gauge {
        Arc::new(SharedGauge::new())
    }

    fn histogram(&self, key: &Key) -> Self::Histogram {
        Arc::new(ValueHistogram::new(&self.cells, self.buckets.bounds(key.name())))
    }
}

struct Inner {
    registry: Registry<Key, CellStorage>,
    series: Mutex<SeriesTable>,
    dropped: ShardedCounter,
}

/// Records metrics of the `metrics` facade into one node. A clone is another handle to the same node.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

impl Recorder {
    pub(crate) fn new(cells: &Cells, buckets: BucketTable, limits: SeriesLimits, reserved: &[(Kind, &str)]) -> Self {
        Self(Arc::new(Inner {
            registry: Registry::new(CellStorage {
                cells: cells.clone(),
                buckets,
            }),
            series: Mutex::new(SeriesTable::new(limits, reserved)),
            dropped: ShardedCounter::new(cells),
        }))
    }

    /// Returns the counter of this key, made at the first call; none if its name contradicts another metric or there
    /// are too many names.
    pub(crate) fn counter(&self, key: &Key) -> Option<Arc<ShardedCounter>> {
        let registry = &self.0.registry;
        self.place(
            Kind::Counter,
            key,
            |key| registry.get_counter(key),
            |key| registry.get_or_create_counter(key, Arc::clone),
        )
    }

    /// Returns the gauge of this key, with the same conditions as [`Self::counter`].
    pub(crate) fn gauge(&self, key: &Key) -> Option<Arc<SharedGauge>> {
        let registry = &self.0.registry;
        self.place(
            Kind::Gauge,
            key,
            |key| registry.get_gauge(key),
            |key| registry.get_or_create_gauge(key, Arc::clone),
        )
    }

    fn histogram(&self, key: &Key) -> Option<Arc<ValueHistogram>> {
        let registry = &self.0.registry;
        self.place(
            Kind::Histogram,
            key,
            |key| registry.get_histogram(key),
            |key| registry.get_or_create_histogram(key, Arc::clone),
        )
    }

    /// Finds a series or decides whether it may be made. The lock is held from the second look to the making, so two
    /// threads that ask for one new series count it once.
    fn place<T>(&self, kind: Kind, key: &Key, get: impl Fn(&Key) -> Option<T>, make: impl Fn(&Key) -> T) -> Option<T> {
        if let Some(present) = get(key) {
            return Some(present);
        }
        let mut series = self.series();
        if let Some(present) = get(key) {
            return Some(present);
        }
        match series.admit(kind, key) {
            Verdict::Kept => Some(make(key)),
            Verdict::Overflow => {
                self.0.dropped.increment();
                Some(make(&overflow_key(key)))
            }
            Verdict::Refused => {
                self.0.dropped.increment();
                None
            }
        }
    }

    pub(crate) fn describe(&self, kind: Kind, name: &str, help: &str) {
        self.series().describe(kind, name, help);
    }

    /// Adds every series to a page.
    pub(crate) fn expose(&self, page: &mut Exposition) {
        let Inner { registry, dropped, .. } = &*self.0;
        let series = self.series();
        registry.visit_counters(|key, counter| {
            page.counter_of(key, series.help(Kind::Counter, key.name()), counter.value());
        });
        registry.visit_gauges(|key, gauge| {
            page.gauge_of(key, series.help(Kind::Gauge, key.name()), gauge.value());
        });
        registry.visit_histograms(|key, histogram| {
            page.histogram_of(key, series.help(Kind::Histogram, key.name()), histogram.snapshot());
        });
        drop(series);
        page.counter(
            "roadshow_metrics_series_dropped_total",
            "Registrations of metrics that were not kept under their own labels because of a limit or a name.",
            &[],
            dropped.value(),
        );
    }

    fn series(&self) -> MutexGuard<'_, SeriesTable> {
        self.0.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(Kind::Counter, key.as_str(), &description);
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(Kind::Gauge, key.as_str(), &description);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(Kind::Histogram, key.as_str(), &description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.counter(key).map_or_else(Counter::noop, Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.gauge(key).map_or_else(Gauge::noop, Gauge::from_arc)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.histogram(key).map_or_else(Histogram::noop, Histogram::from_arc)
    }
}

#[cfg(test)]
mod tests {
    use super::super::buckets::Bounds;
    use super::super::strict;
    use super::*;

    fn recorder(limits: SeriesLimits) -> Recorder {
        let mut buckets = BucketTable::new();
        buckets.set("basket_", Bounds::new(&[1.0, 10.0]));
        Recorder::new(
            &Cells::new(),
            buckets,
            limits,
            &[(Kind::Counter, "roadshow_calls_total")],
        )
    }

    fn page(recorder: &Recorder) -> strict::Page {
        let mut page = Exposition::new();
        recorder.expose(&mut page);
        strict::parse(&page.render()).expect("the page is valid")
    }

    #[test]
    fn macros_under_a_local_recorder_write_into_the_node() {
        let recorder = recorder(SeriesLimits::default());
        metrics::with_local_recorder(&recorder, || {
            metrics::describe_counter!("orders", "Orders placed.");
            for _ in 0..3 {
                metrics::counter!("orders", "shop" => "north").increment(1);
            }
            metrics::gauge!("shelf.level").set(0.25);
            metrics::histogram!("basket_items").record(7.0);
            metrics::histogram!("checkout_seconds").record(0.003);
        });
        let page = page(&recorder);
        assert_eq!(page.value("orders_total", &[("shop", "north")]), Some(3.0));
        assert_eq!(page.value("shelf_level", &[]), Some(0.25));
        assert_eq!(page.value("basket_items_bucket", &[("le", "10")]), Some(1.0));
        assert_eq!(page.count("basket_items_bucket"), 3);
        assert_eq!(page.value("checkout_seconds_bucket", &[("le", "0.0025")]), Some(0.0));
        assert_eq!(page.value("checkout_seconds_bucket", &[("le", "0.005")]), Some(1.0));
    }

    #[test]
    fn ten_thousand_label_values_make_a_bounded_page_with_the_right_total() {
        let recorder = recorder(SeriesLimits {
            series_per_name: 100,
            ..SeriesLimits::default()
        });
        metrics::with_local_recorder(&recorder, || {
            for id in 0..10_000 {
                metrics::counter!("seen", "id" => id.to_string()).increment(1);
            }
        });
        let page = page(&recorder);
        assert_eq!(page.count("seen_total"), 101);
        assert_eq!(page.value("seen_total", &[("overflow", "true")]), Some(9_900.0));
        assert_eq!(page.value("roadshow_metrics_series_dropped_total", &[]), Some(9_900.0));
    }

    #[test]
    fn a_user_cannot_write_into_the_nodes_own_families() {
        let recorder = recorder(SeriesLimits::default());
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("roadshow_calls_total").increment(1);
            metrics::gauge!("twice").set(1.0);
            metrics::histogram!("twice").record(1.0);
        });
        let page = page(&recorder);
        assert_eq!(page.value("roadshow_calls_total", &[]), None);
        assert_eq!(page.kind("twice"), Some("gauge"));
        assert_eq!(page.value("roadshow_metrics_series_dropped_total", &[]), Some(2.0));
    }

    #[test]
    fn threads_that_register_the_same_series_share_it() {
        let recorder = recorder(SeriesLimits::default());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for n in 0..200 {
                        let key = Key::from_parts("shared", vec![metrics::Label::new("n", (n % 10).to_string())]);
                        recorder
                            .counter(&key)
                            .expect("the series is within its limits")
                            .increment();
                    }
                });
            }
        });
        let page = page(&recorder);
        assert_eq!(page.count("shared_total"), 10);
        assert_eq!(page.value("shared_total", &[("n", "3")]), Some(160.0));
    }
}
