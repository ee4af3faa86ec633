//! Streams over a bridge that loses, doubles and falls silent.

use std::sync::Arc;
use std::time::Duration;

use roadshow::bridges::{Envelope, Kind};
use roadshow::prelude::*;
use roadshow::{EventBridge, Executed, MemoryBus, StreamReader};
use tokio::time::Instant;

use super::pair::Pair;
use super::tampered::{Fate, narrow, tampered};
use super::tape::{Note, Play, next, note, opened, within};
use crate::lab::{builder, stop};

/// A pair with a bridge for each.
async fn pair(reads_on: Arc<dyn EventBridge>, feeds_on: Arc<dyn EventBridge>) -> Pair {
    let (reads, feeds) = (builder().event_bridge(reads_on), builder().event_bridge(feeds_on));
    Pair::of(reads, feeds, |s| s).await
}

/// A pair whose feeding node has its messages tampered with.
async fn feeding(tamper: impl Fn(&Envelope) -> Fate + Send + Sync + 'static) -> Pair {
    let bus = MemoryBus::default();
    pair(tampered(&bus, |_| Fate::Passes), tampered(&bus, tamper)).await
}

/// A pair whose reading node has its messages tampered with.
async fn reading(tamper: impl Fn(&Envelope) -> Fate + Send + Sync + 'static) -> Pair {
    let bus = MemoryBus::default();
    pair(tampered(&bus, tamper), tampered(&bus, |_| Fate::Passes)).await
}

/// Reads to the end: how many items came, in order, and what came last.
async fn read(reader: &mut StreamReader<Note>) -> (u64, Option<Failure>) {
    let mut items = 0;
    while let Some(item) = within(reader.next()).await {
        match item {
            Ok(item) => assert_eq!(item, note(items)),
            Err(failure) => return (items, Some(failure)),
        }
        items += 1;
    }
    (items, None)
}

#[tokio::test]
async fn a_lost_frame_ends_the_stream_and_cancels_the_handler() {
    let is_seventh = |envelope: &Envelope| envelope.kind == Kind::Frame && envelope.sequence == 7;
    let pair = feeding(move |envelope| {
        if is_seventh(envelope) {
            Fate::IsLost
        } else {
            Fate::Passes
        }
    })
    .await;
    let mut reader = opened(&pair.reads, Play::endless()).await;
    let (items, failure) = read(&mut reader).await;
    let failure = failure.unwrap();
    assert_eq!((items, failure.message.as_ref()), (6, "frame 7 was lost"));
    assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::Unknown));
    pair.ledger.wait_for("unsent", 1).await;
    pair.stop().await;
}

#[tokio::test]
async fn a_lost_last_frame_is_missed_at_the_end() {
    let is_last = |envelope: &Envelope| envelope.kind == Kind::Frame && envelope.sequence == 9;
    let pair = feeding(move |envelope| if is_last(envelope) { Fate::IsLost } else { Fate::Passes }).await;
    let mut reader = opened(&pair.reads, Play::numbers(9)).await;
    let (items, failure) = read(&mut reader).await;
    assert_eq!((items, failure.unwrap().message.as_ref()), (8, "frame 9 was lost"));
    pair.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_frame_of_a_stream_that_falls_quiet_is_missed_at_its_next_heartbeat() {
    let is_last = |envelope: &Envelope| envelope.kind == Kind::Frame && envelope.sequence == 3;
    let pair = feeding(move |envelope| if is_last(envelope) { Fate::IsLost } else { Fate::Passes }).await;
    let mut reader = opened(&pair.reads, Play { n: 3, ..Play::held() }).await;
    let (items, failure) = read(&mut reader).await;
    assert_eq!((items, failure.unwrap().message.as_ref()), (2, "frame 3 was lost"));
    pair.ledger.wait_for("cancelled", 1).await;
    pair.stop().await;
}

#[tokio::test]
async fn what_comes_twice_is_read_once() {
    let bus = MemoryBus::default();
    let twice = |envelope: &Envelope| match envelope.kind {
        Kind::Frame | Kind::Credit | Kind::End | Kind::Accept | Kind::Heartbeat => Fate::Twice,
        _ => Fate::Passes,
    };
    let pair = pair(tampered(&bus, twice), tampered(&bus, twice)).await;
    let mut reader = opened(&pair.reads, Play::numbers(500)).await;
    assert_eq!(read(&mut reader).await, (500, None));
    pair.stop().await;
}

#[tokio::test(start_paused = true)]
async fn credits_that_are_lost_are_said_again() {
    let is_credit = |envelope: &Envelope| envelope.kind == Kind::Credit;
    let pair = reading(move |envelope| {
        if is_credit(envelope) {
            Fate::IsLost
        } else {
            Fate::Passes
        }
    })
    .await;
    let mut reader = opened(&pair.reads, Play::numbers(200)).await;
    assert_eq!(read(&mut reader).await, (200, None));
    pair.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_falls_silent_ends_the_stream_within_its_time() {
    let is_heartbeat = |envelope: &Envelope| envelope.kind == Kind::Heartbeat;
    let pair = feeding(move |envelope| {
        if is_heartbeat(envelope) {
            Fate::IsLost
        } else {
            Fate::Passes
        }
    })
    .await;
    let mut reader = opened(&pair.reads, Play::held()).await;
    let started = Instant::now();
    let failure = next(&mut reader).await.unwrap().unwrap_err();
    assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::Unknown));
    assert_eq!(started.elapsed().as_secs(), 15);
    pair.ledger.wait_for("cancelled", 1).await;
    pair.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_falls_silent_cancels_the_handler() {
    let silent = |envelope: &Envelope| matches!(envelope.kind, Kind::Heartbeat | Kind::Credit);
    let pair = reading(move |envelope| if silent(envelope) { Fate::IsLost } else { Fate::Passes }).await;
    let reader = opened(&pair.reads, Play::held()).await;
    let started = Instant::now();
    pair.ledger.wait_for("cancelled", 1).await;
    assert_eq!(started.elapsed().as_secs(), 15);
    drop(reader);
    pair.stop().await;
}

#[tokio::test]
async fn a_node_that_is_gone_ends_its_streams() {
    let pair = feeding(|_| Fate::Passes).await;
    let mut reader = opened(&pair.reads, Play { n: 1, ..Play::held() }).await;
    assert_eq!(next(&mut reader).await, Some(Ok(note(0))));
    drop(pair.feeds);
    let ended = tokio::time::timeout(Duration::from_secs(20), reader.next())
        .await
        .unwrap();
    let failure = ended.unwrap().unwrap_err();
    assert_eq!(failure.code, Code::Unavailable, "{failure}");
    stop(pair.reads).await;
}

#[tokio::test]
async fn a_frame_beyond_the_limit_of_the_bridge_is_a_failure_that_names_it() {
    let bus = MemoryBus::default();
    let pair = pair(tampered(&bus, |_| Fate::Passes), narrow(&bus, 500)).await;
    let play = Play {
        bytes: 1_000,
        ..Play::numbers(2)
    };
    let mut reader = opened(&pair.reads, play).await;
    let failure = next(&mut reader).await.unwrap().unwrap_err();
    assert_eq!(
        (failure.message.as_ref(), failure.executed),
        ("frame too large", Executed::Yes)
    );
    assert_eq!(failure.details.unwrap()["limit"], 500);
    pair.ledger.wait_for("gone", 1).await;
    pair.stop().await;
}
