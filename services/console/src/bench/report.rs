//! What `bench` found: the document of DESIGN section 7.

use std::time::Duration;

use serde::Serialize;

use super::comparison::Comparison;
use super::machine::Machine;

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
    pub(super) per_second: f64,
    pub(super) p50_ns: u64,
    pub(super) p99_ns: u64,
    pub(super) baseline: &'static str,
    pub(super) baseline_per_second: f64,
    /// Ours divided by the baseline's, of what the bar compares.
    pub(super) ratio: f64,
    /// What is to be reached; for the table only.
    #[serde(skip)]
    pub(super) bar: Option<Bar>,
}

/// What a ratio compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
            Bar::P50AtMost(most) => u128::from(row.p50_ns) <= most.as_nanos(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::comparison::Score;
    use super::*;

    fn compared() -> Comparison {
        let score = |per_second, p50_ns| Score {
            per_second,
            p50_ns,
            p99_ns: 2 * p50_ns,
        };
        Comparison {
            ours: score(6e6, 100),
            baseline: score(2e6, 400),
        }
    }

    pub(crate) fn row() -> Row {
        Row {
            name: "local_call",
            bridge: "memory",
            in_flight: 64,
            per_second: 6e6,
            p50_ns: 100,
            p99_ns: 200,
            baseline: "ractor_call",
            baseline_per_second: 2e6,
            ratio: Measured::Throughput.ratio(&compared()),
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
            machine: Machine::this(),
            rows: vec![row()],
        };
        let document = serde_json::to_value(report).expect("a report is JSON");
        let names = |value: &serde_json::Value| -> Vec<String> {
            let object = value.as_object().expect("an object");
            object.keys().cloned().collect()
        };
        assert_eq!(names(&document), ["machine", "rows"]);
        let mut expected = [
            "name",
            "bridge",
            "in_flight",
            "per_second",
            "p50_ns",
            "p99_ns",
            "baseline",
            "baseline_per_second",
            "ratio",
        ];
        let mut found = names(&document["rows"][0]);
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected);
    }
}
