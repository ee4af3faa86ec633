//! One connection to the broker, as everybody but its own task sees it: publishing, and acknowledging what arrived.
//!
//! Every connection has a client of its own. What is left in the client when a connection ends goes with it: whoever waits for an
//! answer is told at once that none will come, nothing is sent a second time behind our back, and an
//! acknowledgement can never reach a later connection, where its number would mean another message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use roadshow_bridges::{DropReason, Error};
use rumqttc::{
    AsyncClient, ClientError, EventLoop, ManualAck, PubAckReason, Publish, PublishNotice, PublishNoticeError,
};
use rumqttc::{PublishOptions, PublishProperties, PublishResult, Request};
use tokio::time::{Instant, timeout_at};

use crate::acks::{Acks, Added};
use crate::connect::Opened;
use crate::outlet::Outlet;

/// What a packet may need beside payload, topic and properties, in bytes.
const PACKET_REST: usize = 64;

/// How often something happened that should be rare.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Acknowledgements that came after their connection.
    pub(crate) acks_stale: AtomicU64,
    /// Headers that could not be read.
    pub(crate) headers_dropped: AtomicU64,
    /// Messages that cannot be read, or cannot be written again.
    pub(crate) unreadable: AtomicU64,
    /// Messages that came beyond a bound.
    pub(crate) slow: AtomicU64,
    /// Messages for a group of which nobody is left.
    pub(crate) unheard: AtomicU64,
    /// Dead letters that the broker refused.
    pub(crate) no_dead_letter: AtomicU64,
    /// Messages that came a second time.
    pub(crate) duplicates: AtomicU64,
    /// Messages that the outbox gave up.
    pub(crate) expired: AtomicU64,
    /// Messages that the outbox sent again.
    pub(crate) resent: AtomicU64,
    /// Bytes that arrived and are not settled.
    pub(crate) inbound_bytes: AtomicUsize,
}

impl Counters {
    /// Counts one more.
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Messages that nobody could take, or that came beyond a bound.
    pub(crate) fn messages_dropped(&self) -> u64 {
        let counters = [&self.unreadable, &self.slow, &self.unheard, &self.no_dead_letter];
        counters.map(|counter| counter.load(Ordering::Relaxed)).iter().sum()
    }

    /// What was dropped, by reason. What came twice or was acknowledged too late is not lost.
    pub(crate) fn dropped(&self) -> Vec<(DropReason, u64)> {
        let counters = [
            (DropReason::Header, &self.headers_dropped),
            (DropReason::Unreadable, &self.unreadable),
            (DropReason::Slow, &self.slow),
            (DropReason::Unheard, &self.unheard),
            (DropReason::Expired, &self.expired),
            (DropReason::NoDeadLetter, &self.no_dead_letter),
        ];
        counters
            .map(|(reason, counter)| (reason, counter.load(Ordering::Relaxed)))
            .to_vec()
    }
}

/// One message that is ready for the wire.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) properties: PublishProperties,
    pub(crate) retain: bool,
}

impl Message {
    /// A message without properties.
    pub(crate) fn plain(topic: String, payload: Bytes) -> Self {
        Self {
            topic,
            payload,
            properties: PublishProperties::default(),
            retain: false,
        }
    }

    /// At most how many bytes its packet has.
    pub(crate) fn packet_bytes(&self) -> usize {
        self.payload.len() + self.topic.len() + properties_bytes(&self.properties) + PACKET_REST
    }
}

/// How many bytes properties have on the wire.
pub(crate) fn properties_bytes(properties: &PublishProperties) -> usize {
    let users = properties.user_properties.iter();
    let users: usize = users.map(|(name, value)| name.len() + value.len() + 5).sum();
    let text = |text: &Option<String>| text.as_ref().map_or(0, |text| text.len() + 3);
    let correlation = properties.correlation_data.as_ref().map_or(0, |data| data.len() + 3);
    users + text(&properties.response_topic) + text(&properties.content_type) + correlation
}

/// What became of a message.
#[derive(Debug)]
pub(crate) enum Sent {
    /// The broker has it and somebody listens.
    Routed,
    /// The broker had it and nobody listens.
    Unrouted,
    /// The broker refused it.
    Refused(Error),
    /// It was handed over and no answer came: it may have arrived.
    Unknown,
    /// It was never handed over.
    Unsent,
}

