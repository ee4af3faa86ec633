//! Starting: in order, with a reason when it fails, and what is refused before anything is started.

use std::sync::Arc;

use roadshow_supervision::{
    AutoShutdown, ChildError, ExitKind, InitialStart, NoObserver, Restart, SpecError, StartError, Strategy, Supervisor,
    SupervisorSpec, Tree,
};

use super::stage::{Script, Stage, Start, ms, root, secs, trio, trio_of};

#[tokio::test(start_paused = true)]
async fn children_start_in_order_and_the_supervisor_when_all_are_ready() {
    let stage = Stage::new();
    let scripts = [
        Script::new([Start::Slow(ms(30))]),
        Script::new([Start::Slow(ms(20))]),
        Script::ready(),
    ];
    let (_, children) = trio_of(scripts, [Restart::Permanent; 3]);
    let supervisor = stage.open(root(1), children).await;
    assert_eq!(stage.log.lines(), ["started a#1", "started b#1", "started c#1"]);
    assert_eq!(stage.tree.elapsed(), ms(50), "one after the other");
    supervisor.ready().await.expect("it is ready");
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_may_start_without_children() {
    let supervisor = Stage::new().open(root(1), vec![]).await;
    assert_eq!(supervisor.count_children().await.expect("it runs").specs, 0);
    assert!(supervisor.stop(secs(1)).await.is_normal());
}

#[tokio::test(start_paused = true)]
async fn an_ignored_start_keeps_the_child_declared_unless_it_is_temporary() {
    let stage = Stage::new();
    let scripts = [
        Script::new([Start::Ignore]),
        Script::new([Start::Ignore]),
        Script::ready(),
    ];
    let (_, children) = trio_of(scripts, [Restart::Permanent, Restart::Temporary, Restart::Permanent]);
    let supervisor = stage.open(root(1), children).await;
    assert_eq!(stage.log.lines(), ["started c#1"]);
    let ids: Vec<_> = supervisor
        .children()
        .await
        .expect("it runs")
        .into_iter()
        .map(|child| child.id)
        .collect();
    assert_eq!(ids, ["a".into(), "c".into()] as [Arc<str>; 2]);
    assert_eq!(stage.state("a"), "stopped");
    assert!(
        supervisor
            .restart_child("a")
            .await
            .expect("it may be tried again")
            .is_some()
    );
}

#[tokio::test(start_paused = true)]
async fn a_failing_first_start_undoes_what_was_started_and_names_child_and_reason() {
    let stage = Stage::new();
    let scripts = [Script::ready(), Script::ready(), Script::new([Start::Fail])];
    let (scripts, children) = trio_of(scripts, [Restart::Permanent; 3]);
    let error = stage
        .try_open(root(1), children)
        .await
        .expect_err("the third child fails");
    assert_eq!(error.causes(), ["cannot start c of root", "no database"]);
    let expected = [
        "started a#1",
        "started b#1",
        "exited c#1 start_failed: no database",
        "stopped b#1 Drained",
        "stopped a#1 Drained",
    ];
    assert_eq!(stage.log.lines(), expected);
    assert_eq!(scripts[2].begun(), 1, "it is not tried again");
    assert_eq!(stage.tree.snapshot().state.to_string(), "failed");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_panics_or_hangs_is_a_failed_start() {
    for (start, reason) in [
        (Start::Panic, "start panicked: factory panicked"),
        (Start::Hang, "start took longer than 30000 ms"),
        (Start::SpawnAndHang, "start took longer than 30000 ms"),
    ] {
        let stage = Stage::new();
        let error = stage
            .try_open(root(1), vec![Script::new([start]).child("a")])
            .await
            .expect_err("it fails");
        assert_eq!(error.causes(), ["cannot start a of root", reason]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_first_start_may_follow_the_restart_policy_instead() {
    let stage = Stage::new();
    let scripts = [
        Script::new([Start::Fail, Start::Panic]),
        Script::ready(),
        Script::ready(),
    ];
    let (_, children) = trio_of(scripts, [Restart::Permanent; 3]);
    let supervisor = stage.open(root(2).initial(InitialStart::Retry), children).await;
    assert_eq!(stage.log.count("started"), 0, "it obeys before its children are ready");
    supervisor.ready().await.expect("the third try is good");
    let expected = [
        "exited a#1 start_failed: no database",
        "restarting a#1 after 0 ms by exit",
        "exited a#2 start_failed: start panicked: factory panicked",
        "restarting a#2 after 0 ms by exit",
        "started a#3",
        "started b#1",
        "started c#1",
    ];
    assert_eq!(stage.log.lines(), expected, "what comes after waits its turn");
}

#[tokio::test(start_paused = true)]
async fn a_first_start_that_keeps_failing_uses_up_the_budget() {
    let stage = Stage::new();
    let script = Script::then_always([], Start::Fail);
    let supervisor = stage
        .open(root(3).initial(InitialStart::Retry), vec![script.child("a")])
        .await;
    let exit = supervisor.ready().await.expect_err("it gives up");
    assert!(exit.gave_up);
    assert_eq!(
        exit.causes,
        [
            "root gave up on a: more than 3 restarts after exits in 5 s",
            "no database"
        ]
    );
    assert_eq!(script.begun(), 4);
    assert_eq!(supervisor.wait().await, exit);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_recover_is_not_tried_again() {
    let stage = Stage::new();
    let script = Script::new([Start::CannotRecover]);
    let supervisor = stage
        .open(root(3).initial(InitialStart::Retry), vec![script.child("a")])
        .await;
    let exit = supervisor.wait().await;
    assert!(exit.gave_up);
    assert_eq!(
        exit.causes,
        ["root gave up on a: it cannot recover", "password refused"]
    );
    assert_eq!(script.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_start_stops_what_it_has_started() {
    let stage = Stage::new();
    let scripts = [Script::ready(), Script::new([Start::Hang]), Script::ready()];
    let (scripts, children) = trio_of(scripts, [Restart::Permanent; 3]);
    let start = stage.try_open(root(1), children);
    tokio::select! {
        _ = start => panic!("the second child hangs"),
        () = scripts[1].until_begun(1) => {}
    }
    stage.log.until("stopped a#1").await;
    assert_eq!(scripts[2].begun(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_ends_before_its_start_answers_is_restarted() {
    let stage = Stage::new();
    let script = Script::new([Start::EndBeforeAnswer]);
    stage.open(root(1), vec![script.child("a")]).await;
    stage.log.until("started a#2").await;
    let expected = [
        "started a#1",
        "exited a#1 failed: broken",
        "restarting a#1 after 0 ms by exit",
        "started a#2",
    ];
    assert_eq!(stage.log.lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_its_start_did_not_link_is_supervised_all_the_same() {
    let stage = Stage::new();
    let script = Script::new([Start::Unlinked]);
    stage.open(root(1), vec![script.child("a")]).await;
    script.tell(super::stage::Order::Fail);
    stage.log.until("started a#2").await;
}

async fn refused(spec: SupervisorSpec, children: Vec<roadshow_supervision::ChildSpec>) -> StartError {
    let start = Supervisor::spawn(spec, children, None, Tree::new(), Arc::new(NoObserver));
    start.await.expect_err("the spec is refused")
}

#[tokio::test(start_paused = true)]
async fn each_faulty_field_of_a_spec_is_refused_before_anything_starts() {
    let script = Script::ready();
    let child = |id: &str| script.child(id);
    let with = |child| (root(1), vec![child]);
    let significant = child("a").restart(Restart::Transient).significant();
    let auto = root(1).auto_shutdown(AutoShutdown::AnySignificant);
    let table = [
        with(child("")),
        with(child("a/b")),
        with(child("a\nb")),
        with(child(&"a".repeat(256))),
        with(child("a").start_deadline(secs(0))),
        with(significant.clone()),
        (auto.clone(), vec![child("a").significant()]),
        (root(1), vec![child("a"), child("b"), child("a")]),
        (root(1).max_children(1), vec![child("a"), child("b")]),
        (root(1).template(child("t")), vec![child("a")]),
        (root(1).template(child("t")).strategy(Strategy::OneForAll), vec![]),
        (SupervisorSpec::new(""), vec![]),
    ];
    for (spec, children) in table {
        let what = format!("{spec:?} with {children:?}");
        assert!(refused(spec, children).await.is_unrecoverable(), "{what}");
    }
    assert_eq!(script.begun(), 0);
    assert!(auto.check(&[significant]).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_running_supervisor_refuses_the_same_faults() {
    let stage = Stage::new();
    let (_, children) = trio();
    let supervisor = stage.open(root(1), children).await;
    let refused = supervisor.start_child(Script::ready().child("")).await;
    assert!(matches!(refused, Err(ChildError::Spec(SpecError::Id { .. }))));
    let refused = supervisor.start_child(Script::ready().child("d").significant()).await;
    assert!(matches!(
        refused,
        Err(ChildError::Spec(SpecError::SignificantPermanent { .. }))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_start_error_tells_its_exit() {
    let stage = Stage::new();
    let supervisor = stage
        .open(
            root(0).initial(InitialStart::Retry),
            vec![Script::new([Start::Fail]).child("a")],
        )
        .await;
    assert_eq!(supervisor.wait().await.kind, ExitKind::Failed);
}
