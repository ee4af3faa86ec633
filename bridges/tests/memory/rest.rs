//! The rest: what is published below a root and nobody else subscribes to.

use roadshow_bridges::{EventBridge, Kind, Published, Subscription};

use crate::{bridge, message, subject, subscribe, taken};

#[tokio::test]
async fn the_rest_hears_what_has_no_subscription_of_its_own() {
    let bridge = bridge();
    let mut known = subscribe(&bridge, Subscription::new(subject("t.cmd.a")).group("a")).await;
    let mut rest = subscribe(&bridge, Subscription::rest(subject("t.cmd")).group("rest")).await;
    for (id, to) in (1..).zip(["t.cmd.a", "t.cmd.b", "t.cmd.c"]) {
        let published = bridge.publish(message(Kind::Command, to, id)).await.expect("published");
        assert_eq!(published, Published::Accepted, "{to}");
    }
    assert_eq!((taken(&mut known), taken(&mut rest)), (vec![1], vec![2, 3]));
    for to in ["t.cmd", "t.cmd.a.b", "t.cmdx.a", "t.other"] {
        let published = bridge.publish(message(Kind::Command, to, 9)).await.expect("published");
        assert_eq!(published, Published::Unroutable, "{to}");
    }
}

#[tokio::test]
async fn children_hear_everything_and_take_nothing_from_the_rest() {
    let bridge = bridge();
    let mut rest = subscribe(&bridge, Subscription::rest(subject("t.cmd")).group("rest")).await;
    let mut children = subscribe(&bridge, Subscription::children(subject("t.cmd"))).await;
    let mut known = subscribe(&bridge, Subscription::new(subject("t.cmd.a")).group("a")).await;
    for (id, to) in (1..).zip(["t.cmd.a", "t.cmd.b"]) {
        let published = bridge.publish(message(Kind::Command, to, id)).await.expect("published");
        assert_eq!(published, Published::Accepted, "{to}");
    }
    assert_eq!(taken(&mut children), [1, 2]);
    assert_eq!((taken(&mut known), taken(&mut rest)), (vec![1], vec![2]));
}

#[tokio::test]
async fn the_members_of_a_rest_share_it_and_what_is_left_of_it_ends_with_the_last() {
    let bridge = bridge();
    let group = || Subscription::rest(subject("t.cmd")).group("rest");
    let (mut one, mut two) = (subscribe(&bridge, group()).await, subscribe(&bridge, group()).await);
    for id in 0..10 {
        let published = bridge.publish(message(Kind::Command, "t.cmd.x", id)).await;
        assert_eq!(published.expect("published"), Published::Accepted);
    }
    let mut all = taken(&mut one);
    all.extend(taken(&mut two));
    all.sort_unstable();
    assert_eq!(all, (0..10).collect::<Vec<_>>());
    one.cancel();
    two.cancel();
    let published = bridge.publish(message(Kind::Command, "t.cmd.x", 11)).await;
    assert_eq!(published.expect("published"), Published::Unroutable);
}

#[tokio::test]
async fn what_a_service_stops_to_serve_goes_to_the_rest_from_then_on() {
    let bridge = bridge();
    let known = subscribe(&bridge, Subscription::new(subject("t.cmd.a")).group("a")).await;
    let mut rest = subscribe(&bridge, Subscription::rest(subject("t.cmd")).group("rest")).await;
    known.cancel();
    let published = bridge.publish(message(Kind::Command, "t.cmd.a", 1)).await;
    assert_eq!(published.expect("published"), Published::Accepted);
    assert_eq!(taken(&mut rest), [1]);
    assert!(bridge.bus().forget(&subject("t.cmd"), "rest"));
    assert!(rest.next().await.is_none());
}
