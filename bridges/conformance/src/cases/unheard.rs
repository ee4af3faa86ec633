//! What nobody hears.

use std::time::Duration;

use roadshow_bridges::{EventBridge, Kind, Published, ServiceId, Subject, Subscription};
use tokio::time::{Instant, timeout};

use crate::case::{Case, case, fact};
use crate::stage::{Stage, send, subscribe};
use crate::wait::{next, soon};

pub(super) const CASES: &[Case] = &[
    case!(
        "E05",
        a_command_that_nobody_hears_is_known_at_once,
        [fact!(unroutable)],
        "given no subscriber, when a command is published, then its sender hears so within 250 ms: from publishing, or by \
         the command that comes back to its reply address. The best of 5 counts, for tests share their processors"
    ),
    case!(
        "E05b",
        an_event_that_nobody_hears_is_no_error,
        [],
        "given no subscriber, when an event is published, then the broker takes it"
    ),
    case!(
        "U01",
        a_reply_to_an_address_that_is_gone_harms_nothing,
        [],
        "given an inbox that is gone, when a reply is published to it, then that is no error, and the next message on \
         the same connection arrives"
    ),
];

const SHOP: ServiceId = ServiceId::new("shop", 1);

async fn a_command_that_nobody_hears_is_known_at_once(stage: Stage) {
    let bridge = stage.bridge().await;
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let took = nobody_hears(&stage, &*bridge, stage.command(SHOP.command("buy"))).await;
        best = best.min(took);
    }
    assert!(best < Duration::from_millis(250), "{best:?}");
}

/// Publishes a command and fails unless its sender hears that nobody listens; says how long that took.
pub(super) async fn nobody_hears(stage: &Stage, bridge: &dyn EventBridge, command: Subject) -> Duration {
    let context = stage.context();
    let root = stage.namespace.inbox_root(&context.node, context.incarnation);
    let mut inbox = subscribe(bridge, Subscription::children(root)).await;
    let mut envelope = stage.message(Kind::Command, command, "null");
    let reply_to = stage.namespace.inbox_subject(&context.node, context.incarnation, 1);
    envelope.reply_to = Some(reply_to.clone());
    let begun = Instant::now();
    match soon("the outcome of publishing", bridge.publish(envelope)).await {
        Ok(Published::Unroutable) => {}
        Ok(Published::Accepted) => {
            let delivery = next(&mut inbox).await;
            assert!(delivery.is_returned(), "{delivery:?}");
            assert_eq!(delivery.envelope().subject, reply_to);
            delivery.ack();
        }
        other => panic!("a command that nobody hears ended as {other:?}"),
    }
    begun.elapsed()
}

async fn an_event_that_nobody_hears_is_no_error(stage: Stage) {
    let bridge = stage.bridge().await;
    send(&*bridge, stage.news("conf.unheard", "1")).await;
}

async fn a_reply_to_an_address_that_is_gone_harms_nothing(stage: Stage) {
    let bridge = stage.bridge().await;
    let gone = stage.context();
    let address = stage.namespace.inbox_subject(&gone.node, gone.incarnation, 7);
    let published = soon("the outcome", bridge.publish(stage.message(Kind::Reply, address, "1"))).await;
    assert!(
        matches!(published, Ok(Published::Unroutable | Published::Accepted)),
        "{published:?}"
    );
    let mut deliveries = subscribe(&*bridge, Subscription::new(stage.event("conf.after"))).await;
    stage.tell(&*bridge, "conf.after", 1).await;
    next(&mut deliveries).await.ack();
    assert!(timeout(Duration::from_millis(100), deliveries.next()).await.is_err());
    assert!(bridge.health().is_ready());
}
