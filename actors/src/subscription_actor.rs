//! The actor of a subscription: the owner of the task that takes its deliveries.
//!
//! It waits for a bridge, and when its bridge is replaced it moves over to the new one: neither is a failure of the
//! service, so neither costs its restart budget. A healthy bridge that ends a subscription, and a task that panics, are.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use roadshow_bridges::{Deliveries, Error, EventBridge, Subscription};

use crate::bridge::{is_lost, usable_bridge};
use crate::core::{NodeCore, Phase};
use crate::endpoint::EndpointCore;
use crate::owned_task::{OwnedTask, TaskPanic};
use crate::subscription::Subscriber;
use crate::taking::{Confirmed, TakeEnd};

/// The actor of one subscription.
#[derive(Clone, Copy, Debug, Default)]
pub struct SubscriptionActor;

/// What a subscription's actor is told, by its own task only.
#[derive(Debug)]
pub struct TakingEnded(Result<Result<TakeEnd, Error>, TaskPanic>);

/// A confirmed subscription, and the bridge that it is on.
#[derive(Debug)]
pub struct Joined {
    pub(crate) bridge: Arc<dyn EventBridge>,
    pub(crate) deliveries: Deliveries,
}

impl Joined {
    /// Subscribes at the node's bridge, as soon as there is one that can be used.
    ///
    /// # Errors
    /// What the bridge refused the subscription with.
    pub(crate) async fn join(node: &NodeCore, subscription: &Subscription) -> Result<Self, Error> {
        loop {
            let bridge = usable_bridge(node).await;
            match bridge.subscribe(subscription.clone()).await {
                Ok(deliveries) => return Ok(Joined { bridge, deliveries }),
                // Lost meanwhile: its successor is waited for.
                Err(_) if is_lost(&*bridge) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The subscriber behind a subscription's actor, whatever its event.
pub trait AnySubscriber: Send + Sync + fmt::Debug + 'static {
    /// What to ask the bridge for.
    fn subscription(&self) -> &Subscription;
    /// Where its deliveries run.
    fn core(&self) -> &Arc<EndpointCore>;
    /// Whether the bridge has confirmed the subscription and deliveries are taken.
    fn is_subscribed(&self) -> bool;
    /// Takes deliveries; sends the actor word when it is over.
    fn run(self: Arc<Self>, joined: Joined, actor: ActorRef<TakingEnded>) -> OwnedTask;
}

impl<T: Send + Sync + 'static> AnySubscriber for Subscriber<T> {
    fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    fn core(&self) -> &Arc<EndpointCore> {
        self.endpoint.core()
    }

    fn is_subscribed(&self) -> bool {
        self.subscribed.load(Ordering::Acquire)
    }

    fn run(self: Arc<Self>, joined: Joined, actor: ActorRef<TakingEnded>) -> OwnedTask {
        let runtime = self.endpoint.core().node().runtime().clone();
        // At once, so that the node sees it when the actor has started.
        let confirmed = Confirmed::mark(&self);
        OwnedTask::spawn(&runtime, actor, self.keep_taking(joined, confirmed), TakingEnded)
    }
}

impl<T: Send + Sync + 'static> Subscriber<T> {
    /// Takes deliveries, from one bridge after the other.
    async fn keep_taking(self: Arc<Self>, mut joined: Joined, mut confirmed: Confirmed<T>) -> Result<TakeEnd, Error> {
        let node = self.endpoint.core().node();
        loop {
            let end = self.take(joined.deliveries).await;
            drop(confirmed);
            // While the node starts, somebody waits to see this actor ready: only a restart shows that.
            let moves = end == TakeEnd::Ended && is_lost(&*joined.bridge) && node.phase() != Phase::Starting;
            if !moves {
                return Ok(end);
            }
            joined = tokio::select! {
                () = node.intake().cancelled() => return Ok(TakeEnd::Cancelled),
                joined = Joined::join(node, &self.subscription) => joined?,
            };
            confirmed = Confirmed::mark(&self);
        }
    }
}

impl Actor for SubscriptionActor {
    type Msg = TakingEnded;
    type State = OwnedTask;
    type Arguments = Arc<dyn AnySubscriber>;

    /// Subscribes, once there is a bridge; the bridge has confirmed it when the actor has started. How long that may
    /// take is the start deadline of the child.
    async fn pre_start(
        &self,
        myself: ActorRef<TakingEnded>,
        subscriber: Arc<dyn AnySubscriber>,
    ) -> Result<OwnedTask, ActorProcessingErr> {
        let joined = Joined::join(subscriber.core().node(), subscriber.subscription()).await?;
        Ok(subscriber.run(joined, myself))
    }

    async fn handle(
        &self,
        _myself: ActorRef<TakingEnded>,
        TakingEnded(ended): TakingEnded,
        _taking: &mut OwnedTask,
    ) -> Result<(), ActorProcessingErr> {
        match ended?? {
            // Stays in the tree until it is stopped in its turn.
            TakeEnd::Cancelled | TakeEnd::Refused => Ok(()),
            TakeEnd::Ended => Err("the event bridge ended the subscription".into()),
        }
    }
}
