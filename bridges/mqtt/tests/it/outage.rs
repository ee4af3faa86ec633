//! A broker of our own that is killed, held and locked: what was accepted arrives, and nobody is let in without a key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use roadshow_bridges::{Access, ConnectContext, Deliveries, ErrorKind, EventBridge, IncarnationId, Published};
use roadshow_conformance::{Broker, BrokerKind, BrokerOptions};
use roadshow_mqtt::{MqttConnector, MqttEventBridge};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use crate::common::{self, Stage};

/// How often each number was handed out.
type Ledger = Arc<Mutex<BTreeMap<u64, usize>>>;

async fn work(mut deliveries: Deliveries, ledger: Ledger) {
    while let Some(mut delivery) = deliveries.next().await {
        delivery.begin();
        let number = common::number(delivery.envelope());
        *ledger.lock().expect("no panic").entry(number).or_insert(0) += 1;
        delivery.ack();
    }
}

/// Publishes an event a millisecond for a time; returns the numbers that were accepted.
async fn load(stage: &Stage, sender: &Arc<MqttEventBridge>, from: u64, time: Duration) -> Vec<u64> {
    let (mut ticks, mut published) = (interval(Duration::from_millis(1)), JoinSet::new());
    let until = Instant::now() + time;
    let mut number = from;
    while Instant::now() < until {
        ticks.tick().await;
        let (sender, envelope, this) = (Arc::clone(sender), stage.event(number), number);
        published.spawn(async move { (this, sender.publish(envelope).await) });
        number += 1;
    }
    let all = published.join_all().await.into_iter();
    let accepted = all.filter(|(_, result)| matches!(result, Ok(Published::Accepted)));
    accepted.map(|(number, _)| number).collect()
}

async fn missing(ledger: &Ledger, accepted: &[u64]) -> usize {
    let count = || {
        let ledger = ledger.lock().expect("no panic");
        accepted.iter().filter(|number| !ledger.contains_key(number)).count()
    };
    let until = Instant::now() + Duration::from_secs(15);
    let mut ticks = interval(Duration::from_millis(20));
    while count() > 0 && Instant::now() < until {
        ticks.tick().await;
    }
    count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_accepted_event_is_lost_when_the_broker_is_killed() {
    let mut broker = Broker::start(BrokerKind::Mosquitto).await.expect("mosquitto starts");
    let stage = Stage::at(broker.url());
    let (receiver, sender) = (stage.bridge().await, stage.bridge().await);
    let ledger = Ledger::default();
    let mut workers = JoinSet::new();
    workers.spawn(work(stage.durable(&receiver, "ledger").await, Arc::clone(&ledger)));
    let mut accepted = Vec::new();
    for round in 0..3 {
        let from = round * 1_000_000;
        let (during, _) = tokio::join!(load(&stage, &sender, from, Duration::from_secs(2)), async {
            common::until("the load is on", || {
                ledger.lock().expect("no panic").len() > accepted.len() + 300
            })
            .await;
            broker.kill();
            broker.restart().await.expect("mosquitto starts again");
        });
        assert!(during.len() > 500, "{} were accepted", during.len());
        accepted.extend(during);
        let back = Instant::now();
        common::until("both are ready", || {
            sender.health().is_ready() && receiver.health().is_ready()
        })
        .await;
        assert!(back.elapsed() < Duration::from_secs(10), "it took {:?}", back.elapsed());
        assert_eq!(missing(&ledger, &accepted).await, 0, "of {} accepted", accepted.len());
    }
    common::until("the outbox is empty", || sender.counts().kept == 0).await;
    let (counts, duplicates) = (sender.counts(), receiver.counts().duplicates);
    println!(
        "{} accepted, 0 lost, {} sent again, {duplicates} known as duplicates",
        accepted.len(),
        counts.resent
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_stands_still_makes_nobody_look_gone() {
    let broker = Broker::start(BrokerKind::Mosquitto).await.expect("mosquitto starts");
    let stage = Stage::at(broker.url());
    let (one, two, sender) = (stage.bridge().await, stage.bridge().await, stage.bridge().await);
    let ledger = Ledger::default();
    let mut workers = JoinSet::new();
    let mut slow = stage.durable(&one, "ledger").await;
    stage.emit(&sender, 0).await;
    let held = slow.next().await.expect("an event");
    workers.spawn(work(stage.durable(&two, "ledger").await, Arc::clone(&ledger)));
    broker.pause().expect("paused");
    let mut waited = interval(Duration::from_secs(6));
    waited.tick().await;
    waited.tick().await;
    broker.resume().expect("resumed");
    let accepted = load(&stage, &sender, 1, Duration::from_secs(1)).await;
    held.ack();
    workers.spawn(work(slow, Arc::clone(&ledger)));
    assert_eq!(missing(&ledger, &accepted).await, 0);
    common::until("the outbox is empty", || sender.counts().kept == 0).await;
    let doubled = ledger
        .lock()
        .expect("no panic")
        .values()
        .filter(|count| **count > 1)
        .count();
    assert_eq!((doubled, ledger.lock().expect("no panic").contains_key(&0)), (0, false));
}

fn context() -> ConnectContext {
    let namespace = format!("mq{:012x}", rand::random::<u64>() >> 16)
        .parse()
        .expect("a namespace");
    ConnectContext::new(namespace, "n1".parse().expect("a node"), IncarnationId::from_u64(1))
}

#[tokio::test]
async fn a_wrong_password_is_a_matter_of_settings_and_told_at_once() {
    let options = BrokerOptions::default().user("ada", "right");
    let broker = Broker::start_with(BrokerKind::Mosquitto, options)
        .await
        .expect("mosquitto starts");
    let good = broker.url();
    assert!(MqttConnector.connect(&good, &context()).await.is_ok());
    let begun = Instant::now();
    let error = MqttConnector
        .connect(&good.replace("right", "wrong"), &context())
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(5) && !format!("{error:?}").contains("wrong"),
        "{error:?}"
    );
    let mut access = Access::default();
    (access.user, access.password) = (Some("ada".to_owned()), Some("right".to_owned()));
    let bare = good.replace("ada:right@", "");
    assert!(MqttConnector.connect(&bare, &context()).await.is_err());
    assert!(MqttConnector.connect(&bare, &context().access(access)).await.is_ok());
}

#[tokio::test]
async fn a_broker_that_is_away_is_no_matter_of_settings() {
    let error = MqttConnector
        .connect("mqtt://127.0.0.1:9", &context())
        .await
        .expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:9"), "{error}");
}
