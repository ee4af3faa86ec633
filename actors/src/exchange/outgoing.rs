//! The calling side: a command to whoever listens, and the wait for what comes back.

use std::fmt;
use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use roadshow_bridges::{
    AddressKey, CorrelationId, Delivery, Envelope, EventBridge, Executed, Failure, HOPS_MAX, Identity, Kind, MessageId,
    Subject,
};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Sleep, sleep, sleep_until};
use tokio_util::context::TokioContext;

use super::resend;
use super::retry_budget::{self, RetryBudget};
use super::sending::{Sending, begin};
use super::verdict::{Attempt, judge_sent, no_answer, node_stopped, unreadable, unsubscribed, weigh};
use crate::call::spend_budget;
use crate::clock::Stamp;
use crate::core::{NodeCore, Phase};
use crate::inbox::InboxPlace;
use crate::link::Link;
use crate::metrics::ShardedCounter;
use crate::request::Request;
use crate::stream::ItemReader;

/// How many messages of one call wait for its caller: its answer, and what says meanwhile that it is at work.
const SIGNS_MAX: usize = 64;
/// How long a call waits for the inbox to be confirmed, at most.
const INBOX_WAIT: Duration = Duration::from_secs(5);

/// A command that nobody waits for any more.
#[derive(Debug)]
pub(super) struct CalledOff {
    pub(super) subject: Subject,
    pub(super) id: MessageId,
    pub(super) correlation: CorrelationId,
}

/// The link to whoever listens on the event bridge.
pub struct Exchange {
    pub(super) node: Arc<NodeCore>,
    pub(super) cancels: mpsc::Sender<CalledOff>,
    retries: RetryBudget,
    counts: Counts,
}

#[derive(Debug)]
struct Counts {
    retries: ShardedCounter,
    resends: ShardedCounter,
    cancels_dropped: ShardedCounter,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("node", &self.node.node_id())
            .finish_non_exhaustive()
    }
}

impl Exchange {
    pub(super) fn new(node: Arc<NodeCore>, cancels: mpsc::Sender<CalledOff>) -> Self {
        let metrics = node.metrics();
        Exchange {
            counts: Counts {
                retries: metrics.counter("roadshow_call_retries_total", &[]),
                resends: metrics.counter("roadshow_call_resends_total", &[]),
                cancels_dropped: metrics.counter("roadshow_cancels_dropped_total", &[]),
            },
            retries: RetryBudget::default(),
            cancels,
            node,
        }
    }

    async fn ask(&self, call: &Outgoing<'_>) -> Result<Bytes, Failure> {
        let mut expiry = pin!(call.expiry());
        self.inbox_ready(expiry.as_mut()).await?;
        self.retries.deposit();
        let refusal = match self.attempt(call, expiry.as_mut()).await {
            Attempt::Ended(answer) => return answer,
            Attempt::Refused(refusal) => refusal,
        };
        let left = call.deadline.since(self.node.clock.now());
        let pause = retry_budget::pause(rand::random(), left).filter(|_| self.retries.take());
        let Some(pause) = pause else { return Err(refusal) };
        self.counts.retries.increment();
        call.sleep(pause).await;
        match self.attempt(call, expiry).await {
            Attempt::Ended(answer) => answer,
            Attempt::Refused(refusal) => Err(refusal),
        }
    }

