//! Instances of a template: started on demand, forgotten when they end, stopped in parallel.

use std::sync::Arc;

use roadshow_supervision::{ChildError, ChildSpec, Restart, Shutdown, StartArgs, StartError, SupervisorSpec};

use super::stage::{Order, Script, Stage, Start, Worker, root, secs};

fn pool(script: &Script) -> SupervisorSpec {
    root(1).template(script.child("worker"))
}

#[tokio::test(start_paused = true)]
async fn instances_are_numbered_and_restarted_alone() {
    let stage = Stage::new();
    let script = Script::ready();
    let supervisor = stage.open(pool(&script), vec![]).await;
    let first = supervisor.start_instance(None).await.expect("it starts");
    let second = supervisor.start_instance(None).await.expect("it starts");
    assert_eq!((&*first.id, &*second.id), ("worker-1", "worker-2"));
    script.tell(Order::Fail);
    stage.log.until("started worker-2#2").await;
    assert_eq!(stage.log.count("started worker-1"), 1);
}

#[tokio::test(start_paused = true)]
async fn instances_keep_their_arguments_over_a_restart() {
    let stage = Stage::new();
    let (seen, mut heard) = tokio::sync::mpsc::channel(8);
    let template = ChildSpec::worker("worker", move |context| {
        let seen = seen.clone();
        async move {
            let number = context
                .args
                .as_ref()
                .and_then(|args| args.downcast_ref::<u32>())
                .copied();
            seen.try_send(number).map_err(StartError::new)?;
            Ok(context.spawn(Worker, ()).await?.get_cell())
        }
    });
    let supervisor = stage.open(root(1).template(template), vec![]).await;
    let args: StartArgs = Arc::new(7_u32);
    let cell = supervisor
        .start_instance(Some(args))
        .await
        .expect("it starts")
        .cell
        .expect("it has an actor");
    cell.send_message(Order::Fail).map_err(drop).expect("it lives");
    stage.log.until("started worker-1#2").await;
    assert_eq!((heard.recv().await, heard.recv().await), (Some(Some(7)), Some(Some(7))));
}

#[tokio::test(start_paused = true)]
async fn the_arguments_of_a_temporary_instance_are_not_kept() {
    let supervisor = Stage::new()
        .open(
            root(1).template(Script::ready().child("w").restart(Restart::Temporary)),
            vec![],
        )
        .await;
    let args = Arc::new(());
    let weak = Arc::downgrade(&args);
    supervisor.start_instance(Some(args)).await.expect("it starts");
    assert!(weak.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_ended_for_good_is_forgotten() {
    let stage = Stage::new();
    let script = Script::ready();
    let spec = root(1).template(script.child("worker").restart(Restart::Transient));
    let supervisor = stage.open(spec, vec![]).await;
    supervisor.start_instance(None).await.expect("it starts");
    script.tell(Order::End);
    stage.log.until("exited worker-1#1 normal").await;
    assert_eq!(supervisor.count_children().await.expect("it runs").specs, 0);
    let instance = supervisor.start_instance(None).await.expect("it starts");
    supervisor.terminate_child(&instance.id).await.expect("it stops");
    assert_eq!(supervisor.count_children().await.expect("it runs").specs, 0);
    assert_eq!(&*instance.id, "worker-2", "a number is not used twice");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_does_not_start_is_an_error_to_whoever_asked() {
    let script = Script::new([Start::Fail, Start::Ignore]);
    let supervisor = Stage::new().open(pool(&script), vec![]).await;
    assert!(matches!(
        supervisor.start_instance(None).await,
        Err(ChildError::Start { .. })
    ));
    assert!(
        supervisor
            .start_instance(None)
            .await
            .expect("ignored is no error")
            .cell
            .is_none()
    );
    assert_eq!(supervisor.count_children().await.expect("it runs").specs, 0);
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_fails_is_tried_again_and_uses_up_the_budget() {
    let stage = Stage::new();
    let script = Script::then_always([Start::Ready], Start::Fail);
    let supervisor = stage.open(pool(&script), vec![]).await;
    supervisor.start_instance(None).await.expect("it starts");
    script.tell(Order::Fail);
    let exit = supervisor.wait().await;
    assert!(exit.gave_up);
    assert_eq!(script.begun(), 2);
}

#[tokio::test(start_paused = true)]
async fn requests_that_do_not_fit_are_refused() {
    let stage = Stage::new();
    let supervisor = stage.open(pool(&Script::ready()).max_children(1), vec![]).await;
    let id = supervisor.start_instance(None).await.expect("it starts").id;
    let misfit = || ChildError::Template { has_template: true };
    assert_eq!(supervisor.start_child(Script::ready().child("a")).await, Err(misfit()));
    assert_eq!(supervisor.restart_child(&id).await, Err(misfit()));
    assert_eq!(supervisor.delete_child(&id).await, Err(misfit()));
    assert!(matches!(
        supervisor.start_instance(None).await,
        Err(ChildError::Full(1))
    ));
    let plain = Stage::new().open(root(1), vec![]).await;
    assert!(matches!(
        plain.start_instance(None).await,
        Err(ChildError::Template { has_template: false })
    ));
}

#[tokio::test(start_paused = true)]
async fn instances_stop_in_parallel_under_one_deadline() {
    let stage = Stage::new();
    let script = Script::ready();
    let spec = root(1).template(script.child("worker").shutdown(Shutdown::After(secs(4))));
    let supervisor = stage.open(spec, vec![]).await;
    for _ in 0..3 {
        supervisor.start_instance(None).await.expect("it starts");
        script.tell(Order::Hang);
    }
    for _ in 0..2 {
        supervisor.start_instance(None).await.expect("it starts");
    }
    assert!(supervisor.stop(secs(60)).await.is_normal());
    assert_eq!(stage.tree.elapsed(), secs(4), "three slow ones take as long as one");
    assert_eq!(
        (
            stage.log.count("stopped"),
            stage.log.lines().iter().filter(|line| line.ends_with("Killed")).count()
        ),
        (5, 3)
    );
}
