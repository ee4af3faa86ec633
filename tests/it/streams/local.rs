//! Streams inside one node, with typed values and with encoded ones: the same in every way that can be seen.

use std::sync::Arc;
use std::time::Duration;

use roadshow::prelude::*;
use roadshow::testing::Solo;
use roadshow::{CallOptions, Executed};

use super::tape::{Listen, Narrow, Number, Play, Tape, cancels_in_time, next, note, opened, stage, tape, took, within};
use crate::lab::{Ledger, builder, eventually, metric, stop};

const BOTH: [bool; 2] = [false, true];

#[tokio::test]
async fn items_arrive_in_order_and_the_end_is_told_once() {
    for codec in BOTH {
        let ledger = Arc::new(Ledger::default());
        let node = stage(&ledger, codec).start().await.unwrap();
        let mut reader = opened(&node, Play::numbers(1_000)).await;
        for number in 0..1_000 {
            assert_eq!(next(&mut reader).await, Some(Ok(note(number))));
        }
        assert_eq!(next(&mut reader).await, None);
        assert_eq!(next(&mut reader).await, None);
        let all = opened(&node, Play::numbers(3)).await.collect_all(3).await;
        assert_eq!(all.unwrap(), [note(0), note(1), note(2)]);
        stop(node).await;
    }
}

#[tokio::test]
async fn a_consumer_with_types_of_its_own_reads_what_it_knows() {
    let ledger = Arc::new(Ledger::default());
    let node = stage(&ledger, false).start().await.unwrap();
    let reader = node.client().open(Narrow { n: 2 }).await.unwrap();
    assert_eq!(
        reader.collect_all(9).await.unwrap(),
        [Number { number: 0 }, Number { number: 1 }]
    );
    assert_eq!(metric(&node, "roadshow_typed_fallbacks_total"), 1.0);
    stop(node).await;
}

#[tokio::test]
async fn a_handler_is_held_back_by_a_consumer_that_does_not_read() {
    for codec in BOTH {
        let ledger = Arc::new(Ledger::default());
        let node = builder()
            .codec_always(codec)
            .service(tape(&ledger, |s| s.window(8)))
            .start()
            .await
            .unwrap();
        let mut reader = opened(&node, Play::numbers(100)).await;
        ledger.wait_for("sent", 8).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(ledger.count("sent"), 8);
        assert_eq!(next(&mut reader).await, Some(Ok(note(0))));
        ledger.wait_for("sent", 9).await;
        drop(reader);
        ledger.wait_for("gone", 1).await;
        assert_eq!(ledger.count("sent"), 9);
        stop(node).await;
    }
}

