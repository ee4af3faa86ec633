//! The flow of one subscription on one connection: deliveries out, settlements back, on a channel of its own.
//!
//! It ends when its subscriber leaves, when the bridge is closed, or when the channel or connection is lost. What was out
//! then is the broker's again: the session of the seat ends with the flow, by whatever way, so that nothing of it is handed
//! out any more, and settling it later leads nowhere and is counted.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery as Message;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection, Consumer};
use roadshow_bridges::{Delivery, Envelope, Error, MessageId, Parcel, Settler};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

use crate::acks::Acks;
use crate::bridge::Shared;
use crate::declare::{self, explained};
use crate::layout::{Keeping, Plan};
use crate::moves::Mover;
use crate::publishing::Publisher;
use crate::seat::{Arrived, Seat};
use crate::settle::{Act, AmqpSettler, Settled};
use crate::text::short;
use crate::wire;

/// The most settlements that are taken at once.
const BATCH: usize = 256;
/// How long an answer of the broker may take while a subscription begins or ends.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long the broker may take to declare and subscribe; a new queue that lasts is left to settle meanwhile.
const OPEN_MAX: Duration = Duration::from_secs(9);

/// How a flow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The subscriber left, or the bridge is closed.
    Left,
    /// The channel is gone.
    Lost,
}

type Move = BoxFuture<'static, (u64, bool)>;

/// One subscription on one connection.
pub(crate) struct Flow {
    shared: Arc<Shared>,
    seat: Arc<Seat>,
    session: u64,
    channel: Channel,
    consumer: Consumer,
    settled: mpsc::Receiver<Settled>,
    settler: Arc<dyn Settler>,
    mover: Arc<Mover>,
    moves: FuturesUnordered<Move>,
    acks: Acks,
    /// Deliveries that are done and not acknowledged yet.
    done: Vec<u64>,
    /// A delivery that waits for room.
    pending: Option<Delivery>,
}

/// Declares, subscribes, and waits for the broker's word.
///
/// # Errors
///
/// As [`explained`].
pub(crate) async fn open(
    shared: &Arc<Shared>,
    publisher: Publisher,
    connection: &Arc<Connection>,
    seat: &Arc<Seat>,
    session: u64,
) -> Result<Flow, Error> {
    let own = format!("{}.{}.{}-{session}", shared.node, shared.incarnation, seat.id);
    let plan = shared.layout.plan(&seat.subscription, &own)?;
    let name = plan.queue.name.clone();
    let failed = |error| explained("subscribe", name.as_str(), error);
    let opening = async {
        if plan.keeping == Keeping::Durable {
            settled(shared, connection, &plan).await?;
        }
        let channel = connection.create_channel().await.map_err(failed)?;
        declare::queue(&channel, &plan.queue).await?;
        let window = u16::try_from(seat.subscription.window.get()).unwrap_or(u16::MAX);
        channel
            .basic_qos(window, BasicQosOptions::default())
            .await
            .map_err(failed)?;
        let tag = short("a consumer", &format!("{}.{}", shared.node, seat.id))?;
        let options = BasicConsumeOptions::default();
        let consuming = channel.basic_consume(name.clone(), tag, options, FieldTable::default());
        let consumer = consuming.await.map_err(failed)?;
        Ok::<_, Error>((channel, consumer))
    };
    let opened = timeout(OPEN_MAX, opening).await;
    let late = |_| Err(Error::unavailable("cannot subscribe: RabbitMQ does not answer").with("queue", &name));
    let (channel, consumer) = opened.unwrap_or_else(late)?;
    let place = (Arc::clone(connection), plan);
    Ok(Flow::new(shared, publisher, place, seat, session, (channel, consumer)))
}

/// Declares what a durable group needs and waits until it can be relied on; what is known to be there is passed over.
async fn settled(shared: &Shared, connection: &Connection, plan: &Plan) -> Result<(), Error> {
    if let Some(dead) = &plan.dead {
        shared.ensured.ensure(connection, dead).await?;
    }
    sleep_until(shared.ensured.ensure(connection, &plan.queue).await?).await;
    Ok(())
}

