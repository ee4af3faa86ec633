//! Settling: done, not done, never to be done; and which attempt it is.

use std::collections::BTreeSet;
use std::time::Duration;

use roadshow_bridges::{MessageId, ServiceId, Subscription, Token};
use tokio::time::Instant;

use crate::adapter::Dead;
use crate::case::{Case, case, fact};
use crate::stage::{Stage, number, subscribe};
use crate::wait::{next, quiet, soon};

pub(super) const CASES: &[Case] = &[
    case!(
        "D01",
        what_is_acknowledged_never_comes_again,
        [],
        "given 20 deliveries that were acknowledged, when their subscriber leaves and comes back, then none comes again"
    ),
    case!(
        "D02",
        what_is_not_done_comes_again_and_counts,
        [fact!(redelivery)],
        "given a delivery that began, when it is given up without delay, then it comes again as attempt 2, then 3"
    ),
    case!(
        "D03",
        a_delay_is_kept,
        [fact!(redelivery), fact!(delay)],
        "given a delivery that began, when it is given up with a delay of 1 s, then it comes again as attempt 2, not before \
         0.99 s and, because tests share their processors, by 4 s; meanwhile others are delivered"
    ),
    case!(
        "D04",
        what_was_not_really_tried_does_not_count,
        [fact!(redelivery)],
        "given deliveries that were given back, dropped unstarted or given back after they began, then each comes again as \
         attempt 1"
    ),
    case!(
        "D05",
        what_can_never_be_done_is_kept_with_the_reason,
        [fact!(dead_letters)],
        "given a delivery, when it is rejected, then it is among the dead letters with its id, its bytes and the reason, and \
         does not come again"
    ),
    case!(
        "D06",
        a_subscriber_never_holds_more_than_its_window,
        [],
        "given a window of 8 and 50 events, when none is settled, then 8 are handed out and no more; each that is settled \
         makes room for one"
    ),
];

async fn what_is_acknowledged_never_comes_again(stage: Stage) {
    let sender = stage.bridge().await;
    let receiver = stage.bridge().await;
    let mut deliveries = subscribe(&*receiver, stage.kept("conf.done")).await;
    for place in 0..20 {
        stage.tell(&*sender, "conf.done", place).await;
    }
    for _ in 0..20 {
        let mut delivery = next(&mut deliveries).await;
        assert_eq!(delivery.begin(), 1);
        delivery.ack();
    }
    quiet(&mut deliveries).await;
    deliveries.cancel();
    soon("closing", receiver.close()).await.expect("closed");
    let back = stage.bridge().await;
    let mut deliveries = subscribe(&*back, stage.kept("conf.done")).await;
    quiet(&mut deliveries).await;
}

async fn what_is_not_done_comes_again_and_counts(stage: Stage) {
    let bridge = stage.bridge().await;
    let mut deliveries = subscribe(&*bridge, stage.kept("conf.again")).await;
    let id = stage.tell(&*bridge, "conf.again", 7).await;
    for attempt in 1..=3 {
        let mut delivery = next(&mut deliveries).await;
        assert_eq!((delivery.envelope().identity.id, number(delivery.envelope())), (id, 7));
        assert_eq!(delivery.begin(), attempt);
        if attempt == 3 {
            delivery.ack();
        } else {
            delivery.nack(Duration::ZERO);
        }
    }
    quiet(&mut deliveries).await;
}

async fn a_delay_is_kept(stage: Stage) {
    let bridge = stage.bridge().await;
    let mut deliveries = subscribe(&*bridge, stage.kept("conf.later")).await;
    let late = stage.tell(&*bridge, "conf.later", 1).await;
    let mut delivery = next(&mut deliveries).await;
    assert_eq!(delivery.begin(), 1);
    let begun = Instant::now();
    delivery.nack(Duration::from_secs(1));
    stage.tell(&*bridge, "conf.later", 2).await;
    let other = next(&mut deliveries).await;
    assert_eq!(number(other.envelope()), 2, "the delayed one held up another");
    other.ack();
    let mut delivery = next(&mut deliveries).await;
    let took = begun.elapsed();
    assert_eq!((delivery.envelope().identity.id, delivery.begin()), (late, 2));
    delivery.ack();
    let in_time = Duration::from_millis(990)..Duration::from_secs(4);
    assert!(in_time.contains(&took), "it came again after {took:?}");
    quiet(&mut deliveries).await;
}

