//! Supervisors that end with their significant children.

use roadshow_supervision::{AutoShutdown, ChildSpec, Restart, SupervisorSpec};

use super::stage::{Latest, Order, Script, Stage, root};

fn significant(script: &Script, id: &str, restart: Restart) -> ChildSpec {
    script.child(id).restart(restart).significant()
}

fn auto(rule: AutoShutdown) -> SupervisorSpec {
    root(1).auto_shutdown(rule)
}

#[tokio::test(start_paused = true)]
async fn any_ends_with_the_first_significant_child() {
    for (restart, order) in [
        (Restart::Transient, Order::End),
        (Restart::Temporary, Order::End),
        (Restart::Temporary, Order::Fail),
    ] {
        let stage = Stage::new();
        let (a, b, c) = (Script::ready(), Script::ready(), Script::ready());
        let children = vec![
            significant(&a, "a", restart),
            significant(&b, "b", restart),
            c.child("c"),
        ];
        let supervisor = stage.open(auto(AutoShutdown::AnySignificant), children).await;
        a.tell(order);
        let exit = supervisor.wait().await;
        assert!(exit.is_normal() && !exit.gave_up);
        assert_eq!(stage.log.lines()[4..], ["stopped c#1 Drained", "stopped b#1 Drained"]);
    }
}

#[tokio::test(start_paused = true)]
async fn any_restarts_a_significant_transient_child_that_failed() {
    let stage = Stage::new();
    let a = Script::ready();
    let children = vec![significant(&a, "a", Restart::Transient)];
    let supervisor = stage.open(auto(AutoShutdown::AnySignificant), children).await;
    a.tell(Order::Fail);
    stage.log.until("started a#2").await;
    a.tell(Order::End);
    assert!(supervisor.wait().await.is_normal());
}

#[tokio::test(start_paused = true)]
async fn all_ends_with_the_last_significant_child() {
    for restart in [Restart::Transient, Restart::Temporary] {
        let stage = Stage::new();
        let (a, b, c) = (Script::ready(), Script::ready(), Script::ready());
        let children = vec![
            significant(&a, "a", restart),
            significant(&b, "b", restart),
            c.child("c"),
        ];
        let supervisor = stage.open(auto(AutoShutdown::AllSignificant), children).await;
        a.tell(Order::End);
        stage.log.until("exited a#1").await;
        supervisor.count_children().await.expect("one is left, so it runs");
        b.tell(Order::End);
        assert!(supervisor.wait().await.is_normal());
        assert_eq!(
            stage.log.lines().last().map(String::as_str),
            Some("stopped c#1 Drained")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn insignificant_children_end_nothing() {
    for rule in [
        AutoShutdown::Never,
        AutoShutdown::AnySignificant,
        AutoShutdown::AllSignificant,
    ] {
        let stage = Stage::new();
        let a = Script::ready();
        let supervisor = stage
            .open(auto(rule), vec![a.child("a").restart(Restart::Transient)])
            .await;
        a.tell(Order::End);
        stage.log.until("exited a#1").await;
        assert_eq!(supervisor.count_children().await.expect("it runs").active, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn terminating_a_significant_child_by_hand_ends_nothing() {
    for rule in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
        let stage = Stage::new();
        let a = Script::ready();
        let supervisor = stage
            .open(auto(rule), vec![significant(&a, "a", Restart::Transient)])
            .await;
        supervisor.terminate_child("a").await.expect("it stops");
        assert_eq!(supervisor.count_children().await.expect("it runs").specs, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_automatic_end_is_a_normal_one_to_the_parent() {
    for (restart, expected) in [(Restart::Permanent, 2), (Restart::Transient, 1)] {
        let stage = Stage::new();
        let (latest, a, b) = (Latest::default(), Script::ready(), Script::ready());
        let child = a.clone();
        let inner = stage.supervisor(&auto(AutoShutdown::AnySignificant), &latest, move || {
            vec![significant(&child, "a", Restart::Temporary)]
        });
        let outer = stage.open(root(1), vec![inner.restart(restart), b.child("b")]).await;
        a.tell(Order::End);
        stage.log.until("exited root#1 normal").await;
        if expected == 2 {
            stage.log.until("started root#2").await;
        }
        outer.count_children().await.expect("it runs");
        assert_eq!((a.begun(), b.begun()), (expected, 1));
    }
}
