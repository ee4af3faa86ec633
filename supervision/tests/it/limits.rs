//! Budgets: the window, the row, the delays, and what resets them.

use roadshow_supervision::{Backoff, Budget, GiveUp, SupervisorSpec};

use super::stage::{Order, Script, Stage, Start, ms, root, secs};

fn with_exits(exits: Budget) -> SupervisorSpec {
    SupervisorSpec::new("root").exits(exits)
}

#[tokio::test(start_paused = true)]
async fn restarts_spread_out_wider_than_the_period_never_use_up_the_budget() {
    let stage = Stage::new();
    let script = Script::ready();
    stage.open(root(1), vec![script.child("a")]).await;
    for incarnation in 2..=20 {
        tokio::time::advance(ms(5_001)).await;
        script.tell(Order::Fail);
        stage.log.until(&format!("started a#{incarnation}")).await;
    }
    assert_eq!(stage.log.count("gave up"), 0);
}

#[tokio::test(start_paused = true)]
async fn the_window_is_the_supervisors_and_not_the_childs() {
    let stage = Stage::new();
    let (a, b) = (Script::ready(), Script::ready());
    let supervisor = stage.open(root(1), vec![a.child("a"), b.child("b")]).await;
    a.tell(Order::Fail);
    stage.log.until("started a#2").await;
    b.tell(Order::Fail);
    assert!(supervisor.wait().await.gave_up);
}

