//! The task that has the connection: it connects, takes what comes, and connects again, for ever.
//!
//! The client's event loop runs in a task of its own that waits for nothing else: whatever it waited for would stop the
//! acknowledgements and the keep-alive too. It is never cut short in the middle of a packet; only the end of the
//! connection ends it.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use roadshow_bridges::{ErrorKind, Health, reconnect_delay};
use rumqttc::{ConnectionError, Event, EventLoop, Incoming, SubscribeNotice, SubscribeReasonCode};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use crate::alarm::Alarm;
use crate::connect::{Door, Opened};
use crate::lock;
use crate::shared::{ANSWER, Asked, Shared};
use crate::wire::{Sent, Wire};

/// Why a connection ended.
type Reason = Cow<'static, str>;

/// Keeps the bridge connected until it is closed.
pub(crate) async fn run(shared: Arc<Shared>, door: Door, first: Opened) {
    let _alarm = Alarm::new(&shared, "connection");
    let mut next = Some(first);
    let mut attempt = 0;
    while !shared.is_closing() && !shared.has_failed() {
        let opened = match next.take() {
            Some(opened) => Ok(opened),
            None => door.open().await,
        };
        let reason = match opened {
            Ok(opened) => live(&shared, opened, &mut attempt).await,
            Err(error) if error.kind() == ErrorKind::Config => {
                tracing::error!(error = %error, "the broker lets us in no more");
                let reason = error.to_string().into();
                shared.presence.set(Health::Failed { reason });
                return;
            }
            Err(error) => error.to_string().into(),
        };
        if shared.is_closing() || shared.has_failed() {
            return;
        }
        tracing::warn!(reason = %reason, attempt, "the connection to the broker is gone, connecting again");
        shared.presence.set(Health::Reconnecting { reason });
        attempt += 1;
        sleep(reconnect_delay(attempt, rand::random())).await;
    }
}

/// Lives with one connection, and says why it ended.
async fn live(shared: &Arc<Shared>, opened: Opened, attempt: &mut u32) -> Reason {
    let mut renewed = pin!(shared.renewed());
    if shared.has_failed() {
        return Cow::Borrowed("the bridge has failed");
    }
    let epoch = shared.presence.next_epoch();
    let (wire, eventloop) = Wire::new(
        opened,
        epoch,
        shared.settings.receive_maximum,
        Arc::clone(&shared.outlet),
    );
    let mut events = JoinSet::new();
    events.spawn(take_events(Arc::clone(shared), Arc::clone(&wire), Engine(eventloop)));
    let mut restoring = JoinSet::new();
    let asked = shared.attach(&wire);
    restoring.spawn(restore(Arc::clone(shared), Arc::clone(&wire), asked));
    let reason = loop {
        tokio::select! {
            // A connection that is lost is never ready.
            biased;
            ended = events.join_next() => {
                break match ended {
                    Some(Ok(reason)) => reason,
                    _ => Cow::Borrowed("the client failed"),
                };
            }
            Some(restored) = restoring.join_next() => match restored {
                Ok(Ok(())) => {
                    *attempt = 0;
                    begin(shared);
                }
                Ok(Err(reason)) => break reason,
                Err(_) => break Cow::Borrowed("the subscriptions could not be restored"),
            },
            () = &mut renewed => break Cow::Borrowed("nothing came back for too long"),
        }
    };
    // First not ready, then no connection: whoever finds it ready finds a connection, or a lost one.
    if !shared.is_closing() {
        let reason = reason.clone();
        shared.presence.set(Health::Reconnecting { reason });
    }
    shared.detach();
    reason
}

/// Everything is subscribed on the connection of now.
fn begin(shared: &Shared) {
    if !shared.is_closing() {
        shared.presence.set(Health::Ready);
    }
    lock(&shared.outbox).connected(Instant::now());
    shared.outlet.wake.notify_one();
}

/// The client's event loop. However it ends, it takes with it what it has not sent: what stayed in its channel would wait
/// for an answer as long as anybody has the client.
struct Engine(EventLoop);

impl Drop for Engine {
    fn drop(&mut self) {
        self.0.clean();
    }
}