    /// Checks what an endpoint would check, and makes of the request what is sent.
    pub(super) fn prepare<'a>(
        &'a self,
        address: AddressKey<'a>,
        payload: Bytes,
        request: Request<'_>,
    ) -> Result<Outgoing<'a>, Failure> {
        let node = &*self.node;
        let phase = node.phase();
        if phase == Phase::Stopped || (request.is_outside() && phase == Phase::Draining) {
            return Err(Failure::unavailable("this node is shutting down"));
        }
        if request.hops() >= HOPS_MAX {
            let text = format!("the conversation has taken {HOPS_MAX} hops: is it a loop?");
            return Err(Failure::exhausted(text));
        }
        let now = node.clock.now();
        let deadline = request.deadline(now, node.call_timeout);
        if deadline <= now {
            let text = "the time budget was used up before the call";
            return Err(Failure::timeout(text).with_executed(Executed::No));
        }
        Ok(Outgoing {
            node,
            address,
            payload,
            identity: request.into_identity(node),
            deadline,
        })
    }

    /// Waits for the inbox: without it nothing that is answered would arrive.
    pub(super) async fn inbox_ready(&self, expiry: Pin<&mut Sleep>) -> Result<(), Failure> {
        let health = &self.node.exchange;
        if health.is_confirmed() {
            return Ok(());
        }
        let (expired, patience) = (expiry, self.on_runtime(|| sleep(INBOX_WAIT)));
        tokio::select! {
            () = health.confirmed() => Ok(()),
            () = expired => Err(unsubscribed()),
            () = patience => Err(unsubscribed()),
        }
    }

    /// Sends the command and waits for what comes back.
    async fn attempt(&self, call: &Outgoing<'_>, mut expiry: Pin<&mut Sleep>) -> Attempt {
        let mut bridge = match self.node.event_bridge() {
            Ok(bridge) => bridge,
            Err(failure) => return Attempt::Ended(Err(failure)),
        };
        let resends = call.identity.key().is_some() && resend::is_ours_to_resend(&bridge.capability());
        let (place, mut answers) = self.open(resends);
        let mut call_off = self.call_off(call);
        let mut sent = 0;
        loop {
            let refused = call.send(&*bridge, &place, expiry.as_mut()).await.err();
            // What was sent before may have arrived, whatever became of this one.
            if let Some(refused) = refused.filter(|_| sent == 0) {
                call_off.forget();
                return Attempt::Ended(Err(refused));
            }
            sent += 1;
            let patience = resend::patience(resends, sent);
            if let Some(attempt) = call.wait(&mut answers, expiry.as_mut(), patience, sent).await {
                call_off.forget();
                return attempt;
            }
            self.counts.resends.increment();
            // The bridge may have been replaced meanwhile.
            bridge = self.node.event_bridge().unwrap_or(bridge);
        }
    }

    fn open(&self, hears_signs: bool) -> (InboxPlace, Answers) {
        if hears_signs {
            let (place, signs) = self.node.inbox.open_flow(SIGNS_MAX);
            (place, Answers::Many(signs))
        } else {
            let (place, answer) = self.node.inbox.open_call();
            (place, Answers::One(answer))
        }
    }

    /// A guard that calls the command off when it is dropped before it is told to forget.
    pub(super) fn call_off<'a>(&'a self, call: &Outgoing<'a>) -> CallOff<'a> {
        CallOff {
            exchange: self,
            address: call.address,
            called: Some((call.identity.id, call.identity.correlation)),
        }
    }

    /// An adapter may wait in a way that only a runtime can; whoever calls need not be on one, nor on the node's.
    fn anywhere<'a, T>(&self, asking: impl Future<Output = T> + Send + 'a) -> BoxFuture<'a, T> {
        if self.node.on_runtime() {
            return Box::pin(asking);
        }
        Box::pin(TokioContext::new(asking, self.node.runtime().clone()))
    }

    fn on_runtime<T>(&self, make: impl FnOnce() -> T) -> T {
        let _on_runtime = self.node.runtime().enter();
        make()
    }
}

impl Link for Exchange {
    fn name(&self) -> &str {
        "exchange"
    }

    fn call<'a>(
        &'a self,
        address: AddressKey<'a>,
        payload: Bytes,
        request: Request<'a>,
    ) -> BoxFuture<'a, Result<Bytes, Failure>> {
        // Kept here once: as an argument of something that waits it would be kept a second time, and futures of more than
        // a kilobyte are what an allocator is slow with.
        let prepared = self.prepare(address, payload, request);
        let asking = async move {
            spend_budget().await;
            match &prepared {
                Ok(call) => self.ask(call).await,
                Err(failure) => Err(failure.clone()),
            }
        };
        self.anywhere(asking)
    }

    fn open<'a>(
        &'a self,
        address: AddressKey<'a>,
        payload: Bytes,
        request: Request<'a>,
    ) -> BoxFuture<'a, Result<ItemReader<Bytes>, Failure>> {
        self.anywhere(self.open_stream(address, payload, request))
    }
}

/// A command that is about to be sent.
pub(super) struct Outgoing<'a> {
    node: &'a NodeCore,
    address: AddressKey<'a>,
    payload: Bytes,
    pub(super) identity: Identity,
    pub(super) deadline: Stamp,
}

