//! What a node says in the log about its own end, and what macros count on it.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::Node;
use crate::config::Settings;
use crate::service::Service;
use crate::{Budget, ServiceId};

/// Keeps the message of every line that is logged on this thread.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<String>>);

impl Lines {
    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Message<'a>(&'a mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            writeln!(self.0, "{value:?}").expect("a string takes every line");
        }
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Message(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

const WARNING: &str = "a node was dropped without a finished shutdown";

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_is_no_node_that_was_dropped() {
    let lines = Lines::default();
    let _log = tracing::subscriber::set_default(lines.clone());
    let broken = Service::new(ServiceId::new("broken", 1), || async { Err::<(), _>("no database") });
    let broken = broken.exit_budget(Budget::exits().consecutive(1));
    Node::builder().service(broken).start().await.unwrap_err();
    let text = lines.text();
    assert!(text.contains("gave up") && !text.contains(WARNING), "{text}");
}

#[tokio::test]
async fn a_node_that_is_dropped_says_so() {
    let lines = Lines::default();
    let _log = tracing::subscriber::set_default(lines.clone());
    drop(Node::builder().start().await.unwrap());
    assert!(lines.text().contains(WARNING), "{}", lines.text());
}

#[tokio::test]
async fn macros_count_on_the_node_whose_recorder_they_use() {
    let node = Node::builder().start().await.unwrap();
    metrics::with_local_recorder(&node.view().recorder(), || {
        metrics::counter!("parcels_total", "site" => "north").increment(2);
    });
    let page = node.metrics_text();
    assert!(page.contains("parcels_total{site=\"north\"} 2"), "{page}");
    assert!(node.shutdown(std::time::Duration::from_secs(1)).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_try_to_start_takes_as_long_as_the_settings_say_unless_the_service_says_otherwise() {
    for (own, expected) in [(None, 2), (Some(5), 5)] {
        let flags = [("start_deadline".to_owned(), "2s".to_owned())];
        let settings = Settings::resolve(None, std::iter::empty(), &flags, None).expect("settings");
        let hangs = Service::new(
            ServiceId::new("hangs", 1),
            std::future::pending::<Result<(), Infallible>>,
        );
        let mut service = hangs.exit_budget(Budget::new(0, Duration::from_secs(1)));
        if let Some(own) = own {
            service = service.start_deadline(Duration::from_secs(own));
        }
        let begun = Instant::now();
        let started = Node::builder().settings(settings).service(service).start().await;
        started.expect_err("its start hangs");
        assert_eq!(begun.elapsed().as_secs(), expected);
    }
}
