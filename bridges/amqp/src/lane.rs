//! A lane: one channel in confirm mode, and the task that publishes on it and tells each publisher its own fate.
//!
//! What is published by one publisher to one subject takes one lane, in order. The number of messages that wait for a
//! confirmation is bounded by the lane's window: lapin itself would take any number.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::StreamExt;
use futures_util::future::poll_fn;
use futures_util::stream::FuturesUnordered;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation, ErrorKind};
use roadshow_bridges::{Error, Published};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::pairing::{Confirmed, Fate, Pairing};
use crate::wire::Outgoing;

/// The most messages of a lane that wait for their confirmation.
const WINDOW: usize = 256;
/// The most boxes that are kept for the next messages: two kilobytes each.
const SPARE_MAX: usize = 64;

/// What became of a message that a lane was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// The broker said it.
    Told(Fate),
    /// The connection ended first: it may have arrived.
    Unknown,
    /// It never left.
    Not,
}

/// A message on its way, with its place in the window.
#[derive(Debug)]
pub(crate) struct Job {
    outgoing: Outgoing,
    answer: oneshot::Sender<Sent>,
    place: OwnedSemaphorePermit,
}

/// The publishers' end of a lane.
#[derive(Debug)]
pub(crate) struct Lane {
    jobs: mpsc::Sender<Job>,
    pub(crate) window: Arc<Semaphore>,
}

impl Lane {
    /// A lane, and what its task reads.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Job>) {
        let (jobs, taken) = mpsc::channel(WINDOW);
        let window = Arc::new(Semaphore::new(WINDOW));
        (Self { jobs, window }, taken)
    }

    /// Hands a message over; `None` if nobody publishes here any more.
    pub(crate) fn hand(&self, outgoing: Outgoing, place: OwnedSemaphorePermit) -> Option<Handed> {
        let (answer, told) = oneshot::channel();
        let mandatory = outgoing.mandatory;
        let job = Job {
            outgoing,
            answer,
            place,
        };
        self.jobs.try_send(job).ok()?;
        Some(Handed { told, mandatory })
    }

    /// Waits until nothing of it waits for a confirmation.
    pub(crate) async fn idle(&self) {
        let whole = u32::try_from(WINDOW).unwrap_or(u32::MAX);
        // An error means that the lane is closed, and then nothing waits.
        let _all = self.window.acquire_many(whole).await;
    }
}

/// A message that a lane has.
#[derive(Debug)]
pub(crate) struct Handed {
    told: oneshot::Receiver<Sent>,
    mandatory: bool,
}

impl Handed {
    /// What became of it by the deadline; `None` if it never left.
    ///
    /// # Errors
    ///
    /// `Exhausted`: nobody has it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open what became of it.
    pub(crate) async fn outcome(self, deadline: Instant) -> Result<Option<Published>, Error> {
        match timeout_at(deadline, self.told).await {
            Ok(Ok(Sent::Not)) => Ok(None),
            Ok(Ok(Sent::Told(fate))) => published(fate, self.mandatory).map(Some),
            Ok(Ok(Sent::Unknown) | Err(_)) | Err(_) => Ok(Some(Published::Indeterminate)),
        }
    }
}

/// What a publisher is told. The broker refuses a message as a whole when one of its queues is full, and the others keep it:
/// only of what goes to a single queue is it known that nobody has it, and an event may go to many.
fn published(fate: Fate, mandatory: bool) -> Result<Published, Error> {
    match fate {
        Fate::Accepted => Ok(Published::Accepted),
        Fate::Unroutable => Ok(Published::Unroutable),
        Fate::Refused if mandatory => Err(Error::exhausted("cannot publish: a queue is full")),
        Fate::Refused => {
            tracing::debug!("at least one group is full: the others may have the event");
            Ok(Published::Indeterminate)
        }
    }
}

/// What the broker said of one message: whether it took it, and the key of the returned message that came along.
#[derive(Debug, Clone, Copy)]
struct Answered {
    accepted: bool,
    returned: Option<u64>,
}

/// A message that is being published, in a box that serves one after the other: for boxes of this size an allocator takes
/// longer than all else here.
struct Publishing<F> {
    number: u64,
    act: Option<Pin<Box<F>>>,
}

/// A message that was published, and the box that is free again.
struct Done<F> {
    number: u64,
    result: Result<Answered, Sent>,
    act: Option<Pin<Box<F>>>,
}

impl<F: Future<Output = Result<Answered, Sent>>> Future for Publishing<F> {
    type Output = Done<F>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Done<F>> {
        let this = self.get_mut();
        let result = match &mut this.act {
            Some(act) => ready!(act.as_mut().poll(cx)),
            None => Err(Sent::Unknown),
        };
        Poll::Ready(Done {
            number: this.number,
            result,
            act: this.act.take(),
        })
    }
}

/// A publisher that waits for its answer.
struct Waiting {
    key: u64,
    answer: oneshot::Sender<Sent>,
    _place: OwnedSemaphorePermit,
}

