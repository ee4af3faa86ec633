//! One rendering of a node's measurements as text, Prometheus exposition format 0.0.4.
//!
//! Samples arrive in any order, from the endpoints, the registry and the collectors; the format wants every family in one
//! piece below its `# HELP` and `# TYPE`, and no series twice. So samples are collected per family first and written
//! in one go, families and series in alphabetical order. Two samples of one series are merged (counters and histograms
//! add up, of gauges the last wins), and a sample whose kind is not that of its family is left out, because a page with
//! one contradiction is refused as a whole.
//!
//! OpenMetrics, exemplars and time stamps are deliberately not here.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use metrics::{Key, Label};
use metrics_exporter_prometheus::LabelSet;
use metrics_exporter_prometheus::formatting::{
    sanitize_label_key, sanitize_metric_name, write_help_line, write_metric_line, write_type_line,
};

use super::histogram::HistogramSnapshot;

/// The content type of a rendered page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What kind of numbers a family holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }

    /// Returns the name of the family that a metric of this kind and name is shown in.
    pub(crate) fn family_name(self, name: &str) -> String {
        let mut family = sanitize_metric_name(name);
        if family.is_empty() {
            family.push('_');
        }
        if self == Self::Counter && !family.ends_with("_total") {
            family.push_str("_total");
        }
        family
    }
}

#[derive(Debug)]
enum Value {
    Counter(u64),
    Gauge(f64),
    Histogram(HistogramSnapshot),
}

impl Value {
    fn kind(&self) -> Kind {
        match self {
            Self::Counter(_) => Kind::Counter,
            Self::Gauge(_) => Kind::Gauge,
            Self::Histogram(_) => Kind::Histogram,
        }
    }

    fn merge(&mut self, newer: Self) {
        match (self, newer) {
            (Self::Counter(sum), Self::Counter(more)) => *sum = sum.wrapping_add(more),
            (Self::Histogram(sum), Self::Histogram(more)) => sum.merge(more),
            (older, newer) => *older = newer,
        }
    }
}

#[derive(Debug)]
struct Family {
    kind: Kind,
    help: String,
    /// By the labels as text, which orders the series and finds one that is already there.
    series: BTreeMap<String, (LabelSet, Value)>,
}

/// Collects samples for one page.
#[derive(Debug, Default)]
pub struct Exposition {
    families: BTreeMap<String, Family>,
}

impl Exposition {
    /// Creates an empty page.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a number that only grows; `_total` is appended to the name unless it ends so.
    pub fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: u64) {
        self.add(name, help, labels.iter().copied(), Value::Counter(value));
    }

    /// Adds a number that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.add(name, help, labels.iter().copied(), Value::Gauge(value));
    }

    /// Adds a histogram.
    pub fn histogram(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: HistogramSnapshot) {
        self.add(name, help, labels.iter().copied(), Value::Histogram(value));
    }

    pub(crate) fn counter_of(&mut self, key: &Key, help: &str, value: u64) {
        self.add(key.name(), help, pairs(key), Value::Counter(value));
    }

    pub(crate) fn gauge_of(&mut self, key: &Key, help: &str, value: f64) {
        self.add(key.name(), help, pairs(key), Value::Gauge(value));
    }

    pub(crate) fn histogram_of(&mut self, key: &Key, help: &str, value: HistogramSnapshot) {
        self.add(key.name(), help, pairs(key), Value::Histogram(value));
    }

    fn add<'a>(&mut self, name: &str, help: &str, labels: impl Iterator<Item = (&'a str, &'a str)>, value: Value) {
        let kind = value.kind();
        let family = self.families.entry(kind.family_name(name)).or_insert_with(|| Family {
            kind,
            help: help.to_owned(),
            series: BTreeMap::new(),
        });
        if family.kind != kind {
            tracing::debug!(
                name,
                kind = kind.as_str(),
                "sample left out: its family is of another kind"
            );
            return;
        }
        let labels = label_set(labels, kind);
        let text = labels.to_strings().collect::<Vec<_>>().join(",");
        match family.series.get_mut(&text) {
            Some((_, present)) => present.merge(value),
            None => {
                family.series.insert(text, (labels, value));
            }
        }
    }

    /// Writes the page.
    #[must_use]
    pub fn render(&self) -> String {
        let mut page = String::with_capacity(64 * 1024);
        for (name, family) in &self.families {
            write_help_line(&mut page, name, None, None, &family.help);
            write_type_line(&mut page, name, None, None, family.kind.as_str());
            for (labels, value) in family.series.values() {
                write_series(&mut page, name, labels, value);
            }
        }
        page
    }
}

fn pairs(key: &Key) -> impl Iterator<Item = (&str, &str)> {
    key.labels().map(|label| (label.key(), label.value()))
}

