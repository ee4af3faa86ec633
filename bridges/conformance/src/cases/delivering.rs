//! Who gets what: whole, once, in order, and nobody else's.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use roadshow_bridges::{Deliveries, EventBridge, Kind, Namespace, Payload, ServiceId, Subscription};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::case::{Case, case, fact};
use crate::stage::{Stage, number, send, subscribe};
use crate::wait::{SOON, next, quiet, soon, until};

/// How long a command takes at most to whoever hears the rest, when its own subscriber has left.
const LEFT_MAX: Duration = Duration::from_secs(5);
/// How far a publisher may be ahead of its subscribers, where a case is not about being slow.
const LEAD_MAX: u64 = 200;

pub(super) const CASES: &[Case] = &[
    case!(
        "E00",
        a_bridge_says_of_itself_what_is_declared,
        [],
        "given a connected bridge, then every fact of its capability is the one that the adapter declares"
    ),
    case!(
        "E01",
        every_message_arrives_whole,
        [],
        "given a confirmed subscription, when 100 events are published, then each arrives with identical bytes, headers \
         and id"
    ),
    case!(
        "E02",
        every_subscriber_gets_every_event_once,
        [],
        "given 5 independent subscribers on 5 connections, when 20 events are published, then each gets each exactly once"
    ),
    case!(
        "E03",
        a_group_shares_the_events,
        [],
        "given a group of 5 members on 5 connections, when 5,000 events are published, then each goes to exactly one \
         member and every member gets at least 5 %",
        limit: Duration::from_secs(100)
    ),
    case!(
        "E04",
        one_publisher_is_heard_in_order,
        [fact!(ordered)],
        "given one publisher and one subscriber, when 1 to 10,000 are published, then they arrive in order",
        limit: Duration::from_secs(100)
    ),
    case!(
        "E13",
        names_with_a_common_beginning_are_kept_apart,
        [],
        "given services and events whose names begin alike, then none gets the messages of another"
    ),
    case!(
        "E26",
        namespaces_never_meet,
        [],
        "given subscribers of everything below a root in two namespaces of one broker, then none gets what was published \
         in the other's"
    ),
    case!(
        "C01",
        children_are_exactly_one_token_below,
        [],
        "given a subscription of the children of a root, then it hears what is one token below it, not the root itself \
         and not what is two below"
    ),
    case!(
        "V01",
        a_typed_value_passes_without_being_encoded,
        [fact!(shared_values)],
        "given an event with a typed value, when it arrives in this process, then it is the very same value"
    ),
    case!(
        "C02",
        the_rest_is_what_nobody_else_hears,
        [fact!(rest)],
        "given subscribers of one command and of the rest, then the command goes to its own, every other one of the service \
         to the rest, and the command too once its own subscriber has left"
    ),
];

async fn a_bridge_says_of_itself_what_is_declared(stage: Stage) {
    let bridge = stage.bridge().await;
    let (mut found, declared) = (bridge.capability(), stage.capability());
    found.payload_bytes_max = declared.payload_bytes_max;
    found.subject_bytes_max = declared.subject_bytes_max;
    found.window_max = declared.window_max;
    found.delay_ms_max = declared.delay_ms_max;
    assert_eq!(found, declared);
}

async fn every_message_arrives_whole(stage: Stage) {
    let (sender, receiver) = (stage.bridge().await, stage.bridge().await);
    let mut deliveries = subscribe(&*receiver, Subscription::new(stage.event("conf.whole"))).await;
    for place in 0..100_u64 {
        let payload = stage.random.bytes(stage.random.below(2000));
        let mut sent = stage.news("conf.whole", payload);
        let identity = sent.identity.clone();
        sent.identity = identity
            .with_principal("Ümit")
            .with_tenant("t 1")
            .with_key(format!("k{place}"));
        sent.from = Some("conformance.1".into());
        assert!(sent.headers.push("x-place", &place.to_string()));
        send(&*sender, sent.clone()).await;
        let delivery = next(&mut deliveries).await;
        let got = delivery.shared_envelope();
        delivery.ack();
        assert_eq!((got.kind, &got.subject), (sent.kind, &sent.subject));
        assert_eq!(got.identity, sent.identity);
        assert_eq!((&got.from, &got.event), (&sent.from, &sent.event));
        assert_eq!(got.headers.get("x-place"), sent.headers.get("x-place"));
        let (got, sent) = (got.payload.to_bytes(), sent.payload.to_bytes());
        assert_eq!(got.expect("bytes"), sent.expect("bytes"));
    }
}