/// The task's side; `publish` makes the act of publishing one message.
struct Runner<P, F> {
    publish: P,
    flight: FuturesUnordered<Publishing<F>>,
    spare: Vec<Pin<Box<F>>>,
    waiting: HashMap<u64, Waiting>,
    pairing: Pairing,
    round: Vec<(u64, Result<Answered, Sent>)>,
    next: u64,
}

/// Publishes until the channel or the last publisher is gone.
pub(crate) async fn run(channel: Channel, mut jobs: mpsc::Receiver<Job>) {
    let mut runner = Runner {
        publish: |outgoing| publish(channel.clone(), outgoing),
        flight: FuturesUnordered::new(),
        spare: Vec::new(),
        waiting: HashMap::new(),
        pairing: Pairing::default(),
        round: Vec::new(),
        next: 0,
    };
    let mut batch = Vec::with_capacity(WINDOW);
    while channel.status().connected() {
        tokio::select! {
            count = jobs.recv_many(&mut batch, WINDOW) => {
                if count == 0 {
                    return;
                }
                batch.drain(..).for_each(|job| runner.publish(job));
            }
            () = poll_fn(|cx| runner.poll_round(cx)), if !runner.flight.is_empty() => runner.settle(),
        }
    }
}

impl<P, F> Runner<P, F>
where
    P: Fn(Outgoing) -> F,
    F: Future<Output = Result<Answered, Sent>>,
{
    fn publish(&mut self, job: Job) {
        let number = self.next;
        self.next += 1;
        let waiting = Waiting {
            key: key(&job.outgoing),
            answer: job.answer,
            _place: job.place,
        };
        self.waiting.insert(number, waiting);
        let publishing = (self.publish)(job.outgoing);
        let act = match self.spare.pop() {
            Some(mut act) => {
                act.set(publishing);
                act
            }
            None => Box::pin(publishing),
        };
        self.flight.push(Publishing { number, act: Some(act) });
    }

    /// Collects what was confirmed, until a whole look finds nothing more: pairing relies on that.
    fn poll_round(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let before = self.round.len();
            while let Poll::Ready(Some(done)) = self.flight.poll_next_unpin(cx) {
                self.round.push((done.number, done.result));
                self.spare.extend(done.act.filter(|_| self.spare.len() < SPARE_MAX));
            }
            if self.round.len() == before {
                break;
            }
        }
        if self.round.is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }

    fn settle(&mut self) {
        let mut round = std::mem::take(&mut self.round);
        let mut confirmed = Vec::with_capacity(round.len());
        for (number, result) in round.drain(..) {
            match result {
                Ok(answered) => confirmed.extend(self.confirmed(number, answered)),
                Err(sent) => self.answer(number, sent),
            }
        }
        self.round = round;
        for (number, fate) in self.pairing.round(&confirmed, self.flight.len()) {
            self.answer(number, Sent::Told(fate));
        }
    }

    fn confirmed(&self, number: u64, answered: Answered) -> Option<Confirmed> {
        Some(Confirmed {
            number,
            key: self.waiting.get(&number)?.key,
            accepted: answered.accepted,
            returned: answered.returned,
        })
    }

    fn answer(&mut self, number: u64, sent: Sent) {
        if let Some(waiting) = self.waiting.remove(&number) {
            // Whoever does not wait any more has been told that nothing is known.
            let _ = waiting.answer.send(sent);
        }
    }
}

/// Publishes one message, and waits for what the broker says of it.
async fn publish(channel: Channel, outgoing: Outgoing) -> Result<Answered, Sent> {
    let options = BasicPublishOptions {
        mandatory: outgoing.mandatory,
        immediate: false,
    };
    let Outgoing {
        exchange,
        routing_key,
        payload,
        properties,
        ..
    } = outgoing;
    let written = channel
        .basic_publish(exchange, routing_key, options, &payload, properties)
        .await;
    let confirming = written.map_err(|error| match error.kind() {
        ErrorKind::InvalidChannelState(..) => Sent::Not,
        _ => Sent::Unknown,
    })?;
    confirming.await.map(answered).map_err(|_| Sent::Unknown)
}

fn answered(confirmation: Confirmation) -> Answered {
    let accepted = !confirmation.is_nack();
    let returned = confirmation.take_message().map(|message| {
        let delivery = &message.delivery;
        key_of(
            delivery.exchange.as_str(),
            delivery.routing_key.as_str(),
            &delivery.properties,
        )
    });
    Answered { accepted, returned }
}

fn key(outgoing: &Outgoing) -> u64 {
    key_of(
        outgoing.exchange.as_str(),
        outgoing.routing_key.as_str(),
        &outgoing.properties,
    )
}

/// What makes a message the same to the broker: where it goes, and its id.
fn key_of(exchange: &str, routing_key: &str, properties: &BasicProperties) -> u64 {
    let mut hasher = DefaultHasher::new();
    let id = properties.message_id().as_ref().map(lapin::types::ShortString::as_str);
    (exchange, routing_key, id).hash(&mut hasher);
    hasher.finish()
}
