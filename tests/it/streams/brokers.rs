//! Streams between two nodes over each real broker: what the memory bridge shows, once more where messages travel.

use roadshow::config::Settings;
use roadshow::prelude::*;
use roadshow::{AmqpConnector, MqttConnector, NatsConnector, NodeBuilder};
use roadshow_conformance::broker::{BrokerKind, shared};

use super::pair::{HELD_BACK_AT, Pair};
use super::tape::{Play, cancels_in_time, next, note, opened, took, within};

/// Two nodes in a namespace that nobody else has.
async fn pair_on(kind: BrokerKind) -> Pair {
    let url = shared(kind).await.expect("a broker that tests share");
    let namespace = format!("s{:016x}", rand::random::<u64>());
    let node = || builder(&url).namespace(namespace.clone());
    Pair::of(node(), node(), |s| s).await
}

fn builder(url: &str) -> NodeBuilder {
    let flags = [("event_bridge".to_owned(), url.to_owned())];
    let settings = Settings::resolve(None, std::iter::empty(), &flags, None).unwrap();
    let builder = Node::builder().connector(NatsConnector).connector(AmqpConnector);
    builder.connector(MqttConnector).settings(settings)
}

async fn streams_cross_over(kind: BrokerKind) {
    let pair = pair_on(kind).await;
    let client = pair.reads.client();
    let play = Play {
        fail: true,
        ..Play::numbers(1_000)
    };
    let mut reader = opened(&pair.reads, play).await;
    for number in 0..1_000 {
        assert_eq!(next(&mut reader).await, Some(Ok(note(number))));
    }
    assert_eq!(next(&mut reader).await.unwrap().unwrap_err().code, Code::Conflict);
    assert_eq!(next(&mut reader).await, None);
    let refused = within(client.open(Play {
        refuse: true,
        ..Play::default()
    }));
    assert_eq!(refused.await.unwrap_err().code, Code::NotFound);
    let nobody = within(client.open(super::tape::Nobodys));
    assert_eq!(nobody.await.unwrap_err().code, Code::Unavailable);
    pair.stop().await;
}

async fn a_reader_holds_back_and_cancels(kind: BrokerKind) {
    let pair = pair_on(kind).await;
    let mut reader = opened(&pair.reads, Play::endless()).await;
    pair.ledger.wait_for("sent", HELD_BACK_AT).await;
    for number in 0..32 {
        assert_eq!(next(&mut reader).await, Some(Ok(note(number))));
    }
    pair.ledger.wait_for("sent", HELD_BACK_AT + 32).await;
    assert_eq!(pair.ledger.count("sent"), HELD_BACK_AT + 32);
    drop(reader);
    pair.ledger.wait_for("gone", 1).await;
    cancels_in_time(async |round| {
        drop(opened(&pair.reads, Play::endless()).await);
        took(pair.ledger.wait_for("gone", 1 + round)).await
    })
    .await;
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_cross_over_nats() {
    streams_cross_over(BrokerKind::Nats).await;
    a_reader_holds_back_and_cancels(BrokerKind::Nats).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_cross_over_rabbitmq() {
    streams_cross_over(BrokerKind::Rabbit).await;
    a_reader_holds_back_and_cancels(BrokerKind::Rabbit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_cross_over_mosquitto() {
    streams_cross_over(BrokerKind::Mosquitto).await;
    a_reader_holds_back_and_cancels(BrokerKind::Mosquitto).await;
}