/// Runs the client's event loop until its connection ends.
async fn take_events(shared: Arc<Shared>, wire: Arc<Wire>, mut engine: Engine) -> Reason {
    loop {
        match engine.0.poll().await {
            Ok(Event::Incoming(Incoming::Publish(publish))) => shared.take(&wire, publish),
            Ok(_) => {}
            Err(ConnectionError::RequestsDone) => return Cow::Borrowed("it was closed here"),
            Err(error) => return error.to_string().into(),
        }
    }
}

/// Waits until everything is subscribed and the durable groups are announced.
async fn restore(shared: Arc<Shared>, wire: Arc<Wire>, asked: Vec<Asked>) -> Result<(), Reason> {
    let until = Instant::now() + ANSWER.max(Duration::from_secs(10));
    for asked in asked {
        confirmed(asked.notice, until)
            .await
            .map_err(|reason| Cow::Owned(format!("cannot subscribe to {}: {reason}", asked.text)))?;
        shared.routes.confirm(asked.id, wire.epoch);
    }
    let records: Vec<_> = shared
        .routes
        .groups()
        .iter()
        .filter_map(|group| group.record.clone())
        .collect();
    let announced = join_all(records.iter().map(|record| shared.announce(&wire, record)));
    let (announced, arrived) = tokio::join!(announced, shared.fence(&wire, until));
    for sent in announced {
        match sent {
            Sent::Routed | Sent::Unrouted => {}
            Sent::Refused(error) => return Err(error.to_string().into()),
            Sent::Unknown | Sent::Unsent => return Err("a durable group could not be announced".into()),
        }
    }
    if !arrived {
        return Err("our own message did not come back".into());
    }
    Ok(())
}

/// Waits for the broker's word on a subscription.
///
/// # Errors
///
/// Why it was not confirmed.
pub(crate) async fn confirmed(notice: Option<SubscribeNotice>, until: Instant) -> Result<(), Refusal> {
    let Some(notice) = notice else {
        return Err(Refusal::Lost);
    };
    let Ok(Ok(answer)) = timeout_at(until, notice.wait_async()).await else {
        return Err(Refusal::Lost);
    };
    let refused = answer
        .return_codes
        .into_iter()
        .find(|code| !matches!(code, SubscribeReasonCode::Success(_)));
    refused.map_or(Ok(()), |code| Err(Refusal::Refused(code)))
}

/// Why a subscription was not confirmed.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The connection was lost, or the broker did not answer.
    Lost,
    /// The broker said no.
    Refused(SubscribeReasonCode),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lost => f.write_str("the broker did not answer"),
            Self::Refused(code) => write!(f, "the broker refused it, {code:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use roadshow_bridges::{Access, Namespace};
    use rumqttc::{AsyncClient, MqttOptions};
    use tokio::net::TcpListener;
    use tokio::task::yield_now;

    use super::*;
    use crate::settings::Settings;
    use crate::wire::Message;

    #[tokio::test]
    async fn what_was_not_sent_is_told_as_soon_as_a_connection_is_given_up() {
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = silent.local_addr().expect("an address").port();
        let settings = Settings::parse("mqtt://127.0.0.1", &Access::default()).expect("a url");
        let shared = Arc::new(Shared::new(settings, Namespace::default(), 1));
        let options = MqttOptions::new("unheard", ("127.0.0.1", port));
        let (client, eventloop) = AsyncClient::builder(options).capacity(10).build();
        let opened = Opened {
            client,
            eventloop,
            packet_bytes_max: usize::MAX,
            identifies: true,
        };
        let publish = async {
            let wire = loop {
                match shared.wire() {
                    Some(wire) => break wire,
                    None => yield_now().await,
                }
            };
            let begun = Instant::now();
            let message = Message::plain("a".to_owned(), Bytes::new());
            let sent = wire.send(message, begun + ANSWER);
            shared.end_connection();
            (sent.await, begun.elapsed())
        };
        let mut attempt = 0;
        let (_, (sent, took)) = tokio::join!(live(&shared, opened, &mut attempt), publish);
        assert!(matches!(sent, Sent::Unknown), "{sent:?}");
        assert!(took < ANSWER / 2, "it took {took:?}");
    }
}
