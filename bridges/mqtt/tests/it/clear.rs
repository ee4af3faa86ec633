//! Removing what a test has left on a shared broker: the retained messages of its namespace.

use std::time::Duration;

use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, PublishOptions, QoS};
use tokio::time::timeout;

/// How long no retained message may come until all have come.
const QUIET: Duration = Duration::from_millis(300);

/// Host and port of a URL of tests.
fn place(url: &str) -> (String, u16) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['/', '?']).next().unwrap_or(rest);
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let (host, port) = place.rsplit_once(':').unwrap_or((place, "1883"));
    (host.to_owned(), port.parse().expect("a port"))
}

/// Removes every retained message below a namespace, and says how many there were.
pub(crate) async fn clear_retained(url: &str, namespace: &str) -> usize {
    let mut options = MqttOptions::new(format!("clear-{namespace}-{:08x}", rand::random::<u32>()), place(url));
    options.set_max_packet_size(Some(4 * 1024 * 1024));
    let (client, mut events) = AsyncClient::builder(options).capacity(4096).build();
    client
        .try_subscribe(format!("{namespace}/#"), QoS::AtLeastOnce)
        .expect("the channel has room");
    let mut topics = Vec::new();
    loop {
        match timeout(QUIET, events.poll()).await {
            Ok(Ok(Event::Incoming(Incoming::Publish(publish)))) if publish.retain => {
                topics.push(String::from_utf8_lossy(&publish.topic).into_owned());
            }
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => break,
        }
    }
    for topic in &topics {
        let options = PublishOptions::at_least_once().retained();
        let _ = client.try_publish(topic.as_str(), Vec::new(), options);
    }
    let _ = client.try_disconnect();
    while let Ok(Ok(_)) = timeout(QUIET, events.poll()).await {}
    topics.len()
}
