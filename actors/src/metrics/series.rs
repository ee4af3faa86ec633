//! Which series users may make.
//!
//! A label that takes its value from a request can have any number of values, and every one would stay in memory for the
//! life of the node and be written to every page. So the number of names, of label sets per name, of all series and the
//! length of labels are limited. What goes beyond its limit is counted in one series per name that bears the label
//! `overflow="true"`, so that totals stay right, and each such registration is counted.
//!
//! This table also keeps names from contradicting each other: a name has one kind, and a histogram `x` owns `x_bucket`,
//! `x_sum` and `x_count` too. A metric that would contradict is not kept at all.

use std::collections::HashMap;

use metrics::{Key, Label};

use super::exposition::Kind;

/// The longest description that is kept, in bytes.
const HELP_BYTES_MAX: usize = 1_024;

/// How many series a node keeps for its users.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SeriesLimits {
    /// Different names; default 1,000.
    pub names: usize,
    /// Label sets under one name; default 1,000.
    pub series_per_name: usize,
    /// All series together; default 10,000.
    pub series: usize,
    /// Bytes of all label names and values of one series; default 2,048.
    pub label_bytes: usize,
}

impl Default for SeriesLimits {
    fn default() -> Self {
        Self {
            names: 1_000,
            series_per_name: 1_000,
            series: 10_000,
            label_bytes: 2_048,
        }
    }
}

/// What becomes of a series that is asked for the first time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// It is kept under its own labels.
    Kept,
    /// It is counted in the one series of its name for what is beyond a limit.
    Overflow,
    /// It is not kept: its name contradicts another or there are too many names.
    Refused,
}

#[derive(Debug)]
struct Family {
    kind: Kind,
    series: usize,
}

/// The names that are taken and how many series each has.
#[derive(Debug)]
pub(crate) struct SeriesTable {
    limits: SeriesLimits,
    families: HashMap<String, Family>,
    /// The names of samples and the family that owns each.
    samples: HashMap<String, String>,
    helps: HashMap<String, String>,
    series: usize,
}

impl SeriesTable {
    /// Creates a table in which the given families exist already and take no series of users.
    pub(crate) fn new(limits: SeriesLimits, reserved: &[(Kind, &str)]) -> Self {
        let mut table = Self {
            limits,
            families: HashMap::new(),
            samples: HashMap::new(),
            helps: HashMap::new(),
            series: 0,
        };
        for (kind, name) in reserved {
            for sample in samples_of(*kind, name) {
                // Owned by a family of no name, so that no user's family is ever found to own it.
                table.samples.insert(sample, String::new());
            }
        }
        table
    }

    /// Decides about a series that does not exist yet, and counts it if it is kept.
    pub(crate) fn admit(&mut self, kind: Kind, key: &Key) -> Verdict {
        let name = kind.family_name(key.name());
        let present = self.families.get(&name).map(|family| (family.kind, family.series));
        let taken = match present {
            Some((present, series)) if present == kind => series,
            None if self.claim(kind, &name) => 0,
            _ => return Verdict::Refused,
        };
        let label_bytes: usize = key.labels().map(|label| label.key().len() + label.value().len()).sum();
        if taken >= self.limits.series_per_name
            || self.series >= self.limits.series
            || label_bytes > self.limits.label_bytes
        {
            return Verdict::Overflow;
        }
        self.series += 1;
        if let Some(family) = self.families.get_mut(&name) {
            family.series += 1;
        }
        Verdict::Kept
    }

    fn claim(&mut self, kind: Kind, name: &str) -> bool {
        let samples = samples_of(kind, name);
        if self.families.len() >= self.limits.names || samples.iter().any(|sample| self.samples.contains_key(sample)) {
            return false;
        }
        for sample in samples {
            self.samples.insert(sample, name.to_owned());
        }
        self.families.insert(name.to_owned(), Family { kind, series: 0 });
        true
    }

