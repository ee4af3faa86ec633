//! What the service promises: each handler on its own, and all of them as callers of a node meet them.

use std::time::Duration;

use roadshow::Executed;
use roadshow::prelude::*;
use roadshow::testing::{self, Recorder, Solo};

use {{crate}}::contract::{Count, CountGreetings, Greet, Greeted};
use {{crate}}::{Greeter, service};

const PATIENCE: Duration = Duration::from_secs(5);

fn ada() -> String {
    "Ada".to_owned()
}

#[tokio::test]
async fn whoever_is_greeted_is_named_in_an_event() {
    let solo = Solo::new(Greeter::default());
    let greeting = solo.call(Greet { name: ada() }).await.unwrap();
    assert_eq!(greeting.text, "Hello, Ada!");
    assert_eq!(solo.emitted::<Greeted>()[0].name, "Ada");
}

#[tokio::test]
async fn every_greeting_is_counted() {
    let solo = Solo::new(Greeter::default());
    let count = || solo.call(CountGreetings { name: ada() });
    assert_eq!(count().await.unwrap_err().code, Code::NotFound);
    for expected in 1..=2 {
        let outcome = solo.receive(Greeted { name: ada() }).await;
        assert_eq!(outcome, Outcome::Ack);
        assert_eq!(count().await, Ok(Count { count: expected }));
    }
}

#[tokio::test]
async fn a_node_refuses_what_breaks_a_rule_and_emits_nothing() {
    let recorder = Recorder::default();
    let builder = testing::node().event_bridge(recorder.bridge());
    let node = builder.service(service()).start().await.unwrap();
    let client = node.client();
    let greet = |name| client.call(Greet { name });

    let refused = greet(String::new()).await.unwrap_err();
    assert_eq!(refused.code, Code::Invalid);
    assert_eq!(refused.executed, Executed::No);
    assert!(recorder.events::<Greeted>().is_empty());

    greet(ada()).await.unwrap();
    let emitted = recorder.wait_for::<Greeted>(1, PATIENCE).await;
    assert_eq!(emitted[0].0.name, "Ada");
    assert!(node.shutdown(PATIENCE).await.is_clean());
}
