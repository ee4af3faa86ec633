//! The task of one member of a durable group: pulls, hands over, tells the server what is in hand, gives back.

use std::sync::Arc;
use std::time::Duration;

use async_nats::client::traits::Publisher;
use async_nats::{Message, StatusCode, Subject};
use bytes::Bytes;
use roadshow_bridges::Parcel;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::ack::{self, AckAddress};
use super::api::{nanos, outbound};
use super::group::Group;
use super::held::{Arrived, Hand, Place};
use super::inbox::Inbox;
use super::leaving::{Former, next_of};
use super::pulls::{EXPIRES, HEARTBEAT, Pulls};
use super::settle::{ACK, PROGRESS, TERM, note};
use super::{JetStream, age};
use crate::bridge::Shared;
use crate::queue::{Chore, Queue};
use crate::wire::message_id;

/// How long a small pull waits for more permits.
const PATIENCE: Duration = Duration::from_millis(1);
/// After which time a dead letter that could not be written is tried again.
const BURY_AGAIN: Duration = Duration::from_secs(1);

/// One member of a durable group.
#[derive(Debug)]
pub(crate) struct Durable {
    pub(crate) shared: Arc<Shared>,
    pub(crate) jetstream: JetStream,
    pub(crate) group: Arc<Group>,
    /// When the server made the group that `hand` is about.
    pub(crate) created: String,
    pub(crate) queue: Arc<Queue>,
    pub(crate) hand: Arc<Hand>,
    /// Told when the group was confirmed on a new connection.
    pub(crate) bound: Arc<Notify>,
    pub(crate) ack_wait: Duration,
    pub(crate) starts_max: u32,
    pub(crate) inbox: Inbox,
    /// Where pulls of the connection before may still be answered.
    pub(crate) former: Option<Former>,
    pub(crate) pulls: Pulls,
}

