//! A subscriber is lost: who gets what it held, and how often that was tried.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use roadshow_bridges::{Delivery, Kind, Published, ServiceId, Subscription};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::adapter::Home;
use crate::case::{Case, Need, case, fact};
use crate::stage::{Stage, number, ready, subscribe};
use crate::wait::{QUIET, next, quiet, soon, until, within};

/// How long a broker may keep what a lost subscriber held: JetStream waits 30 s for an acknowledgement.
const HELD_MAX: Duration = Duration::from_secs(45);

pub(super) const CASES: &[Case] = &[
    case!(
        "D07",
        the_neighbours_of_what_a_lost_subscriber_began_keep_their_count,
        [fact!(redelivery_to_other)],
        "given a subscriber that holds 10 deliveries of which one began, when its connection is lost, then another member \
         gets all 10 within 45 s, and the nine that never began are attempt 1 there",
        limit: Duration::from_secs(100)
    ),
    case!(
        "D08",
        an_acknowledgement_of_an_older_connection_harms_nothing,
        [Need::Server, fact!(redelivery)],
        "given 10 deliveries that are held while their connection is cut, when they are acknowledged on the next one, then the \
         subscription goes on, every event is delivered at least once, and a new one exactly once"
    ),
    case!(
        "D09",
        what_a_leaving_member_had_not_started_goes_to_another,
        [fact!(redelivery_to_other)],
        "given a member with waiting deliveries, when it cancels, then another member gets them as attempt 1 within 45 s",
        limit: Duration::from_secs(100)
    ),
    case!(
        "E19",
        what_was_accepted_is_not_lost_to_a_slow_subscriber,
        [fact!(overflow_visible)],
        "given a group with room for 20 whose only member stands still, when 200 events are published, then each is refused to \
         its publisher or delivered once the member goes on"
    ),
    case!(
        "E30",
        an_id_that_came_before_is_delivered_once,
        [fact!(server_dedup)],
        "given an event that is published twice with one id within a second, then it is delivered once"
    ),
    case!(
        "E25",
        history_can_be_replayed,
        [fact!(replay)],
        "given a replay from the beginning, then history arrives once and in order, then live events"
    ),
    case!(
        "B01",
        the_broker_keeps_the_commands_that_nobody_has_room_for,
        [fact!(holds_backlog)],
        "given a window of 4 and 100 commands, when none is settled, then 4 are handed out; when each is acknowledged in turn, \
         then all 100 arrive, once each"
    ),
];

/// Takes `count` deliveries within the time that a broker may keep what a lost subscriber held.
async fn take(deliveries: &mut roadshow_bridges::Deliveries, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let what = format!("delivery {} of {count}", taken.len() + 1);
        let delivery = within(HELD_MAX, what, deliveries.next()).await;
        taken.push(delivery.expect("the subscription lives"));
    }
    taken
}

async fn the_neighbours_of_what_a_lost_subscriber_began_keep_their_count(stage: Stage) {
    let is_server = matches!(stage.adapter.home(), Home::Server(_));
    let (lost, proxy) = if is_server {
        let (bridge, proxy) = stage.bridge_behind_proxy().await;
        (bridge, Some(proxy))
    } else {
        (stage.bridge().await, None)
    };
    let (sender, other) = (stage.bridge().await, stage.bridge().await);
    let mut deliveries = subscribe(&*lost, stage.kept("conf.lost").window(10)).await;
    for place in 0..10 {
        stage.tell(&*sender, "conf.lost", place).await;
    }
    let mut held = take(&mut deliveries, 10).await;
    assert_eq!(held[0].begin(), 1);
    let began = number(held[0].envelope());
    let mut survivor = subscribe(&*other, stage.kept("conf.lost").window(10)).await;
    if let Some(proxy) = &proxy {
        // Nothing that the lost one still says gets through: it is as dead as its process would be.
        proxy.refuse();
        proxy.cut();
    }
    drop(held);
    drop(deliveries);
    drop(lost);
    let mut got = BTreeSet::new();
    for mut delivery in take(&mut survivor, 10).await {
        let (place, attempt) = (number(delivery.envelope()), delivery.begin());
        assert!(
            place == began || attempt == 1,
            "event {place}, never begun, is attempt {attempt}"
        );
        assert!(got.insert(place), "event {place} came twice");
        delivery.ack();
    }
    quiet(&mut survivor).await;
}

async fn an_acknowledgement_of_an_older_connection_harms_nothing(stage: Stage) {
    let (bridge, proxy) = stage.bridge_behind_proxy().await;
    let sender = stage.bridge().await;
    let mut deliveries = subscribe(&*bridge, stage.kept("conf.epoch").window(20)).await;
    for place in 0..10 {
        stage.tell(&*sender, "conf.epoch", place).await;
    }
    let held = take(&mut deliveries, 10).await;
    let mut got: BTreeMap<u64, usize> = held.iter().map(|delivery| (number(delivery.envelope()), 1)).collect();
    let accepted = proxy.accepted();
    proxy.cut();
    until(HELD_MAX, "the bridge connects again", || proxy.accepted() > accepted).await;
    ready(&*bridge).await;
    held.into_iter().for_each(Delivery::ack);
    while let Ok(Some(delivery)) = timeout(3 * QUIET, deliveries.next()).await {
        *got.entry(number(delivery.envelope())).or_insert(0) += 1;
        delivery.ack();
    }
    assert_eq!(got.len(), 10);
    stage.tell(&*sender, "conf.epoch", 77).await;
    let delivery = next(&mut deliveries).await;
    assert_eq!(number(delivery.envelope()), 77);
    delivery.ack();
    quiet(&mut deliveries).await;
    assert!(bridge.health().is_ready());
}

