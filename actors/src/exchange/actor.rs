//! The actor of the exchange: the owner of the node's inbox and of what leaves it unasked, echoes and cancels.
//!
//! It waits for a bridge, and when its bridge is replaced it moves the inbox over. While it lives, what no other route is
//! known for goes to its [`Exchange`]. Its successor takes over the places of those who wait: they belong to the node.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, rpc::CallResult};
use roadshow_bridges::{
    Deliveries, Delivery, Envelope, Error, EventBridge, Identity, Kind, Parcel, Published, Settlement, Settler,
    Subscription,
};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, warn};

use super::outgoing::{CalledOff, Exchange};
use super::sending::begin;
use crate::bridge::is_lost;
use crate::call::spend_budget;
use crate::core::{NodeCore, RESOLVE_DEADLINE};
use crate::link::Link;
use crate::owned_task::{OwnedTask, TaskPanic};
use crate::router::RouterMessage;
use crate::subscription_actor::Joined;

/// How many arrived messages the bridge may hand out ahead.
const WINDOW: usize = 1024;
/// How many commands may wait to be called off.
const CANCELS_MAX: usize = 1024;
/// How often the node sends something to itself.
const ECHO_EVERY: Duration = Duration::from_secs(1);
/// How long an echo or a cancel may take to be sent.
const SEND_MAX: Duration = Duration::from_secs(1);
/// The call that an echo belongs to: none.
const ECHO_CALL: u128 = 0;

/// The actor that owns the exchange of one node.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExchangeActor;

/// What the exchange's actor is told, by its own tasks only.
#[derive(Debug)]
pub enum ExchangeMessage {
    /// Nobody takes what arrives any more.
    InboxEnded(Result<Result<(), Error>, TaskPanic>),
    /// Nobody sends echoes or cancels any more.
    SendingEnded(Result<(), TaskPanic>),
}

/// The exchange while its actor lives.
#[derive(Debug)]
pub struct ExchangeGuard {
    node: Arc<NodeCore>,
    link: Arc<dyn Link>,
    _tasks: [OwnedTask; 3],
}

impl Drop for ExchangeGuard {
    fn drop(&mut self) {
        self.node.exchange.lose();
        if let Some(router) = self.node.router() {
            // A router that is gone comes back with the old table; its next exchange takes this one's place.
            let _ = router.send_message(RouterMessage::ClearFallback(Arc::clone(&self.link)));
        }
    }
}

impl Actor for ExchangeActor {
    type Msg = ExchangeMessage;
    type State = ExchangeGuard;
    type Arguments = Arc<NodeCore>;

    /// Subscribes to the inbox, once there is a bridge; from then on calls go out. How long that may take is the start
    /// deadline of the child.
    async fn pre_start(
        &self,
        myself: ActorRef<ExchangeMessage>,
        node: Arc<NodeCore>,
    ) -> Result<ExchangeGuard, ActorProcessingErr> {
        let joined = join(&node).await?;
        let (cancels, called_off) = mpsc::channel(CANCELS_MAX);
        let link: Arc<dyn Link> = Arc::new(Exchange::new(Arc::clone(&node), cancels));
        lead_to(&node, &link).await?;
        // Only now: whoever waits for the confirmation calls at once.
        confirm(&node, &joined);
        let runtime = node.runtime();
        let inbox = take_inbox(Arc::clone(&node), joined);
        let inbox = OwnedTask::spawn(runtime, myself.clone(), inbox, ExchangeMessage::InboxEnded);
        let echoes = send_echoes(Arc::clone(&node));
        let echoes = OwnedTask::spawn(runtime, myself.clone(), echoes, ExchangeMessage::SendingEnded);
        let cancels = send_cancels(Arc::clone(&node), called_off);
        let cancels = OwnedTask::spawn(runtime, myself, cancels, ExchangeMessage::SendingEnded);
        let _tasks = [inbox, echoes, cancels];
        Ok(ExchangeGuard { node, link, _tasks })
    }

    async fn handle(
        &self,
        _myself: ActorRef<ExchangeMessage>,
        message: ExchangeMessage,
        state: &mut ExchangeGuard,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ExchangeMessage::InboxEnded(ended) => {
                ended??;
                Err("the event bridge ended the inbox".into())
            }
            ExchangeMessage::SendingEnded(ended) => {
                ended?;
                debug!(node = state.node.node_id(), "the exchange sends nothing any more");
                Ok(())
            }
        }
    }
}

/// Subscribes to the inbox.
async fn join(node: &NodeCore) -> Result<Joined, Error> {
    let subscription = Subscription::children(node.inbox_root()).window(WINDOW);
    Joined::join(node, &subscription).await
}

/// Says that the inbox hears.
fn confirm(node: &NodeCore, joined: &Joined) {
    let echoes = sends_echoes(&*joined.bridge);
    node.exchange.confirm(echoes, node.clock.now());
}

/// Whether silence could mean anything: a bridge inside this process cannot be cut off.
fn sends_echoes(bridge: &dyn EventBridge) -> bool {
    !bridge.capability().shared_values
}

