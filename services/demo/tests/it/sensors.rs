//! Sensors: whoever watches hears every reading, or how many it has missed.

use std::sync::Arc;
use std::time::Duration;

use roadshow_demo::sensor::{BEHIND_MAX, Reading, RecordReading, SENSORS_MAX, WatchReadings, sensors};
use roadshow_services::{AnyService, Code, Executed, Node, StreamReader};

async fn node(codec_always: bool) -> Node {
    let service: Arc<dyn AnyService> = Arc::new(sensors());
    super::node(codec_always, [service]).await
}

async fn record(node: &Node, sensor: &str, value: f64) -> Reading {
    let sensor = sensor.to_owned();
    node.client()
        .call(RecordReading { sensor, value })
        .await
        .expect("recorded")
}

async fn next(watched: &mut StreamReader<Reading>) -> Reading {
    let next = tokio::time::timeout(Duration::from_secs(20), watched.next());
    next.await.expect("in time").expect("it goes on").expect("a reading")
}

#[tokio::test]
async fn a_watcher_hears_the_latest_reading_of_each_sensor_and_every_one_after_it() {
    for codec_always in [false, true] {
        let node = node(codec_always).await;
        for (sensor, value) in [("attic", 1.0), ("cellar", 2.0), ("attic", 3.0)] {
            record(&node, sensor, value).await;
        }
        let mut all = node.client().open(WatchReadings::default()).await.expect("open");
        let sensor = Some("cellar".to_owned());
        let mut cellar = node.client().open(WatchReadings { sensor }).await.expect("open");
        let told = [next(&mut all).await, next(&mut all).await];
        assert_eq!(
            told.map(|reading| (reading.sensor, reading.value, reading.number)),
            [("attic".to_owned(), 3.0, 3), ("cellar".to_owned(), 2.0, 2)]
        );
        assert_eq!(next(&mut cellar).await.number, 2);
        let attic = record(&node, "attic", 4.0).await;
        let fifth = record(&node, "cellar", 5.0).await;
        assert_eq!([next(&mut all).await, next(&mut all).await], [attic, fifth.clone()]);
        assert_eq!(next(&mut cellar).await, fifth);
        drop((all, cellar));
        assert!(node.shutdown(Duration::from_secs(5)).await.is_clean());
    }
}

#[tokio::test]
async fn a_watcher_that_is_too_slow_is_told_how_many_it_has_missed() {
    let node = node(false).await;
    let mut watched = node.client().open(WatchReadings::default()).await.expect("open");
    let many = 64 + 4 * BEHIND_MAX as u64;
    for _ in 0..many {
        record(&node, "attic", 0.5).await;
        // The watcher's handler gets its turn until nobody takes what it has.
        tokio::task::yield_now().await;
    }
    let (mut heard, mut missed, mut last) = (0, 0, 0);
    while last < many {
        let reading = next(&mut watched).await;
        heard += 1;
        missed += reading.missed;
        last = reading.number;
    }
    assert!(missed > 0, "{heard} heard");
    assert_eq!(heard + missed, many);
    drop(watched);
    assert!(node.shutdown(Duration::from_secs(5)).await.is_clean());
}

#[tokio::test]
async fn names_and_numbers_of_sensors_have_their_bounds() {
    let node = node(true).await;
    for sensor in ["", "7", "a b", "a/b"] {
        let (sensor, value) = (sensor.to_owned(), 0.0);
        let watch = WatchReadings {
            sensor: Some(sensor.clone()),
        };
        let refused = node
            .client()
            .call(RecordReading { sensor, value })
            .await
            .expect_err("a bad name");
        assert_eq!((refused.code, refused.executed), (Code::Invalid, Executed::No));
        assert_eq!(
            node.client().open(watch).await.expect_err("a bad name").code,
            Code::Invalid
        );
    }
    for number in 0..SENSORS_MAX {
        record(&node, &format!("s{number}"), 0.0).await;
    }
    let sensor = "onemore".to_owned();
    let full = node
        .client()
        .call(RecordReading { sensor, value: 0.0 })
        .await
        .expect_err("too many");
    assert_eq!(full.code, Code::Exhausted);
    record(&node, "s0", 1.0).await;
    assert!(node.shutdown(Duration::from_secs(5)).await.is_clean());
}

#[tokio::test]
async fn watchers_do_not_hold_up_a_node_that_stops() {
    let node = node(false).await;
    let mut watched = node.client().open(WatchReadings::default()).await.expect("open");
    let drained = node.shutdown(Duration::from_secs(10)).await;
    assert!(
        drained.is_clean() && drained.took < Duration::from_secs(2),
        "{drained:?}"
    );
    let end = watched.next().await.expect("an end").expect_err("told");
    assert_eq!(end.code, Code::Unavailable);
}
