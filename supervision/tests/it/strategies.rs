//! Who is restarted with whom, and what happens when that does not go well.

use roadshow_supervision::{Backoff, Budget, Restart, Strategy, SupervisorSpec};

use super::stage::{Order, Script, Stage, Start, quick, root, secs, trio, trio_of};

/// The log of what happens after child `b` of three has failed, until `last` is written.
async fn when_b_fails(strategy: Strategy, last: &str) -> Vec<String> {
    let stage = Stage::new();
    let (scripts, children) = trio();
    stage.open(root(1).strategy(strategy), children).await;
    scripts[1].tell(Order::Fail);
    stage.log.until(last).await;
    stage.log.lines()[5..].to_vec()
}

#[tokio::test(start_paused = true)]
async fn one_for_one_restarts_only_the_failed_child() {
    assert_eq!(when_b_fails(Strategy::OneForOne, "started b#2").await, ["started b#2"]);
}

#[tokio::test(start_paused = true)]
async fn one_for_all_stops_the_others_in_reverse_and_starts_all_in_order() {
    let expected = [
        "stopped c#1 Drained",
        "stopped a#1 Drained",
        "started a#2",
        "started b#2",
        "started c#2",
    ];
    assert_eq!(when_b_fails(Strategy::OneForAll, "started c#2").await, expected);
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_restarts_the_failed_child_and_those_after_it() {
    let expected = ["stopped c#1 Drained", "started b#2", "started c#2"];
    assert_eq!(when_b_fails(Strategy::RestForOne, "started c#2").await, expected);
}

#[tokio::test(start_paused = true)]
async fn every_strategy_gives_up_beyond_its_intensity() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        let stage = Stage::new();
        let (scripts, children) = trio();
        let supervisor = stage.open(root(1).strategy(strategy), children).await;
        scripts[1].tell(Order::Fail);
        stage.log.until("started b#2").await;
        scripts[1].tell(Order::Fail);
        let exit = supervisor.wait().await;
        assert!(exit.gave_up, "{strategy:?}");
        assert_eq!(
            exit.causes,
            ["root gave up on b: more than 1 restarts after exits in 5 s", "broken"]
        );
        assert_eq!(stage.log.lines().last().map(|line| &line[..9]), Some("stopped a"));
    }
}