async fn every_subscriber_gets_every_event_once(stage: Stage) {
    let mut subscribers = Vec::new();
    for _ in 0..5 {
        let bridge = stage.bridge().await;
        let deliveries = subscribe(&*bridge, Subscription::new(stage.event("conf.all"))).await;
        subscribers.push((bridge, deliveries));
    }
    let sender = stage.bridge().await;
    for place in 0..20 {
        stage.tell(&*sender, "conf.all", place).await;
    }
    for (_bridge, deliveries) in &mut subscribers {
        let mut got = HashSet::new();
        for _ in 0..20 {
            let delivery = next(deliveries).await;
            assert!(got.insert(number(delivery.envelope())), "an event came twice");
            delivery.ack();
        }
    }
    for (_bridge, deliveries) in &mut subscribers {
        quiet(deliveries).await;
    }
}

/// Takes and acknowledges whatever comes, for ever, and notes it.
async fn note(
    mut deliveries: Deliveries,
    member: usize,
    seen: Arc<AtomicU64>,
    notes: tokio::sync::mpsc::Sender<(usize, u64)>,
) {
    while let Some(mut delivery) = deliveries.next().await {
        delivery.begin();
        let number = number(delivery.envelope());
        delivery.ack();
        seen.fetch_add(1, Ordering::SeqCst);
        if notes.send((member, number)).await.is_err() {
            return;
        }
    }
}

/// Publishes numbers from 0, never far ahead of what was seen.
async fn tell_many(stage: &Stage, bridge: &dyn EventBridge, event: &str, count: u64, seen: &AtomicU64) {
    for place in 0..count {
        if place >= seen.load(Ordering::SeqCst) + LEAD_MAX {
            until(SOON, "the subscribers keep up", || {
                place < seen.load(Ordering::SeqCst) + LEAD_MAX
            })
            .await;
        }
        stage.tell(bridge, event, place).await;
    }
}

async fn a_group_shares_the_events(stage: Stage) {
    const COUNT: u64 = 5000;
    const MEMBERS: usize = 5;
    let (seen, mut members, mut bridges) = (Arc::<AtomicU64>::default(), JoinSet::new(), Vec::new());
    let (notes, mut noted) = tokio::sync::mpsc::channel(10_000);
    for member in 0..MEMBERS {
        let bridge = stage.bridge().await;
        let subscription = Subscription::new(stage.event("conf.shared"))
            .group("conformance=1=shared")
            .window(16);
        let deliveries = subscribe(&*bridge, subscription).await;
        members.spawn(note(deliveries, member, Arc::clone(&seen), notes.clone()));
        bridges.push(bridge);
    }
    let sender = stage.bridge().await;
    tell_many(&stage, &*sender, "conf.shared", COUNT, &seen).await;
    let mut got = HashMap::new();
    for _ in 0..COUNT {
        let (member, number) = soon("an event for one member", noted.recv())
            .await
            .expect("members live");
        let before = got.insert(number, member);
        assert_eq!(before, None, "event {number} went to member {before:?} and to {member}");
    }
    for member in 0..MEMBERS {
        let share = got.values().filter(|other| **other == member).count();
        assert!(share >= 250, "member {member} got {share} of {COUNT}");
    }
}

async fn one_publisher_is_heard_in_order(stage: Stage) {
    const COUNT: u64 = 10_000;
    let (sender, receiver) = (stage.bridge().await, stage.bridge().await);
    let deliveries = subscribe(&*receiver, Subscription::new(stage.event("conf.order")).window(256)).await;
    let (notes, mut noted) = tokio::sync::mpsc::channel(COUNT as usize);
    let (seen, mut taking) = (Arc::<AtomicU64>::default(), JoinSet::new());
    taking.spawn(note(deliveries, 0, Arc::clone(&seen), notes));
    tell_many(&stage, &*sender, "conf.order", COUNT, &seen).await;
    for place in 0..COUNT {
        let (_, got) = soon("the next event", noted.recv())
            .await
            .expect("the subscriber lives");
        assert_eq!(got, place);
    }
}

async fn names_with_a_common_beginning_are_kept_apart(stage: Stage) {
    const SHORT: ServiceId = ServiceId::new("user", 1);
    const LONG: ServiceId = ServiceId::new("user", 10);
    const OTHER: ServiceId = ServiceId::new("users", 1);
    const CAPITAL: ServiceId = ServiceId::new("User", 1);
    let (sender, receiver) = (stage.bridge().await, stage.bridge().await);
    let services = [SHORT, LONG, OTHER, CAPITAL];
    let names = ["user", "user.created", "user.created.twice", "user.create"];
    let mut all = Vec::new();
    for service in services {
        let group = format!("cmd={}={}", service.name(), service.version());
        let root = Subscription::children(stage.namespace.command_root(service)).group(group);
        all.push(subscribe(&*receiver, root).await);
    }
    for name in names {
        all.push(subscribe(&*receiver, Subscription::new(stage.event(name))).await);
    }
    for (place, service) in (0..4_u64).zip(services) {
        let subject = stage.command(service.command("get"));
        send(&*sender, stage.message(Kind::Command, subject, place.to_string())).await;
    }
    for (place, name) in (4..8_u64).zip(names) {
        stage.tell(&*sender, name, place).await;
    }
    for (place, deliveries) in (0..8_u64).zip(&mut all) {
        let delivery = next(deliveries).await;
        assert_eq!(number(delivery.envelope()), place);
        delivery.ack();
    }
    for deliveries in &mut all {
        quiet(deliveries).await;
    }
}

