//! A supervisor obeys at any time: while starts hang, while restarts fail over and over, while delays run.

use roadshow_supervision::{Backoff, Budget, GiveUp, InitialStart, Strategy, SupervisorSpec};

use super::stage::{Order, Script, Stage, Start, ms, root, secs, trio};

#[tokio::test(start_paused = true)]
async fn a_hanging_first_start_does_not_keep_a_supervisor_from_stopping() {
    let stage = Stage::new();
    let scripts = [Script::ready(), Script::new([Start::Hang])];
    let children = vec![scripts[0].child("a"), scripts[1].child("b")];
    let supervisor = stage.open(root(1).initial(InitialStart::Retry), children).await;
    scripts[1].until_begun(1).await;
    assert!(supervisor.stop(secs(1)).await.is_normal());
    assert_eq!(stage.tree.elapsed(), secs(0));
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_keeps_failing_does_not_keep_a_supervisor_from_stopping() {
    let stage = Stage::new();
    let script = Script::then_always([Start::Ready], Start::Fail);
    let supervisor = stage.open(root(u32::MAX - 1), vec![script.child("a")]).await;
    script.tell(Order::Fail);
    script.until_begun(100).await;
    supervisor.count_children().await.expect("it answers in between");
    assert!(supervisor.stop(secs(1)).await.is_normal());
}

#[tokio::test(start_paused = true)]
async fn a_stop_during_a_delay_is_done_at_once() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll] {
        let stage = Stage::new();
        let (scripts, children) = trio();
        let exits = Budget::exits().backoff(Backoff::new(secs(20), secs(30)));
        let supervisor = stage
            .open(SupervisorSpec::new("root").exits(exits).strategy(strategy), children)
            .await;
        scripts[1].tell(Order::Fail);
        stage.log.until("restarting b#1").await;
        assert!(supervisor.stop(secs(1)).await.is_normal());
        assert_eq!(stage.tree.elapsed(), secs(0));
    }
}

#[tokio::test(start_paused = true)]
async fn siblings_are_restarted_while_one_start_hangs() {
    let stage = Stage::new();
    let scripts = [Script::new([Start::Ready, Start::Hang]), Script::ready()];
    let children = vec![scripts[0].child("a"), scripts[1].child("b")];
    stage.open(root(5), children).await;
    scripts[0].tell(Order::Fail);
    scripts[0].until_begun(2).await;
    scripts[1].tell(Order::Fail);
    stage.log.until("started b#2").await;
    assert_eq!(stage.tree.elapsed(), secs(0));
    stage.log.until("started a#3").await;
    assert_eq!(stage.tree.elapsed(), secs(30), "the start that hung had its deadline");
}

#[tokio::test(start_paused = true)]
async fn the_actor_of_a_start_that_was_given_up_is_stopped() {
    for start in [Start::SpawnAndHang, Start::SpawnAsideAndHang] {
        let stage = Stage::new();
        let script = Script::new([start]);
        let child = script.child("a").start_deadline(secs(2));
        let supervisor = stage.open(root(1).initial(InitialStart::Retry), vec![child]).await;
        script.until_begun(1).await;
        stage
            .log
            .until("exited a#1 start_failed: start took longer than 2000 ms")
            .await;
        stage.log.until("started a#2").await;
        let counts = supervisor.count_children().await.expect("it runs");
        assert_eq!(counts.active, 1);
        let alive = supervisor.cell().get_children().len();
        assert_eq!(alive, 1, "only the second one is left after {start:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hanging_start_can_be_terminated_and_its_actor_goes_too() {
    for start in [Start::SpawnAndHang, Start::SpawnAsideAndHang] {
        let stage = Stage::new();
        let script = Script::new([start]);
        let supervisor = stage
            .open(root(1).initial(InitialStart::Retry), vec![script.child("a")])
            .await;
        script.until_begun(1).await;
        supervisor.terminate_child("a").await.expect("it stops");
        script.cell().wait(Some(secs(1))).await.expect("it has ended");
        assert_eq!(stage.log.count("started"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn terminating_the_child_that_a_run_waits_for_lets_the_run_go_on() {
    let stage = Stage::new();
    let scripts = [Script::then_always([], Start::Fail), Script::ready()];
    let children = vec![scripts[0].child("a"), scripts[1].child("b")];
    let exits = Budget::new(100, secs(5)).backoff(Backoff::new(secs(60), secs(60)));
    let spec = SupervisorSpec::new("root").exits(exits).initial(InitialStart::Retry);
    let supervisor = stage.open(spec, children).await;
    stage.log.until("restarting a#1").await;
    supervisor.terminate_child("a").await.expect("it stops");
    supervisor.ready().await.expect("the rest is ready");
    assert_eq!(stage.log.lines().last().map(String::as_str), Some("started b#1"));
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_a_group_is_being_stopped_is_done_in_time() {
    let stage = Stage::new();
    let (scripts, children) = trio();
    let supervisor = stage.open(root(1).strategy(Strategy::OneForAll), children).await;
    scripts[2].tell(Order::Hang);
    scripts[0].tell(Order::Fail);
    stage.log.until("restarting a#1").await;
    assert!(supervisor.stop(secs(60)).await.is_normal());
    assert!(stage.tree.elapsed() <= secs(5), "the deadline of the hanging child");
    assert_eq!(stage.log.count("started"), 3);
}

#[tokio::test(start_paused = true)]
async fn giving_up_while_others_start_stops_them_too() {
    let stage = Stage::new();
    let scripts = [Script::ready(), Script::new([Start::Ready, Start::Hang])];
    let children = vec![scripts[0].child("a"), scripts[1].child("b")];
    stage.open(root(1).give_up(GiveUp::Stay), children).await;
    scripts[1].tell(Order::Fail);
    scripts[1].until_begun(2).await;
    scripts[0].tell(Order::Fail);
    stage.log.until("gave up a#1").await;
    tokio::time::advance(ms(1)).await;
    assert_eq!(
        (stage.state("a"), stage.state("b")),
        ("failed".to_owned(), "stopped".to_owned())
    );
}
