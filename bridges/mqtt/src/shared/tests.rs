//! Who joins whom, and what arrives for nobody.

use std::time::Duration;

use roadshow_bridges::{Access, ErrorKind, Identity, Subscription};
use rumqttc::{Publish, PublishProperties};

use rumqttc::QoS;

use super::*;
use crate::wire::tests::idle;

fn shared() -> Shared {
    let settings = Settings::parse("mqtt://127.0.0.1", &Access::default()).expect("a url");
    Shared::new(settings, Namespace::default(), 1)
}

fn enter(shared: &Shared) -> Result<Option<Joined>, Error> {
    let root = "roadshow.cmd.work.1".parse().expect("a subject");
    let subscription = Subscription::children(root).group("cmd=work=1");
    let filters = shared.topics.filters(&subscription).expect("filters");
    shared.enter(&subscription, &filters)
}

#[tokio::test]
async fn a_group_that_ends_is_not_joined_and_nothing_is_added_beside_it() {
    let shared = shared();
    let first = enter(&shared).expect("open").expect("nobody leaves");
    let second = enter(&shared).expect("open").expect("nobody leaves");
    assert!(Arc::ptr_eq(&first.group, &second.group));
    let mut departures = shared.outlet.departures();
    let group = Arc::clone(&first.group);
    drop((first, second));
    assert!(enter(&shared).expect("open").is_none());
    shared.take_out(&group).await;
    let third = enter(&shared).expect("open").expect("nobody leaves");
    assert!(!Arc::ptr_eq(&third.group, &group) && !departures.has_changed().expect("open"));
    drop(shared.outlet.next_job());
    assert!(departures.borrow_and_update().eq(&0));
    shared.closing.store(true, Ordering::SeqCst);
    assert_eq!(enter(&shared).expect_err("closed").kind(), ErrorKind::Closed);
}

#[test]
fn a_filter_that_ends_is_not_asked_for_on_the_next_connection() {
    let shared = shared();
    let joined = enter(&shared).expect("open").expect("nobody leaves");
    let (wire, _eventloop) = idle(1000);
    assert_eq!(shared.attach(&wire).len(), 4);
    let group = Arc::clone(&joined.group);
    drop(joined);
    assert_eq!(shared.routes.end(&group).len(), 2);
    assert_eq!(shared.attach(&wire).len(), 2);
}

fn arrives(shared: &Shared, wire: &Arc<Wire>, id: usize, header: &str) {
    let properties = PublishProperties {
        user_properties: vec![("x-long".to_owned(), header.to_owned())],
        subscription_identifiers: vec![id],
        ..PublishProperties::default()
    };
    let topic = "roadshow/cmd/work/1/run";
    let publish = Publish::new(topic, QoS::AtLeastOnce, Bytes::new(), Some(properties));
    shared.take(wire, publish);
}

#[test]
fn headers_count_among_the_bytes_that_wait() {
    let shared = shared();
    let (wire, _eventloop) = idle(1000);
    let joined = enter(&shared).expect("open").expect("nobody leaves");
    arrives(&shared, &wire, joined.open[0].id, &"y".repeat(4000));
    let bytes = shared.counters.inbound_bytes.load(Ordering::Relaxed);
    assert!(bytes > 4000, "{bytes} bytes");
}

#[test]
fn a_message_for_a_subscription_that_is_gone_is_counted() {
    let shared = shared();
    let (wire, _eventloop) = idle(1000);
    arrives(&shared, &wire, 77, "");
    assert_eq!(shared.counters.unheard.load(Ordering::Relaxed), 1);
}

#[test]
fn an_idle_node_forgets_its_last_events() {
    let shared = shared();
    let subject = Namespace::default().members_subject();
    let identity = Identity::root(MessageId::from_u128(1));
    let envelope = Arc::new(Envelope::new(Kind::Event, subject, identity, Bytes::new()));
    let kept = Arc::downgrade(&envelope);
    let topic = "a".into();
    shared.confirmed(
        Published {
            envelope,
            topic,
            bytes: 1,
        },
        &[],
    );
    shared.forget_old_events(Instant::now());
    assert_eq!(kept.strong_count(), 1);
    shared.forget_old_events(Instant::now() + Duration::from_secs(1));
    assert_eq!(kept.strong_count(), 0);
}
