//! The metrics of a node as a whole: what its page says after something happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::strict::{self, Page};
use super::*;

const PING: [(&str, &str); 3] = [("service", "probe"), ("version", "1"), ("command", "ping")];

fn page(metrics: &NodeMetrics) -> Page {
    strict::parse(&metrics.render()).expect("the page is valid")
}

fn with<'a>(labels: &[(&'a str, &'a str)], further: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
    labels.iter().copied().chain([further]).collect()
}

#[test]
fn a_new_node_shows_what_it_is() {
    let settings = MetricsSettings {
        info: vec![("node", "a".to_owned())],
        ..MetricsSettings::default()
    };
    let page = page(&NodeMetrics::new(settings));
    let info = [("version", env!("CARGO_PKG_VERSION")), ("node", "a")];
    assert_eq!(page.value("roadshow_build_info", &info), Some(1.0));
    assert_eq!(page.value("roadshow_metrics_series_dropped_total", &[]), Some(0.0));
    #[cfg(target_os = "linux")]
    assert!(
        page.value("roadshow_process_resident_memory_bytes", &[])
            .is_some_and(|bytes| bytes > 0.0)
    );
}

#[test]
fn an_endpoint_shows_every_family_with_its_kind() {
    let metrics = NodeMetrics::default();
    let calls = metrics.endpoint("probe", 1, "ping");
    metrics.watch_load("probe", 1, "ping", || {
        Some(Load {
            in_flight: 3,
            waiting: 5,
        })
    });
    calls.record_ok(1_500);
    calls.record_answer(Outcome::Conflict, 40_000);
    calls.record_refused(Refusal::Full, Outcome::Exhausted);
    calls.record_waiting(2_000_000);
    calls.record_panic();
    calls.record_abandoned();
    metrics.record_restart("services", "probe", "panic");

    let page = page(&metrics);
    for (outcome, expected) in [("ok", 1.0), ("conflict", 1.0), ("exhausted", 1.0), ("timeout", 0.0)] {
        assert_eq!(
            page.value("roadshow_calls_total", &with(&PING, ("outcome", outcome))),
            Some(expected)
        );
    }
    assert_eq!(
        page.value("roadshow_refused_total", &with(&PING, ("reason", "full"))),
        Some(1.0)
    );
    assert_eq!(page.value("roadshow_handler_seconds_count", &PING), Some(2.0));
    assert_eq!(
        page.value("roadshow_handler_seconds_bucket", &with(&PING, ("le", "0.0000025"))),
        Some(1.0)
    );
    assert_eq!(page.value("roadshow_waiting_seconds_sum", &PING), Some(0.002));
    assert_eq!(page.value("roadshow_in_flight", &PING), Some(3.0));
    assert_eq!(page.value("roadshow_waiting", &PING), Some(5.0));
    assert_eq!(page.value("roadshow_handler_panics_total", &PING), Some(1.0));
    assert_eq!(page.value("roadshow_abandoned_total", &PING), Some(1.0));
    let restarts = [("supervisor", "services"), ("child", "probe"), ("cause", "panic")];
    assert_eq!(page.value("roadshow_supervisor_restarts_total", &restarts), Some(1.0));
    for (kind, family) in endpoints::FAMILIES {
        assert_eq!(page.kind(family), Some(kind.as_str()), "{family}");
    }
}

#[test]
fn an_endpoint_that_comes_back_goes_on_counting() {
    let metrics = NodeMetrics::default();
    metrics.endpoint("probe", 1, "ping").record_ok(10);
    metrics.endpoint("probe", 1, "ping").record_ok(10);
    assert_eq!(metrics.endpoint("probe", 1, "ping").calls(Outcome::Ok), 2);
    assert_eq!(metrics.endpoint("probe", 2, "ping").calls(Outcome::Ok), 0);
}

#[test]
fn the_load_of_an_endpoint_that_is_gone_is_not_shown() {
    let metrics = NodeMetrics::default();
    let endpoint = Arc::new(AtomicU64::new(7));
    let weak = Arc::downgrade(&endpoint);
    metrics.watch_load("probe", 1, "ping", move || {
        weak.upgrade().map(|n| Load {
            in_flight: n.load(Ordering::Relaxed),
            waiting: 0,
        })
    });
    assert_eq!(page(&metrics).value("roadshow_in_flight", &PING), Some(7.0));
    drop(endpoint);
    assert_eq!(page(&metrics).value("roadshow_in_flight", &PING), None);
}

#[test]
fn endpoints_beyond_the_limit_share_one_entry() {
    let metrics = NodeMetrics::new(MetricsSettings {
        endpoints: 2,
        ..MetricsSettings::default()
    });
    for version in 1..=5 {
        metrics.endpoint("probe", version, "ping").record_ok(1);
    }
    let page = page(&metrics);
    assert_eq!(page.count("roadshow_handler_seconds_count"), 3);
    assert_eq!(
        page.value("roadshow_handler_seconds_count", &[("overflow", "true")]),
        Some(3.0)
    );
}

#[test]
fn a_collector_is_asked_until_its_guard_is_dropped() {
    let metrics = NodeMetrics::default();
    let collect: fn(&mut Exposition) = |page| page.gauge("bridge_up", "Whether it is.", &[("bridge", "memory")], 1.0);
    let guard = metrics.register_collector(Box::new(collect)).expect("there is room");
    assert_eq!(page(&metrics).value("bridge_up", &[("bridge", "memory")]), Some(1.0));
    drop(guard);
    assert_eq!(page(&metrics).value("bridge_up", &[("bridge", "memory")]), None);
    metrics
        .register_collector(Box::new(collect))
        .expect("there is room")
        .keep();
    assert_eq!(page(&metrics).value("bridge_up", &[("bridge", "memory")]), Some(1.0));
}

#[test]
fn a_collector_that_panics_costs_only_its_own_samples() {
    let metrics = NodeMetrics::default();
    metrics
        .register_collector(Box::new(|_| panic!("broken on purpose")))
        .expect("there is room")
        .keep();
    metrics
        .register_collector(Box::new(|page| page.gauge("after", "", &[], 1.0)))
        .expect("there is room")
        .keep();
    assert_eq!(page(&metrics).value("after", &[]), Some(1.0));
}

#[test]
fn the_number_of_collectors_is_limited() {
    let metrics = NodeMetrics::default();
    let guards: Vec<_> = (0..300)
        .filter_map(|_| metrics.register_collector(Box::new(|_| {})).ok())
        .collect();
    assert_eq!(guards.len(), 256);
    assert_eq!(
        metrics.register_collector(Box::new(|_| {})).err(),
        Some(TooManyCollectors)
    );
}

#[test]
fn two_nodes_in_one_process_do_not_see_each_other() {
    let (one, other) = (NodeMetrics::default(), NodeMetrics::default());
    one.endpoint("probe", 1, "ping").record_ok(1);
    one.counter("seen", &[]).increment();
    assert_eq!(other.endpoint("probe", 1, "ping").calls(Outcome::Ok), 0);
    assert_eq!(page(&other).value("seen_total", &[]), None);
}

#[test]
fn counters_and_gauges_of_one_name_and_labels_are_one() {
    let metrics = NodeMetrics::default();
    metrics.counter("sent", &[("to", "a")]).add(2);
    metrics.counter("sent", &[("to", "a")]).add(3);
    metrics::GaugeFn::set(&*metrics.gauge("level", &[]), 4.0);
    let page = page(&metrics);
    assert_eq!(page.value("sent_total", &[("to", "a")]), Some(5.0));
    assert_eq!(page.value("level", &[]), Some(4.0));
}
