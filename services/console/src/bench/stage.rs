//! Our side: a node with the service that is called, as any user would start it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use roadshow_services::{AnyService, Backoff, Budget, CommandHandler, Context, EventBridge, Failure, Node, Service};

use super::contender::{Caller, Contender};
use super::error::Error;
use super::messages::{Ask, AskYielding, BENCH, Crash, Reply};

/// How long a node may take to stop.
const STOP_BUDGET: Duration = Duration::from_secs(5);

/// More restarts in a second than a bench can cause.
const RESTARTS_MAX: u32 = 1_000_000;

/// A node and how it is called.
#[derive(Debug)]
pub(super) struct Stage<C> {
    node: Node,
    caller: C,
}

impl<C: Caller> Stage<C> {
    /// Starts a node with one service on the memory bridge, or on `bridge`.
    pub(super) async fn start<S, F>(
        service: S,
        bridge: Option<Arc<dyn EventBridge>>,
        caller_of: F,
    ) -> Result<Self, Error>
    where
        S: AnyService,
        F: FnOnce(&Node) -> Result<C, Failure>,
    {
        let mut builder = Node::builder().service(service);
        if let Some(bridge) = bridge {
            builder = builder.event_bridge(bridge);
        }
        let node = builder
            .start()
            .await
            .map_err(|cause| Error::new("starting a node", cause))?;
        let caller = caller_of(&node).map_err(|cause| Error::new("finding the service", cause))?;
        Ok(Stage { node, caller })
    }
}

impl<C: Caller> Contender for Stage<C> {
    type Caller = C;

    fn caller(&self) -> C {
        self.caller.clone()
    }

    async fn stop(self) {
        // Nothing is at work between two rows, so there is nothing to report.
        let _ = self.node.shutdown(STOP_BUDGET).await;
    }
}

/// Answers the commands of the bench.
#[derive(Debug)]
pub(super) struct Bench;

impl CommandHandler<Ask> for Bench {
    async fn handle(&self, input: Ask, _ctx: &Context) -> Result<Reply, Failure> {
        Ok(input.answer())
    }
}

impl CommandHandler<AskYielding> for Bench {
    async fn handle(&self, AskYielding(input): AskYielding, _ctx: &Context) -> Result<Reply, Failure> {
        tokio::task::yield_now().await;
        Ok(input.answer())
    }
}

impl CommandHandler<Crash> for Bench {
    async fn handle(&self, input: Crash, _ctx: &Context) -> Result<(), Failure> {
        input.unwind()
    }
}

/// The service with its default limits. Its factory is ready at once, so that a restart measures no factory.
pub(super) fn bench() -> Service<Bench> {
    Service::new(BENCH, || async { Ok::<_, Infallible>(Bench) })
        .command::<Ask>(|ask| ask)
        .command::<AskYielding>(|ask| ask)
        .command::<Crash>(|crash| crash)
        .panic_budget(restless())
}

/// Lets a service crash as often as a bench can ask, without waiting in between: here it crashes again right after its
/// first answer, before its supervisor has heard that it was well, and that would count as a second failure in a row.
fn restless() -> Budget {
    Budget::panics()
        .window(RESTARTS_MAX, Duration::from_secs(1))
        .backoff(Backoff::NONE)
}
