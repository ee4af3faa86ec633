//! What an observer is told, and in which order.

use std::sync::Arc;

use roadshow_supervision::{Event, EventKind, Supervisor, Tree};

use super::stage::{Latest, Order, Script, Stage, Start, ms, root, secs};

#[tokio::test(start_paused = true)]
async fn a_whole_life_is_told_in_order() {
    let stage = Stage::new();
    let script = Script::new([Start::Ready, Start::Fail]);
    let supervisor = stage.open(root(2), vec![script.child("a")]).await;
    script.tell(Order::ReportPanic);
    stage.log.until("started a#3").await;
    script.tell(Order::Fail);
    stage.log.until("started a#4").await;
    script.tell(Order::Fail);
    supervisor.wait().await;
    let expected = [
        "started a#1",
        "exited a#1 panicked: handler panicked: boom",
        "restarting a#1 after 0 ms by panic",
        "exited a#2 start_failed: no database",
        "restarting a#2 after 0 ms by exit",
        "started a#3",
        "exited a#3 failed: broken",
        "restarting a#3 after 0 ms by exit",
        "started a#4",
        "exited a#4 failed: broken",
        "gave up a#4 failed: root gave up on a: more than 2 restarts after exits in 5 s: broken",
    ];
    assert_eq!(stage.log.lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn events_carry_path_time_and_duration() {
    let stage = Stage::new();
    let latest = Latest::default();
    let inner = stage.supervisor(&root(1), &latest, || {
        vec![Script::new([Start::Slow(ms(70))]).child("a")]
    });
    stage.open(root(1), vec![inner]).await;
    let events = stage.log.events();
    assert_eq!(events[0].supervisor.as_str(), "root/root");
    assert_eq!(events[0].kind, EventKind::Started { took: ms(70) });
    assert_eq!((events[0].at, events[1].supervisor.as_str()), (ms(70), "root"));
    assert!(events.is_sorted_by_key(|event| event.at));
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_disturbs_nobody() {
    let observer = Arc::new(|_event: &Event| panic!("the observer panicked"));
    let child = Script::ready().child("a");
    let supervisor = Supervisor::spawn(root(1), vec![child], None, Tree::new(), observer)
        .await
        .expect("it starts");
    assert!(supervisor.stop(secs(1)).await.is_normal());
}
