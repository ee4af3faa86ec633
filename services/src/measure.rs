//! Metrics of a service's own, recorded beside the runtime's and shown in `/metrics`.

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit};
use roadshow_actors::metrics::NodeMetrics;

/// Makes counters, gauges and histograms on the node's own recorder.
///
/// Make a handle once, in the service's factory, and keep it: making one looks its labels up, using it costs a few
/// nanoseconds. The number of label sets per name is bounded; beyond the bound they fall into one series named
/// `overflow`.
#[derive(Clone, Debug)]
pub struct Measure(NodeMetrics);

impl Measure {
    pub(crate) fn new(metrics: NodeMetrics) -> Self {
        Measure(metrics)
    }

    /// Explains a counter: what `/metrics` prints as its help text.
    pub fn describe_counter(&self, name: &str, meaning: &str) {
        let (name, meaning) = texts(name, meaning);
        self.0.recorder().describe_counter(name, None::<Unit>, meaning);
    }

    /// Explains a gauge.
    pub fn describe_gauge(&self, name: &str, meaning: &str) {
        let (name, meaning) = texts(name, meaning);
        self.0.recorder().describe_gauge(name, None::<Unit>, meaning);
    }

    /// Explains a histogram.
    pub fn describe_histogram(&self, name: &str, meaning: &str) {
        let (name, meaning) = texts(name, meaning);
        self.0.recorder().describe_histogram(name, None::<Unit>, meaning);
    }

    /// A number that only grows.
    pub fn counter(&self, name: &str, labels: &[(&'static str, &str)]) -> Counter {
        self.0.recorder().register_counter(&key(name, labels), &METADATA)
    }

    /// A number that goes up and down.
    pub fn gauge(&self, name: &str, labels: &[(&'static str, &str)]) -> Gauge {
        self.0.recorder().register_gauge(&key(name, labels), &METADATA)
    }

    /// A distribution, in fixed buckets.
    pub fn histogram(&self, name: &str, labels: &[(&'static str, &str)]) -> Histogram {
        self.0.recorder().register_histogram(&key(name, labels), &METADATA)
    }
}

const METADATA: Metadata<'static> = Metadata::new("roadshow", Level::INFO, None);

fn texts(name: &str, meaning: &str) -> (KeyName, SharedString) {
    (name.to_owned().into(), meaning.to_owned().into())
}

fn key(name: &str, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<Label> = labels
        .iter()
        .map(|(key, value)| Label::new(*key, (*value).to_owned()))
        .collect();
    Key::from_parts(name.to_owned(), labels)
}
