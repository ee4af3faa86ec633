//! Bridges that fail, are replaced, or end what they should not: what that costs whoever is at work.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use roadshow::bridges::memory::{MemoryBridgeSettings, MemoryEventBridge};
use roadshow::bridges::{
    Capability, ConnectContext, Connector, Deliveries, Delivery, DeliverySource, Envelope, Error, EventBridge, Health,
    Published, Subscription,
};
use roadshow::{Failure, MemoryBus, Node, Phase};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::lab::{Done, Ledger, Work, builder, eventually, lab, stop};

/// Connections to one bus, each of which can be failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shaky {
    pub(crate) bus: MemoryBus,
    pub(crate) made: Arc<AtomicU32>,
    pub(crate) closed: Arc<AtomicU32>,
    /// Whether the first of them has failed.
    pub(crate) fails: Arc<AtomicBool>,
    /// Whether there is nothing left to connect to.
    pub(crate) gone: Arc<AtomicBool>,
    /// How many subscriptions to commands are refused from now on.
    refusals: Arc<AtomicU32>,
    /// Which groups the bridge can end, by how their names begin, and what ends them.
    ends: Arc<Mutex<(&'static str, CancellationToken)>>,
}

impl Shaky {
    /// Ends the subscriptions of those groups that there are now.
    fn end(&self) {
        std::mem::take(&mut self.ends.lock().unwrap().1).cancel();
    }

    fn refuses(&self, subscription: &Subscription) -> bool {
        let less = |left: u32| left.checked_sub(1);
        subscription.subject.as_str().contains(".cmd.")
            && self
                .refusals
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
                .is_ok()
    }
}

/// Deliveries that end although their bridge is well.
#[derive(Debug)]
struct Ending {
    inner: Deliveries,
    token: CancellationToken,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl DeliverySource for Ending {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        match self.ended.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => self.inner.poll_next(cx),
        }
    }

    fn try_next(&mut self) -> Option<Delivery> {
        (!self.token.is_cancelled()).then(|| self.inner.try_next()).flatten()
    }
}

#[derive(Debug)]
struct ShakyBridge {
    inner: MemoryEventBridge,
    life: u32,
    shaky: Shaky,
}

impl Connector for Shaky {
    fn schemes(&self) -> &[&'static str] {
        &["memory"]
    }

    fn event_bridge<'a>(
        &'a self,
        _url: &'a str,
        _context: &'a ConnectContext,
    ) -> BoxFuture<'a, Result<Arc<dyn EventBridge>, Error>> {
        if self.gone.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        let inner = MemoryEventBridge::new(self.bus.clone(), MemoryBridgeSettings::default());
        let bridge = ShakyBridge {
            inner,
            life: self.made.fetch_add(1, Ordering::SeqCst),
            shaky: self.clone(),
        };
        Box::pin(async move { Ok(Arc::new(bridge) as Arc<dyn EventBridge>) })
    }
}

impl EventBridge for ShakyBridge {
    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    fn publish(&self, envelope: Envelope) -> BoxFuture<'_, Result<Published, Error>> {
        self.inner.publish(envelope)
    }

    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Deliveries, Error>> {
        if self.shaky.refuses(&subscription) {
            let error = Error::unavailable("the broker is not ready yet");
            return Box::pin(std::future::ready(Err(error)));
        }
        let (group, token) = self.shaky.ends.lock().unwrap().clone();
        let ends = !group.is_empty() && subscription.group.as_deref().is_some_and(|of| of.starts_with(group));
        Box::pin(async move {
            let inner = self.inner.subscribe(subscription).await?;
            if !ends {
                return Ok(inner);
            }
            let ended = Box::pin(token.clone().cancelled_owned());
            Ok(Deliveries::new(Ending { inner, token, ended }))
        })
    }

    fn health(&self) -> Health {
        if self.life == 0 && self.shaky.fails.load(Ordering::SeqCst) {
            return Health::Failed {
                reason: "the credentials were withdrawn".into(),
            };
        }
        self.inner.health()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.shaky.closed.fetch_add(1, Ordering::SeqCst);
        self.inner.close()
    }
}

type Calling = JoinHandle<Result<Done, Failure>>;

/// A node on shaky bridges, one that calls it, and a call that waits for the ledger to be released.
async fn at_work(shaky: &Shaky, ledger: &Arc<Ledger>) -> (Node, Node, Calling) {
    let node = builder().connector(shaky.clone()).service(lab(ledger, |c| c));
    let node = node.start().await.unwrap();
    let caller = builder().memory_bus(&shaky.bus).start().await.unwrap();
    let client = caller.client();
    let work = Work {
        hold: true,
        ..Work::default()
    };
    let calling = tokio::spawn(async move { client.call(work).await });
    ledger.wait_for("start", 1).await;
    (node, caller, calling)
}

/// The intake fails and is back, the next command is answered while the first one is at work, and that one afterwards.
async fn goes_on((node, caller, calling): (Node, Node, Calling), ledger: &Ledger) {
    let restarts = || node.tree().find("services/lab.1/commands").unwrap().restarts;
    eventually("commands are taken again", || restarts() == 1 && node.readiness().ready).await;
    let next = tokio::time::timeout(Duration::from_secs(10), caller.client().call(Work::default())).await;
    next.expect("the next command does not wait for the first").unwrap();
    ledger.release();
    calling.await.unwrap().unwrap();
    assert_eq!(ledger.count("cancelled"), 0, "whoever is at work goes on");
    stop(caller).await;
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn commands_are_taken_again_after_a_failed_start_on_the_next_bridge_while_others_are_at_work() {
    let (ledger, shaky) = (Arc::<Ledger>::default(), Shaky::default());
    let nodes = at_work(&shaky, &ledger).await;
    shaky.refusals.store(1, Ordering::SeqCst);
    shaky.fails.store(true, Ordering::SeqCst);
    eventually("the bridge refuses", || shaky.refusals.load(Ordering::SeqCst) == 0).await;
    goes_on(nodes, &ledger).await;
}

#[tokio::test(start_paused = true)]
async fn commands_are_taken_again_after_a_bridge_ended_them_while_others_are_at_work() {
    for group in ["cmd=", "rest="] {
        let (ledger, shaky) = (Arc::<Ledger>::default(), Shaky::default());
        shaky.ends.lock().unwrap().0 = group;
        let nodes = at_work(&shaky, &ledger).await;
        shaky.end();
        goes_on(nodes, &ledger).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_a_command_of_a_bridge_that_is_gone() {
    let (ledger, shaky) = (Arc::<Ledger>::default(), Shaky::default());
    let (node, caller, calling) = at_work(&shaky, &ledger).await;
    for flag in [&shaky.gone, &shaky.fails] {
        flag.store(true, Ordering::SeqCst);
    }
    eventually("the failed one is closed", || shaky.closed.load(Ordering::SeqCst) == 1).await;
    let view = node.view();
    let shutdown = tokio::spawn(node.shutdown(Duration::from_secs(10)));
    eventually("the node drains", || view.phase() == Phase::Draining).await;
    let draining = tokio::time::Instant::now();
    eventually("a second goes by", || draining.elapsed() >= Duration::from_secs(1)).await;
    assert!(!shutdown.is_finished(), "{:?}", ledger.lines());
    ledger.release();
    let drained = shutdown.await.unwrap();
    assert!(drained.is_clean(), "{drained:?}");
    assert_eq!(ledger.lines(), [(0, "start"), (0, "end"), (0, "gone")]);
    calling.abort();
    stop(caller).await;
}