async fn what_a_leaving_member_had_not_started_goes_to_another(stage: Stage) {
    let (leaving, staying, sender) = (stage.bridge().await, stage.bridge().await, stage.bridge().await);
    let mut first = subscribe(&*leaving, stage.kept("conf.go").window(10)).await;
    for place in 0..10 {
        stage.tell(&*sender, "conf.go", place).await;
    }
    let held = next(&mut first).await;
    let mut second = subscribe(&*staying, stage.kept("conf.go").window(10)).await;
    first.cancel();
    drop(held);
    let mut got = BTreeSet::new();
    for mut delivery in take(&mut second, 10).await {
        assert_eq!(delivery.begin(), 1);
        assert!(got.insert(number(delivery.envelope())), "an event came twice");
        delivery.ack();
    }
    quiet(&mut second).await;
}

async fn what_was_accepted_is_not_lost_to_a_slow_subscriber(stage: Stage) {
    let (bridge, sender) = (stage.bridge().await, stage.bridge().await);
    let subscription = stage.kept("conf.full").window(4).capacity(20);
    let mut deliveries = subscribe(&*bridge, subscription).await;
    let (mut accepted, mut unclear) = (BTreeSet::new(), BTreeSet::new());
    for place in 0..200_u64 {
        let mut envelope = stage.news("conf.full", place.to_string());
        envelope.identity = envelope.identity.with_budget(Duration::from_millis(200));
        match soon("the outcome", sender.publish(envelope)).await {
            Ok(Published::Accepted) => {
                accepted.insert(place);
            }
            // A broker that does not say which group of an event is full; this one is alone, so nobody may have it.
            Ok(Published::Indeterminate) => {
                unclear.insert(place);
            }
            Ok(published) => panic!("a full group answered {published:?}"),
            Err(error) => assert!(error.kind().is_retryable(), "{error:?}"),
        }
    }
    let mut got = BTreeSet::new();
    while !accepted.is_subset(&got) {
        let delivery = next(&mut deliveries).await;
        assert!(got.insert(number(delivery.envelope())), "an event came twice");
        delivery.ack();
    }
    while let Ok(Some(delivery)) = timeout(QUIET, deliveries.next()).await {
        assert!(got.insert(number(delivery.envelope())), "an event came twice");
        delivery.ack();
    }
    let refused: Vec<_> = got
        .iter()
        .filter(|place| !accepted.contains(place) && !unclear.contains(place))
        .collect();
    assert!(refused.is_empty(), "refused and delivered: {refused:?}");
}

async fn an_id_that_came_before_is_delivered_once(stage: Stage) {
    let bridge = stage.bridge().await;
    let mut deliveries = subscribe(&*bridge, stage.kept("conf.twice")).await;
    let envelope = stage.news("conf.twice", "1");
    for _ in 0..2 {
        let published = soon("the outcome", bridge.publish(envelope.clone())).await;
        assert!(matches!(published, Ok(Published::Accepted)), "{published:?}");
    }
    next(&mut deliveries).await.ack();
    quiet(&mut deliveries).await;
}

async fn history_can_be_replayed(stage: Stage) {
    let declared = stage.capability().replay;
    assert!(
        !declared,
        "a subscription has no way yet to ask for history: declare it false"
    );
}

const SHOP: ServiceId = ServiceId::new("shop", 1);

async fn the_broker_keeps_the_commands_that_nobody_has_room_for(stage: Stage) {
    let (bridge, sender) = (stage.bridge().await, stage.bridge().await);
    let subject = stage.command(SHOP.command("buy"));
    let subscription = Subscription::new(subject.clone()).group("cmd=shop=1=buy").window(4);
    let mut deliveries = subscribe(&*bridge, subscription).await;
    let mut publishing = JoinSet::new();
    for place in 0..100_u64 {
        let envelope = stage.message(Kind::Command, subject.clone(), place.to_string());
        let sender = std::sync::Arc::clone(&sender);
        publishing.spawn(async move { sender.publish(envelope).await });
    }
    for published in within(HELD_MAX, "the confirmations", publishing.join_all()).await {
        assert!(matches!(published, Ok(Published::Accepted)), "{published:?}");
    }
    let mut held: std::collections::VecDeque<_> = take(&mut deliveries, 4).await.into();
    quiet(&mut deliveries).await;
    let mut got = BTreeSet::new();
    while let Some(delivery) = held.pop_front() {
        assert!(got.insert(number(delivery.envelope())), "a command came twice");
        delivery.ack();
        if got.len() + held.len() < 100 {
            held.push_back(next(&mut deliveries).await);
        }
    }
    assert_eq!(got, (0..100).collect());
    quiet(&mut deliveries).await;
}
