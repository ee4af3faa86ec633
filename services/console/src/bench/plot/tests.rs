//! The picture, read back as XML.

use std::time::Duration;

use roxmltree::{Document, Node};

use super::super::load::Load;
use super::super::machine::Machine;
use super::super::report::tests::row;
use super::*;

fn report(rows: Vec<Row>) -> Report {
    Report {
        machine: Machine::this(Load::default()),
        rows,
    }
}

fn restart() -> Row {
    Row {
        name: "restart",
        per_second: 90_000.0,
        p50_ns: 10_000,
        compares: Measured::MedianTime,
        bar: Some(Bar::P50AtMost(Duration::from_micros(100))),
        ..row()
    }
}

fn groups<'a>(document: &'a Document<'a>) -> Vec<Node<'a, 'a>> {
    let shapes = document.root_element().children();
    shapes.filter(|node| node.has_tag_name("g")).collect()
}

fn with_class<'a>(group: &Node<'a, 'a>, class: &str) -> Vec<Node<'a, 'a>> {
    let shapes = group.children();
    shapes.filter(|node| node.attribute("class") == Some(class)).collect()
}

fn number(node: &Node<'_, '_>, name: &str) -> f64 {
    let text = node.attribute(name).expect("an attribute");
    text.parse().expect("a number")
}

#[test]
fn every_row_is_one_group_with_its_name_and_its_verdict() {
    let text = render(&report(vec![row(), restart()]));
    let document = Document::parse(&text).expect("well-formed XML");
    let groups = groups(&document);
    assert_eq!(groups.len(), 2);
    for (group, words) in groups.iter().zip([
        [
            "local_call",
            "64 in flight, beside ractor_call",
            "3.00 × its rate",
            "ratio ≥ 3: reached",
        ],
        [
            "restart",
            "64 in flight, beside ractor_call",
            "3.00 × its median time",
            "p50 ≤ 100 µs: reached",
        ],
    ]) {
        let texts: Vec<_> = group.children().filter_map(|node| node.text()).collect();
        for word in words {
            assert!(texts.contains(&word), "{word} in {texts:?}");
        }
    }
}

#[test]
fn bars_are_as_long_as_rates_are_high_and_the_bar_to_reach_is_where_it_is() {
    let text = render(&report(vec![row()]));
    let document = Document::parse(&text).expect("well-formed XML");
    let group = groups(&document)[0];
    let width = |class| {
        let shapes = with_class(&group, class);
        let bar = shapes.iter().find(|shape| shape.has_tag_name("rect")).expect("a bar");
        number(bar, "width")
    };
    assert!((width("ours") / width("theirs") - 3.0).abs() < 0.01);
    let to_reach = with_class(&group, "bar");
    assert_eq!(to_reach.len(), 1);
    assert!((number(&to_reach[0], "x1") - (RATES.from + width("ours"))).abs() < 0.2);
}

#[test]
fn a_bar_about_latency_stands_among_the_latencies() {
    let text = render(&report(vec![restart()]));
    let document = Document::parse(&text).expect("well-formed XML");
    let group = groups(&document)[0];
    let to_reach = with_class(&group, "bar");
    assert_eq!(to_reach.len(), 1);
    let p50 = with_class(&group, "ours")
        .into_iter()
        .find(|shape| shape.has_tag_name("circle"));
    let p50 = number(&p50.expect("a mark"), "cx");
    assert!(p50 > LATENCIES.from && p50 < number(&to_reach[0], "x1"));
}

#[test]
fn latencies_stand_in_their_order_within_the_page() {
    let text = render(&report(vec![row()]));
    let document = Document::parse(&text).expect("well-formed XML");
    let group = groups(&document)[0];
    let p50 = with_class(&group, "ours")
        .into_iter()
        .find(|shape| shape.has_tag_name("circle"));
    let p999 = with_class(&group, "ours-ring");
    let longest = with_class(&group, "ours-line");
    let places = [
        number(&p50.expect("p50"), "cx"),
        number(&p999[0], "cx"),
        number(&longest[0], "x2"),
        WIDTH,
    ];
    assert!(places.is_sorted_by(|one, other| one < other), "{places:?}");
}

#[test]
fn a_number_stands_behind_what_is_to_be_reached_and_not_on_it() {
    let missed = Row {
        per_second: 5.9e6,
        ..row()
    };
    let text = render(&report(vec![missed]));
    let document = Document::parse(&text).expect("well-formed XML");
    let group = groups(&document)[0];
    let to_reach = number(&with_class(&group, "bar")[0], "x1");
    let numbers = with_class(&group, "value");
    let ours = numbers.iter().find(|node| node.text() == Some("5.90 M/s"));
    assert!(number(ours.expect("a number"), "x") > to_reach);
}

#[test]
fn decades_that_are_close_together_have_every_other_number() {
    let wide = Row {
        baseline_max_ns: 200_000_000,
        ..row()
    };
    for (row, least, next) in [(row(), "10 ns", true), (wide, "10 ns", false)] {
        let text = render(&report(vec![row]));
        assert!(text.contains(&format!(">{least}</text>")), "{text}");
        assert_eq!(text.contains(">10 µs</text>"), next, "{text}");
    }
}

#[test]
fn whatever_a_machine_calls_itself_stays_text() {
    let mut report = report(vec![row()]);
    report.machine.cpu = "<script>alert(1)</script> & \"7\"\u{8}".to_owned();
    let text = render(&report);
    let document = Document::parse(&text).expect("well-formed XML");
    assert!(document.descendants().all(|node| !node.has_tag_name("script")));
    let title = document
        .root_element()
        .first_element_child()
        .and_then(|title| title.text());
    assert!(title.is_some_and(|title| title.contains("<script>alert(1)</script> & \"7\"\u{fffd}")));
}

#[test]
fn nothing_is_fetched_and_nothing_runs() {
    let text = render(&report(vec![row(), restart()]));
    let document = Document::parse(&text).expect("well-formed XML");
    for node in document.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        assert!(
            ["svg", "title", "style", "g", "rect", "line", "circle", "path", "text"].contains(&name),
            "{name}"
        );
        for attribute in node.attributes() {
            assert!(!attribute.name().starts_with("on") && !attribute.name().contains("href"));
            assert!(!attribute.value().contains("url("));
        }
    }
    assert!(!STYLE.contains("url(") && !STYLE.contains('@'));
}

#[test]
fn numbers_that_are_none_do_not_break_the_picture() {
    let odd = Row {
        per_second: 0.0,
        baseline_per_second: f64::NAN,
        ratio: f64::INFINITY,
        p50_ns: 0,
        max_ns: 0,
        ..row()
    };
    for rows in [vec![], vec![odd]] {
        let text = render(&report(rows));
        Document::parse(&text).expect("well-formed XML");
        assert!(!text.contains("\"NaN\"") && !text.contains("\"inf\""), "{text}");
    }
}
