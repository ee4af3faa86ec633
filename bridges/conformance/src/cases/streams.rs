//! Streams between nodes: order, credit, ends.

use std::sync::Arc;
use std::time::Duration;

use roadshow_bridges::Code;
use tokio::time::{Instant, timeout};

use crate::case::{Case, case};
use crate::stage::Stage;
use crate::troupe::{Count, Ledger, end};
use crate::wait::{SOON, let_pass, soon, until, within};

/// A producer whose consumer takes nothing is ahead of it by its credit and no more.
const AHEAD_MAX: u64 = 2000;

pub(super) const CASES: &[Case] = &[
    case!(
        "T01",
        a_stream_comes_whole_and_in_order,
        [],
        "given a stream of 10,000 items, then all arrive in order and then it ends"
    ),
    case!(
        "T02",
        a_consumer_that_does_not_read_holds_its_producer_back,
        [],
        "given a stream of 1,000,000 items whose consumer reads 10 and stops, then within 2 s the producer stands still, less \
         than 2,000 items ahead, and goes on when the consumer does"
    ),
    case!(
        "T03",
        dropping_the_consumer_stops_the_producer,
        [],
        "given a stream that runs, when its consumer is dropped, then its handler ends within 100 ms. The best of 5 counts, \
         for tests share their processors"
    ),
    case!(
        "T04",
        a_stream_ends_once,
        [],
        "given a stream that fails after 3 items, then the consumer gets the 3, the failure, and nothing more"
    ),
    case!(
        "T05",
        a_stream_may_be_given_up_before_it_is_open,
        [],
        "given openings that are dropped at once, then no handler runs on, and the next stream comes whole"
    ),
];

async fn a_stream_comes_whole_and_in_order(stage: Stage) {
    let ledger = Arc::<Ledger>::default();
    let (server, caller) = (stage.server(&ledger).await, stage.caller().await);
    let input = Count {
        n: 10_000,
        ..Count::default()
    };
    let mut reader = soon("the opening", caller.client().open(input)).await.expect("opened");
    for number in 0..10_000 {
        let item = soon("an item", reader.next()).await.expect("it goes on");
        assert_eq!(item.expect("an item"), number);
    }
    assert!(soon("the end", reader.next()).await.is_none());
    drop(reader);
    end(caller).await;
    end(server).await;
}

async fn a_consumer_that_does_not_read_holds_its_producer_back(stage: Stage) {
    let ledger = Arc::<Ledger>::default();
    let (server, caller) = (stage.server(&ledger).await, stage.caller().await);
    let input = Count {
        n: 1_000_000,
        ..Count::default()
    };
    let mut reader = soon("the opening", caller.client().open(input)).await.expect("opened");
    for number in 0..10 {
        let item = soon("an item", reader.next()).await.expect("it goes on");
        assert_eq!(item.expect("an item"), number);
    }
    let_pass(Duration::from_secs(2)).await;
    let stood = ledger.items();
    let_pass(Duration::from_millis(500)).await;
    assert_eq!(ledger.items(), stood, "the producer goes on without credit");
    assert!(stood < 10 + AHEAD_MAX, "the producer is {stood} items ahead");
    for number in 10..10 + AHEAD_MAX {
        let item = soon("an item", reader.next()).await.expect("it goes on");
        assert_eq!(item.expect("an item"), number);
    }
    drop(reader);
    until(SOON, "the handler ends", || ledger.ends() == 1).await;
    end(caller).await;
    end(server).await;
}

async fn dropping_the_consumer_stops_the_producer(stage: Stage) {
    let ledger = Arc::<Ledger>::default();
    let (server, caller) = (stage.server(&ledger).await, stage.caller().await);
    let mut best = Duration::MAX;
    for round in 1..=5 {
        let input = Count {
            n: 5,
            hold: true,
            ..Count::default()
        };
        let mut reader = soon("the opening", caller.client().open(input)).await.expect("opened");
        for _ in 0..5 {
            soon("an item", reader.next())
                .await
                .expect("it goes on")
                .expect("an item");
        }
        let begun = Instant::now();
        drop(reader);
        until(SOON, "the handler ends", || ledger.ends() == round).await;
        best = best.min(begun.elapsed());
    }
    assert!(best <= Duration::from_millis(100), "{best:?}");
    end(caller).await;
    end(server).await;
}

async fn a_stream_ends_once(stage: Stage) {
    let ledger = Arc::<Ledger>::default();
    let (server, caller) = (stage.server(&ledger).await, stage.caller().await);
    let input = Count {
        n: 3,
        fail: true,
        ..Count::default()
    };
    let mut reader = soon("the opening", caller.client().open(input)).await.expect("opened");
    for number in 0..3 {
        let item = soon("an item", reader.next()).await.expect("it goes on");
        assert_eq!(item.expect("an item"), number);
    }
    let failure = soon("the failure", reader.next()).await.expect("it is told");
    assert_eq!(failure.expect_err("it failed").code, Code::Conflict);
    for _ in 0..3 {
        assert!(soon("the end", reader.next()).await.is_none());
    }
    drop(reader);
    end(caller).await;
    end(server).await;
}

async fn a_stream_may_be_given_up_before_it_is_open(stage: Stage) {
    let ledger = Arc::<Ledger>::default();
    let (server, caller) = (stage.server(&ledger).await, stage.caller().await);
    for tenth_ms in 0..20 {
        let input = Count {
            n: 1,
            hold: true,
            ..Count::default()
        };
        let client = caller.client();
        let opening = client.open(input);
        // Given up at another moment each time: before it is sent, on its way, just opened.
        drop(timeout(Duration::from_micros(tenth_ms * 100), opening).await);
    }
    until(SOON, "no handler runs on", || ledger.starts() == ledger.ends()).await;
    let input = Count {
        n: 10,
        ..Count::default()
    };
    let reader = soon("the opening", caller.client().open(input)).await.expect("opened");
    let items = within(SOON, "the items", reader.collect_all(100)).await.expect("whole");
    assert_eq!(items, (0..10).collect::<Vec<_>>());
    until(SOON, "no handler runs on", || ledger.starts() == ledger.ends()).await;
    end(caller).await;
    end(server).await;
}
