//! Stopping: in reverse order, with a deadline for each child, whatever the child does.

use roadshow_supervision::{ExitKind, Shutdown, StopOutcome};

use super::stage::{Order, Script, Stage, Start, ms, quick, root, secs, trio};

#[tokio::test(start_paused = true)]
async fn children_stop_in_reverse_order() {
    let stage = Stage::new();
    let (_, children) = trio();
    let supervisor = stage.open(root(1), children).await;
    assert!(supervisor.stop(secs(60)).await.is_normal());
    assert_eq!(
        stage.log.lines()[3..],
        ["stopped c#1 Drained", "stopped b#1 Drained", "stopped a#1 Drained"]
    );
    assert_eq!(stage.tree.elapsed(), secs(0), "idle children take no time");
    assert_eq!(stage.tree.snapshot().state.to_string(), "stopped");
}

#[tokio::test(start_paused = true)]
async fn a_child_may_empty_its_mailbox_first() {
    let stage = Stage::new();
    let script = Script::ready();
    let supervisor = stage.open(root(1), vec![script.child("a")]).await;
    script.tell(Order::Nap(secs(1)));
    script.tell(Order::Nap(secs(1)));
    supervisor.stop(secs(60)).await;
    assert_eq!(stage.log.lines()[1..], ["stopped a#1 Drained"]);
    assert_eq!(stage.tree.elapsed(), secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_child_that_drains_for_too_long_finishes_only_what_it_is_at() {
    let stage = Stage::new();
    let script = Script::ready();
    let supervisor = stage
        .open(root(1), vec![script.child("a").shutdown(Shutdown::After(secs(4)))])
        .await;
    script.tell(Order::Nap(secs(3)));
    script.tell(Order::Nap(secs(3)));
    supervisor.stop(secs(60)).await;
    assert_eq!(stage.log.lines()[1..], ["stopped a#1 Stopped"]);
    assert_eq!(stage.tree.elapsed(), secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_hanging_child_is_killed_at_its_deadline_and_its_sibling_is_not() {
    let stage = Stage::new();
    let (a, b) = (Script::ready(), Script::ready());
    let supervisor = stage
        .open(root(1), vec![quick(a.child("a")), quick(b.child("b"))])
        .await;
    b.tell(Order::Hang);
    supervisor.stop(secs(60)).await;
    assert_eq!(stage.log.lines()[2..], ["stopped b#1 Killed", "stopped a#1 Drained"]);
    assert_eq!(stage.tree.elapsed(), secs(1));
    assert!(StopOutcome::Killed.was_forced() && !StopOutcome::Drained.was_forced());
}

#[tokio::test(start_paused = true)]
async fn a_child_may_have_no_time_at_all() {
    let stage = Stage::new();
    let script = Script::ready();
    let supervisor = stage
        .open(root(1), vec![script.child("a").shutdown(Shutdown::Kill)])
        .await;
    script.tell(Order::Nap(secs(1)));
    supervisor.stop(secs(60)).await;
    assert_eq!(stage.log.lines()[1..], ["stopped a#1 Killed"]);
    assert_eq!(stage.tree.elapsed(), secs(0));
}

#[tokio::test(start_paused = true)]
async fn a_child_may_have_all_the_time_it_wants() {
    let stage = Stage::new();
    let script = Script::ready();
    let supervisor = stage
        .open(root(1), vec![script.child("a").shutdown(Shutdown::Infinite)])
        .await;
    script.tell(Order::Nap(secs(3600)));
    supervisor.stop(secs(7200)).await;
    assert_eq!(stage.log.lines()[1..], ["stopped a#1 Drained"]);
    assert_eq!(stage.tree.elapsed(), secs(3600));
}

#[tokio::test(start_paused = true)]
async fn a_child_that_unlinked_itself_does_not_hang_its_supervisor() {
    let stage = Stage::new();
    let script = Script::ready();
    let supervisor = stage.open(root(1), vec![quick(script.child("a"))]).await;
    script.tell(Order::Unlink);
    script.tell(Order::Hang);
    assert!(supervisor.stop(secs(60)).await.is_normal());
    assert_eq!(stage.log.lines()[1..], ["stopped a#1 Killed"]);
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_takes_too_long_is_killed_with_all_its_children() {
    let stage = Stage::new();
    let (scripts, children) = trio();
    let children = children
        .into_iter()
        .map(|child| child.shutdown(Shutdown::Infinite))
        .collect();
    let supervisor = stage.open(root(1), children).await;
    scripts[1].tell(Order::Hang);
    let exit = supervisor.stop(secs(3)).await;
    assert_eq!(exit.kind, ExitKind::Killed);
    assert_eq!(stage.tree.elapsed(), secs(3));
    for script in &scripts {
        script
            .cell()
            .wait(Some(secs(1)))
            .await
            .expect("no child outlives its supervisor");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_goes_on_is_cut_short() {
    for start in [Start::Hang, Start::SpawnAndHang, Start::SpawnAsideAndHang] {
        let stage = Stage::new();
        let (a, b) = (Script::ready(), Script::new([Start::Ready, start]));
        let supervisor = stage.open(root(1), vec![a.child("a"), b.child("b")]).await;
        b.tell(Order::Fail);
        b.until_begun(2).await;
        let before = stage.tree.elapsed();
        assert!(supervisor.stop(secs(60)).await.is_normal());
        assert!(stage.tree.elapsed() - before < ms(10), "nobody waits for it");
        b.cell().wait(Some(secs(1))).await.expect("its actor has ended too");
        assert_eq!(
            stage.log.lines().last().map(String::as_str),
            Some("stopped a#1 Drained")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn stopping_twice_is_stopping_once() {
    let stage = Stage::new();
    let (_, children) = trio();
    let supervisor = stage.open(root(1), children).await;
    let (first, second) = tokio::join!(supervisor.stop(secs(9)), supervisor.stop(secs(9)));
    assert_eq!(first, second);
    assert!(supervisor.stop(secs(9)).await.is_normal());
    assert_eq!(stage.log.count("stopped"), 3);
}
