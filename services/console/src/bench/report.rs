//! What `bench` found: the document of DESIGN section 7.

use std::time::Duration;

use serde::Serialize;

use super::comparison::Comparison;
use super::contender::nanoseconds;
use super::machine::Machine;
use super::units::{rate, short_time};

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) rows: Vec<Row>,
}

/// One line: what was reached, and what the baseline reached beside it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) bridge: &'static str,
    pub(super) in_flight: u32,
    /// How many subscribers get each event, where that is measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subscribers: Option<usize>,
    pub(super) per_second: f64,
    pub(super) p50_ns: u64,
    pub(super) p99_ns: u64,
    pub(super) p999_ns: u64,
    pub(super) max_ns: u64,
    pub(super) baseline: &'static str,
    pub(super) baseline_per_second: f64,
    pub(super) baseline_p50_ns: u64,
    pub(super) baseline_p99_ns: u64,
    pub(super) baseline_p999_ns: u64,
    pub(super) baseline_max_ns: u64,
    /// Ours divided by the baseline's, of what the bar compares.
    pub(super) ratio: f64,
    /// What that is.
    pub(super) compares: Measured,
    /// What is to be reached; for people only.
    #[serde(skip)]
    pub(super) bar: Option<Bar>,
}

/// What a ratio compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Measured {
    /// Calls per second: more is better.
    Throughput,
    /// The mean time of a call, taken from the throughput of one caller: less is better.
    MeanTime,
    /// The median time: less is better.
    MedianTime,
}

impl Measured {
    /// Ours divided by the baseline's, to three digits after the point.
    pub(super) fn ratio(self, compared: &Comparison) -> f64 {
        let (ours, baseline) = (&compared.ours, &compared.baseline);
        let ratio = match self {
            Measured::Throughput => ours.per_second / baseline.per_second,
            Measured::MeanTime => baseline.per_second / ours.per_second,
            Measured::MedianTime => ours.p50_ns as f64 / baseline.p50_ns as f64,
        };
        (ratio * 1000.0).round() / 1000.0
    }
}

/// What is to be reached, by DESIGN section 8.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bar {
    /// So many times the baseline.
    RatioAtLeast(f64),
    /// No more than this part of the baseline's time.
    RatioAtMost(f64),
    /// So many a second, whatever the baseline does.
    PerSecondAtLeast(f64),
    /// No longer than this in the median.
    P50AtMost(Duration),
}

impl Bar {
    /// Whether a row reaches it.
    pub(super) fn is_reached(self, row: &Row) -> bool {
        match self {
            Bar::RatioAtLeast(least) => row.ratio >= least,
            Bar::RatioAtMost(most) => row.ratio <= most,
            Bar::PerSecondAtLeast(least) => row.per_second >= least,
            Bar::P50AtMost(most) => row.p50_ns <= nanoseconds(most),
        }
    }

    /// The bar in words.
    pub(super) fn wanted(self) -> String {
        match self {
            Bar::RatioAtLeast(least) => format!("ratio ≥ {least}"),
            Bar::RatioAtMost(most) => format!("time ratio ≤ {most}"),
            Bar::PerSecondAtLeast(least) => format!("≥ {}/s", rate(least)),
            Bar::P50AtMost(most) => format!("p50 ≤ {}", short_time(nanoseconds(most))),
        }
    }

    /// Whether a row reaches it, in a word.
    pub(super) fn verdict(self, row: &Row) -> &'static str {
        if self.is_reached(row) { "reached" } else { "missed" }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::comparison::Score;
    use super::super::load::Load;
    use super::*;

    fn compared() -> Comparison {
        let score = |per_second, p50_ns| Score {
            per_second,
            p50_ns,
            p99_ns: 2 * p50_ns,
            p999_ns: 3 * p50_ns,
            max_ns: 50 * p50_ns,
        };
        Comparison {
            ours: score(6e6, 100),
            baseline: score(2e6, 400),
        }
    }

    /// A row as it comes out of a measurement.
    pub(in super::super) fn row() -> Row {
        Row {
            name: "local_call",
            bridge: "memory",
            in_flight: 64,
            subscribers: None,
            per_second: 6e6,
            p50_ns: 100,
            p99_ns: 200,
            p999_ns: 300,
            max_ns: 5_000,
            baseline: "ractor_call",
            baseline_per_second: 2e6,
            baseline_p50_ns: 400,
            baseline_p99_ns: 800,
            baseline_p999_ns: 1_200,
            baseline_max_ns: 20_000,
            ratio: Measured::Throughput.ratio(&compared()),
            compares: Measured::Throughput,
            bar: Some(Bar::RatioAtLeast(3.0)),
        }
    }

    #[test]
    fn a_ratio_is_ours_divided_by_theirs_of_what_is_compared() {
        let table = [
            (Measured::Throughput, 3.0),
            (Measured::MeanTime, 0.333),
            (Measured::MedianTime, 0.25),
        ];
        for (measured, expected) in table {
            assert!((measured.ratio(&compared()) - expected).abs() < 1e-9, "{measured:?}");
        }
    }

    #[test]
    fn a_bar_says_on_which_side_of_it_is_better() {
        let table = [
            (Bar::RatioAtLeast(3.0), true),
            (Bar::RatioAtLeast(3.1), false),
            (Bar::RatioAtMost(3.0), true),
            (Bar::RatioAtMost(0.3), false),
            (Bar::PerSecondAtLeast(6e6), true),
            (Bar::PerSecondAtLeast(7e6), false),
            (Bar::P50AtMost(Duration::from_nanos(100)), true),
            (Bar::P50AtMost(Duration::from_nanos(99)), false),
        ];
        for (bar, expected) in table {
            assert_eq!(bar.is_reached(&row()), expected, "{bar:?}");
        }
    }

    #[test]
    fn the_document_has_the_fields_that_others_rely_on() {
        let report = Report {
            machine: Machine::this(Load::default()),
            rows: vec![row()],
        };
        let document = serde_json::to_value(report).expect("a report is JSON");
        let rows = document["rows"].as_array().expect("rows");
        let names = [
            "name",
            "bridge",
            "in_flight",
            "per_second",
            "p50_ns",
            "p99_ns",
            "p999_ns",
            "max_ns",
            "baseline",
            "baseline_per_second",
            "baseline_p50_ns",
            "baseline_p99_ns",
            "baseline_p999_ns",
            "baseline_max_ns",
            "ratio",
            "compares",
        ];
        for name in names {
            assert!(rows[0].get(name).is_some_and(|value| !value.is_null()), "{name}");
        }
        assert_eq!(rows[0].as_object().map(serde_json::Map::len), Some(names.len()));
        let machine = [
            "cpu",
            "cores",
            "kernel",
            "rustc",
            "roadshow",
            "commit",
            "optimised",
            "date",
            "load_average_before",
            "others_percent",
        ];
        for name in machine {
            assert!(document["machine"].get(name).is_some(), "{name}");
        }
    }
}
