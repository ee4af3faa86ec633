//! Streams from one node to another over a bus: the same to the author and the consumer as in one process.

use std::sync::Arc;
use std::time::Duration;

use roadshow::prelude::*;
use roadshow::{CallOptions, Executed};

use super::pair::{HELD_BACK_AT, Pair};
use super::tape::{Narrow, Number, Play, cancels_in_time, next, note, opened, took, within};
use crate::lab::{Ledger, eventually, metric, stop};

const BOTH: [bool; 2] = [false, true];
#[tokio::test]
async fn items_cross_over_in_order_and_the_end_is_told() {
    for codec in BOTH {
        let pair = Pair::start(codec).await;
        let mut reader = opened(&pair.reads, Play::numbers(1_000)).await;
        for number in 0..1_000 {
            assert_eq!(next(&mut reader).await, Some(Ok(note(number))));
        }
        assert_eq!(next(&mut reader).await, None);
        let narrow = pair.reads.client().open(Narrow { n: 1 }).await.unwrap();
        assert_eq!(narrow.collect_all(1).await.unwrap(), [Number { number: 0 }]);
        drop(reader);
        eventually("nobody waits in an inbox", || {
            metric(&pair.feeds, "roadshow_calls_in_flight") == 0.0
        })
        .await;
        pair.stop().await;
    }
}

#[tokio::test]
async fn credit_holds_the_producer_back() {
    let pair = Pair::start(false).await;
    let mut reader = opened(&pair.reads, Play::numbers(10_000)).await;
    pair.ledger.wait_for("sent", HELD_BACK_AT).await;
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(pair.ledger.count("sent"), HELD_BACK_AT);
    for number in 0..32 {
        assert_eq!(next(&mut reader).await, Some(Ok(note(number))));
    }
    pair.ledger.wait_for("sent", HELD_BACK_AT + 32).await;
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(pair.ledger.count("sent"), HELD_BACK_AT + 32);
    drop(reader);
    pair.ledger.wait_for("gone", 1).await;
    pair.stop().await;
}

#[tokio::test]
async fn dropping_the_reader_cancels_the_handler_elsewhere() {
    for codec in BOTH {
        let pair = Pair::start(codec).await;
        cancels_in_time(async |round| {
            drop(opened(&pair.reads, Play::held()).await);
            took(pair.ledger.wait_for("cancelled", round)).await
        })
        .await;
        cancels_in_time(async |round| {
            let reader = opened(&pair.reads, Play::endless()).await;
            pair.ledger.wait_for("sent", HELD_BACK_AT * round).await;
            drop(reader);
            took(pair.ledger.wait_for("unsent", round)).await
        })
        .await;
        pair.stop().await;
    }
}

