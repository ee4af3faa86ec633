//! Callers who hang up, and handlers that panic.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::SeqCst;

use tokio::time::timeout;

use crate::stage::Staged;
use crate::wire::{PATIENCE, Wire, ask, get, post};

#[tokio::test]
async fn a_handler_whose_caller_hangs_up_finishes_once_and_gives_its_permit_back() {
    let staged = Staged::start().await;
    let props = &staged.props;
    for round in 1..=3 {
        let mut wire = Wire::connect(staged.at).await;
        wire.send(post("/api/v1/linger", "{}")).await;
        props
            .until("it starts", |props| props.started.load(SeqCst) == round)
            .await;
        drop(wire);
        props
            .until("it learns that nobody waits", |props| {
                props.cancelled.load(SeqCst) == round
            })
            .await;
        assert_eq!(props.finished.load(SeqCst), round - 1, "it is not cut");
        props.release.add_permits(1);
        props
            .until("it finishes", |props| props.finished.load(SeqCst) == round)
            .await;
    }
    assert_eq!(
        props.started.load(SeqCst),
        3,
        "it has one permit, which came back each time"
    );
    staged.end().await;
}

#[tokio::test]
async fn a_call_that_waits_for_its_turn_is_forgotten_when_its_caller_hangs_up() {
    let staged = Staged::start().await;
    let props = &staged.props;
    let mut first = Wire::connect(staged.at).await;
    first.send(post("/api/v1/linger", "{}")).await;
    props
        .until("the first starts", |props| props.started.load(SeqCst) == 1)
        .await;
    let mut second = Wire::connect(staged.at).await;
    second.send(post("/api/v1/linger", "{}")).await;
    until_waiting(staged.at, 1).await;
    drop(second);
    until_waiting(staged.at, 0).await;
    drop(first);
    props.release.add_permits(2);
    props
        .until("the first finishes", |props| props.finished.load(SeqCst) == 1)
        .await;
    assert_eq!(get(staged.at, "/healthz").await.status, 200);
    assert_eq!(props.started.load(SeqCst), 1, "the second never started");
    staged.end().await;
}

/// Asks the metrics until as many calls of `linger` wait.
async fn until_waiting(at: SocketAddr, calls: u32) {
    let asking = async {
        loop {
            let page = get(at, "/metrics").await.text();
            let mut lines = page
                .lines()
                .filter(|line| line.starts_with("roadshow_waiting{") && line.contains("linger"));
            if lines.any(|line| line.ends_with(&format!(" {calls}"))) {
                return;
            }
        }
    };
    timeout(PATIENCE, asking)
        .await
        .expect("the number of waiting calls is reached in time");
}

#[tokio::test]
async fn a_panicking_handler_is_answered_and_the_gateway_goes_on() {
    let staged = Staged::start().await;
    for _ in 0..5 {
        let answer = ask(staged.at, &post("/api/v1/fail", r#"{"code":"panic"}"#)).await;
        assert_eq!(answer.status, 500);
        assert!(
            !answer.text().contains("as it was asked to"),
            "what it said stays inside: {}",
            answer.text()
        );
        assert_eq!(
            get(staged.at, "/api/v1/users/7").await.status,
            200,
            "waiting calls are not lost"
        );
    }
    staged.end().await;
}

#[tokio::test]
async fn who_has_said_its_last_word_still_gets_its_answer() {
    let staged = Staged::start().await;
    let props = &staged.props;
    let mut wire = Wire::connect(staged.at).await;
    wire.send(post("/api/v1/wait", r#"{"then":"done"}"#)).await;
    wire.finish_sending().await;
    props.until("it starts", |props| props.started.load(SeqCst) == 1).await;
    // Another request takes its time meanwhile, so that the end of the first has been seen.
    assert_eq!(get(staged.at, "/api/v1/users/7").await.status, 200);
    props.release.add_permits(1);
    let answer = wire.answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "\"done\""));
    wire.closed().await;
    staged.end().await;
}

#[tokio::test]
async fn who_is_gone_for_sure_is_not_waited_for() {
    let staged = Staged::start().await;
    let props = &staged.props;
    let mut wire = Wire::connect(staged.at).await;
    // An answer that is not read makes the system reset the connection when it is closed.
    wire.send("GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n").await;
    wire.send(post("/api/v1/linger", "{}")).await;
    props.until("it starts", |props| props.started.load(SeqCst) == 1).await;
    let gone = std::time::Instant::now();
    drop(wire);
    props
        .until("it learns that nobody waits", |props| props.cancelled.load(SeqCst) == 1)
        .await;
    assert!(
        gone.elapsed() < std::time::Duration::from_millis(900),
        "{:?}",
        gone.elapsed()
    );
    props.release.add_permits(1);
    props
        .until("it finishes", |props| props.finished.load(SeqCst) == 1)
        .await;
    staged.end().await;
}