    /// Keeps the description of a family; the last one wins, beyond the limit of names none is kept.
    pub(crate) fn describe(&mut self, kind: Kind, name: &str, help: &str) {
        let name = kind.family_name(name);
        if self.helps.len() < self.limits.names || self.helps.contains_key(&name) {
            let end = help.floor_char_boundary(HELP_BYTES_MAX);
            self.helps.insert(name, help[..end].to_owned());
        }
    }

    /// Returns the description of the family of this metric.
    pub(crate) fn help(&self, kind: Kind, name: &str) -> &str {
        self.helps
            .get(&kind.family_name(name))
            .map_or("Not described.", String::as_str)
    }
}

/// Returns the key of the series that takes what is beyond a limit.
pub(crate) fn overflow_key(key: &Key) -> Key {
    Key::from_parts(
        key.name().to_owned(),
        vec![Label::from_static_parts("overflow", "true")],
    )
}

fn samples_of(kind: Kind, family: &str) -> Vec<String> {
    let mut samples = vec![family.to_owned()];
    if kind == Kind::Histogram {
        samples.extend(["_bucket", "_sum", "_count"].map(|suffix| format!("{family}{suffix}")));
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, value: &str) -> Key {
        Key::from_parts(name.to_owned(), vec![Label::new("value", value.to_owned())])
    }

    #[test]
    fn series_beyond_a_limit_overflow() {
        let limits = SeriesLimits {
            series_per_name: 2,
            series: 3,
            label_bytes: 20,
            ..SeriesLimits::default()
        };
        let mut table = SeriesTable::new(limits, &[]);
        let verdicts = [
            ("a", "1"),
            ("a", "2"),
            ("a", "3"),
            ("b", "a value that is far too long"),
            ("b", "1"),
            ("c", "1"),
        ]
        .map(|(name, value)| table.admit(Kind::Counter, &key(name, value)));
        use Verdict::{Kept, Overflow};
        assert_eq!(verdicts, [Kept, Kept, Overflow, Overflow, Kept, Overflow]);
    }

    #[test]
    fn too_many_names_are_refused() {
        let mut table = SeriesTable::new(
            SeriesLimits {
                names: 1,
                ..SeriesLimits::default()
            },
            &[],
        );
        assert_eq!(table.admit(Kind::Gauge, &key("a", "")), Verdict::Kept);
        assert_eq!(table.admit(Kind::Gauge, &key("b", "")), Verdict::Refused);
        table.describe(Kind::Gauge, "a", "first");
        table.describe(Kind::Gauge, "b", "not kept");
        assert_eq!(
            [table.help(Kind::Gauge, "a"), table.help(Kind::Gauge, "b")],
            ["first", "Not described."]
        );
    }

    #[test]
    fn names_that_contradict_each_other_are_refused() {
        let mut table = SeriesTable::new(SeriesLimits::default(), &[(Kind::Gauge, "ours")]);
        assert_eq!(table.admit(Kind::Histogram, &key("time", "")), Verdict::Kept);
        assert_eq!(table.admit(Kind::Gauge, &key("time", "")), Verdict::Refused);
        assert_eq!(table.admit(Kind::Gauge, &key("time_count", "")), Verdict::Refused);
        assert_eq!(table.admit(Kind::Gauge, &key("ours", "")), Verdict::Refused);
        assert_eq!(table.admit(Kind::Counter, &key("hits", "1")), Verdict::Kept);
        assert_eq!(
            table.admit(Kind::Counter, &key("hits_total", "2")),
            Verdict::Kept,
            "one family, two spellings"
        );
        assert_eq!(
            table.admit(Kind::Gauge, &key("hits", "")),
            Verdict::Kept,
            "not the name of the counter's family"
        );
    }

    #[test]
    fn a_long_description_is_cut_between_characters() {
        let mut table = SeriesTable::new(SeriesLimits::default(), &[]);
        table.describe(Kind::Gauge, "a", &"ü".repeat(1_000));
        assert_eq!(table.help(Kind::Gauge, "a").len(), HELP_BYTES_MAX);
    }
}