#[tokio::test(start_paused = true)]
async fn panics_of_handlers_and_other_exits_have_budgets_of_their_own() {
    let stage = Stage::new();
    let script = Script::ready();
    let supervisor = stage.open(root(1), vec![script.child("a")]).await;
    script.tell(Order::ReportPanic);
    stage.log.until("started a#2").await;
    script.tell(Order::Fail);
    stage.log.until("started a#3").await;
    assert_eq!(stage.log.count("restarting a#1 after 0 ms by panic"), 1);
    assert_eq!(stage.log.count("restarting a#2 after 0 ms by exit"), 1);
    script.tell(Order::ReportPanic);
    assert_eq!(
        supervisor.wait().await.causes[0],
        "root gave up on a: more than 1 restarts after panics in 5 s"
    );
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_panics_itself_counts_as_an_exit() {
    let stage = Stage::new();
    let script = Script::ready();
    stage.open(root(1), vec![script.child("a")]).await;
    script.tell(Order::Panic);
    stage.log.until("restarting a#1 after 0 ms by exit").await;
}

#[tokio::test(start_paused = true)]
async fn the_first_panic_restarts_without_a_moments_delay_and_the_next_ones_wait_longer_each() {
    let stage = Stage::new();
    let script = Script::ready();
    stage.open(SupervisorSpec::new("root"), vec![script.child("a")]).await;
    for incarnation in 2..=10 {
        script.tell(Order::ReportPanic);
        stage.log.until(&format!("started a#{incarnation}")).await;
    }
    assert_eq!(stage.log.delays(), [0, 10, 20, 40, 80, 160, 320, 640, 1000].map(ms));
    assert_eq!(
        stage.tree.elapsed().as_millis() / 10,
        2270 / 10,
        "and the delays are kept"
    );
}

#[tokio::test(start_paused = true)]
async fn two_hundred_panics_in_ten_seconds_are_borne_and_no_more() {
    let stage = Stage::new();
    let script = Script::ready();
    let supervisor = stage.open(SupervisorSpec::new("root"), vec![script.child("a")]).await;
    for incarnation in 2..=201 {
        supervisor.healthy("a", incarnation - 1);
        supervisor.count_children().await.expect("it runs");
        script.tell(Order::ReportPanic);
        stage.log.until(&format!("started a#{incarnation}")).await;
    }
    script.tell(Order::ReportPanic);
    assert_eq!(
        supervisor.wait().await.causes[0],
        "root gave up on a: more than 200 restarts after panics in 10 s"
    );
}

#[tokio::test(start_paused = true)]
async fn exits_wait_between_half_and_all_of_a_doubling_delay() {
    let stage = Stage::new();
    let script = Script::then_always([Start::Ready], Start::Fail);
    let spec = with_exits(Budget::exits().window(100, secs(30))).give_up(GiveUp::Stay);
    stage.open(spec, vec![script.child("a")]).await;
    script.tell(Order::Fail);
    stage.log.until("gave up").await;
    let delays = stage.log.delays();
    assert_eq!(delays.len(), 10, "ten in a row, whatever the window says");
    for (delay, full) in delays
        .iter()
        .zip([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000])
    {
        assert!((ms(full) / 2..=ms(full)).contains(delay), "{delay:?} of {full} ms");
    }
    assert_eq!(
        stage
            .log
            .count("gave up a#11 failed: root gave up on a: more than 10 restarts after exits in a row"),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn six_exits_in_half_a_minute_are_one_too_many() {
    let stage = Stage::new();
    let script = Script::then_always([Start::Ready], Start::Fail);
    let supervisor = stage.open(SupervisorSpec::new("root"), vec![script.child("a")]).await;
    script.tell(Order::Fail);
    let exit = supervisor.wait().await;
    assert_eq!(
        exit.causes,
        [
            "root gave up on a: more than 5 restarts after exits in 30 s",
            "no database"
        ]
    );
    assert_eq!(script.begun(), 6);
}

/// The delays of two failures, with something done in between.
async fn delays_around(between: impl AsyncFn(&roadshow_supervision::SupervisorRef)) -> Vec<std::time::Duration> {
    let stage = Stage::new();
    let script = Script::ready();
    let backoff = Backoff::new(ms(100), secs(30));
    let supervisor = stage
        .open(with_exits(Budget::exits().backoff(backoff)), vec![script.child("a")])
        .await;
    script.tell(Order::Fail);
    stage.log.until("started a#2").await;
    between(&supervisor).await;
    script.tell(Order::Fail);
    stage.log.until("started a#3").await;
    stage.log.delays()
}

#[tokio::test(start_paused = true)]
async fn ten_seconds_of_readiness_reset_the_row() {
    let delays = delays_around(async |_| tokio::time::advance(ms(9_990)).await).await;
    assert_eq!(delays, [100, 200].map(ms));
    let delays = delays_around(async |_| tokio::time::advance(secs(10)).await).await;
    assert_eq!(delays, [100, 100].map(ms));
}

#[tokio::test(start_paused = true)]
async fn one_answered_call_resets_the_row() {
    let delays = delays_around(async |supervisor| {
        supervisor.healthy("a", 2);
        supervisor.count_children().await.expect("it runs");
    });
    assert_eq!(delays.await, [100, 100].map(ms));
}

#[tokio::test(start_paused = true)]
async fn an_answered_call_of_another_life_resets_nothing() {
    let delays = delays_around(async |supervisor| {
        supervisor.healthy("a", 1);
        supervisor.healthy("x", 2);
        supervisor.count_children().await.expect("it runs");
    });
    assert_eq!(delays.await, [100, 200].map(ms));
}

#[tokio::test(start_paused = true)]
async fn a_restart_by_hand_skips_the_delay() {
    let stage = Stage::new();
    let script = Script::ready();
    let spec = with_exits(Budget::exits().backoff(Backoff::new(secs(20), secs(30))));
    let supervisor = stage.open(spec, vec![script.child("a")]).await;
    script.tell(Order::Fail);
    stage.log.until("restarting").await;
    assert_eq!(stage.state("a"), "backing_off");
    supervisor.restart_child("a").await.expect("it starts");
    assert_eq!(stage.tree.elapsed(), secs(0));
    tokio::time::advance(secs(60)).await;
    supervisor.count_children().await.expect("it runs");
    assert_eq!(script.begun(), 2, "the timer that was skipped starts nothing");
}

#[tokio::test(start_paused = true)]
async fn a_restart_by_hand_skips_the_delay_of_a_group() {
    let stage = Stage::new();
    let (scripts, children) = super::stage::trio();
    let spec = with_exits(Budget::exits().backoff(Backoff::new(secs(20), secs(30))));
    let supervisor = stage
        .open(spec.strategy(roadshow_supervision::Strategy::OneForAll), children)
        .await;
    scripts[1].tell(Order::Fail);
    stage.log.until("stopped a#1").await;
    // The stop is logged right before the supervisor hears of it.
    while supervisor.restart_child("b").await.is_err() {}
    assert_eq!(stage.tree.elapsed(), secs(0));
    stage.log.until("started c#2").await;
}