#[tokio::test]
async fn an_opening_that_waits_and_is_dropped_never_starts() {
    let pair = Pair::with(false, |s| s.concurrency(1)).await;
    let client = pair.reads.client();
    let held = opened(&pair.reads, Play { id: 1, ..Play::held() }).await;
    {
        let mut waits = std::pin::pin!(client.open(Play {
            id: 2,
            ..Play::default()
        }));
        for _ in 0..100 {
            tokio::select! {
                biased;
                opened = &mut waits => panic!("opened: {opened:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    drop(held);
    pair.ledger.wait_for("gone", 1).await;
    let third = opened(
        &pair.reads,
        Play {
            id: 3,
            ..Play::numbers(1)
        },
    )
    .await;
    assert_eq!(third.collect_all(1).await.unwrap(), [note(0)]);
    let started = pair.ledger.lines().into_iter().filter(|(_, what)| *what == "start");
    assert_eq!(started.map(|(id, _)| id).collect::<Vec<_>>(), [1, 3]);
    pair.stop().await;
}

/// Waits for ever, and notes that it is dropped.
struct Waits(Arc<Ledger>);

impl roadshow::Guard<Play> for Waits {
    async fn check(&self, play: &Play, _ctx: &Context) -> Result<(), Failure> {
        self.0.note(play.id, "guarded");
        self.0.held().await;
        Ok(())
    }
}

#[tokio::test]
async fn an_opening_that_is_dropped_before_it_is_accepted_is_called_off() {
    let ledger = Arc::new(Ledger::default());
    let guard = Waits(Arc::clone(&ledger));
    let pair = Pair::with(false, |s| s.before(guard).abandon_after(Duration::from_millis(10))).await;
    let client = pair.reads.client();
    cancels_in_time(async |round| {
        let client = client.clone();
        let opens = tokio::spawn(async move { client.open(Play::default()).await.map(drop) });
        ledger.wait_for("guarded", round).await;
        opens.abort();
        let idle = || metric(&pair.feeds, "roadshow_calls_in_flight") == 0.0;
        took(eventually("the permit is free", idle)).await
    })
    .await;
    assert_eq!(pair.ledger.count("start"), 0);
    pair.stop().await;
}

#[tokio::test]
async fn what_refuses_an_opening_is_told_to_the_other_node() {
    let pair = Pair::with(true, |s| s.validate()).await;
    let client = pair.reads.client();
    let table = [
        (Play::numbers(1 << 50), Code::Invalid, Executed::No),
        (
            Play {
                refuse: true,
                ..Play::default()
            },
            Code::NotFound,
            Executed::Yes,
        ),
    ];
    for (play, code, executed) in table {
        let failure = within(client.open(play)).await.unwrap_err();
        assert_eq!((failure.code, failure.executed), (code, executed), "{failure}");
    }
    let options = CallOptions::default();
    let listen = "tape.1.listen".parse().unwrap();
    let command = client.outgoing(&options).open_json(&listen, "{}".into());
    assert_eq!(within(command).await.unwrap_err().code, Code::Invalid);
    let play = "tape.1.play".parse().unwrap();
    let called = client.call_json(&play, "{}".into(), options.clone());
    assert_eq!(within(called).await.unwrap_err().code, Code::Invalid);
    let nowhere = "tape.2.play".parse().unwrap();
    let failure = within(client.outgoing(&options).open_json(&nowhere, "{}".into()))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.code, failure.executed),
        (Code::Unavailable, Executed::No),
        "{failure}"
    );
    pair.stop().await;
}

#[tokio::test]
async fn a_failure_and_a_panic_come_after_every_item() {
    for codec in BOTH {
        let pair = Pair::start(codec).await;
        let table = [
            (
                Play {
                    fail: true,
                    ..Play::numbers(2)
                },
                Code::Conflict,
                Executed::Yes,
            ),
            (
                Play {
                    panic: true,
                    ..Play::numbers(2)
                },
                Code::Internal,
                Executed::Unknown,
            ),
        ];
        for (play, code, executed) in table {
            let mut reader = opened(&pair.reads, play).await;
            assert_eq!(next(&mut reader).await, Some(Ok(note(0))));
            assert_eq!(next(&mut reader).await, Some(Ok(note(1))));
            let failure = next(&mut reader).await.unwrap().unwrap_err();
            assert_eq!((failure.code, failure.executed), (code, executed));
            assert_eq!(next(&mut reader).await, None);
        }
        assert_eq!(metric(&pair.feeds, "roadshow_supervisor_restarts_total{"), 1.0);
        pair.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_lives() {
    let pair = Pair::start(false).await;
    let mut reader = opened(&pair.reads, Play { n: 1, ..Play::held() }).await;
    assert_eq!(next(&mut reader).await, Some(Ok(note(0))));
    for _ in 0..600 {
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(pair.ledger.count("cancelled"), 0);
    pair.ledger.release();
    assert_eq!(next(&mut reader).await, None);
    pair.stop().await;
}

#[tokio::test]
async fn a_drain_of_either_node_ends_the_stream_and_stops_in_time() {
    for feeder_drains in [true, false] {
        let pair = Pair::start(false).await;
        let mut quiet = opened(&pair.reads, Play::held()).await;
        let mut full = opened(&pair.reads, Play::endless()).await;
        pair.ledger.wait_for("sent", HELD_BACK_AT).await;
        let (drains, stays) = match feeder_drains {
            true => (pair.feeds, pair.reads),
            false => (pair.reads, pair.feeds),
        };
        let drained = within(drains.shutdown(Duration::from_secs(10))).await;
        assert!(
            drained.is_clean() && drained.took < Duration::from_secs(2),
            "{feeder_drains}: {drained:?}"
        );
        let failure = next(&mut quiet).await.unwrap().unwrap_err();
        assert_eq!(
            (failure.code, failure.message.as_ref()),
            (Code::Unavailable, "this node is shutting down")
        );
        let mut last = Ok(());
        while let Some(item) = next(&mut full).await {
            last = item.map(drop);
        }
        assert_eq!(last.unwrap_err().code, Code::Unavailable);
        pair.ledger.wait_for("gone", 2).await;
        stop(stays).await;
    }
}