async fn namespaces_never_meet(stage: Stage) {
    let other: Namespace = format!("{}x", stage.namespace).parse().expect("still a token");
    let bridge = stage.bridge().await;
    const SHOP: ServiceId = ServiceId::new("shop", 1);
    let mut ours = subscribe(
        &*bridge,
        Subscription::children(stage.namespace.command_root(SHOP)).group("cmd=shop=1"),
    )
    .await;
    let mut theirs = subscribe(
        &*bridge,
        Subscription::children(other.command_root(SHOP)).group("cmd=shop=1"),
    )
    .await;
    for (place, namespace) in [(1, &stage.namespace), (2, &other)] {
        let subject = namespace.command_subject(SHOP.command("buy"));
        send(&*bridge, stage.message(Kind::Command, subject, place.to_string())).await;
    }
    for (place, deliveries) in [(1, &mut ours), (2, &mut theirs)] {
        let delivery = next(deliveries).await;
        assert_eq!(number(delivery.envelope()), place);
        delivery.ack();
        quiet(deliveries).await;
    }
}

async fn children_are_exactly_one_token_below(stage: Stage) {
    let (sender, receiver) = (stage.bridge().await, stage.bridge().await);
    let context = stage.context();
    let root = stage.namespace.inbox_root(&context.node, context.incarnation);
    let mut deliveries = subscribe(&*receiver, Subscription::children(root.clone()).window(1024)).await;
    let below = |text: String| roadshow_bridges::Subject::foreign(&text).expect("a subject");
    for (place, subject) in [
        (0, root.clone()),
        (1, below(format!("{root}.a.b"))),
        (2, below(format!("{root}.a"))),
    ] {
        // What nobody hears may be told to be so.
        let published = sender
            .publish(stage.message(Kind::Reply, subject, format!("{place}")))
            .await;
        assert!(published.is_ok(), "{published:?}");
    }
    let delivery = next(&mut deliveries).await;
    assert_eq!(number(delivery.envelope()), 2);
    delivery.ack();
    quiet(&mut deliveries).await;
}

async fn the_rest_is_what_nobody_else_hears(stage: Stage) {
    const SHOP: ServiceId = ServiceId::new("shop", 1);
    let (sender, receiver) = (stage.bridge().await, stage.bridge().await);
    let (buy, sell) = (stage.command(SHOP.command("buy")), stage.command(SHOP.command("sell")));
    let mut known = subscribe(&*receiver, Subscription::new(buy.clone()).group("cmd=shop=1=buy")).await;
    let rest = Subscription::rest(stage.namespace.command_root(SHOP)).group("rest=shop=1");
    let mut rest = subscribe(&*receiver, rest).await;
    let ask = |subject: &roadshow_bridges::Subject, place: u64| {
        stage.message(Kind::Command, subject.clone(), place.to_string())
    };
    send(&*sender, ask(&buy, 1)).await;
    send(&*sender, ask(&sell, 2)).await;
    for (place, deliveries) in [(1, &mut known), (2, &mut rest)] {
        let delivery = next(deliveries).await;
        assert_eq!(number(delivery.envelope()), place);
        delivery.ack();
        quiet(deliveries).await;
    }
    known.cancel();
    // A command that is on its way in the moment in which its subscriber leaves may be lost with it, as any command may; the
    // ones after it may not.
    let mut place = 3;
    let delivery = loop {
        send(&*sender, ask(&buy, place)).await;
        if let Ok(delivery) = timeout(LEFT_MAX, rest.next()).await {
            break delivery.expect("a subscription goes on until somebody ends it");
        }
        println!("command {place} was lost with the subscriber that left");
        place += 1;
        assert!(
            place < 5,
            "the rest hears no command that its own subscriber left behind"
        );
    };
    assert!((3..=place).contains(&number(delivery.envelope())));
    delivery.ack();
}

async fn a_typed_value_passes_without_being_encoded(stage: Stage) {
    let bridge = stage.bridge().await;
    let mut deliveries = subscribe(&*bridge, Subscription::new(stage.event("conf.value"))).await;
    let value = Arc::new(vec![1_u64, 2, 3]);
    let mut envelope = stage.news("conf.value", "");
    envelope.payload = Payload::shared(Arc::clone(&value));
    send(&*bridge, envelope).await;
    let delivery = next(&mut deliveries).await;
    let got = delivery.envelope().payload.downcast::<Vec<u64>>();
    delivery.ack();
    assert!(got.is_some_and(|got| Arc::ptr_eq(&got, &value)));
}