/// One connection to the broker.
#[derive(Debug)]
pub(crate) struct Wire {
    client: AsyncClient,
    /// The number of this connection, from 1.
    pub(crate) epoch: u64,
    /// Whether the broker puts subscription identifiers into what it delivers.
    pub(crate) identifies: bool,
    packet_bytes_max: usize,
    acks: Acks,
    outlet: Arc<Outlet>,
}

impl Wire {
    /// The connection that was opened, and its event loop. The broker sends at most `window` messages that are not
    /// acknowledged.
    pub(crate) fn new(opened: Opened, epoch: u64, window: u16, outlet: Arc<Outlet>) -> (Arc<Self>, EventLoop) {
        let wire = Self {
            client: opened.client,
            epoch,
            identifies: opened.identifies,
            packet_bytes_max: opened.packet_bytes_max,
            acks: Acks::new(window),
            outlet,
        };
        (Arc::new(wire), opened.eventloop)
    }

    /// The client of this connection.
    pub(crate) fn client(&self) -> &AsyncClient {
        &self.client
    }

    /// Publishes, and waits for the broker's answer until a deadline. The message is with the client when this returns; the
    /// future keeps nothing of it, because publishers make one for every message.
    pub(crate) fn send(&self, message: Message, until: Instant) -> impl Future<Output = Sent> + Send + '_ {
        let handed = self.hand_over(message);
        async move {
            let notice = match handed {
                Ok(notice) => Some(notice),
                Err(NotHanded::Refused(error)) => return Sent::Refused(error),
                Err(NotHanded::Gone) => None,
                Err(NotHanded::Full(publish)) => self.wait_for_room(publish, until).await,
            };
            match notice {
                Some(notice) => answer(notice, until).await,
                None => Sent::Unsent,
            }
        }
    }

    /// Whether the broker takes a packet of this size: the client would end the connection over one that is larger.
    fn fits(&self, message: &Message) -> Result<(), Error> {
        let size = message.packet_bytes();
        if size <= self.packet_bytes_max {
            return Ok(());
        }
        let error = Error::rejected("cannot publish: the packet is larger than the broker takes");
        Err(error.with("bytes", size).with("limit", self.packet_bytes_max))
    }

    /// How much larger a message may be made.
    pub(crate) fn room_beside(&self, message: &Message) -> usize {
        self.packet_bytes_max.saturating_sub(message.packet_bytes())
    }

    fn hand_over(&self, message: Message) -> Result<PublishNotice, NotHanded> {
        self.fits(&message).map_err(NotHanded::Refused)?;
        let options = PublishOptions::at_least_once()
            .retain(message.retain)
            .properties(message.properties);
        let handed = self.client.try_publish_tracked(message.topic, message.payload, options);
        handed.map_err(|error| match error {
            ClientError::RequestChannelFull(request) => match *request {
                Request::Publish(publish) => NotHanded::Full(Box::new(publish)),
                _ => NotHanded::Gone,
            },
            _ => NotHanded::Gone,
        })
    }

    /// Hands a message over as soon as the client has room. Hardly anybody comes here: what is under way is bounded.
    fn wait_for_room(&self, publish: Box<Publish>, until: Instant) -> BoxFuture<'_, Option<PublishNotice>> {
        Box::pin(async move {
            let options = PublishOptions::at_least_once()
                .retain(publish.retain)
                .properties(publish.properties.unwrap_or_default());
            let topic = String::from_utf8(publish.topic.to_vec()).ok()?;
            let queued = self.client.publish_tracked(topic, publish.payload, options);
            timeout_at(until, queued).await.ok()?.ok()
        })
    }

    /// Publishes without waiting for anything; `false` if it is too large, or there is no room or no connection.
    pub(crate) fn try_send(&self, message: Message) -> bool {
        if self.fits(&message).is_err() {
            return false;
        }
        let options = PublishOptions::at_least_once()
            .retain(message.retain)
            .properties(message.properties);
        let sent = self.client.try_publish(message.topic, message.payload, options);
        sent.is_ok()
    }

    /// Acknowledges a message, soon.
    fn acknowledge(&self, ack: ManualAck) {
        match self.acks.add(ack) {
            Added::First => self.outlet.ack_later(),
            Added::More => {}
            Added::Enough(acks) => self.acknowledge_now(acks),
        }
    }

    /// Sends the acknowledgements that wait for others.
    pub(crate) fn send_acks(&self) {
        self.acknowledge_now(self.acks.take());
    }

    fn acknowledge_now(&self, acks: Vec<ManualAck>) {
        for ack in acks {
            // Its channel has room for the whole receive maximum, so what fails is a connection that has ended.
            if self.client.try_manual_ack(ack).is_err() {
                Counters::count(&self.outlet.counters.acks_stale);
                tracing::debug!(epoch = self.epoch, "an acknowledgement came after its connection");
            }
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // The last delivery of this connection is gone, and what waits here is in time only if the connection still is.
        self.send_acks();
    }
}

