//! What the tree shows of each moment, and how it looks as JSON.

use roadshow_supervision::{
    Backoff, Budget, GiveUp, InitialStart, NodeState, Strategy, SupervisorSpec, Tree, TreeNode,
};

use super::stage::{Latest, Order, Script, Stage, Start, Worker, ms, root, secs, trio};

#[tokio::test(start_paused = true)]
async fn a_service_shows_every_state_it_goes_through() {
    let stage = Stage::new();
    let script = Script::then_always([Start::Slow(secs(1)), Start::Fail], Start::Fail);
    let exits = Budget::new(2, secs(60)).backoff(Backoff::new(secs(4), secs(30)));
    let spec = SupervisorSpec::new("user")
        .exits(exits)
        .give_up(GiveUp::Stay)
        .initial(InitialStart::Retry);
    let supervisor = stage.open(spec, vec![script.child("service")]).await;
    script.until_begun(1).await;
    let service = || stage.tree.snapshot().child("service").cloned().expect("it is declared");
    assert_eq!((service().state, service().incarnation), (NodeState::Starting, 1));
    supervisor.ready().await.expect("it starts");
    tokio::time::advance(ms(1_500)).await;
    assert_eq!((service().state, service().uptime_ms), (NodeState::Ready, 1_500));
    script.tell(Order::Fail);
    stage.log.until("restarting service#1").await;
    let seen = service();
    assert_eq!(
        (seen.state, seen.delay_ms, seen.uptime_ms),
        (NodeState::BackingOff, Some(4_000), 0)
    );
    assert_eq!(
        (seen.restarts, seen.last_failure.as_deref()),
        (1, Some("failed: broken"))
    );
    stage.log.until("gave up").await;
    let seen = service();
    assert_eq!(
        (seen.state, seen.delay_ms, seen.incarnation, seen.restarts),
        (NodeState::Failed, None, 3, 2)
    );
    assert_eq!(seen.last_failure.as_deref(), Some("start_failed: no database"));
    assert_eq!(stage.tree.snapshot().state, NodeState::Failed);
}

#[tokio::test(start_paused = true)]
async fn children_that_wait_for_their_turn_are_pending() {
    let stage = Stage::new();
    let scripts = [Script::new([Start::Hang]), Script::ready()];
    let children = vec![scripts[0].child("a"), scripts[1].child("b")];
    stage.open(root(1).initial(InitialStart::Retry), children).await;
    scripts[0].until_begun(1).await;
    assert_eq!(
        (stage.state("a"), stage.state("b")),
        ("starting".to_owned(), "pending".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn restarts_are_counted_for_each_child_of_a_group() {
    let stage = Stage::new();
    let (scripts, children) = trio();
    stage.open(root(1).strategy(Strategy::RestForOne), children).await;
    scripts[1].tell(Order::Fail);
    stage.log.until("started c#2").await;
    let restarts: Vec<_> = stage
        .tree
        .snapshot()
        .children
        .iter()
        .map(|child| child.restarts)
        .collect();
    assert_eq!(restarts, [0, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn labels_nesting_and_foreign_leaves_are_shown_as_json() {
    let stage = Stage::new();
    let latest = Latest::default();
    let inner = stage.supervisor(&root(1), &latest, || {
        vec![
            roadshow_supervision::ChildSpec::worker("service", |context| async move {
                let actor = context.spawn(Worker, ()).await?;
                // The leaf lives as long as what it stands for; here, for the whole case.
                std::mem::forget(context.leaf("connection", "socket"));
                Ok(actor.get_cell())
            })
            .label("service"),
        ]
    });
    stage.open(root(1).label("node"), vec![inner.label("services")]).await;
    let outbox = stage.tree.leaf("outbox", "store");
    outbox.ready();
    let node = |id: &str, kind: &str, state: &str, incarnation: u64, children: Vec<serde_json::Value>| {
        serde_json::json!({ "id": id, "kind": kind, "state": state, "restarts": 0, "incarnation": incarnation,
            "uptime_ms": 0, "last_failure": null, "children": children })
    };
    let connection = node("connection", "socket", "pending", 0, vec![]);
    let service = node("service", "service", "ready", 1, vec![connection]);
    let services = node("root", "services", "ready", 1, vec![service]);
    let expected = node(
        "root",
        "node",
        "ready",
        0,
        vec![services, node("outbox", "store", "ready", 0, vec![])],
    );
    assert_eq!(
        serde_json::to_value(stage.tree.snapshot()).expect("it is plain data"),
        expected
    );
    drop(outbox);
    assert!(stage.tree.snapshot().child("outbox").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_can_be_walked_and_searched() {
    let stage = Stage::new();
    let latest = Latest::default();
    let inner = stage.supervisor(&root(1), &latest, || vec![Script::ready().child("a")]);
    stage.open(root(1), vec![inner]).await;
    let (snapshot, mut paths) = (stage.tree.snapshot(), vec![]);
    snapshot.walk(&mut |path: &str, _node: &TreeNode| paths.push(path.to_owned()));
    assert_eq!(paths, ["root", "root/root", "root/root/a"]);
    assert_eq!(snapshot.find("root/a").map(|node| node.id.as_str()), Some("a"));
    assert_eq!(
        Tree::new().snapshot().state,
        NodeState::Pending,
        "before anything has started"
    );
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_below_is_ready_when_its_children_are() {
    let stage = Stage::new();
    let latest = Latest::default();
    let script = Script::new([Start::Slow(secs(2))]);
    let child = script.clone();
    let spec = root(1).initial(InitialStart::Retry);
    let inner = stage.supervisor(&spec, &latest, move || vec![child.child("a")]);
    stage.open(root(1), vec![inner]).await;
    assert_eq!(
        stage.state("root"),
        "starting",
        "it obeys, but its child is not there yet"
    );
    latest.get().ready().await.expect("it starts");
    assert_eq!(stage.state("root"), "ready");
}

#[tokio::test(start_paused = true)]
async fn a_failure_below_is_not_taken_for_a_good_start() {
    let stage = Stage::new();
    let inner_stage = stage.clone();
    let inner = roadshow_supervision::ChildSpec::supervisor("inner", move |context| {
        let stage = inner_stage.clone();
        async move {
            let spec = root(1).initial(InitialStart::Retry).give_up(GiveUp::Stay);
            let child = Script::new([Start::CannotRecover]).child("a");
            let supervisor = stage.open_below(Some(context), spec, vec![child]).await?;
            supervisor
                .ready()
                .await
                .expect_err("it gives up before its start has answered");
            Ok(supervisor.cell())
        }
    });
    stage.open(root(1), vec![inner]).await;
    assert_eq!(stage.state("inner"), "failed");
}
