//! Three restart types, each after a normal end, an end that was asked for, and an abnormal one.

use roadshow_supervision::Restart::{self, Permanent, Temporary, Transient};

use super::stage::{Order, Script, Stage, root};

enum Ending {
    Normal,
    Asked,
    Reported,
    Failed,
    Panicked,
    Killed,
}

/// Lets one child end and gives the number of starts it has had when its supervisor has dealt with that, and whether it
/// is still declared.
async fn after(restart: Restart, ending: Ending) -> (u64, bool) {
    let stage = Stage::new();
    let script = Script::ready();
    let supervisor = stage.open(root(1), vec![script.child("a").restart(restart)]).await;
    match ending {
        Ending::Normal => script.tell(Order::End),
        Ending::Asked => script.cell().stop(Some("shutdown".to_owned())),
        Ending::Reported => script.tell(Order::ReportPanic),
        Ending::Failed => script.tell(Order::Fail),
        Ending::Panicked => script.tell(Order::Panic),
        Ending::Killed => script.cell().kill(),
    }
    stage.log.until("exited a#1").await;
    // The answer comes after the start that the exit may have led to was begun; starts are counted when they run.
    let declared = supervisor.count_children().await.expect("it runs").specs == 1;
    if stage.log.count("restarting") == 1 {
        stage.log.until("started a#2").await;
    }
    (script.begun(), declared)
}

#[tokio::test(start_paused = true)]
async fn a_permanent_child_is_always_restarted() {
    use Ending::{Asked, Failed, Killed, Normal, Panicked, Reported};
    for ending in [Normal, Asked, Failed, Panicked, Reported, Killed] {
        assert_eq!(after(Permanent, ending).await, (2, true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_transient_child_is_restarted_after_an_abnormal_end() {
    use Ending::{Asked, Failed, Killed, Normal, Panicked, Reported};
    for ending in [Normal, Asked] {
        assert_eq!(after(Transient, ending).await, (1, true));
    }
    for ending in [Failed, Panicked, Reported, Killed] {
        assert_eq!(after(Transient, ending).await, (2, true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_temporary_child_is_never_restarted_and_is_forgotten() {
    use Ending::{Asked, Failed, Killed, Normal, Panicked, Reported};
    for ending in [Normal, Asked, Failed, Panicked, Reported, Killed] {
        assert_eq!(after(Temporary, ending).await, (1, false));
    }
}
