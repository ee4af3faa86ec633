//! The report as a picture: one SVG without scripts, links or fonts of its own, on a background of its own, so that it
//! looks the same on a light page and on a dark one.
//!
//! Every row is a group: rates as bars on a linear axis from nought, because a bar is read by its length; latencies as
//! marks on a logarithmic one, because they span decades. Colours are told apart by people who see few of them, and what
//! they say is in words too.

mod axis;
mod svg;

use axis::{Linear, Log};
use svg::{Anchor, Svg};

use super::contender::nanoseconds;
use super::report::{Bar, Measured, Report, Row};
use super::table::label;
use super::units::{rate, short_time};

const STYLE: &str = "text{font-family:sans-serif;font-size:13px;fill:#57606a}\
    .title{font-size:21px;font-weight:bold;fill:#1f2328}.name{font-size:15px;font-weight:bold;fill:#1f2328}\
    .value{fill:#1f2328;stroke:#fff;stroke-width:3px;paint-order:stroke}.head{font-weight:bold;fill:#1f2328}\
    .page{fill:#fff;stroke:#d0d7de}.band{fill:#f6f8fa}.grid{stroke:#d8dee4}.axis{stroke:#57606a}\
    .ours{fill:#0969da}.theirs{fill:#8c959f}.ours-line{stroke:#0969da;stroke-width:2}\
    .theirs-line{stroke:#8c959f;stroke-width:2}.ours-ring{fill:#fff;stroke:#0969da;stroke-width:2}\
    .theirs-ring{fill:#fff;stroke:#8c959f;stroke-width:2}.bar{stroke:#bc4c00;stroke-width:3}\
    .reached{fill:#1a7f37}.missed{fill:#cf222e}";

const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 24.0;
/// The first row.
const TOP: f64 = 156.0;
const ROW: f64 = 58.0;
/// Below the last row: the axes' numbers, and two lines.
const BOTTOM: f64 = 92.0;
const RATES: Span = Span { from: 318.0, to: 600.0 };
const VERDICTS: f64 = 682.0;
const LATENCIES: Span = Span {
    from: 856.0,
    to: 1168.0,
};
const BAR_HEIGHT: f64 = 18.0;
/// The room of a number beside its bar.
const NUMBER: f64 = 64.0;
/// The most decades that all have their number below; of more, every other has.
const DECADES: usize = 6;

/// A piece of the page's width.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: f64,
    to: f64,
}

impl Span {
    fn at(self, part: f64) -> f64 {
        self.from + part * (self.to - self.from)
    }
}

/// Draws a report.
pub(super) fn render(report: &Report) -> String {
    let machine = &report.machine;
    let bottom = TOP + ROW * report.rows.len() as f64;
    let (rates, latencies) = axes(&report.rows);
    let title = format!("roadshow bench: {}", machine.title());
    let mut svg = Svg::begin(WIDTH, bottom + BOTTOM, STYLE, &title);
    svg.rectangle("page", [0.5, 0.5], [WIDTH - 1.0, bottom + BOTTOM - 1.0]);
    svg.text("title", [MARGIN, 40.0], Anchor::Start, &title);
    let surroundings = format!("{}; {}", machine.versions(), machine.others());
    svg.text("", [MARGIN, 62.0], Anchor::Start, &surroundings);
    legend(&mut svg);
    for (n, _) in report.rows.iter().enumerate().step_by(2) {
        svg.rectangle("band", [1.0, TOP + ROW * n as f64], [WIDTH - 2.0, ROW]);
    }
    grid(&mut svg, bottom, rates, latencies);
    for (n, row) in report.rows.iter().enumerate() {
        let middle = TOP + ROW * (n as f64 + 0.5);
        svg.begin_group(&in_words(row));
        labels(&mut svg, row, middle);
        bars(&mut svg, row, middle, rates);
        marks(&mut svg, row, middle, latencies);
        svg.end_group();
    }
    let note = "Both sides in turn in one run, each on two workers; rates are medians of five rounds, latencies are from \
                HDR histograms of a pass of their own.";
    svg.text("", [MARGIN, bottom + 74.0], Anchor::Start, note);
    svg.end()
}