#[tokio::test]
async fn dropping_the_reader_cancels_the_handler() {
    for codec in BOTH {
        let ledger = Arc::new(Ledger::default());
        let node = stage(&ledger, codec).start().await.unwrap();
        cancels_in_time(async |round| {
            drop(opened(&node, Play::held()).await);
            took(ledger.wait_for("cancelled", round)).await
        })
        .await;
        // A handler that waits for room hears of it too.
        cancels_in_time(async |round| {
            drop(opened(&node, Play::endless()).await);
            took(ledger.wait_for("unsent", round)).await
        })
        .await;
        eventually("every permit is free", || {
            metric(&node, "roadshow_calls_in_flight") == 0.0
        })
        .await;
        stop(node).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_hear_is_dropped_and_its_permit_is_free() {
    let ledger = Arc::new(Ledger::default());
    let service = tape(&ledger, |s| s.concurrency(1).abandon_after(Duration::from_secs(2)));
    let node = builder().service(service).start().await.unwrap();
    let deaf = Play {
        deaf: true,
        ..Play::default()
    };
    drop(node.client().open(deaf).await.unwrap());
    let waited = took(ledger.wait_for("gone", 1)).await;
    assert!(
        (Duration::from_secs(2)..Duration::from_secs(3)).contains(&waited),
        "{waited:?}"
    );
    let again = opened(&node, Play::numbers(1)).await;
    assert_eq!(again.collect_all(1).await.unwrap(), [note(0)]);
    stop(node).await;
}

#[tokio::test]
async fn the_opening_is_refused_by_rules_guards_and_the_handlers_first_step() {
    for codec in BOTH {
        let ledger = Arc::new(Ledger::default());
        let guarded = tape(&ledger, |s| {
            s.validate().before(|play: &Play, _: &Context| match play.id {
                13 => Err(Failure::forbidden("not this one")),
                _ => Ok(()),
            })
        });
        let node = builder().codec_always(codec).service(guarded).start().await.unwrap();
        let table = [
            (Play::numbers(1 << 50), Code::Invalid, Executed::No),
            (
                Play {
                    id: 13,
                    ..Play::default()
                },
                Code::Forbidden,
                Executed::No,
            ),
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
            let failure = node.client().open(play).await.unwrap_err();
            assert_eq!((failure.code, failure.executed), (code, executed), "{failure}");
        }
        stop(node).await;
    }
}

#[tokio::test]
async fn a_failure_is_the_last_thing_a_stream_says() {
    for codec in BOTH {
        let ledger = Arc::new(Ledger::default());
        let node = stage(&ledger, codec).start().await.unwrap();
        let play = Play {
            fail: true,
            ..Play::numbers(2)
        };
        let mut reader = opened(&node, play).await;
        ledger.wait_for("gone", 1).await;
        assert_eq!(next(&mut reader).await, Some(Ok(note(0))));
        assert_eq!(next(&mut reader).await, Some(Ok(note(1))));
        let failure = next(&mut reader).await.unwrap().unwrap_err();
        assert_eq!((failure.code, failure.executed), (Code::Conflict, Executed::Yes));
        assert_eq!(next(&mut reader).await, None);
        stop(node).await;
    }
}

#[tokio::test]
async fn a_panic_ends_the_stream_and_restarts_the_service() {
    for codec in BOTH {
        let ledger = Arc::new(Ledger::default());
        let node = stage(&ledger, codec).start().await.unwrap();
        let play = Play {
            panic: true,
            ..Play::numbers(1)
        };
        let mut reader = opened(&node, play).await;
        assert_eq!(next(&mut reader).await, Some(Ok(note(0))));
        let failure = next(&mut reader).await.unwrap().unwrap_err();
        assert_eq!((failure.code, failure.executed), (Code::Internal, Executed::Unknown));
        let again = opened(&node, Play::numbers(1)).await;
        assert_eq!(again.collect_all(1).await.unwrap(), [note(0)]);
        assert_eq!(metric(&node, "roadshow_supervisor_restarts_total{"), 1.0);
        stop(node).await;
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_opening_has_a_deadline() {
    let ledger = Arc::new(Ledger::default());
    let service = tape(&ledger, |s| s.concurrency(1).deadline(Duration::from_secs(1)));
    let node = builder().service(service).start().await.unwrap();
    let play = Play { n: 1, ..Play::held() };
    let mut reader = opened(&node, play).await;
    assert_eq!(next(&mut reader).await, Some(Ok(note(0))));
    tokio::time::advance(Duration::from_secs(3_600)).await;
    // The permit is held as long as the stream is open.
    let late = node.client().open(Play::default()).await.unwrap_err();
    assert_eq!((late.code, late.executed), (Code::Timeout, Executed::No));
    let options = CallOptions::default().timeout(Duration::from_secs(7));
    let waited = took(async { drop(node.client().open_with(Play::default(), options).await.unwrap_err()) }).await;
    assert!(
        (Duration::from_secs(7)..Duration::from_secs(8)).contains(&waited),
        "{waited:?}"
    );
    assert_eq!(ledger.count("cancelled"), 0);
    ledger.release();
    assert_eq!(next(&mut reader).await, None);
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn the_longest_duration_ends_a_stream_with_timeout() {
    let ledger = Arc::new(Ledger::default());
    let service = tape(&ledger, |s| s.max_duration(Duration::from_secs(60)));
    let node = builder().service(service).start().await.unwrap();
    let mut reader = opened(&node, Play::held()).await;
    let started = tokio::time::Instant::now();
    let failure = tokio::time::timeout(Duration::from_secs(90), reader.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    assert_eq!((failure.code, failure.executed), (Code::Timeout, Executed::Unknown));
    assert!((60..62).contains(&started.elapsed().as_secs()));
    ledger.wait_for("cancelled", 1).await;
    stop(node).await;
}

#[tokio::test]
async fn a_drain_ends_streams_and_tells_both_sides() {
    for codec in BOTH {
        let ledger = Arc::new(Ledger::default());
        let node = stage(&ledger, codec).start().await.unwrap();
        let client = node.client();
        let mut quiet = opened(&node, Play::held()).await;
        let mut full = opened(&node, Play::endless()).await;
        let drained = within(node.shutdown(Duration::from_secs(10))).await;
        assert!(
            drained.is_clean() && drained.took < Duration::from_secs(2),
            "{drained:?}"
        );
        assert_eq!((ledger.count("cancelled"), ledger.count("unsent")), (1, 1));
        let failure = next(&mut quiet).await.unwrap().unwrap_err();
        assert_eq!(failure.code, Code::Unavailable, "{failure}");
        while let Some(Ok(_item)) = next(&mut full).await {}
        assert_eq!(next(&mut full).await, None);
        let refused = client.open(Play::default()).await.unwrap_err();
        assert_eq!((refused.code, refused.executed), (Code::Unavailable, Executed::No));
    }
}

#[tokio::test]
async fn a_handler_reads_a_stream_of_another_handler() {
    for codec in BOTH {
        let ledger = Arc::new(Ledger::default());
        let node = stage(&ledger, codec).start().await.unwrap();
        let read = node.client().call(Listen(Play::numbers(500))).await;
        assert_eq!(read.unwrap(), 500);
        stop(node).await;
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let ledger = Arc::new(Ledger::default());
    let node = stage(&ledger, false).start().await.unwrap();
    let (play, listen) = ("tape.1.play".parse().unwrap(), "tape.1.listen".parse().unwrap());
    let options = CallOptions::default();
    let called = node
        .client()
        .call_json(&play, "{}".into(), options.clone())
        .await
        .unwrap_err();
    assert_eq!(
        (called.code, &*called.message),
        (Code::Invalid, "tape.1.play is a stream: open it")
    );
    let refused = node
        .client()
        .outgoing(&options)
        .open_json(&listen, "{}".into())
        .await
        .unwrap_err();
    assert_eq!((refused.code, refused.executed), (Code::Invalid, Executed::No));
    let wrong = node
        .client()
        .outgoing(&options)
        .open_json(&play, r#"{"n":"two"}"#.into())
        .await
        .unwrap_err();
    assert_eq!(wrong.details.unwrap()["fields"][0]["field"], "n");
    let invalid = r#"roadshow_calls_total{service="tape",version="1",command="play",outcome="invalid"}"#;
    assert_eq!(metric(&node, invalid), 1.0);
    let two = node
        .client()
        .outgoing(&options)
        .open_json(&play, r#"{"n":2}"#.into())
        .await
        .unwrap();
    assert_eq!(two.collect_all(2).await.unwrap().len(), 2);
    let many = opened(&node, Play::numbers(9)).await;
    assert_eq!(many.collect_all(8).await.unwrap_err().code, Code::Exhausted);
    stop(node).await;
    let slow = tape(&ledger, |s| s.heartbeat(Duration::from_secs(60)).concurrency(0));
    let error = builder().service(slow).start().await.unwrap_err().to_string();
    assert!(
        error.contains("heartbeat of 60s") && error.contains("concurrency of 0"),
        "{error}"
    );
}

#[tokio::test]
async fn strict_contracts_count_streams_too() {
    let ledger = Arc::new(Ledger::default());
    for declared in [false, true] {
        let service = tape(&ledger, |s| s);
        let service = if declared { service.opens::<Play>() } else { service };
        let node = builder().strict_contracts(true).service(service).start().await.unwrap();
        let read = node.client().call(Listen(Play::numbers(1))).await;
        assert_eq!(
            read.map_err(|failure| failure.code),
            if declared { Ok(1) } else { Err(Code::Forbidden) }
        );
        stop(node).await;
    }
}

#[tokio::test]
async fn a_handler_is_tested_on_its_own_and_with_streams_of_others() {
    let ledger = Arc::new(Ledger::default());
    let tape = Solo::new(Tape(Arc::clone(&ledger))).answer_stream::<Play>(|play| match play.n {
        0 => Err(Failure::not_found("no such tape")),
        n => Ok((0..n).map(note).collect()),
    });
    let reader = tape.open(Play::numbers(3)).await.unwrap();
    assert_eq!(reader.collect_all(3).await.unwrap(), [note(0), note(1), note(2)]);
    let reader = tape.open(Play::held()).await.unwrap();
    drop(reader);
    ledger.wait_for("cancelled", 1).await;
    let listen = |n| Listen(Play::numbers(n));
    assert_eq!(tape.call(listen(70)).await, Ok(70));
    assert_eq!(tape.call(listen(0)).await.unwrap_err().code, Code::NotFound);
}