impl Flow {
    fn new(
        shared: &Arc<Shared>,
        publisher: Publisher,
        (connection, plan): (Arc<Connection>, Plan),
        seat: &Arc<Seat>,
        session: u64,
        (channel, consumer): (Channel, Consumer),
    ) -> Self {
        let (settle, settled) = mpsc::channel(seat.subscription.window.get());
        let settler = AmqpSettler::new(settle, Arc::clone(shared), seat.starts_max());
        let mover = Mover {
            shared: Arc::clone(shared),
            publisher,
            connection,
            plan,
            seat: Arc::clone(seat),
        };
        Self {
            shared: Arc::clone(shared),
            seat: Arc::clone(seat),
            session,
            channel,
            consumer,
            settled,
            settler: Arc::new(settler),
            mover: Arc::new(mover),
            moves: FuturesUnordered::new(),
            acks: Acks::default(),
            done: Vec::new(),
            pending: None,
        }
    }

    /// Lets deliveries flow until the end.
    pub(crate) async fn run(mut self, outbound: mpsc::Sender<Arrived>) -> Ended {
        let keeping = self.mover.plan.keeping;
        let shared = Arc::clone(&self.shared);
        let closing = shared.closing(|phase| phase.ends(keeping));
        tokio::pin!(closing);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                _ = self.settled.recv_many(&mut batch, BATCH) => self.apply(&mut batch),
                Some(moved) = self.moves.next(), if !self.moves.is_empty() => self.moved(moved),
                place = outbound.reserve(), if self.pending.is_some() => match (place, self.pending.take()) {
                    (Ok(place), Some(delivery)) => place.send(self.arrival(delivery)),
                    _ => break,
                },
                message = self.consumer.next(), if self.pending.is_none() => match message {
                    Some(Ok(message)) => self.arrived(message),
                    // An error, or the broker has cancelled the consumer because its queue is gone.
                    Some(Err(_)) | None => return Ended::Lost,
                },
                () = outbound.closed() => break,
                () = &mut closing => break,
            }
        }
        self.seat.close();
        drop(outbound);
        self.leave().await;
        Ended::Left
    }

    fn arrived(&mut self, message: Message) {
        self.pending = self.delivery(message);
    }

    /// The message as a delivery; `None` where nobody hears its subject.
    fn delivery(&mut self, message: Message) -> Option<Delivery> {
        let (tag, again) = (message.delivery_tag, message.redelivered);
        self.acks.arrived(tag);
        let straight = message.exchange.as_str().is_empty();
        let told = wire::subject_of(&message);
        let Some(subject) = self.seat.heard(told, straight) else {
            self.shared.counters.unheard.add(1);
            tracing::debug!(queue = %self.mover.plan.queue.name, routing_key = %message.routing_key, "a message is dropped: nobody hears its subject here");
            self.done.push(tag);
            self.acknowledge();
            return None;
        };
        let fresh = MessageId::from_u128(rand::random());
        let received = wire::read(message, subject, &self.shared.namespace, fresh);
        if received.dropped > 0 {
            self.shared.counters.dropped_headers.add(received.dropped.into());
            tracing::debug!(subject = %received.envelope.subject, count = received.dropped, "headers that could not be read are dropped");
        }
        let mut parcel = Parcel::new(Arc::new(received.envelope));
        parcel.tag = tag;
        // The acknowledgement of what was begun may have been lost with its connection.
        parcel.may_have_begun = again;
        Some(Delivery::new(parcel, Arc::clone(&self.settler)))
    }

    fn arrival(&self, delivery: Delivery) -> Arrived {
        Arrived {
            session: self.session,
            channel: self.channel.status().clone(),
            delivery,
        }
    }

    fn apply(&mut self, batch: &mut Vec<Settled>) {
        if !self.seat.is_live(self.session, self.channel.status()) {
            // The broker brings it again by itself; published anew as well it would be there twice.
            let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            self.shared.counters.stale_settlements.add(count);
            batch.clear();
            return;
        }
        for Settled { tag, act } in batch.drain(..) {
            match act {
                Act::Ack => self.done.push(tag),
                Act::GiveBack {
                    envelope,
                    is_marked: false,
                } if self.mover.plan.keeping == Keeping::Group => {
                    self.move_again(tag, envelope, None, Duration::ZERO);
                }
                Act::GiveBack { .. } => self.give_back(tag),
                Act::Again {
                    envelope,
                    attempt,
                    after,
                } => self.move_again(tag, envelope, Some(attempt), after),
                Act::Dead {
                    envelope,
                    attempts,
                    reason,
                } => {
                    let mover = Arc::clone(&self.mover);
                    let moving = async move { (tag, mover.dead(&envelope, attempts, &reason).await) };
                    self.moves.push(Box::pin(moving));
                }
            }
        }
        self.acknowledge();
    }

    /// Publishes a message again, then acknowledges it. What was not begun keeps its attempt; a live group gets even that
    /// anew, because the broker's own mark of a second delivery means there that it may have been begun. What bears that mark
    /// already keeps it: it is given back.
    fn move_again(&mut self, tag: u64, envelope: Arc<Envelope>, attempt: Option<u32>, after: Duration) {
        let mover = Arc::clone(&self.mover);
        let moving = async move { (tag, mover.again(&envelope, attempt, after).await) };
        self.moves.push(Box::pin(moving));
    }

    fn moved(&mut self, (tag, is_kept): (u64, bool)) {
        if is_kept {
            self.done.push(tag);
        } else {
            self.give_back(tag);
        }
        self.acknowledge();
    }

    /// Sends the acknowledgements of what is done. They are written in order by the connection; if it is lost, so are they.
    fn acknowledge(&mut self) {
        for ack in self.acks.done(&mut self.done) {
            let options = BasicAckOptions { multiple: ack.multiple };
            let _ = self.channel.basic_ack(ack.tag, options).now_or_never();
        }
    }

    fn give_back(&mut self, tag: u64) {
        if self.acks.given_back(tag) {
            let options = BasicNackOptions {
                multiple: false,
                requeue: true,
            };
            let _ = self.channel.basic_nack(tag, options).now_or_never();
        }
    }

    /// Ends the subscription: takes no more, gives back what nobody has, waits for what is out.
    async fn leave(mut self) {
        let tag: ShortString = self.consumer.tag();
        let cancelling = self.channel.basic_cancel(tag, BasicCancelOptions::default());
        if !matches!(timeout(ANSWER_MAX, cancelling).await, Ok(Ok(()))) {
            return;
        }
        self.pending = None;
        let mut batch = Vec::with_capacity(BATCH);
        let mut taking = true;
        loop {
            if !taking && self.acks.len() == 0 && self.moves.is_empty() {
                break;
            }
            tokio::select! {
                _ = self.settled.recv_many(&mut batch, BATCH) => self.apply(&mut batch),
                Some(moved) = self.moves.next(), if !self.moves.is_empty() => self.moved(moved),
                message = self.consumer.next(), if taking => match message {
                    // Dropped, it is given back.
                    Some(Ok(message)) => drop(self.delivery(message)),
                    Some(Err(_)) => return,
                    None => taking = false,
                },
            }
            if !self.channel.status().connected() {
                return;
            }
        }
        self.remove().await;
    }

    /// Ends with the queue, where it ends with its last subscriber.
    async fn remove(self) {
        match self.mover.plan.keeping {
            Keeping::Group => self.mover.dissolve().await,
            Keeping::Inbox => {
                let _removed = self.mover.remove(false).await;
            }
            Keeping::Durable | Keeping::Alone => {}
        }
        if self.channel.status().connected() {
            let _farewell = timeout(ANSWER_MAX, self.channel.close(200, "OK".into())).await;
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.seat.end(self.session);
    }
}