/// Puts labels into the form they are written in: names valid, none twice (the last wins), and none that the format
/// keeps for itself.
fn label_set<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>, kind: Kind) -> LabelSet {
    let mut valid: Vec<(String, &str)> = Vec::new();
    for (name, value) in labels {
        let mut name = sanitize_label_key(name);
        if name.is_empty() {
            name.push('_');
        }
        if kind == Kind::Histogram && name == "le" {
            continue;
        }
        match valid.iter_mut().find(|(known, _)| *known == name) {
            Some((_, present)) => *present = value,
            None => valid.push((name, value)),
        }
    }
    let labels: Vec<Label> = valid
        .into_iter()
        .map(|(name, value)| Label::new(name, value.to_owned()))
        .collect();
    LabelSet::from_key_and_global(&Key::from_parts("", labels), &Default::default())
}

fn write_series(page: &mut String, name: &str, labels: &LabelSet, value: &Value) {
    match value {
        Value::Counter(value) => write_line(page, name, labels, None, &value.to_string()),
        Value::Gauge(value) => write_line(page, name, labels, None, &float(*value)),
        Value::Histogram(histogram) => write_histogram(page, name, labels, histogram),
    }
}

fn write_histogram(page: &mut String, name: &str, labels: &LabelSet, histogram: &HistogramSnapshot) {
    // The whole name is written here: the formatter would not add a suffix that a name happens to end with.
    let bucket = format!("{name}_bucket");
    let mut below = 0_u64;
    for (bound, count) in histogram.bounds().as_slice().iter().zip(histogram.counts()) {
        below = below.wrapping_add(*count);
        write_line(page, &bucket, labels, Some(&float(*bound)), &below.to_string());
    }
    let count = histogram.count().to_string();
    write_line(page, &bucket, labels, Some("+Inf"), &count);
    write_line(page, &format!("{name}_sum"), labels, None, &float(histogram.sum()));
    write_line(page, &format!("{name}_count"), labels, None, &count);
}

fn write_line(page: &mut String, name: &str, labels: &LabelSet, le: Option<&str>, value: &str) {
    write_metric_line(page, name, None, labels, le.map(|bound| ("le", bound)), value, None);
}

/// Writes a number as the format spells it: infinity with its sign.
fn float(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let mut text = String::new();
    write!(text, "{value}").expect("writing to a string does not fail");
    text
}

#[cfg(test)]
mod tests {
    use super::super::buckets::Bounds;
    use super::super::strict;
    use super::*;

    #[test]
    fn a_page_is_grouped_sorted_and_ends_every_line() {
        let mut page = Exposition::new();
        page.gauge("b", "second", &[("x", "2")], 0.5);
        page.counter("a", "first", &[], 3);
        page.gauge("b", "second", &[("x", "1")], f64::INFINITY);
        assert_eq!(
            page.render(),
            "# HELP a_total first\n# TYPE a_total counter\na_total 3\n\
             # HELP b second\n# TYPE b gauge\nb{x=\"1\"} +Inf\nb{x=\"2\"} 0.5\n"
        );
    }

    #[test]
    fn a_histogram_is_cumulative_and_keeps_its_suffixes() {
        let mut page = Exposition::new();
        let values = HistogramSnapshot::new(Bounds::new(&[0.1, 1.0]), vec![1, 2, 4], 12.5);
        page.histogram("leaky_bucket", "drips", &[("tap", "a")], values);
        assert_eq!(
            page.render(),
            "# HELP leaky_bucket drips\n# TYPE leaky_bucket histogram\n\
             leaky_bucket_bucket{tap=\"a\",le=\"0.1\"} 1\nleaky_bucket_bucket{tap=\"a\",le=\"1\"} 3\n\
             leaky_bucket_bucket{tap=\"a\",le=\"+Inf\"} 7\nleaky_bucket_sum{tap=\"a\"} 12.5\nleaky_bucket_count{tap=\"a\"} 7\n"
        );
    }

    #[test]
    fn one_series_given_twice_is_shown_once() {
        let mut page = Exposition::new();
        page.counter("hits", "", &[("a", "1")], 2);
        page.counter("hits_total", "", &[("a", "1")], 3);
        page.gauge("level", "", &[], 1.0);
        page.gauge("level", "", &[], 2.0);
        page.counter("level", "", &[], 7);
        page.gauge("hits_total", "", &[], 9.0);
        let page = strict::parse(&page.render()).expect("the page is valid");
        assert_eq!(page.value("hits_total", &[("a", "1")]), Some(5.0));
        assert_eq!(page.value("level", &[]), Some(2.0));
        assert_eq!(page.value("level_total", &[]), Some(7.0));
        assert_eq!(
            page.value("hits_total", &[]),
            None,
            "a gauge does not fit into a family of counters"
        );
    }

    #[test]
    fn nothing_in_names_labels_or_help_breaks_the_page() {
        let mut page = Exposition::new();
        let nasty = "a\"b\\c\nd\\\"}# ü";
        page.gauge(
            "9 odd-name\n",
            nasty,
            &[("odd key\"", nasty), ("odd_key_", "1"), ("", nasty)],
            f64::NAN,
        );
        page.histogram(
            "h",
            nasty,
            &[("le", nasty)],
            HistogramSnapshot::new(Bounds::seconds(), vec![1], 1.0),
        );
        page.counter("", nasty, &[("", "")], 1);
        strict::parse(&page.render()).expect("the page is valid");
    }
}