/// Sends what no other route is known for over this link.
async fn lead_to(node: &NodeCore, link: &Arc<dyn Link>) -> Result<(), ActorProcessingErr> {
    let router = node.router().ok_or("the router has not started")?;
    let set = |reply| RouterMessage::SetFallback(Arc::clone(link), reply);
    match router.call(set, Some(RESOLVE_DEADLINE)).await? {
        CallResult::Success(()) => Ok(()),
        _ => Err("the router does not answer".into()),
    }
}

/// Hands on what arrives, from one bridge after the other.
async fn take_inbox(node: Arc<NodeCore>, mut joined: Joined) -> Result<(), Error> {
    let root = format!("{}.c", node.inbox_root());
    loop {
        take_deliveries(&node, &root, &mut joined.deliveries).await;
        node.exchange.lose();
        if !is_lost(&*joined.bridge) {
            return Ok(());
        }
        joined = join(&node).await?;
        confirm(&node, &joined);
    }
}

async fn take_deliveries(node: &NodeCore, root: &str, deliveries: &mut Deliveries) {
    let settled: Arc<dyn Settler> = Arc::new(Settled);
    while let Some(delivery) = deliveries.next().await {
        spend_budget().await;
        match call_of(root, delivery.envelope().subject.as_str()) {
            Some(ECHO_CALL) => {
                node.exchange.hear(node.clock.now());
                delivery.ack();
            }
            Some(call) => node.inbox.deliver(call, detached(delivery, &settled)),
            None => delivery.ack(),
        }
    }
}

/// The call in a subject of this inbox, whose root ends with the letter before the number.
fn call_of(root: &str, subject: &str) -> Option<u128> {
    let digits = subject.strip_prefix(root)?;
    if digits.len() != 32 || digits.starts_with('+') {
        return None;
    }
    u128::from_str_radix(digits, 16).ok()
}

/// The message, settled with its bridge already: callers that are slow to look must not fill the window of all.
fn detached(delivery: Delivery, settled: &Arc<dyn Settler>) -> Delivery {
    let mut parcel = Parcel::new(delivery.shared_envelope());
    parcel.returned = delivery.is_returned();
    delivery.ack();
    Delivery::new(parcel, Arc::clone(settled))
}

/// Settles what is settled.
#[derive(Debug)]
struct Settled;

impl Settler for Settled {
    fn settle(&self, _parcel: Parcel, _settlement: Settlement<'_>) {}
}

/// Sends the node something each second, and asks for a new connection when it has not come back for long.
async fn send_echoes(node: Arc<NodeCore>) {
    let mut every = interval(ECHO_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let Ok(bridge) = node.event_bridge() else { continue };
        if !sends_echoes(&*bridge) || !node.exchange.is_confirmed() {
            continue;
        }
        let now = node.clock.now();
        // A bridge that is reconnecting works on it already: what it brings next must not be thrown away. Silence
        // before a connection says nothing about it, so its time begins when it is ready.
        if !bridge.health().is_ready() {
            node.exchange.wait_anew(now);
        } else if node.exchange.is_lost(now) {
            warn!(
                node = node.node_id(),
                "nothing comes back from the broker: connecting anew"
            );
            bridge.renew();
            node.exchange.wait_anew(now);
        }
        let id = Identity::root(node.ids.message()).with_budget(SEND_MAX);
        let echo = Envelope::new(Kind::Heartbeat, node.inbox_subject(ECHO_CALL), id, bytes::Bytes::new());
        send(&*bridge, echo).await;
    }
}

/// Tells those who serve what was called off.
async fn send_cancels(node: Arc<NodeCore>, mut called_off: mpsc::Receiver<CalledOff>) {
    while let Some(CalledOff {
        subject,
        id,
        correlation,
    }) = called_off.recv().await
    {
        let Ok(bridge) = node.event_bridge() else { continue };
        let mut identity = Identity::root(id).with_budget(SEND_MAX);
        identity.correlation = correlation;
        let mut cancel = Envelope::new(Kind::Cancel, subject, identity, bytes::Bytes::new());
        cancel.from = Some(node.sender());
        send(&*bridge, cancel).await;
    }
}

/// Sends what nobody waits for: if it gets lost, silence or a deadline says so.
async fn send(bridge: &dyn EventBridge, envelope: Envelope) {
    match begin(bridge, envelope).end_within(SEND_MAX).await {
        Ok(Published::Indeterminate) => debug!("nobody confirmed an echo or a cancel"),
        Ok(_published) => {}
        Err(error) => debug!(%error, "an echo or a cancel was not sent"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_from_a_subject_of_this_inbox_only() {
        let root = "roadshow.inbox.n1.i7.c";
        let table = [
            (format!("{root}{:032x}", 255), Some(255)),
            (format!("{root}{:032x}", 0), Some(ECHO_CALL)),
            (format!("{root}{:032x}", u128::MAX), Some(u128::MAX)),
            (format!("{root}ff"), None),
            (format!("{root}{:032x}0", 1), None),
            (format!("{root}+{:031x}", 1), None),
            ("roadshow.inbox.n1.i7".to_owned(), None),
            (String::new(), None),
        ];
        for (subject, expected) in table {
            assert_eq!(call_of(root, &subject), expected, "{subject}");
        }
    }
}
