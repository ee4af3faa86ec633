//! What the doctor found, for people and for programs.
//!
//! Pure functions from the report to text: a section for each area, one line for each finding and one below it for the
//! advice, and a verdict at the end.

use serde::Serialize;

use super::finding::{Area, Finding, Level};
use super::settings::Row;
use super::words::count;
use crate::style::Style;

/// How wide a column gets; what is longer moves the rest of its own line only.
const COLUMN_MAX: usize = 32;

/// Everything there is to say.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) settings: Vec<Row>,
    pub(super) findings: Vec<Finding>,
    /// Whether there is no problem.
    pub(super) ok: bool,
}

impl Report {
    pub(super) fn new(settings: Vec<Row>, findings: Vec<Finding>) -> Self {
        let ok = findings.iter().all(|finding| finding.level < Level::Problem);
        Self { settings, findings, ok }
    }

    fn number(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

/// The report for people; without a line end after the last line.
pub(super) fn page(report: &Report, style: Style) -> String {
    let mut lines = Vec::new();
    for area in Area::ALL {
        lines.push(style.strong(area.title()));
        if area == Area::Settings {
            lines.extend(table(&report.settings, style));
        }
        let here = report.findings.iter().filter(|finding| finding.area == area);
        let width = column(here.clone().map(|finding| finding.subject.as_str()));
        lines.extend(here.flat_map(|finding| described(finding, width, style)));
        lines.push(String::new());
    }
    lines.push(verdict(report, style));
    lines.join("\n")
}

/// Name, value and origin of every setting.
fn table(rows: &[Row], style: Style) -> Vec<String> {
    let name = column(rows.iter().map(|row| row.name.as_str()));
    let value = column(rows.iter().map(|row| row.value.as_str()));
    rows.iter()
        .map(|row| {
            let origin = row.origin.to_string();
            let origin = super::words::shown(&origin);
            let shown = if row.value.is_empty() { "-" } else { &row.value };
            let line = format!("  {:name$}  {shown:value$}  ", row.name);
            if row.is_chosen() {
                line + &origin
            } else {
                style.faint(line + &origin)
            }
        })
        .collect()
}

/// The finding, and below it the way out.
fn described(finding: &Finding, width: usize, style: Style) -> Vec<String> {
    let mark = format!("{:7}", finding.level.mark());
    let mark = match finding.level {
        Level::Ok => style.good(mark),
        Level::Note => mark,
        Level::Warning => style.warn(mark),
        Level::Problem => style.bad(mark),
    };
    let line = format!("  {mark}  {:width$}  {}", finding.subject, finding.message);
    let advice = finding.advice.iter();
    let advice = advice.map(|advice| format!("  {:7}  {:width$}  -> {advice}", "", ""));
    [line].into_iter().chain(advice).collect()
}

fn verdict(report: &Report, style: Style) -> String {
    let told = [
        (Level::Problem, "problem"),
        (Level::Warning, "warning"),
        (Level::Note, "note"),
    ];
    let told: Vec<String> = told
        .into_iter()
        .map(|(level, word)| (report.number(level), word))
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| count(number, word))
        .collect();
    let told = told.join(", ");
    match report {
        Report { ok: false, .. } => style.bad(format!(
            "{told}: a node with these settings would not do what it should"
        )),
        _ if told.is_empty() => style.good("everything is in order"),
        _ if report.number(Level::Warning) > 0 => style.warn(format!("no problems; {told}")),
        _ => style.good(format!("no problems; {told}")),
    }
}

fn column<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    let widths = texts.map(|text| text.chars().count());
    widths.filter(|width| *width <= COLUMN_MAX).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use roadshow_services::config::Origin;

    use super::*;
    use crate::style::without_colours;

    fn report(findings: Vec<Finding>) -> Report {
        let row = |name: &str, value: &str, origin| Row {
            name: name.to_owned(),
            value: value.to_owned(),
            origin,
        };
        let flag = Origin::Flag {
            name: "--http".to_owned(),
        };
        Report::new(
            vec![
                row("http", "127.0.0.1:1", flag),
                row("namespace", "roadshow", Origin::Default),
            ],
            findings,
        )
    }

    #[test]
    fn a_page_is_aligned_and_every_advice_stands_below_its_finding() {
        let page = page(
            &report(vec![
                Area::Surroundings.ok("event_bridge", "memory: answered"),
                Area::Surroundings.problem("http", "127.0.0.1:1 is taken", "choose another with --http"),
            ]),
            Style::plain(),
        );
        let expected = "\
Settings
  http       127.0.0.1:1  --http
  namespace  roadshow     default

Definitions

Surroundings
  ok       event_bridge  memory: answered
  problem  http          127.0.0.1:1 is taken
                         -> choose another with --http

Budgets

1 problem: a node with these settings would not do what it should";
        assert_eq!(page, expected);
    }

    #[test]
    fn colours_add_nothing_but_colours() {
        let report = report(vec![
            Area::Budgets.note("a", "b", "c"),
            Area::Budgets.warning("d", "e", "f"),
            Area::Budgets.problem("g", "h", "i"),
        ]);
        let coloured = page(&report, Style::coloured());
        assert!(coloured.contains('\u{1b}'));
        assert_eq!(without_colours(&coloured), page(&report, Style::plain()));
    }

    #[test]
    fn the_verdict_counts_what_is_to_be_read() {
        let table = [
            (vec![], "everything is in order"),
            (vec![Area::Budgets.ok("a", "b")], "everything is in order"),
            (vec![Area::Budgets.note("a", "b", "c")], "no problems; 1 note"),
            (
                vec![Area::Budgets.note("a", "b", "c"), Area::Budgets.warning("a", "b", "c")],
                "no problems; 1 warning, 1 note",
            ),
        ];
        for (findings, expected) in table {
            let report = report(findings);
            assert!(report.ok);
            assert_eq!(verdict(&report, Style::plain()), expected);
        }
    }

    #[test]
    fn programs_get_the_same_as_a_document() {
        let report = report(vec![Area::Budgets.problem("g", "h", "i"), Area::Budgets.ok("j", "k")]);
        let document = serde_json::to_value(&report).expect("a document");
        let expected = serde_json::json!({
            "settings": [
                {"name": "http", "value": "127.0.0.1:1", "origin": {"from": "flag", "name": "--http"}},
                {"name": "namespace", "value": "roadshow", "origin": {"from": "default"}},
            ],
            "findings": [
                {"level": "problem", "area": "budgets", "subject": "g", "message": "h", "advice": "i"},
                {"level": "ok", "area": "budgets", "subject": "j", "message": "k", "advice": null},
            ],
            "ok": false,
        });
        assert_eq!(document, expected);
    }
}
