//! The probe: every start and every end of a handler stands in the ledger, with the truth about it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, FromArgMatches};
use roadshow_demo::probe::{Count, ProbeFlags, Run, probe};
use roadshow_services::{AnyService, Code, Executed, Node};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Stage {
    node: Node,
    path: PathBuf,
    _folder: TempDir,
}

impl Stage {
    async fn new(codec_always: bool, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger");
        let ledger = path.to_str().expect("a path in UTF-8");
        let line = [&["up", "--probe", ledger], more].concat();
        let command = ProbeFlags::augment_args(clap::Command::new("up"));
        let matches = command.try_get_matches_from(line).expect("flags");
        let flags = ProbeFlags::from_arg_matches(&matches).expect("flags");
        let service: Arc<dyn AnyService> = Arc::new(probe(flags).expect("a probe"));
        let node = super::node(codec_always, [service]).await;
        Self {
            node,
            path,
            _folder: folder,
        }
    }

    fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.path).expect("a ledger");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a whole line"))
            .collect()
    }

    /// The lines, once there are `count` of them.
    async fn written(&self, count: usize) -> Vec<Value> {
        let mut look = tokio::time::interval(Duration::from_millis(2));
        let wait = async {
            loop {
                look.tick().await;
                let lines = self.lines();
                if lines.len() >= count {
                    return lines;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait)
            .await
            .unwrap_or_else(|_| panic!("{count} lines, there are {:?}", self.lines()))
    }

    async fn end(self) {
        assert!(self.node.shutdown(Duration::from_secs(5)).await.is_clean());
    }
}

fn run(body: Value) -> Run {
    serde_json::from_value(body).expect("a body")
}

fn story(lines: &[Value]) -> Vec<(&str, &str, Option<&str>)> {
    lines
        .iter()
        .map(|line| {
            (
                line["id"].as_str().expect("an id"),
                line["phase"].as_str().expect("a phase"),
                line["outcome"].as_str(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_call_writes_where_it_starts_and_how_it_ends() {
    for codec_always in [false, true] {
        let stage = Stage::new(codec_always, &[]).await;
        let body = json!({"id": "a", "key": "k", "sleep_ms": 1, "reply_bytes": 3, "unknown": {}});
        let ran = stage.node.client().call(run(body)).await.expect("an answer");
        assert_eq!((ran.filling.as_deref(), ran.key.as_deref()), (Some("xxx"), Some("k")));
        let lines = stage.lines();
        assert_eq!(story(&lines), [("a", "start", None), ("a", "end", Some("ok"))]);
        for line in &lines {
            assert_eq!((&line["kind"], &line["attempt"]), (&json!("command"), &json!(1)));
            assert!(line["t_ms"].as_u64().is_some_and(|t| t > 1_600_000_000_000), "{line}");
            assert!(
                line.as_object()
                    .is_some_and(|line| line.contains_key("fence") && line.contains_key("incarnation"))
            );
        }
        stage.end().await;
    }
}

#[tokio::test]
async fn a_failure_is_answered_with_the_code_that_was_asked_for() {
    let stage = Stage::new(false, &[]).await;
    let failure = stage
        .node
        .client()
        .call(run(json!({"id": "a", "fail": "conflict"})))
        .await
        .expect_err("a failure");
    assert_eq!((failure.code, failure.executed), (Code::Conflict, Executed::Yes));
    assert_eq!(
        story(&stage.lines()),
        [("a", "start", None), ("a", "end", Some("conflict"))]
    );
    stage.end().await;
}

#[tokio::test]
async fn a_panic_is_answered_as_internal_and_the_next_call_is_served() {
    let stage = Stage::new(false, &[]).await;
    let failure = stage
        .node
        .client()
        .call(run(json!({"id": "a", "panic": true})))
        .await
        .expect_err("a panic");
    assert_eq!((failure.code, failure.executed), (Code::Internal, Executed::Unknown));
    let ran = stage
        .node
        .client()
        .call(run(json!({"id": "b"})))
        .await
        .expect("an answer");
    assert_eq!(ran.incarnation, 2);
    let lines = stage.lines();
    assert_eq!(story(&lines)[..2], [("a", "start", None), ("a", "end", Some("panic"))]);
    stage.end().await;
}

#[tokio::test]
async fn a_nested_call_runs_inside_the_first() {
    let stage = Stage::new(true, &[]).await;
    let body = json!({"id": "a", "then_call": {"id": "b", "then_call": {"id": "c", "fail": "not_found"}}});
    let failure = stage.node.client().call(run(body)).await.expect_err("a failure");
    assert_eq!(failure.code, Code::NotFound);
    let lines = stage.lines();
    let phases: Vec<_> = story(&lines)
        .iter()
        .map(|(id, phase, _)| format!("{id} {phase}"))
        .collect();
    assert_eq!(phases, ["a start", "b start", "c start", "c end", "b end", "a end"]);
    stage.end().await;
}

#[tokio::test]
async fn an_event_is_taken_by_the_durable_subscription_and_tried_again() {
    let stage = Stage::new(false, &[]).await;
    stage
        .node
        .client()
        .emit(run(json!({"id": "ok"})))
        .await
        .expect("emitted");
    let lines = stage.written(2).await;
    assert_eq!(lines[0]["kind"], "event");
    stage
        .node
        .client()
        .emit(run(json!({"id": "no", "fail": "unavailable"})))
        .await
        .expect("emitted");
    let lines = stage.written(6).await;
    let attempts: Vec<_> = lines[2..6].iter().map(|line| line["attempt"].clone()).collect();
    assert_eq!(attempts, [json!(1), json!(1), json!(2), json!(2)]);
    stage.end().await;
}

#[tokio::test]
async fn a_body_that_breaks_a_rule_is_refused_without_a_line() {
    let stage = Stage::new(false, &[]).await;
    let failure = stage
        .node
        .client()
        .call(run(json!({"id": ""})))
        .await
        .expect_err("no id");
    assert_eq!(failure.code, Code::Invalid);
    assert!(stage.lines().is_empty());
    stage.end().await;
}

#[tokio::test]
async fn the_flag_bounds_how_many_handlers_are_at_work() {
    let stage = Stage::new(false, &["--probe-concurrency", "2", "--probe-waiting", "1"]).await;
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..4 {
        let client = stage.node.client();
        let body = run(json!({"id": n.to_string(), "sleep_ms": 200}));
        calls.spawn(async move { client.call(body).await });
    }
    let results = calls.join_all().await;
    let refused: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!((refused[0].code, refused[0].executed), (Code::Exhausted, Executed::No));
    stage.end().await;
}

fn count(body: Value) -> Count {
    serde_json::from_value(body).expect("a body")
}

#[tokio::test]
async fn a_stream_counts_between_two_lines_and_ends_as_it_was_told() {
    for codec_always in [false, true] {
        let stage = Stage::new(codec_always, &[]).await;
        let client = stage.node.client();
        let three = client
            .open(count(json!({"n": 3, "every_ms": 1, "bytes": 2, "key": "k"})))
            .await
            .expect("open");
        let three = three.collect_all(3).await.expect("three");
        assert_eq!(
            three.iter().map(|counted| counted.number).collect::<Vec<_>>(),
            [1, 2, 3]
        );
        assert_eq!(three[2].filling.as_deref(), Some("xx"));
        let fails = client
            .open(count(json!({"id": "f", "n": 2, "sleep_ms": 1, "fail": "conflict"})))
            .await;
        let failure = fails.expect("open").collect_all(9).await.expect_err("told to fail");
        assert_eq!((failure.code, failure.executed), (Code::Conflict, Executed::Yes));
        let panics = client
            .open(count(json!({"id": "p", "n": 1, "panic": true, "sleep_ms": 1})))
            .await;
        let failure = panics.expect("open").collect_all(9).await.expect_err("told to panic");
        assert_eq!((failure.code, failure.executed), (Code::Internal, Executed::Unknown));
        let lines = stage.written(6).await;
        assert!(lines.iter().all(|line| line["kind"] == "stream"), "{lines:?}");
        let told = [
            ("count", "start", None),
            ("count", "end", Some("ok")),
            ("f", "start", None),
            ("f", "end", Some("conflict")),
            ("p", "start", None),
            ("p", "end", Some("panic")),
        ];
        assert_eq!(story(&lines), told);
        stage.end().await;
    }
}

#[tokio::test]
async fn a_stream_whose_consumer_goes_ends_its_count() {
    let stage = Stage::new(false, &["--probe-concurrency", "1"]).await;
    let client = stage.node.client();
    for body in [json!({"n": 1_u64 << 40}), json!({"n": 2, "every_ms": 3_600_000})] {
        let mut reader = client.open(count(body)).await.expect("open");
        assert_eq!(reader.next().await.expect("an item").expect("an item").number, 1);
        drop(reader);
    }
    let lines = stage.written(4).await;
    assert_eq!(
        (&lines[1]["outcome"], &lines[3]["outcome"]),
        (&json!("unavailable"), &json!("unavailable"))
    );
    stage.end().await;
}
