//! Streams to consumers that are none of our nodes, message by message.

use std::sync::Arc;

use bytes::Bytes;
use roadshow::bridges::memory::{MemoryBridgeSettings, MemoryEventBridge};
use roadshow::bridges::{
    Deliveries, Envelope, Identity, IncarnationId, Kind, MessageId, Namespace, Published, Subject, Subscription,
};
use roadshow::{EventBridge, MemoryBus, Stream};

use super::tape::{Play, tape, within};
use crate::lab::{Ledger, builder, stop};

/// A consumer with an inbox and nothing else.
struct Stranger {
    bridge: MemoryEventBridge,
    inbox: Subject,
    arrived: Deliveries,
}

impl Stranger {
    async fn on(bus: &MemoryBus) -> Stranger {
        let bridge = MemoryEventBridge::new(bus.clone(), MemoryBridgeSettings::default());
        let node = "stranger".parse().unwrap();
        let inbox = Namespace::default().inbox_subject(&node, IncarnationId::from_u64(7), 7);
        let arrived = bridge
            .subscribe(Subscription::new(inbox.clone()).window(256))
            .await
            .unwrap();
        Stranger { bridge, inbox, arrived }
    }

    async fn say(&self, kind: Kind, to: Subject, sequence: u64, payload: &'static str) -> Published {
        let identity = Identity::root(MessageId::from_u128(7));
        let mut envelope = Envelope::new(kind, to, identity, Bytes::from(payload));
        envelope.sequence = sequence;
        envelope.reply_to = Some(self.inbox.clone());
        envelope.transport_correlation = Some(Bytes::from_static(b"mine"));
        self.bridge.publish(envelope).await.unwrap()
    }

    async fn open(&self, payload: &'static str, credit: u64) {
        let subject = Namespace::default().command_subject(Play::ADDRESS.key());
        assert_eq!(
            self.say(Kind::Open, subject, credit, payload).await,
            Published::Accepted
        );
    }

    async fn hear(&mut self) -> Arc<Envelope> {
        let delivery = within(self.arrived.next()).await.unwrap();
        let envelope = delivery.shared_envelope();
        delivery.ack();
        envelope
    }
}

#[tokio::test]
async fn a_stranger_without_credit_gets_the_usual_window_and_more_when_it_asks() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let node = builder()
        .memory_bus(&bus)
        .service(tape(&ledger, |s| s))
        .start()
        .await
        .unwrap();
    let mut stranger = Stranger::on(&bus).await;
    stranger.open(r#"{"n":70}"#, 0).await;
    let accept = stranger.hear().await;
    assert_eq!(accept.kind, Kind::Accept);
    assert_eq!(accept.transport_correlation.as_deref(), Some(&b"mine"[..]));
    let producer = accept.reply_to.clone().unwrap();
    for place in 1..=64 {
        let frame = stranger.hear().await;
        assert_eq!((frame.kind, frame.sequence), (Kind::Frame, place));
    }
    assert!(stranger.arrived.try_next().is_none());
    let _ = stranger.say(Kind::Credit, producer.clone(), 66, "").await;
    assert_eq!(
        (stranger.hear().await.sequence, stranger.hear().await.sequence),
        (65, 66)
    );
    // A credit that counts backwards, and messages that mean nothing here.
    let _ = stranger.say(Kind::Credit, producer.clone(), 1, "").await;
    let _ = stranger.say(Kind::Event, producer.clone(), 99, "{}").await;
    let _ = stranger.say(Kind::Credit, producer, u64::MAX, "").await;
    for place in 67..=70 {
        assert_eq!(stranger.hear().await.sequence, place);
    }
    let end = stranger.hear().await;
    assert_eq!((end.kind, end.sequence), (Kind::End, 70));
    stop(node).await;
}

#[tokio::test]
async fn a_stranger_cancels_by_message_and_is_told_why_it_is_refused() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let node = builder()
        .memory_bus(&bus)
        .service(tape(&ledger, |s| s))
        .start()
        .await
        .unwrap();
    let mut stranger = Stranger::on(&bus).await;
    stranger.open(r#"{"hold":true}"#, 1).await;
    let accept = stranger.hear().await;
    let _ = stranger
        .say(Kind::Cancel, accept.reply_to.clone().unwrap(), 0, "")
        .await;
    ledger.wait_for("cancelled", 1).await;
    for (payload, word) in [
        (r#"{"n":"two"}"#, "invalid"),
        ("no json", "invalid"),
        (r#"{"refuse":true}"#, "not_found"),
    ] {
        stranger.open(payload, 1).await;
        let refused = stranger.hear().await;
        let text = String::from_utf8(refused.payload.to_bytes().unwrap().to_vec()).unwrap();
        assert!(
            refused.kind == Kind::Failure && text.contains(word),
            "{payload}: {text}"
        );
    }
    stop(node).await;
}