/// Why the client did not take a message.
#[derive(Debug)]
enum NotHanded {
    /// The broker would refuse it.
    Refused(Error),
    /// The connection has ended.
    Gone,
    /// It has no room now.
    Full(Box<Publish>),
}

async fn answer(notice: PublishNotice, until: Instant) -> Sent {
    match timeout_at(until, notice.wait_async()).await {
        Ok(Ok(PublishResult::Qos1(ack))) => match ack.reason {
            PubAckReason::Success => Sent::Routed,
            PubAckReason::NoMatchingSubscribers => Sent::Unrouted,
            PubAckReason::QuotaExceeded => {
                Sent::Refused(Error::exhausted("cannot publish: the broker's quota is used up"))
            }
            reason => Sent::Refused(
                Error::rejected("cannot publish: the broker refused it").with("reason", format_args!("{reason:?}")),
            ),
        },
        Ok(Ok(_)) => Sent::Routed,
        Ok(Err(PublishNoticeError::RetainNotSupported)) => {
            Sent::Refused(Error::rejected("cannot publish: the broker keeps no retained messages"))
        }
        Ok(Err(_)) | Err(_) => Sent::Unknown,
    }
}

/// One message that the broker waits for the acknowledgement of: it goes out when the last holder drops this.
#[derive(Debug)]
pub(crate) struct Receipt {
    wire: Arc<Wire>,
    ack: Option<ManualAck>,
}

impl Receipt {
    pub(crate) fn new(wire: &Arc<Wire>, publish: &Publish) -> Self {
        Self {
            ack: wire.client.prepare_ack(publish),
            wire: Arc::clone(wire),
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(ack) = self.ack.take() {
            self.wire.acknowledge(ack);
        }
    }
}

/// The bytes of one message that arrived, counted until the last holder drops this: it outlives the receipt, for a message
/// whose delay is running is acknowledged to the broker and still in memory.
#[derive(Debug)]
pub(crate) struct Load {
    counters: Arc<Counters>,
    bytes: usize,
}

impl Load {
    pub(crate) fn new(counters: &Arc<Counters>, bytes: usize) -> Self {
        counters.inbound_bytes.fetch_add(bytes, Ordering::Relaxed);
        Self {
            counters: Arc::clone(counters),
            bytes,
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.counters.inbound_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use rumqttc::MqttOptions;

    use super::*;

    /// A connection that nobody runs.
    pub(crate) fn idle(packet_bytes_max: usize) -> (Arc<Wire>, EventLoop) {
        let options = MqttOptions::new("idle", ("127.0.0.1", 9));
        let (client, eventloop) = AsyncClient::builder(options).capacity(10).build();
        let opened = Opened {
            client,
            eventloop,
            packet_bytes_max,
            identifies: true,
        };
        let counters = Arc::<Counters>::default();
        Wire::new(opened, 1, 10, Arc::new(Outlet::new(counters)))
    }

    #[test]
    fn what_the_broker_does_not_take_is_not_handed_to_the_client() {
        let (wire, _eventloop) = idle(1000);
        let message = |bytes| Message::plain("a/b".to_owned(), vec![0; bytes].into());
        let room = wire.room_beside(&message(0));
        assert!(wire.try_send(message(room)));
        assert!(!wire.try_send(message(room + 1)));
        assert_eq!(wire.room_beside(&message(room)), 0);
    }
}
