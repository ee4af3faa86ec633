//! Starting, terminating, restarting and deleting children by hand, and every way in which that is refused.

use roadshow_supervision::{ChildError, Restart, Strategy};

use super::stage::{Order, Script, Stage, Start, root, secs, trio};

#[tokio::test(start_paused = true)]
async fn a_child_is_added_terminated_restarted_and_deleted() {
    let stage = Stage::new();
    let supervisor = stage.open(root(1), vec![]).await;
    let script = Script::ready();
    let cell = supervisor
        .start_child(script.child("a"))
        .await
        .expect("it starts")
        .expect("it has an actor");
    assert_eq!(cell, script.cell());
    supervisor.terminate_child("a").await.expect("it stops");
    supervisor
        .terminate_child("a")
        .await
        .expect("stopped already is no error");
    assert_eq!(stage.state("a"), "stopped");
    let cell = supervisor
        .restart_child("a")
        .await
        .expect("it starts")
        .expect("it has an actor");
    assert_eq!(cell, script.cell());
    supervisor.terminate_child("a").await.expect("it stops");
    supervisor.delete_child("a").await.expect("it is stopped");
    assert!(stage.tree.snapshot().children.is_empty());
    assert_eq!(
        stage.log.lines(),
        [
            "started a#1",
            "stopped a#1 Drained",
            "started a#2",
            "stopped a#2 Drained"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn unknown_children_are_not_found() {
    let supervisor = Stage::new().open(root(1), vec![]).await;
    let not_found = || ChildError::NotFound("x".into());
    assert_eq!(supervisor.terminate_child("x").await, Err(not_found()));
    assert_eq!(supervisor.restart_child("x").await, Err(not_found()));
    assert_eq!(supervisor.delete_child("x").await, Err(not_found()));
}

#[tokio::test(start_paused = true)]
async fn a_running_child_is_neither_restarted_nor_deleted() {
    let stage = Stage::new();
    let (_, children) = trio();
    let supervisor = stage.open(root(1), children).await;
    assert_eq!(
        supervisor.restart_child("a").await,
        Err(ChildError::Running("a".into()))
    );
    assert_eq!(supervisor.delete_child("a").await, Err(ChildError::Running("a".into())));
}

#[tokio::test(start_paused = true)]
async fn a_starting_child_is_neither_restarted_nor_deleted() {
    let stage = Stage::new();
    let script = Script::new([Start::Ready, Start::Hang]);
    let supervisor = stage.open(root(1), vec![script.child("a")]).await;
    script.tell(Order::Fail);
    script.until_begun(2).await;
    assert_eq!(
        supervisor.restart_child("a").await,
        Err(ChildError::Restarting("a".into()))
    );
    assert_eq!(
        supervisor.delete_child("a").await,
        Err(ChildError::Restarting("a".into()))
    );
    assert_eq!(stage.state("a"), "starting");
    supervisor
        .terminate_child("a")
        .await
        .expect("a start that hangs can be terminated");
    supervisor.delete_child("a").await.expect("it is stopped");
}

#[tokio::test(start_paused = true)]
async fn an_id_is_taken_whether_its_child_runs_or_not() {
    let stage = Stage::new();
    let (_, children) = trio();
    let supervisor = stage.open(root(1), children).await;
    let again = || Script::ready().child("a");
    assert_eq!(
        supervisor.start_child(again()).await,
        Err(ChildError::AlreadyStarted("a".into()))
    );
    supervisor.terminate_child("a").await.expect("it stops");
    assert_eq!(
        supervisor.start_child(again()).await,
        Err(ChildError::AlreadyPresent("a".into()))
    );
}

#[tokio::test(start_paused = true)]
async fn a_child_that_does_not_start_by_hand_is_not_added_and_not_tried_again() {
    let stage = Stage::new();
    let supervisor = stage.open(root(1), vec![]).await;
    let script = Script::new([Start::Fail]);
    let error = supervisor.start_child(script.child("a")).await.expect_err("it fails");
    assert_eq!(error.to_string(), "child a did not start: no database");
    assert_eq!(supervisor.count_children().await.expect("it runs").specs, 0);
    assert_eq!(script.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_restart_by_hand_that_fails_leaves_the_child_stopped() {
    let stage = Stage::new();
    let script = Script::new([Start::Ready, Start::Fail]);
    let supervisor = stage.open(root(1), vec![script.child("a")]).await;
    supervisor.terminate_child("a").await.expect("it stops");
    assert!(matches!(
        supervisor.restart_child("a").await,
        Err(ChildError::Start { .. })
    ));
    assert_eq!(script.begun(), 2);
    assert!(
        supervisor.restart_child("a").await.is_ok(),
        "it may be tried again by hand"
    );
}

#[tokio::test(start_paused = true)]
async fn a_start_by_hand_may_be_ignored() {
    let supervisor = Stage::new().open(root(1), vec![]).await;
    let ignored = |id: &str| Script::new([Start::Ignore]).child(id);
    assert_eq!(supervisor.start_child(ignored("a")).await, Ok(None));
    assert_eq!(
        supervisor.start_child(ignored("b").restart(Restart::Temporary)).await,
        Ok(None)
    );
    assert_eq!(
        supervisor.count_children().await.expect("it runs").specs,
        1,
        "only the temporary one is forgotten"
    );
}

#[tokio::test(start_paused = true)]
async fn a_terminated_temporary_child_is_forgotten() {
    let supervisor = Stage::new().open(root(1), vec![]).await;
    let child = Script::ready().child("a").restart(Restart::Temporary);
    supervisor.start_child(child).await.expect("it starts");
    supervisor.terminate_child("a").await.expect("it stops");
    assert_eq!(
        supervisor.restart_child("a").await,
        Err(ChildError::NotFound("a".into()))
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_supervisor_takes_no_more_children() {
    let supervisor = Stage::new().open(root(1).max_children(2), vec![]).await;
    for id in ["a", "b"] {
        supervisor
            .start_child(Script::ready().child(id))
            .await
            .expect("there is room");
    }
    assert_eq!(
        supervisor.start_child(Script::ready().child("c")).await,
        Err(ChildError::Full(2))
    );
    supervisor.terminate_child("a").await.expect("it stops");
    supervisor.delete_child("a").await.expect("it is stopped");
    supervisor
        .start_child(Script::ready().child("c"))
        .await
        .expect("there is room again");
}

#[tokio::test(start_paused = true)]
async fn children_are_counted_by_kind_and_by_life() {
    let stage = Stage::new();
    let latest = super::stage::Latest::default();
    let inner = stage.supervisor(&root(1), &latest, Vec::new);
    let supervisor = stage.open(root(1), vec![inner, Script::ready().child("a")]).await;
    supervisor.terminate_child("a").await.expect("it stops");
    let counts = supervisor.count_children().await.expect("it runs");
    assert_eq!(
        (counts.specs, counts.active, counts.supervisors, counts.workers),
        (2, 1, 1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn thousands_of_children_are_counted() {
    let supervisor = Stage::new().open(root(1).max_children(2_000), vec![]).await;
    for (from, to) in [(0, 1_000), (1_000, 2_000)] {
        for n in from..to {
            supervisor
                .start_child(Script::ready().child(&format!("child-{n}")))
                .await
                .expect("it starts");
        }
        let counts = supervisor.count_children().await.expect("it runs");
        assert_eq!((counts.specs, counts.active, counts.workers), (to, to, to));
    }
    assert!(supervisor.stop(secs(60)).await.is_normal());
}

#[tokio::test(start_paused = true)]
async fn the_start_of_a_temporary_child_is_not_kept() {
    let supervisor = Stage::new().open(root(1), vec![]).await;
    let captured = std::sync::Arc::new(());
    let (weak, script) = (std::sync::Arc::downgrade(&captured), Script::ready());
    let template = script.child("a").restart(Restart::Temporary);
    let start = template.start.clone();
    let mut child = template;
    child.start = roadshow_supervision::start_fn(move |context| {
        let _captured = &captured;
        start(context)
    });
    supervisor.start_child(child).await.expect("it starts");
    assert!(
        weak.upgrade().is_none(),
        "what the start captured is freed while the child runs"
    );
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_to_a_restarting_group_takes_its_turn() {
    let stage = Stage::new();
    let (scripts, children) = trio();
    let supervisor = stage.open(root(1).strategy(Strategy::OneForAll), children).await;
    scripts[0].tell(Order::Nap(secs(1)));
    scripts[2].tell(Order::Fail);
    stage.log.until("exited c#1").await;
    supervisor
        .start_child(Script::ready().child("d"))
        .await
        .expect("it starts");
    let lines = stage.log.lines();
    assert_eq!(
        lines[lines.len() - 4..],
        ["started a#2", "started b#2", "started c#2", "started d#1"]
    );
}

#[tokio::test(start_paused = true)]
async fn requests_to_a_supervisor_that_has_ended_are_answered() {
    let stage = Stage::new();
    let (_, children) = trio();
    let supervisor = stage.open(root(1), children).await;
    supervisor.stop(secs(1)).await;
    assert_eq!(supervisor.terminate_child("a").await, Err(ChildError::Ended));
    assert_eq!(supervisor.count_children().await, Err(ChildError::Ended));
    supervisor.healthy("a", 1);
}
