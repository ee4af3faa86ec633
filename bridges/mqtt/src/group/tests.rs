//! What a group does with what comes twice, late, or not at all.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use roadshow_bridges::{Identity, Kind, Namespace};

use super::*;
use crate::marks::Report;
use crate::outlet::JOBS_MAX;
use crate::wire::tests::idle;

const OUTBOX: u128 = 7;

fn group() -> (Arc<Group>, u64, Arc<Counters>) {
    let counters = Arc::<Counters>::default();
    let outlet = Arc::new(Outlet::new(Arc::clone(&counters)));
    let subscription = Subscription::children("roadshow.cmd".parse().expect("a subject")).group("cmd=work=1");
    let group = Group::new(&subscription, None, outlet);
    let member = group.join(8).expect("a new group is open");
    (group, member, counters)
}

fn arrives(group: &Group, id: u128, bytes: usize) {
    let identity = Identity::root(MessageId::from_u128(id));
    let subject = Namespace::default().members_subject();
    group.deliver(Item {
        envelope: Arc::new(Envelope::new(Kind::Command, subject, identity, Bytes::new())),
        starts: 0,
        since: Instant::now(),
        outbox: Some(OUTBOX),
        receipt: None,
        load: Some(Arc::new(Load::new(&group.outlet.counters, bytes))),
    });
}

fn next(group: &Arc<Group>, member: u64) -> Option<Delivery> {
    match group.poll(member, None) {
        Poll::Ready(delivery) => delivery,
        Poll::Pending => None,
    }
}

fn verdicts(reports: &[Report]) -> Vec<Verdict> {
    let marks = reports.iter().flat_map(|report| &report.marks);
    marks.map(|mark| mark.verdict).collect()
}

#[tokio::test]
async fn what_was_refused_unbegun_is_no_duplicate_when_it_is_tried_again() {
    let (group, member, counters) = group();
    arrives(&group, 1, 10);
    next(&group, member).expect("the first try").ack();
    assert_eq!(verdicts(&group.outlet.marks.take()), [Verdict::Done]);
    arrives(&group, 1, 10);
    let mut second = next(&group, member).expect("the second try of a refused call");
    assert_eq!(second.begin(), 1);
    second.ack();
    arrives(&group, 1, 10);
    assert!(next(&group, member).is_none(), "what has run does not run again");
    assert_eq!(counters.duplicates.load(Ordering::Relaxed), 1);
    assert_eq!(verdicts(&group.outlet.marks.take()), [Verdict::Done, Verdict::Done]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_delay_counts_among_the_bytes() {
    let (group, member, counters) = group();
    let bytes = || counters.inbound_bytes.load(Ordering::Relaxed);
    arrives(&group, 1, 100);
    arrives(&group, 2, 30);
    for _ in 0..2 {
        let mut delivery = next(&group, member).expect("one of the two");
        delivery.begin();
        delivery.nack(Duration::from_secs(60));
    }
    assert!(next(&group, member).is_none());
    assert_eq!(bytes(), 130);
    for (group, item) in group.outlet.due(Instant::now() + Duration::from_secs(61)) {
        group.return_item(item, false);
    }
    let mut again = next(&group, member).expect("the first of the two");
    assert_eq!((again.begin(), bytes()), (2, 130));
    again.ack();
    assert_eq!(bytes(), 30);
    next(&group, member).expect("the other one").reject("broken");
    assert_eq!(bytes(), 30, "until its letter is written");
    drop(group.outlet.next_job());
    assert_eq!(bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_is_refused_is_brought_again_by_its_outbox() {
    let (group, member, counters) = group();
    arrives(&group, 1, 10);
    arrives(&group, 2, 10);
    let first = next(&group, member).expect("the first");
    next(&group, member).expect("the second").ack();
    let spare = || Item {
        envelope: first.shared_envelope(),
        starts: 0,
        since: Instant::now(),
        outbox: None,
        receipt: None,
        load: None,
    };
    for _ in 0..JOBS_MAX {
        let name: Arc<str> = "cmd=work=1".into();
        group.outlet.job(Job::GiveBack {
            group: name,
            item: spare(),
        });
    }
    group.outlet.marks.take();
    first.reject("broken");
    assert_eq!(counters.slow.load(Ordering::Relaxed), 1);
    group.mark_held(Instant::now() + Duration::from_secs(10));
    assert!(group.outlet.marks.is_empty(), "nobody may say that it is held here");
    arrives(&group, 1, 10);
    assert!(next(&group, member).is_some());
}

#[tokio::test]
async fn what_still_comes_to_a_group_that_ends_is_given_back() {
    let (group, member, _) = group();
    arrives(&group, 1, 10);
    let held = next(&group, member).expect("the first");
    group.leave(member);
    assert!(matches!(group.outlet.next_job(), Some(Job::Leave(..))));
    arrives(&group, 2, 10);
    held.nack(Duration::ZERO);
    assert!(group.outlet.has_no_job(), "it would come here again");
    group.drain();
    arrives(&group, 3, 10);
    let mut ids = Vec::new();
    while let Some(Job::GiveBack { item, .. }) = group.outlet.next_job() {
        ids.push(item.envelope.identity.id.as_u128());
    }
    assert_eq!(ids, [1, 2, 3]);
}

#[tokio::test]
async fn a_group_that_ends_leaves_the_broker_its_window() {
    let (group, member, _) = group();
    let (wire, _eventloop) = idle(1000);
    let receive = |id| {
        let publish = rumqttc::Publish::new("a", rumqttc::QoS::AtLeastOnce, Bytes::new(), None);
        let receipt = Arc::new(Receipt::new(&wire, &publish));
        let kept = Arc::downgrade(&receipt);
        let subject = Namespace::default().members_subject();
        let identity = Identity::root(MessageId::from_u128(id));
        group.deliver(Item {
            envelope: Arc::new(Envelope::new(Kind::Command, subject, identity, Bytes::new())),
            starts: 0,
            since: Instant::now(),
            outbox: None,
            receipt: Some(receipt),
            load: None,
        });
        kept
    };
    let receipts = [receive(1), receive(2)];
    let held = next(&group, member).expect("the first");
    assert!(receipts.iter().all(|receipt| receipt.strong_count() == 1));
    group.leave(member);
    assert!(receipts.iter().all(|receipt| receipt.strong_count() == 0));
    assert_eq!(receive(3).strong_count(), 0);
    held.ack();
}

#[tokio::test]
async fn nothing_is_idle_before_everything_is_told() {
    let (group, member, _) = group();
    arrives(&group, 1, 10);
    group.leave(member);
    let Some(Job::Leave(_, leaving)) = group.outlet.next_job() else {
        panic!("the group leaves");
    };
    group.drain();
    group.outlet.job_done();
    assert!(!group.outlet.is_idle(), "it is leaving");
    drop(leaving);
    assert!(!group.outlet.is_idle(), "a message waits to be given back");
    assert!(matches!(group.outlet.next_job(), Some(Job::GiveBack { .. })));
    assert!(!group.outlet.is_idle(), "a message is given back");
    group.outlet.job_done();
    assert!(group.outlet.is_idle());
    arrives(&group, 2, 10);
    drop(group.outlet.next_job());
    group.outlet.job_done();
    group.outlet.mark(
        OUTBOX,
        &"cmd=work=1".into(),
        Mark::new(MessageId::from_u128(2), Verdict::GivenBack),
    );
    assert!(!group.outlet.is_idle(), "its outbox is not told");
}
