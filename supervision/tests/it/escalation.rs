//! Giving up: upwards with the whole chain of causes, straight to the root, or staying as failed.

use roadshow_supervision::{ChildError, GiveUp, OnGiveUp, Restart, SupervisorSpec};

use super::stage::{Latest, Order, Script, Stage, Start, root, secs};

fn named(id: &'static str, intensity: u32) -> SupervisorSpec {
    let mut spec = root(intensity);
    spec.id = id.into();
    spec
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_gives_up_is_restarted_by_its_parent_as_one_exit() {
    let stage = Stage::new();
    let (latest, script) = (Latest::default(), Script::ready());
    let child = script.clone();
    let inner = stage.supervisor(&named("inner", 1), &latest, move || vec![child.child("a")]);
    let outer = stage.open(root(1), vec![inner]).await;
    script.tell(Order::Fail);
    stage.log.until("started a#2").await;
    script.tell(Order::Fail);
    stage.log.until("started inner#2").await;
    assert_eq!(script.begun(), 3);
    assert_eq!(stage.log.count("exited inner#1 failed: root/inner gave up on a: "), 1);
    assert_eq!(stage.log.count("restarting inner"), 1);
    assert_eq!(
        stage.tree.snapshot().find("inner/a").map(|node| node.incarnation),
        Some(1),
        "a new life counts anew"
    );
    assert!(outer.stop(secs(9)).await.is_normal());
}

#[tokio::test(start_paused = true)]
async fn give_ups_add_up_to_the_root_and_the_chain_is_whole() {
    let stage = Stage::new();
    let (latest, script) = (Latest::default(), Script::ready());
    let child = script.clone();
    let inner = stage.supervisor(&named("inner", 0), &latest, move || vec![child.child("a")]);
    let outer = stage.open(root(0), vec![inner]).await;
    script.tell(Order::Fail);
    let exit = outer.wait().await;
    assert!(exit.gave_up);
    let expected = [
        "root gave up on inner: more than 0 restarts after exits in 5 s",
        "root/inner gave up on a: more than 0 restarts after exits in 5 s",
        "broken",
    ];
    assert_eq!(exit.causes, expected);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_gives_up_goes_straight_to_the_root() {
    let stage = Stage::new();
    let (services, service) = (Latest::default(), Latest::default());
    let (script, gateway) = (Script::ready(), Script::ready());
    let (inner_stage, child) = (stage.clone(), script.clone());
    let services_spec = stage.supervisor(&named("services", 100), &services, move || {
        let child = child.clone();
        let user = inner_stage.supervisor(&named("user", 0), &service, move || vec![child.child("service")]);
        vec![user.on_give_up(OnGiveUp::Escalate)]
    });
    let children = vec![gateway.child("gateway"), services_spec.on_give_up(OnGiveUp::Escalate)];
    let node = stage.open(named("node", 100), children).await;
    script.tell(Order::Fail);
    let exit = node.wait().await;
    assert!(exit.gave_up);
    let expected = [
        "node gave up on services: it gave up",
        "node/services gave up on user: it gave up",
        "node/services/user gave up on service: more than 0 restarts after exits in 5 s",
        "broken",
    ];
    assert_eq!(exit.causes, expected);
    assert_eq!(stage.log.count("restarting"), 0, "nothing on the way was restarted");
    assert_eq!(
        stage.log.lines().last().map(String::as_str),
        Some("stopped gateway#1 Drained")
    );
}

#[tokio::test(start_paused = true)]
async fn children_are_stopped_in_reverse_before_the_parent_hears_of_it() {
    let stage = Stage::new();
    let (latest, script) = (Latest::default(), Script::ready());
    let child = script.clone();
    let inner = stage.supervisor(&named("inner", 0), &latest, move || {
        vec![Script::ready().child("x"), Script::ready().child("y"), child.child("a")]
    });
    stage.open(root(1), vec![inner]).await;
    script.tell(Order::Fail);
    stage.log.until("started inner#2").await;
    let lines = stage.log.lines();
    let at = |text: &str| {
        lines
            .iter()
            .position(|line| line.starts_with(text))
            .expect("it was written")
    };
    assert!(at("gave up a#1") < at("stopped y#1") && at("stopped y#1") < at("stopped x#1"));
    assert!(at("stopped x#1") < at("exited inner#1"));
}

#[tokio::test(start_paused = true)]
async fn an_optional_supervisor_stays_as_failed_and_disturbs_nobody() {
    let stage = Stage::new();
    let (latest, script, other) = (Latest::default(), Script::ready(), Script::ready());
    let child = script.clone();
    let sibling = other.clone();
    let spec = named("inner", 0).give_up(GiveUp::Stay);
    let inner = stage.supervisor(&spec, &latest, move || vec![sibling.child("x"), child.child("a")]);
    let outer = stage.open(root(0), vec![inner]).await;
    script.tell(Order::Fail);
    stage.log.until("stopped x#1").await;
    let supervisor = latest.get();
    let new = Script::ready().child("new");
    assert_eq!(supervisor.start_child(new).await, Err(ChildError::GaveUp));
    let snapshot = stage.tree.snapshot();
    let failed = snapshot.child("inner").expect("it stays in the tree");
    assert_eq!(failed.state.to_string(), "failed");
    let cause = "failed: root/inner gave up on a: more than 0 restarts after exits in 5 s: broken";
    assert_eq!(failed.last_failure.as_deref(), Some(cause));
    assert_eq!(stage.state("inner/a"), "failed");
    assert_eq!(stage.state("inner/x"), "stopped");
    assert!(supervisor.ready().await.is_err());
    assert_eq!(stage.log.count("exited inner"), 0, "the parent does not hear of it");
    assert!(outer.stop(secs(9)).await.is_normal());
}

#[tokio::test(start_paused = true)]
async fn a_restart_by_hand_brings_a_failed_supervisor_back() {
    let stage = Stage::new();
    let script = Script::ready();
    let supervisor = stage.open(root(1).give_up(GiveUp::Stay), vec![script.child("a")]).await;
    for incarnation in 1..=2 {
        script.tell(Order::Fail);
        stage.log.until(&format!("exited a#{incarnation}")).await;
        stage
            .log
            .until_count(if incarnation == 1 { "started a#2" } else { "gave up" }, 1)
            .await;
    }
    supervisor.restart_child("a").await.expect("it starts");
    supervisor.ready().await.expect("it is not failed any more");
    assert_eq!(stage.tree.snapshot().state.to_string(), "ready");
    script.tell(Order::Fail);
    stage.log.until("started a#4").await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_cannot_recover_makes_its_supervisor_give_up_at_once() {
    let stage = Stage::new();
    let script = Script::ready();
    let supervisor = stage.open(root(100), vec![script.child("a")]).await;
    script.tell(Order::CannotRecover);
    assert_eq!(
        supervisor.wait().await.causes,
        ["root gave up on a: it cannot recover", "key refused"]
    );
}

#[tokio::test(start_paused = true)]
async fn escalation_restarts_a_supervisor_without_its_dynamic_children() {
    let stage = Stage::new();
    let (latest, script, added) = (Latest::default(), Script::ready(), Script::ready());
    let child = script.clone();
    let inner = stage.supervisor(&named("inner", 0), &latest, move || vec![child.child("a")]);
    stage.open(root(1), vec![inner]).await;
    latest.get().start_child(added.child("added")).await.expect("it starts");
    script.tell(Order::Fail);
    stage.log.until("started inner#2").await;
    let ids: Vec<_> = latest
        .get()
        .children()
        .await
        .expect("it runs")
        .into_iter()
        .map(|child| child.id)
        .collect();
    assert_eq!(ids, ["a".into()] as [std::sync::Arc<str>; 1]);
    assert_eq!(added.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_killed_supervisor_takes_its_children_along_and_is_restarted() {
    let stage = Stage::new();
    let (latest, script) = (Latest::default(), Script::ready());
    let child = script.clone();
    let inner = stage.supervisor(&named("inner", 1), &latest, move || vec![child.child("a")]);
    stage.open(root(1), vec![inner]).await;
    let (orphan, former) = (script.cell(), latest.get());
    former.cell().kill();
    stage.log.until("started inner#2").await;
    orphan.wait(Some(secs(1))).await.expect("it was killed too");
    assert_eq!(former.wait().await.kind, roadshow_supervision::ExitKind::Killed);
    let snapshot = stage.tree.snapshot();
    assert_eq!(
        snapshot.child("inner").map(|inner| inner.children.len()),
        Some(1),
        "the dead leave the tree"
    );
}

#[tokio::test(start_paused = true)]
async fn a_nested_supervisor_whose_children_do_not_start_fails_the_start_of_its_parent() {
    let stage = Stage::new();
    let latest = Latest::default();
    let inner = stage.supervisor(&named("inner", 1), &latest, || {
        vec![Script::ready().child("x"), Script::new([Start::Fail]).child("a")]
    });
    let error = stage
        .try_open(root(1), vec![inner])
        .await
        .expect_err("the inner child fails");
    assert_eq!(
        error.causes(),
        [
            "cannot start inner of root",
            "cannot start a of root/inner",
            "no database"
        ]
    );
    assert_eq!(stage.log.count("stopped x#1"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_temporary_supervisor_that_gives_up_is_forgotten() {
    let stage = Stage::new();
    let (latest, script) = (Latest::default(), Script::ready());
    let child = script.clone();
    let inner = stage.supervisor(&named("inner", 0), &latest, move || vec![child.child("a")]);
    let outer = stage.open(root(0), vec![inner.restart(Restart::Temporary)]).await;
    script.tell(Order::Fail);
    stage.log.until("exited inner#1").await;
    assert_eq!(outer.count_children().await.expect("it runs").specs, 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_restarted_by_hand_before_everything_has_stopped() {
    let stage = Stage::new();
    let (a, b, c) = (Script::ready(), Script::ready(), Script::ready());
    let children = vec![a.child("a"), super::stage::quick(b.child("b")), c.child("c")];
    let supervisor = stage.open(root(0).give_up(GiveUp::Stay), children).await;
    supervisor.terminate_child("c").await.expect("it stops");
    b.tell(Order::Hang);
    a.tell(Order::Fail);
    stage.log.until("gave up a#1").await;
    assert_eq!(
        supervisor.restart_child("c").await,
        Err(ChildError::Restarting("c".into()))
    );
    stage.log.until("stopped b#1 Killed").await;
    // The stop is logged right before the supervisor hears of it.
    while supervisor.restart_child("c").await.is_err() {}
    assert_eq!(stage.state("b"), "stopped");
}
