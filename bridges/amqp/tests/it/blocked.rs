//! A broker that takes no messages: it is said, survived, and what consumes goes on.

use std::time::Duration;

use roadshow_bridges::{ErrorKind, Kind, Published, Subscription};
use roadshow_conformance::{Broker, BrokerKind, BrokerOptions};
use tokio::time::interval;

use super::harness::{Place, envelope, in_time, refused};

#[tokio::test]
async fn a_broker_that_blocks_publishers_is_named_and_survived() {
    // More than any disk has: the alarm is there from the beginning. The broker says so when somebody publishes.
    let options = BrokerOptions::default().line("disk_free_limit.absolute = 900000GB");
    let broker = Broker::start_with(BrokerKind::Rabbit, options)
        .await
        .expect("a broker of our own");
    let place = Place::at(broker.url());
    let bridge = place.bridge("n1").await;
    let event = envelope(Kind::Event, &place.event("a"), 1, b"{}");
    let met = in_time(bridge.publish(event.clone())).await.expect("told");
    assert_eq!(met, Published::Indeterminate);
    let mut ticks = interval(Duration::from_millis(10));
    let blocked = async {
        while !bridge.health().to_string().contains("the broker blocks publishers") {
            ticks.tick().await;
        }
    };
    in_time(blocked).await;
    let error = refused(in_time(bridge.publish(event)).await);
    assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
    let other = bridge.subscribe(Subscription::new(place.event("b"))).await;
    drop(other.expect("who consumes is served"));
    in_time(bridge.close()).await.expect("closed");
}