impl Durable {
    /// Runs until the subscriber has left and every delivery has come back.
    pub(crate) async fn run(mut self) {
        let mut ticks = interval((self.ack_wait / 6).max(Duration::from_millis(10)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut put_off = None;
        while !self.queue.has_ended() {
            let is_late = put_off.is_some_and(|until| until <= Instant::now());
            self.pull(!is_late).await;
            put_off = self.pulls.puts_off(self.queue.free()).then(|| match put_off {
                Some(until) if !is_late => until,
                _ => Instant::now() + PATIENCE,
            });
            tokio::select! {
                biased;
                () = self.queue.work.notified() => {}
                message = self.inbox.next() => match message {
                    Some(message) => self.take_all(message).await,
                    None => {
                        self.shared.link.client_ended();
                        self.queue.give_back_all();
                    }
                },
                message = next_of(&mut self.former) => match message {
                    Some(message) => self.take_last(message).await,
                    None => self.former = None,
                },
                () = self.bound.notified() => self.start_over(false).await,
                () = sleep_until(put_off.unwrap_or_else(Instant::now)), if put_off.is_some() => {}
                _ = ticks.tick() => self.tick().await,
            }
            if !self.queue.has_ended() {
                self.do_chores().await;
            }
        }
        self.leave(&mut ticks).await;
    }

    async fn pull(&mut self, patient: bool) {
        let Some((number, batch)) = self.pulls.ask(self.queue.free(), patient, Instant::now()) else {
            if !self.pulls.puts_off(self.queue.free()) {
                self.queue.wake_when_free(self.pulls.wake_at());
            }
            return;
        };
        let question = json!({
            "batch": batch,
            "expires": nanos(EXPIRES),
            "idle_heartbeat": nanos(HEARTBEAT),
        });
        let mut message = outbound(self.group.pull_subject(), None, Bytes::from(question.to_string()));
        message.reply = Some(self.inbox.reply(number).into());
        if let Err(error) = self.shared.send_message(message, None).await {
            tracing::debug!(%error, "cannot pull from a durable group yet");
            self.pulls.ended(number, Instant::now());
        }
        self.queue.wake_when_free(self.pulls.wake_at());
    }

    async fn take_all(&mut self, first: Message) {
        self.take(first).await;
        while let Some(message) = self.inbox.next_now() {
            self.take(message).await;
        }
    }

    async fn take(&mut self, mut message: Message) {
        let now = Instant::now();
        let address = message.reply.as_deref().and_then(ack::read);
        if let (Some(status), None) = (message.status, address) {
            return self.hear(status, &message, now).await;
        }
        let (Some(reply), Some(address)) = (message.reply.clone(), address) else {
            return;
        };
        // A stranger's event may carry a status of its own; it is not the server's word.
        message.status = None;
        self.pulls.arrived(now);
        self.accept(&message, reply, address, now).await;
    }

    /// Takes an event into the hand.
    pub(super) async fn accept(&mut self, message: &Message, reply: Subject, address: AckAddress, now: Instant) {
        match self.hand.take(address, &reply, message.headers.clone(), now) {
            Arrived::Running => {}
            Arrived::Done => self.say(reply, ACK).await,
            Arrived::New(tag, starts) => self.hand_over(message, address, tag, starts).await,
        }
    }

    /// Hears what the server says about a pull.
    async fn hear(&mut self, status: StatusCode, message: &Message, now: Instant) {
        let number = message
            .subject
            .rsplit('.')
            .next()
            .and_then(|number| number.parse().ok())
            .unwrap_or(0);
        match status {
            StatusCode::IDLE_HEARTBEAT => self.pulls.lives(now),
            StatusCode::TIMEOUT | StatusCode::NOT_FOUND => self.pulls.ended(number, now),
            _ => {
                let said = message.description.as_deref().unwrap_or_default();
                tracing::debug!(%status, said, group = self.group.name, "a pull of a durable group was ended");
                self.pulls.ended(number, now);
                self.start_over(true).await;
            }
        }
    }

    async fn hand_over(&mut self, message: &Message, address: AckAddress, tag: u64, starts: Option<u32>) {
        let Some(mut parcel) = self.shared.wire.decode(message, None) else {
            self.settle_with(tag, TERM).await;
            return;
        };
        parcel.tag = tag;
        if parcel.since.is_some() {
            parcel.since = age(address.stored_ns)
                .and_then(|age| Instant::now().checked_sub(age))
                .or(parcel.since);
        }
        if let Some(starts) = starts {
            parcel.starts = starts;
            self.put(self.queue.put(parcel));
            return;
        }
        let place = Place {
            sequence: address.sequence,
            stored_ns: address.stored_ns,
        };
        let (api, consumer) = (&self.jetstream.api, &self.group.consumer);
        let written = self
            .shared
            .link
            .while_connected(self.jetstream.starts.read(api, consumer, place))
            .await;
        parcel.starts = written.flatten().unwrap_or(0);
        if parcel.starts >= self.starts_max {
            self.bury(parcel, "it was started too often").await;
        } else {
            self.put(self.queue.put_held(parcel));
        }
    }

    fn put(&self, put: Result<crate::queue::Put, Parcel>) {
        if let Err(parcel) = put {
            self.queue.add_chore(Chore::GiveBack(parcel));
        }
    }

    pub(super) async fn do_chores(&mut self) {
        for chore in self.queue.chores() {
            match chore {
                Chore::Done(parcel) => self.settle_with(parcel.tag, ACK).await,
                Chore::Dead(parcel, reason) => self.bury(parcel, &reason).await,
                Chore::GiveBack(parcel) => self.give_back(&parcel, Duration::ZERO).await,
                Chore::Again(parcel, due) => {
                    let after = due.saturating_duration_since(Instant::now());
                    self.again(parcel, after).await;
                }
            }
        }
        if let Some(parcel) = self.queue.wanted() {
            self.write(&parcel, parcel.starts + 1).await;
            self.hand.note(parcel.tag);
            if let Err(parcel) = self.queue.put_back(parcel) {
                self.give_back(&parcel, Duration::ZERO).await;
            }
        }
    }

    /// Writes down how often a message was started.
    async fn write(&self, parcel: &Parcel, starts: u32) {
        let Some(place) = self.hand.place(parcel.tag) else {
            return;
        };
        let (api, consumer) = (&self.jetstream.api, &self.group.consumer);
        let written = self.jetstream.starts.write(api, consumer, place, starts);
        if let Some(Err(error)) = self.shared.link.while_connected(written).await {
            tracing::warn!(%error, group = self.group.name, "a start of a handler may be counted too low");
        }
    }

    async fn again(&self, parcel: Parcel, after: Duration) {
        if !parcel.begun {
            self.give_back(&parcel, after).await;
        } else if parcel.starts >= self.starts_max {
            self.bury(parcel, "it was started too often").await;
        } else {
            self.write(&parcel, parcel.starts).await;
            self.give_back(&parcel, after).await;
        }
    }

    async fn give_back(&self, parcel: &Parcel, after: Duration) {
        // It was handed out, and nobody began: the start that was written down did not happen.
        if !parcel.begun && self.hand.is_noted(parcel.tag) {
            self.write(parcel, parcel.starts).await;
        }
        let Some(ack) = self.hand.ack(parcel.tag) else { return };
        self.hand.give_back(parcel.tag, parcel.starts);
        let word = if after.is_zero() {
            Bytes::from_static(b"-NAK")
        } else {
            Bytes::from(format!("-NAK {}", json!({"delay": nanos(after)})))
        };
        self.send(note(ack, word)).await;
    }

    /// Writes a dead letter and ends the message; if it cannot be written, the message comes again.
    async fn bury(&self, parcel: Parcel, reason: &str) {
        // Of a stream that was made anew, what the place was is not known any more; the message has an id of its own.
        let which = self.hand.place(parcel.tag).map_or_else(
            || message_id(&parcel.envelope),
            |place| format!("{}:{}", place.sequence, place.stored_ns),
        );
        let id = format!("{}:{which}:{}:dlq", self.group.stream, self.group.consumer);
        let headers = self.hand.headers(parcel.tag);
        let buried = self
            .jetstream
            .bury(&self.shared, &parcel, headers, Some(&self.group.name), reason, id)
            .await;
        match buried {
            Ok(()) => self.settle_with(parcel.tag, TERM).await,
            Err(error) => {
                tracing::warn!(%error, group = self.group.name, "cannot write a dead letter; the message comes again");
                self.give_back(&parcel, BURY_AGAIN).await;
            }
        }
    }

    /// Says a last word about a message in hand.
    async fn settle_with(&self, tag: u64, word: &'static [u8]) {
        if let Some(ack) = self.hand.ack(tag) {
            self.hand.done(tag);
            self.say(ack, word).await;
        }
    }

    async fn say(&self, ack: async_nats::Subject, word: &'static [u8]) {
        self.send(note(ack, Bytes::from_static(word))).await;
    }

    async fn send(&self, message: async_nats::message::OutboundMessage) {
        if self.shared.client.publish_message(message).await.is_err() {
            tracing::debug!(
                group = self.group.name,
                "the NATS client has ended; the server brings the message again"
            );
        }
    }

    /// Tells the server what is still in hand, and looks whether it still answers.
    pub(super) async fn tick(&mut self) {
        let now = Instant::now();
        for ack in self.hand.untold(self.ack_wait / 3, now) {
            self.say(ack, PROGRESS).await;
        }
        if self.pulls.is_silent(now) && self.shared.link.presence.health().is_ready() {
            tracing::warn!(
                group = self.group.name,
                "a durable group is silent; it is looked for again"
            );
            self.start_over(true).await;
        }
    }
}