/// The axes that hold every value and every bar to reach.
fn axes(rows: &[Row]) -> (Linear, Log) {
    let mut rate_max: f64 = 0.0;
    let (mut least, mut most) = (u64::MAX, 0);
    for row in rows {
        let to_reach = rate_to_reach(row).unwrap_or(0.0);
        rate_max = rate_max.max(row.per_second).max(row.baseline_per_second).max(to_reach);
        least = least.min(row.p50_ns).min(row.baseline_p50_ns);
        most = most.max(row.max_ns).max(row.baseline_max_ns);
        most = most.max(p50_to_reach(row).unwrap_or(0));
    }
    (Linear::holding(rate_max), Log::holding(least.min(most), most))
}

/// The rate that reaches the row's bar, where the bar is about a rate or what follows from it.
fn rate_to_reach(row: &Row) -> Option<f64> {
    let rate = match (row.bar?, row.compares) {
        (Bar::PerSecondAtLeast(least), _) => least,
        (Bar::RatioAtLeast(least), Measured::Throughput) => row.baseline_per_second * least,
        (Bar::RatioAtMost(most), Measured::MeanTime) => row.baseline_per_second / most,
        _ => return None,
    };
    rate.is_finite().then_some(rate)
}

/// The median latency that reaches the row's bar, where the bar is about it.
fn p50_to_reach(row: &Row) -> Option<u64> {
    match (row.bar?, row.compares) {
        (Bar::P50AtMost(most), _) => Some(nanoseconds(most)),
        (Bar::RatioAtMost(most), Measured::MedianTime) => Some((row.baseline_p50_ns as f64 * most) as u64),
        _ => None,
    }
}

fn legend(svg: &mut Svg) {
    let y = 96.0;
    let mut item = |x: f64, text: &str, mark: &dyn Fn(&mut Svg, [f64; 2])| {
        mark(svg, [x, y - 4.5]);
        svg.text("", [x + 16.0, y], Anchor::Start, text);
    };
    item(MARGIN + 6.0, "roadshow", &|svg, [x, y]| {
        svg.rectangle("ours", [x - 6.0, y - 6.0], [16.0, 12.0]);
    });
    item(126.0, "baseline", &|svg, [x, y]| {
        svg.rectangle("theirs", [x - 6.0, y - 6.0], [16.0, 12.0]);
    });
    item(RATES.from, "what is to be reached", &|svg, [x, y]| {
        svg.line("bar", [x + 4.0, y - 8.0], [x + 4.0, y + 8.0]);
    });
    item(LATENCIES.from, "p50", &|svg, at| svg.circle("ours", at, 5.0));
    item(LATENCIES.from + 66.0, "p99", &|svg, at| svg.diamond("ours", at, 6.0));
    item(LATENCIES.from + 132.0, "p99.9", &|svg, at| {
        svg.circle("ours-ring", at, 4.0);
    });
    item(LATENCIES.from + 208.0, "longest", &|svg, [x, y]| {
        svg.line("ours-line", [x, y - 6.0], [x, y + 6.0]);
    });
}

fn grid(svg: &mut Svg, bottom: f64, rates: Linear, latencies: Log) {
    let head = TOP - 22.0;
    svg.text("head", [MARGIN, head], Anchor::Start, "what, beside what");
    svg.text(
        "head",
        [RATES.from, head],
        Anchor::Start,
        "calls, events, restarts per second",
    );
    svg.text("head", [VERDICTS, head], Anchor::Start, "roadshow to baseline");
    svg.text("head", [LATENCIES.from, head], Anchor::Start, "latency, logarithmic");
    for (n, value) in rates.ticks().into_iter().enumerate() {
        let x = RATES.at(rates.at(value));
        let class = if n == 0 { "axis" } else { "grid" };
        svg.line(class, [x, TOP - 8.0], [x, bottom + 6.0]);
        svg.text("", [x, bottom + 22.0], Anchor::Middle, &tick_rate(value));
    }
    svg.text("", [RATES.at(0.5), bottom + 42.0], Anchor::Middle, "per second");
    let decades = latencies.ticks();
    let every = if decades.len() > DECADES { 2 } else { 1 };
    for (n, value) in decades.into_iter().enumerate() {
        let x = LATENCIES.at(latencies.at(value));
        svg.line("grid", [x, TOP - 8.0], [x, bottom + 6.0]);
        if n % every == 0 {
            svg.text("", [x, bottom + 22.0], Anchor::Middle, &short_time(value));
        }
    }
    let time = "from call to answer, from event to arrival";
    svg.text("", [LATENCIES.at(0.5), bottom + 42.0], Anchor::Middle, time);
}

