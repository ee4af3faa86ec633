//! Opening streams over a bridge: both sides of it. The frames themselves are the streams' own business.
//!
//! A stream is opened at the subject at which a command would be called, so the intake takes both and hands an opening
//! over to here once it has checked everything that it checks of a command.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use roadshow_bridges::{AddressKey, Delivery, Envelope, Executed, Failure, Kind, Subject};
use tokio::time::Instant;

use super::answering::{Answer, answer};
use super::outgoing::Exchange;
use super::reply_policy::ReplyPolicy;
use super::sending::begin;
use super::stream_consumer::{self, Accepted, WINDOW};
use super::stream_producer::{self, AHEAD, Producer};
use super::stream_wire::{Peer, Sent};
use super::verdict::{judge_sent, no_instance, read_failure};
use crate::call::spend_budget;
use crate::core::NodeCore;
use crate::endpoint::CommandEndpoint;
use crate::request::{Request, Start};
use crate::stream::ItemReader;
use crate::stream::credit::Credit;
use crate::stream::items::{lost, refuse_drain};
use crate::stream::pulse::Pulse;
use crate::sync::lock_std;

/// An opening that passed the checks of the intake: its stream may be started.
pub(crate) struct Opening {
    /// The node that serves it.
    pub(crate) node: Arc<NodeCore>,
    /// Where it is served.
    pub(crate) endpoint: Arc<dyn CommandEndpoint>,
    /// The opening itself, not begun. Its payload is JSON.
    pub(crate) delivery: Delivery,
    /// Where frames go; the policy for reply addresses has admitted it.
    pub(crate) reply_to: Subject,
    /// What is left of the caller's time budget, if it brought one.
    pub(crate) left: Option<Duration>,
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening")
            .field("endpoint", &self.endpoint)
            .field("delivery", &self.delivery)
            .finish_non_exhaustive()
    }
}

/// Serves one opening, from here to the end of its stream.
///
/// # Behavior
/// The intake polls the future beside the commands of its service, as many of them as the endpoint's permits and its queue
/// allow, and waits for it in a drain. It settles the delivery when the handler starts or the opening is refused; dropped
/// before that, it is called off, and nobody is to open the stream. A cancel on the service's cancel subject with the id of
/// the opening drops it.
pub(crate) fn serve_open(opening: Opening) -> BoxFuture<'static, ()> {
    Box::pin(serve(opening))
}

async fn serve(opening: Opening) {
    let (node, reply_to) = (opening.node, opening.reply_to);
    let envelope = opening.delivery.shared_envelope();
    let started = Started(Mutex::new(Some(opening.delivery)));
    let (place, control) = node.inbox.open_flow(stream_producer::CONTROL_ROOM);
    let items = match envelope.payload.to_bytes() {
        Ok(payload) => {
            let request = Request::command(&envelope.identity, &started, opening.left);
            opening.endpoint.open_encoded(payload, AHEAD, request).await
        }
        Err(_unreadable) => Err(Failure::invalid("the payload cannot be read").with_executed(Executed::No)),
    };
    let items = match items {
        Ok(items) => items,
        Err(failure) => {
            // Settled first, so that no copy of it is opened after its sender has read that.
            drop(started);
            // Whether it arrives or not, the opening is over: its sender waits no longer than its own deadline.
            let _ = answer(&node, &envelope, &reply_to, Answer::Failure(failure)).await;
            return;
        }
    };
    let peer = Peer::new(Arc::clone(&node), reply_to, envelope.transport_correlation.clone());
    let control_at = node.inbox_subject(place.call());
    if !matches!(
        peer.send(Kind::Accept, 0, Bytes::new(), Some(control_at)).await,
        Sent::Away
    ) {
        return;
    }
    let producer = Producer {
        peer,
        items,
        control,
        _place: place,
        credit: Credit::new(granted(&envelope)),
        pulse: Pulse::new(opening.endpoint.heartbeat(), Instant::now()),
        drain: node.intake().clone(),
    };
    producer.run().await;
}

