//! Clients that take their time, on purpose or not.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::stage::Staged;
use crate::wire::{Wire, get, post};

const SHORT: Duration = Duration::from_secs(1);

fn connections(most: usize) -> NonZeroUsize {
    NonZeroUsize::new(most).expect("not zero")
}

#[tokio::test]
async fn who_sends_a_head_slowly_is_cut_while_others_are_served() {
    let staged = Staged::with(|gateway| gateway.header_timeout(SHORT)).await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut wire = Wire::connect(staged.at).await;
        wire.send("GET /healthz HTTP/1.1\r\nho").await;
        slow.push(wire);
    }
    assert_eq!(get(staged.at, "/healthz").await.status, 200);
    for mut wire in slow {
        wire.closed().await;
    }
    assert_eq!(get(staged.at, "/healthz").await.status, 200);
    staged.end().await;
}

#[tokio::test]
async fn who_sends_a_body_slowly_is_told_and_cut() {
    let staged = Staged::with(|gateway| gateway.body_timeout(SHORT)).await;
    let mut wire = Wire::connect(staged.at).await;
    wire.send(
        "POST /api/v1/users HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{",
    )
    .await;
    assert_eq!(get(staged.at, "/healthz").await.status, 200);
    let answer = wire.answer().await;
    assert_eq!(
        (answer.status, &answer.json()["code"], &answer.json()["executed"]),
        (408, &"timeout".into(), &"no".into())
    );
    assert_eq!(answer.header("connection"), Some("close"));
    wire.closed().await;
    staged.end().await;
}

#[tokio::test]
async fn who_reads_nothing_is_cut_and_the_slot_is_free_again() {
    let staged = Staged::with(|gateway| gateway.write_timeout(SHORT).connections(connections(1))).await;
    let mut greedy = Wire::connect(staged.at).await;
    greedy
        .send("GET /api/v1/blob?bytes=67108864 HTTP/1.1\r\nhost: h\r\n\r\n")
        .await;
    // There is one slot: that this is answered shows that it came free.
    assert_eq!(get(staged.at, "/healthz").await.status, 200);
    greedy.closed().await;
    staged.end().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_slot() {
    let staged = Staged::with(|gateway| gateway.connections(connections(2))).await;
    let mut first = Wire::connect(staged.at).await;
    let mut second = Wire::connect(staged.at).await;
    for wire in [&mut first, &mut second] {
        wire.send(post("/api/v1/users", r#"{"name":"Ada","email":"a@b"}"#))
            .await;
        assert_eq!(wire.answer().await.status, 201);
    }
    let mut third = Wire::connect(staged.at).await;
    third.send("GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n").await;
    drop(first);
    assert_eq!(third.answer().await.status, 200);
    drop(second);
    staged.end().await;
}

#[tokio::test]
async fn a_crowd_that_comes_at_once_waits_in_the_queue_of_the_system() {
    let staged = Staged::with(|gateway| gateway.connections(connections(1))).await;
    let mut first = Wire::connect(staged.at).await;
    first
        .send(post("/api/v1/users", r#"{"name":"Ada","email":"a@b"}"#))
        .await;
    assert_eq!(first.answer().await.status, 201);
    let mut crowd = Vec::new();
    for _ in 0..500 {
        let mut wire = Wire::connect(staged.at).await;
        // In two pieces: a system whose queue overflows resets a connection that sends more than once before it is accepted.
        wire.send("GET /healthz HTTP/1.1\r\nhost: h\r\n").await;
        wire.send("connection: close\r\n\r\n").await;
        crowd.push(wire);
    }
    // Nobody had to wait until it was let go.
    first.send("GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n").await;
    assert_eq!(first.answer().await.status, 200);
    drop(first);
    for mut wire in crowd {
        assert_eq!(wire.answer().await.status, 200);
    }
    staged.end().await;
}