/// A round rate without digits that say nothing.
fn tick_rate(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value >= 1e6 => format!("{} M", (value / 1e5).round() / 10.0),
        value if value >= 1e3 => format!("{} k", (value / 1e2).round() / 10.0),
        value => format!("{value}"),
    }
}

/// The name of a row on the left, and how it compares in the middle.
fn labels(svg: &mut Svg, row: &Row, middle: f64) {
    svg.text("name", [MARGIN, middle - 4.0], Anchor::Start, &label(row));
    let beside = format!("{} in flight, beside {}", row.in_flight, row.baseline);
    svg.text("", [MARGIN, middle + 14.0], Anchor::Start, &beside);
    let compared = match row.compares {
        Measured::Throughput => "rate",
        Measured::MeanTime => "mean time",
        Measured::MedianTime => "median time",
    };
    let ratio = format!("{:.2} × its {compared}", row.ratio);
    svg.text("name", [VERDICTS, middle - 4.0], Anchor::Start, &ratio);
    if let Some(bar) = row.bar {
        let verdict = format!("{}: {}", bar.wanted(), bar.verdict(row));
        svg.text(bar.verdict(row), [VERDICTS, middle + 14.0], Anchor::Start, &verdict);
    }
}

/// Ours above the baseline's, from nought.
fn bars(svg: &mut Svg, row: &Row, middle: f64, axis: Linear) {
    let sides = [
        ("ours", row.per_second, middle - BAR_HEIGHT - 1.0),
        ("theirs", row.baseline_per_second, middle + 1.0),
    ];
    let width = |value: f64| RATES.at(axis.at(value)) - RATES.from;
    for (class, value, top) in sides {
        svg.rectangle(class, [RATES.from, top], [width(value).max(1.0), BAR_HEIGHT]);
    }
    let to_reach = rate_to_reach(row).map(width);
    if let Some(x) = to_reach {
        let x = RATES.from + x;
        svg.line("bar", [x, middle - BAR_HEIGHT - 6.0], [x, middle + 1.0]);
    }
    for (class, value, top) in sides {
        let end = width(value);
        // A number that would cover what is to be reached stands behind it.
        let covered = to_reach.filter(|x| class == "ours" && (end..end + NUMBER).contains(x));
        let at = [RATES.from + covered.unwrap_or(end) + 6.0, top + 14.0];
        svg.text("value", at, Anchor::Start, &format!("{}/s", rate(value)));
    }
}

/// Ours above the baseline's: from the median to the longest, with a mark for each percentile.
fn marks(svg: &mut Svg, row: &Row, middle: f64, axis: Log) {
    let ours = [row.p50_ns, row.p99_ns, row.p999_ns, row.max_ns];
    let theirs = [
        row.baseline_p50_ns,
        row.baseline_p99_ns,
        row.baseline_p999_ns,
        row.baseline_max_ns,
    ];
    let x = |nanoseconds| LATENCIES.at(axis.at(nanoseconds));
    if let Some(most) = p50_to_reach(row) {
        svg.line("bar", [x(most), middle - 22.0], [x(most), middle]);
    }
    let sides = [
        (["ours", "ours-line", "ours-ring"], ours, middle - 11.0),
        (["theirs", "theirs-line", "theirs-ring"], theirs, middle + 11.0),
    ];
    for ([full, line, ring], [p50, p99, p999, max], y) in sides {
        svg.line(line, [x(p50), y], [x(max), y]);
        svg.line(line, [x(max), y - 6.0], [x(max), y + 6.0]);
        svg.circle(ring, [x(p999), y], 4.0);
        svg.diamond(full, [x(p99), y], 6.0);
        svg.circle(full, [x(p50), y], 5.0);
        svg.text("value", [x(p50) - 9.0, y + 4.5], Anchor::End, &short_time(p50));
    }
}

/// What a viewer shows when it is pointed at a row.
fn in_words(row: &Row) -> String {
    format!(
        "{}, {} in flight: {}/s, p50 {}, p99 {}, p99.9 {}, longest {}; {}: {}/s, p50 {}, p99 {}, p99.9 {}, longest {}",
        row.name,
        row.in_flight,
        rate(row.per_second),
        short_time(row.p50_ns),
        short_time(row.p99_ns),
        short_time(row.p999_ns),
        short_time(row.max_ns),
        row.baseline,
        rate(row.baseline_per_second),
        short_time(row.baseline_p50_ns),
        short_time(row.baseline_p99_ns),
        short_time(row.baseline_p999_ns),
        short_time(row.baseline_max_ns),
    )
}

#[cfg(test)]
mod tests;