/// What an opening grants; one that says nothing of it gets the usual window.
fn granted(opening: &Envelope) -> u64 {
    match opening.sequence {
        0 => WINDOW,
        granted => granted,
    }
}

/// The delivery of an opening, settled when its handler starts: if this node dies then, nobody opens the stream again, for
/// its consumer has heard of the first.
#[derive(Debug)]
struct Started(Mutex<Option<Delivery>>);

impl Start for Started {
    fn start(&self) -> u32 {
        let delivery = lock_std(&self.0).take();
        delivery.map_or(1, |mut delivery| {
            let attempt = delivery.begin();
            delivery.ack();
            attempt
        })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(delivery) = lock_std(&self.0).take() {
            delivery.ack();
        }
    }
}

impl Exchange {
    /// Opens a stream at whoever serves it.
    pub(super) async fn open_stream(
        &self,
        address: AddressKey<'_>,
        payload: Bytes,
        request: Request<'_>,
    ) -> Result<ItemReader<Bytes>, Failure> {
        spend_budget().await;
        let call = self.prepare(address, payload, request)?;
        let mut expiry = pin!(call.expiry());
        self.inbox_ready(expiry.as_mut()).await?;
        refuse_drain(self.node.intake())?;
        let (place, mut flow) = self.node.inbox.open_flow(stream_consumer::ROOM);
        let mut call_off = self.call_off(&call);
        let asked = async {
            let mut envelope = call.envelope(Kind::Open, &place);
            envelope.sequence = WINDOW;
            self.publish_opening(envelope, address).await?;
            while let Some(delivery) = flow.recv().await {
                if let Some(answer) = self.read_opening(&delivery, address) {
                    return answer;
                }
            }
            Err(lost())
        };
        let answered = tokio::select! {
            biased;
            answered = asked => answered,
            // Dropping the guard calls the opening off: nobody is to feed what nobody reads.
            () = expiry.as_mut() => return Err(not_opened()),
        };
        call_off.forget();
        let peer = answered?;
        let accepted = Accepted {
            peer: Peer::new(Arc::clone(&self.node), peer, None),
            opening: (call.identity.id, call.identity.correlation),
            place,
            flow,
            drain: self.node.intake().clone(),
            cancels: self.cancels.clone(),
        };
        Ok(accepted.read(self.node.runtime()))
    }

    async fn publish_opening(&self, envelope: Envelope, address: AddressKey<'_>) -> Result<(), Failure> {
        let bridge = self.node.event_bridge()?;
        judge_sent(begin(&*bridge, envelope).end().await, address)
    }

    /// What an arrived message says about the opening: where credits go, or why there is no stream. `None` if nothing.
    fn read_opening(&self, delivery: &Delivery, address: AddressKey<'_>) -> Option<Result<Subject, Failure>> {
        if delivery.is_returned() {
            return Some(Err(no_instance(address)));
        }
        let envelope = delivery.envelope();
        match envelope.kind {
            Kind::Accept => Some(self.peer_of(envelope)),
            Kind::Failure => Some(Err(read_failure(envelope))),
            _ => None,
        }
    }

    /// Where the producer listens: an inbox of a node of ours, and nothing else.
    fn peer_of(&self, accept: &Envelope) -> Result<Subject, Failure> {
        let inboxes = ReplyPolicy::new(self.node.namespace().clone(), Vec::new(), Vec::new());
        let peer = accept.reply_to.clone().filter(|peer| inboxes.admits(peer));
        peer.ok_or_else(|| {
            let text = "the stream was accepted by somebody who listens nowhere";
            Failure::internal(text).with_executed(Executed::Unknown)
        })
    }
}

fn not_opened() -> Failure {
    let text = "the stream was not opened within the time budget";
    Failure::timeout(text).with_executed(Executed::Unknown)
}
