//! A strict reader of the text format, for tests: refuses what a scraper would refuse or silently misread.
//!
//! Written from the format's specification: comments of known shape, one `# TYPE` per family and before its samples, no
//! family in two pieces, no series twice, names and escapes valid, buckets cumulative with an infinite one that
//! equals the count.

use std::collections::{BTreeMap, BTreeSet};

type Labels = BTreeMap<String, String>;

/// A page that was read.
#[derive(Debug, Default)]
pub(crate) struct Page {
    types: BTreeMap<String, String>,
    samples: BTreeMap<(String, Labels), f64>,
}

impl Page {
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        self.samples.get(&(name.to_owned(), labels)).copied()
    }

    pub(crate) fn kind(&self, family: &str) -> Option<&str> {
        self.types.get(family).map(String::as_str)
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.samples.keys().filter(|(sample, _)| sample == name).count()
    }
}

pub(crate) fn parse(text: &str) -> Result<Page, String> {
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line has no end".into());
    }
    let mut page = Page::default();
    let mut helped = BTreeSet::new();
    let mut closed = BTreeSet::new();
    let mut current = String::new();
    for (number, line) in text.lines().enumerate() {
        let failed = |why: &str| format!("line {}: {why}: {line}", number + 1);
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or_else(|| failed("help without text"))?;
            check_name(name, true).map_err(|why| failed(&why))?;
            unescape(help, false).map_err(|why| failed(&why))?;
            if !helped.insert(name.to_owned()) {
                return Err(failed("second help"));
            }
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or_else(|| failed("no type"))?;
            check_name(name, true).map_err(|why| failed(&why))?;
            if !["counter", "gauge", "histogram"].contains(&kind) {
                return Err(failed("unknown type"));
            }
            closed.insert(std::mem::replace(&mut current, name.to_owned()));
            if closed.contains(name) || page.types.insert(name.to_owned(), kind.to_owned()).is_some() {
                return Err(failed("family in two pieces"));
            }
        } else {
            let (name, labels, value) = sample(line).map_err(|why| failed(&why))?;
            let kind = page.types.get(&current).map_or("", String::as_str);
            if !belongs(&name, &current, kind) {
                return Err(failed("sample outside of its family"));
            }
            if kind == "counter" && !(value >= 0.0 && name.ends_with("_total")) {
                return Err(failed("not a counter"));
            }
            if page.samples.insert((name, labels), value).is_some() {
                return Err(failed("series twice"));
            }
        }
    }
    check_histograms(&page)?;
    Ok(page)
}

fn belongs(name: &str, family: &str, kind: &str) -> bool {
    match kind {
        "histogram" => ["_bucket", "_sum", "_count"]
            .iter()
            .any(|suffix| name == format!("{family}{suffix}")),
        _ => name == family,
    }
}

fn check_name(name: &str, colons: bool) -> Result<(), String> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
    let begins = name.chars().next().is_some_and(|first| !first.is_ascii_digit());
    if begins && name.chars().all(valid) {
        Ok(())
    } else {
        Err(format!("bad name {name:?}"))
    }
}

fn unescape(text: &str, quotes: bool) -> Result<String, String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('\\') => plain.push('\\'),
            Some('n') => plain.push('\n'),
            Some('"') if quotes => plain.push('"'),
            other => return Err(format!("bad escape {other:?}")),
        }
    }
    Ok(plain)
}

fn sample(line: &str) -> Result<(String, Labels, f64), String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    check_name(name, true)?;
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = read_labels(inside, &mut labels)?;
    }
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        number if number.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
            number.parse().map_err(|_| format!("bad number {number:?}"))?
        }
        other => return Err(format!("bad number {other:?}")),
    };
    Ok((name.to_owned(), labels, value))
}

fn read_labels<'a>(mut rest: &'a str, labels: &mut Labels) -> Result<&'a str, String> {
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("no label value")?;
        check_name(name, false)?;
        let mut escaped = false;
        let end = after
            .find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            })
            .ok_or("label value without end")?;
        let value = unescape(&after[..end], true)?;
        if labels.insert(name.to_owned(), value).is_some() {
            return Err(format!("label {name} twice"));
        }
        rest = &after[end + 1..];
        match rest.as_bytes().first() {
            Some(b',') => rest = &rest[1..],
            Some(b'}') => return Ok(&rest[1..]),
            _ => return Err("labels without end".into()),
        }
    }
}

fn check_histograms(page: &Page) -> Result<(), String> {
    for family in page
        .types
        .iter()
        .filter(|(_, kind)| *kind == "histogram")
        .map(|(name, _)| name)
    {
        let bucket = format!("{family}_bucket");
        let mut by_series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
        for ((name, labels), value) in &page.samples {
            if *name != bucket {
                continue;
            }
            let mut labels = labels.clone();
            let le = labels.remove("le").ok_or_else(|| format!("{bucket} without le"))?;
            let le = if le == "+Inf" {
                f64::INFINITY
            } else {
                le.parse().map_err(|_| format!("bad le {le}"))?
            };
            by_series.entry(labels).or_default().push((le, *value));
        }
        for (labels, mut buckets) in by_series {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            let cumulative = buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1);
            let last = buckets.last().copied();
            let count = page.samples.get(&(format!("{family}_count"), labels.clone()));
            let sum = page.samples.get(&(format!("{family}_sum"), labels.clone()));
            if !cumulative || sum.is_none() || last != count.map(|count| (f64::INFINITY, *count)) {
                return Err(format!(
                    "{family} {labels:?} is no histogram: {buckets:?}, count {count:?}, sum {sum:?}"
                ));
            }
        }
    }
    Ok(())
}

#[test]
fn refuses_what_a_scraper_would_refuse() {
    let bad = [
        "a 1",
        "a 1\n",
        "# TYPE a gauge\na{x=\"1\",x=\"2\"} 1\n",
        "# TYPE a gauge\na 1\na 2\n",
        "# TYPE a gauge\na one\n",
        "# TYPE a counter\na 1\n",
        "# TYPE a gauge\na{x=\"\\q\"} 1\n",
        "# TYPE a gauge\n# TYPE b gauge\n# TYPE a gauge\n",
        "# TYPE a gauge\n9a 1\n",
        "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 2\n",
    ];
    for page in bad {
        assert!(parse(page).is_err(), "{page}");
    }
    assert!(parse("# HELP a x\n# TYPE a gauge\na{x=\"\\\"\\\\\\n\"} -1.5e3\n").is_ok());
}
