//! Nodes of one process: strangers to each other unless they share a bus.

use std::sync::Arc;

use super::lab::{Ledger, Work, builder, lab, metric, stop};

#[tokio::test]
async fn two_nodes_in_one_process_do_not_see_each_other() {
    let (one_ledger, two_ledger) = (Arc::new(Ledger::default()), Arc::new(Ledger::default()));
    let one = builder()
        .node_id("one")
        .service(lab(&one_ledger, |c| c))
        .start()
        .await
        .unwrap();
    let two = builder()
        .node_id("two")
        .service(lab(&two_ledger, |c| c))
        .start()
        .await
        .unwrap();
    one.client()
        .call(Work {
            panic: true,
            ..Work::default()
        })
        .await
        .unwrap_err();
    for _ in 0..10 {
        one.client().call(Work::default()).await.unwrap();
    }
    assert_eq!((one_ledger.count("start"), two_ledger.count("start")), (11, 0));
    assert_eq!(metric(&one, "roadshow_supervisor_restarts_total{"), 1.0);
    assert_eq!(metric(&two, "roadshow_supervisor_restarts_total{"), 0.0);
    assert_eq!(two.view().failures().len(), 0);
    assert_eq!((one.view().id(), two.view().id()), ("one", "two"));
    stop(one).await;
    two.client().call(Work::default()).await.unwrap();
    stop(two).await;
}

#[tokio::test]
async fn a_hundred_nodes_come_and_go_and_leave_no_task_behind() {
    let ledger = Arc::new(Ledger::default());
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    for _ in 0..100 {
        let node = builder().service(lab(&ledger, |c| c)).start().await.unwrap();
        node.client().call(Work::default()).await.unwrap();
        stop(node).await;
    }
    super::lab::eventually("all tasks have ended", || metrics.num_alive_tasks() <= before).await;
}

#[tokio::test]
async fn definitions_that_contradict_each_other_are_all_named() {
    let ledger = Arc::new(Ledger::default());
    let twice = builder().service(lab(&ledger, |c| c)).service(lab(&ledger, |c| c));
    let error = twice.start().await.unwrap_err();
    assert_eq!(error.kind(), roadshow::ErrorKind::Definition);
    assert!(error.to_string().contains("service lab.1 is declared twice"), "{error}");
    assert!(error.to_string().contains("lab.1.work is declared twice"), "{error}");
    let error = builder().node_id("no good").start().await.unwrap_err();
    assert!(error.to_string().contains("node id"), "{error}");
}