#[tokio::test(start_paused = true)]
async fn one_for_one_tries_a_failing_restart_again_and_lets_the_others_be() {
    let stage = Stage::new();
    let scripts = [
        Script::ready(),
        Script::new([Start::Ready, Start::Fail, Start::Fail]),
        Script::ready(),
    ];
    let (scripts, children) = trio_of(scripts, [Restart::Permanent; 3]);
    stage.open(root(3), children).await;
    scripts[1].tell(Order::Fail);
    stage.log.until("started b#4").await;
    assert_eq!((scripts[0].begun(), scripts[2].begun()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn one_for_all_stops_everything_again_when_a_sibling_fails_to_come_back() {
    let stage = Stage::new();
    let scripts = [
        Script::ready(),
        Script::ready(),
        Script::new([Start::Ready, Start::Fail]),
    ];
    let (scripts, children) = trio_of(scripts, [Restart::Permanent; 3]);
    stage.open(root(2).strategy(Strategy::OneForAll), children).await;
    scripts[0].tell(Order::Fail);
    stage.log.until("started c#3").await;
    let expected = [
        "stopped c#1 Drained",
        "stopped b#1 Drained",
        "started a#2",
        "started b#2",
        "exited c#2 start_failed: no database",
        "restarting c#2 after 0 ms by exit",
        "stopped b#2 Drained",
        "stopped a#2 Drained",
        "started a#3",
        "started b#3",
        "started c#3",
    ];
    assert_eq!(stage.log.lines()[5..], expected);
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_goes_on_from_the_child_that_failed_to_come_back() {
    let stage = Stage::new();
    let scripts = [
        Script::ready(),
        Script::new([Start::Ready, Start::Fail]),
        Script::ready(),
    ];
    let (scripts, children) = trio_of(scripts, [Restart::Permanent; 3]);
    stage.open(root(2).strategy(Strategy::RestForOne), children).await;
    scripts[0].tell(Order::Fail);
    stage.log.until("started c#2").await;
    let expected = [
        "stopped c#1 Drained",
        "stopped b#1 Drained",
        "started a#2",
        "exited b#2 start_failed: no database",
        "restarting b#2 after 0 ms by exit",
        "started b#3",
        "started c#2",
    ];
    assert_eq!(stage.log.lines()[5..], expected, "what is up again stays up");
}

#[tokio::test(start_paused = true)]
async fn temporary_bystanders_do_not_come_back() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let stage = Stage::new();
        let scripts = [Script::ready(), Script::ready(), Script::ready()];
        let (scripts, children) = trio_of(scripts, [Restart::Permanent, Restart::Temporary, Restart::Permanent]);
        let supervisor = stage.open(root(1).strategy(strategy), children).await;
        scripts[0].tell(Order::Fail);
        stage.log.until("started c#2").await;
        assert_eq!(supervisor.count_children().await.expect("it runs").specs, 2);
        assert_eq!(scripts[1].begun(), 1);
        assert_eq!(stage.log.count("stopped b#1"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_restart_counts_once() {
    let stage = Stage::new();
    let (scripts, children) = trio();
    stage.open(root(2).strategy(Strategy::OneForAll), children).await;
    for incarnation in 2..=3 {
        scripts[1].tell(Order::Fail);
        stage.log.until(&format!("started c#{incarnation}")).await;
    }
    assert_eq!(stage.log.count("restarting"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_sibling_comes_back_with_its_group() {
    let stage = Stage::new();
    let (scripts, children) = trio();
    let supervisor = stage.open(root(1).strategy(Strategy::OneForAll), children).await;
    supervisor.terminate_child("c").await.expect("it stops");
    scripts[0].tell(Order::Fail);
    stage.log.until("started c#2").await;
}

#[tokio::test(start_paused = true)]
async fn a_sibling_that_fails_while_the_group_restarts_begins_it_anew() {
    let stage = Stage::new();
    let scripts = [
        Script::ready(),
        Script::ready(),
        Script::new([Start::Ready, Start::Hang]),
    ];
    let (scripts, children) = trio_of(scripts, [Restart::Permanent; 3]);
    stage.open(root(2).strategy(Strategy::OneForAll), children).await;
    scripts[1].tell(Order::Fail);
    scripts[2].until_begun(2).await;
    scripts[0].tell(Order::Fail);
    stage.log.until("started c#3").await;
    assert_eq!(
        stage.log.lines()[9..],
        [
            "exited a#2 failed: broken",
            "restarting a#2 after 0 ms by exit",
            "stopped b#2 Drained",
            "started a#3",
            "started b#3",
            "started c#3"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_hanging_sibling_delays_its_group_until_its_deadline() {
    let stage = Stage::new();
    let (a, b) = (Script::ready(), Script::ready());
    let children = vec![a.child("a"), quick(b.child("b"))];
    stage.open(root(1).strategy(Strategy::RestForOne), children).await;
    b.tell(Order::Hang);
    a.tell(Order::Fail);
    stage.log.until("started b#2").await;
    assert_eq!(stage.log.count("stopped b#1 Killed"), 1);
    assert_eq!(stage.tree.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_group_restart_takes_over_what_another_had_still_to_do() {
    let stage = Stage::new();
    let scripts = [(); 4].map(|()| Script::ready());
    let children = scripts
        .iter()
        .zip(["a", "b", "c", "d"])
        .map(|(script, id)| quick(script.child(id)))
        .collect();
    let exits = Budget::new(5, secs(5)).backoff(Backoff::new(secs(20), secs(20)));
    let spec = SupervisorSpec::new("root").exits(exits).strategy(Strategy::RestForOne);
    let supervisor = stage.open(spec, children).await;
    scripts[2].tell(Order::Hang);
    scripts[0].tell(Order::Fail);
    stage.log.until("stopped d#1").await;
    supervisor
        .terminate_child("c")
        .await
        .expect("it stops with its group, and for good");
    supervisor
        .restart_child("c")
        .await
        .expect("it starts by hand, before its group");
    scripts[2].tell(Order::Fail);
    stage.log.until("started d#2").await;
    let lines = stage.log.lines();
    assert_eq!(
        lines[lines.len() - 4..],
        ["started a#2", "started b#2", "started c#3", "started d#2"]
    );
}