async fn what_was_not_really_tried_does_not_count(stage: Stage) {
    let bridge = stage.bridge().await;
    let mut deliveries = subscribe(&*bridge, stage.kept("conf.untried")).await;
    stage.tell(&*bridge, "conf.untried", 1).await;
    for round in 0..4 {
        let mut delivery = next(&mut deliveries).await;
        match round {
            0 => drop(delivery),
            1 => delivery.give_back(Duration::ZERO),
            2 => {
                assert_eq!(delivery.begin(), 1);
                delivery.give_back(Duration::ZERO);
            }
            _ => {
                assert_eq!(delivery.begin(), 1, "what was not tried was counted");
                delivery.ack();
            }
        }
    }
    quiet(&mut deliveries).await;
}

const CONFORMANCE: ServiceId = ServiceId::new("conformance", 1);

async fn what_can_never_be_done_is_kept_with_the_reason(stage: Stage) {
    let bridge = stage.bridge().await;
    let ledger: Token = "ledger".parse().expect("a token");
    let dead = stage.namespace.dead_subject(CONFORMANCE, &ledger);
    let mut heard = subscribe(&*bridge, Subscription::new(dead)).await;
    let mut deliveries = subscribe(&*bridge, stage.kept("conf.poison")).await;
    let id = stage.tell(&*bridge, "conf.poison", 13).await;
    let mut delivery = next(&mut deliveries).await;
    delivery.begin();
    delivery.reject("it cannot be read: conformance");
    let letter = dead_letter(&stage, &mut heard, id).await;
    assert_eq!(letter.payload, "13");
    assert!(
        letter.reason.contains("it cannot be read: conformance"),
        "{}",
        letter.reason
    );
    quiet(&mut deliveries).await;
    let again = stage.bridge().await;
    let mut deliveries = subscribe(&*again, stage.kept("conf.poison")).await;
    quiet(&mut deliveries).await;
}

/// The dead letter of a message: what the adapter keeps, or what is heard on the subject of the dead letters.
async fn dead_letter(stage: &Stage, heard: &mut roadshow_bridges::Deliveries, id: MessageId) -> Dead {
    if let Some(letters) = stage.dead_letters() {
        let found = letters.into_iter().find(|letter| letter.id == id);
        return found.expect("the rejected message is among the dead letters");
    }
    let delivery = next(heard).await;
    let envelope = delivery.shared_envelope();
    delivery.ack();
    let headers: Vec<_> = envelope
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    assert_eq!(envelope.identity.id, id);
    Dead {
        id,
        reason: headers.join("\n"),
        payload: envelope.payload.to_bytes().expect("bytes"),
    }
}

async fn a_subscriber_never_holds_more_than_its_window(stage: Stage) {
    let (bridge, sender) = (stage.bridge().await, stage.bridge().await);
    let mut deliveries = subscribe(&*bridge, stage.kept("conf.window").window(8)).await;
    for place in 0..50 {
        stage.tell(&*sender, "conf.window", place).await;
    }
    let mut held = std::collections::VecDeque::new();
    for _ in 0..8 {
        held.push_back(next(&mut deliveries).await);
    }
    quiet(&mut deliveries).await;
    let mut got = BTreeSet::new();
    for place in 8..50 {
        let done = held.pop_front().expect("eight are held");
        assert!(got.insert(number(done.envelope())), "an event came twice");
        done.ack();
        held.push_back(next(&mut deliveries).await);
        if place == 8 {
            quiet(&mut deliveries).await;
        }
    }
    for delivery in held {
        assert!(got.insert(number(delivery.envelope())), "an event came twice");
        delivery.ack();
    }
    assert_eq!(got, (0..50).collect());
    quiet(&mut deliveries).await;
}