impl Outgoing<'_> {
    /// Ready when the call's time is over; also for callers on no runtime or on another one.
    pub(super) fn expiry(&self) -> Sleep {
        let until = self.node.clock.instant(self.deadline);
        // Nearly every caller is: to enter the runtime once more takes as long as to make the timer.
        if self.node.on_runtime() {
            return sleep_until(until);
        }
        let _on_runtime = self.node.runtime().enter();
        sleep_until(until)
    }

    /// Ready when nothing was heard for as long as there is patience; never where it has no end.
    async fn silent_for(&self, patience: Option<Duration>) {
        match patience {
            // Few calls have any: the others need no room for it.
            Some(patience) => Box::pin(self.sleep(patience)).await,
            None => pending().await,
        }
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let _on_runtime = self.node.runtime().enter();
        sleep(duration)
    }

    /// The message, with what is left of its time now.
    pub(super) fn envelope(&self, kind: Kind, place: &InboxPlace) -> Envelope {
        let node = self.node;
        let subject = node.namespace().command_subject(self.address);
        let mut envelope = Envelope::new(kind, subject, self.identity.clone(), self.payload.clone());
        envelope.identity.budget = Some(self.deadline.since(node.clock.now()));
        envelope.sent_ms = Some(node.clock.unix_ms());
        envelope.from = Some(node.sender());
        envelope.reply_to = Some(node.inbox_subject(place.call()));
        envelope
    }

    /// Publishes the command. The error is the caller's answer.
    async fn send(&self, bridge: &dyn EventBridge, place: &InboxPlace, expiry: Pin<&mut Sleep>) -> Result<(), Failure> {
        let published = match begin(bridge, self.envelope(Kind::Command, place)) {
            Sending::Done(published) => published,
            Sending::Waits(publishing) => tokio::select! {
                biased;
                published = publishing => published,
                () = expiry => return Err(no_answer()),
            },
        };
        judge_sent(published, self.address)
    }

    /// Waits for what comes back of a command that was sent `sent` times; `None` if nothing is heard for too long.
    async fn wait(
        &self,
        answers: &mut Answers,
        mut expiry: Pin<&mut Sleep>,
        patience: Option<Duration>,
        sent: u32,
    ) -> Option<Attempt> {
        loop {
            let delivery = tokio::select! {
                biased;
                delivery = answers.next() => delivery,
                () = expiry.as_mut() => return Some(Attempt::Ended(Err(no_answer()))),
                () = self.silent_for(patience) => return None,
            };
            let Some(delivery) = delivery else {
                return Some(Attempt::Ended(Err(node_stopped())));
            };
            let attempt = weigh(delivery.envelope(), delivery.is_returned(), self.address, sent);
            // Whoever waits for one message gets no second one.
            if attempt.is_some() || matches!(answers, Answers::One(_)) {
                return Some(attempt.unwrap_or_else(|| Attempt::Ended(Err(unreadable()))));
            }
        }
    }
}

/// Where the messages of one call arrive.
enum Answers {
    One(oneshot::Receiver<Delivery>),
    Many(mpsc::Receiver<Delivery>),
}

impl Answers {
    /// The next message; `None` when there will be none.
    async fn next(&mut self) -> Option<Delivery> {
        match self {
            Answers::One(answer) => answer.await.ok(),
            Answers::Many(messages) => messages.recv().await,
        }
    }
}

/// Calls a command off when it is dropped.
pub(super) struct CallOff<'a> {
    exchange: &'a Exchange,
    address: AddressKey<'a>,
    called: Option<(MessageId, CorrelationId)>,
}

impl CallOff<'_> {
    /// The command has ended, or ends with its own deadline.
    pub(super) fn forget(&mut self) {
        self.called = None;
    }
}

impl Drop for CallOff<'_> {
    fn drop(&mut self) {
        let Some((id, correlation)) = self.called else { return };
        let namespace = self.exchange.node.namespace();
        let subject = namespace.cancel_subject(self.address.service_key());
        let told = self.exchange.cancels.try_send(CalledOff {
            subject,
            id,
            correlation,
        });
        // The handler hears of it at its deadline.
        if let Err(TrySendError::Full(_) | TrySendError::Closed(_)) = told {
            self.exchange.counts.cancels_dropped.increment();
        }
    }
}
