//! The bridge actor: closing, failing, and what the node is left with.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use ractor::ActorStatus;
use roadshow_bridges::memory::{MemoryBridgeSettings, MemoryBus, MemoryEventBridge};
use roadshow_bridges::{Capability, Deliveries, DropReason, Envelope, Error, Published, Subscription};

use super::*;
use crate::test_node::test_node;

/// A memory bridge that can be told to fail and what it has dropped, and counts how often it was closed.
#[derive(Debug)]
struct Told {
    inner: MemoryEventBridge,
    fails: AtomicBool,
    closed: AtomicU32,
    dropped: AtomicU64,
}

impl Told {
    fn connected() -> Arc<Self> {
        Arc::new(Told {
            inner: MemoryEventBridge::new(MemoryBus::default(), MemoryBridgeSettings::default()),
            fails: AtomicBool::new(false),
            closed: AtomicU32::new(0),
            dropped: AtomicU64::new(0),
        })
    }
}

impl EventBridge for Told {
    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    fn publish(&self, envelope: Envelope) -> BoxFuture<'_, Result<Published, Error>> {
        self.inner.publish(envelope)
    }

    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Deliveries, Error>> {
        self.inner.subscribe(subscription)
    }

    fn health(&self) -> Health {
        match self.fails.load(Ordering::SeqCst) {
            true => Health::Failed {
                reason: "told to".into(),
            },
            false => self.inner.health(),
        }
    }

    fn dropped(&self) -> Vec<(DropReason, u64)> {
        vec![(DropReason::Slow, self.dropped.load(Ordering::SeqCst))]
    }

    /// One more message is dropped by this.
    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.closed.fetch_add(1, Ordering::SeqCst);
        self.dropped.fetch_add(1, Ordering::SeqCst);
        self.inner.close()
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.unwrap()
}

async fn start(node: &Arc<NodeCore>, bridge: &Arc<Told>) -> (ActorRef<BridgeMessage>, tokio::task::JoinHandle<()>) {
    let arguments = BridgeArguments {
        node: Arc::clone(node),
        bridge: Arc::clone(bridge) as Arc<dyn EventBridge>,
    };
    Actor::spawn(None, BridgeActor, arguments).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_node_has_the_bridge_while_its_actor_lives_and_it_is_closed_at_the_stop() {
    let (node, bridge) = (test_node(), Told::connected());
    assert!(node.event_bridge().is_err());
    let (actor, ended) = start(&node, &bridge).await;
    assert!(node.event_bridge().is_ok());
    actor.stop(None);
    within(ended).await.unwrap();
    assert_eq!(bridge.closed.load(Ordering::SeqCst), 1);
    assert!(node.event_bridge().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_actor_whose_bridge_failed_ends_and_closes_it() {
    let (node, bridge) = (test_node(), Told::connected());
    let (actor, ended) = start(&node, &bridge).await;
    bridge.fails.store(true, Ordering::SeqCst);
    within(ended).await.unwrap();
    assert_eq!(actor.get_status(), ActorStatus::Stopped);
    assert!(node.event_bridge().is_err());
    within(async {
        while bridge.closed.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_whose_task_panicked_ends() {
    let (node, bridge) = (test_node(), Told::connected());
    let (actor, ended) = start(&node, &bridge).await;
    let panic = TaskPanic("no more looks".to_owned());
    actor.send_message(BridgeMessage::LookEnded(Err(panic))).unwrap();
    within(ended).await.unwrap();
    assert_eq!(actor.get_status(), ActorStatus::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_bridge_that_goes_leaves_its_successor_alone() {
    let (node, first, second) = (test_node(), Told::connected(), Told::connected());
    let (actor, ended) = start(&node, &first).await;
    let successor: Arc<dyn EventBridge> = second;
    node.set_event_bridge(Some(Arc::clone(&successor)));
    actor.stop(None);
    within(ended).await.unwrap();
    assert!(Arc::ptr_eq(&node.event_bridge().unwrap(), &successor));
    node.clear_event_bridge(&successor);
    assert!(node.event_bridge().is_err());
}

/// What the page says of messages that were dropped because subscribers did not keep up.
fn shown(node: &NodeCore) -> Option<u64> {
    let page = node.metrics.render();
    let series = r#"roadshow_bridge_dropped_total{bridge="memory",reason="slow"} "#;
    let value = page.lines().find_map(|line| line.strip_prefix(series));
    value.map(|value| value.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn what_a_bridge_dropped_is_shown_and_stays_when_it_is_connected_anew() {
    let (node, first, second) = (test_node(), Told::connected(), Told::connected());
    assert_eq!(shown(&node), None);
    let (_actor, ended) = start(&node, &first).await;
    assert_eq!(shown(&node), Some(0));
    first.dropped.store(3, Ordering::SeqCst);
    assert_eq!(shown(&node), Some(3));

    first.fails.store(true, Ordering::SeqCst);
    within(ended).await.unwrap();
    // Not closed yet, and its successor is there already.
    let (actor, ended) = start(&node, &second).await;
    assert!(shown(&node) >= Some(3));
    within(async {
        while Arc::strong_count(&first) > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(shown(&node), Some(4), "with what was dropped when it was closed");

    second.dropped.store(2, Ordering::SeqCst);
    assert_eq!(shown(&node), Some(6));
    actor.stop(None);
    within(ended).await.unwrap();
    assert_eq!(shown(&node), Some(7));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_bridge_gets_the_first_that_is_not_lost() {
    let (node, lost, good) = (test_node(), Told::connected(), Told::connected());
    lost.fails.store(true, Ordering::SeqCst);
    node.set_event_bridge(Some(lost));
    let good: Arc<dyn EventBridge> = good;
    let comes = async {
        tokio::task::yield_now().await;
        node.set_event_bridge(Some(Arc::clone(&good)));
    };
    let (found, ()) = within(async { tokio::join!(usable_bridge(&node), comes) }).await;
    assert!(Arc::ptr_eq(&found, &good));
}
