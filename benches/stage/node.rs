//! Our side: a node as any user would start it, with everything on that it does for a call.

use std::convert::Infallible;
use std::time::Duration;

use roadshow::{Backoff, Budget, Client, CommandHandler, Context, Failure, Handle, Node, Service};

use super::messages::{Ask, AskNested, BENCH, Crash, Reply};
use super::pace::Caller;

/// Answers the commands of the benches.
#[derive(Debug)]
pub(crate) struct Bench;

impl CommandHandler<Ask> for Bench {
    async fn handle(&self, input: Ask, _ctx: &Context) -> Result<Reply, Failure> {
        Ok(input.answer())
    }
}

impl CommandHandler<AskNested> for Bench {
    async fn handle(&self, input: AskNested, ctx: &Context) -> Result<Reply, Failure> {
        let mut reply = Reply::default();
        for _ in 0..input.times {
            reply = ctx.call(Ask::default()).await?;
        }
        Ok(reply)
    }
}

impl CommandHandler<Crash> for Bench {
    async fn handle(&self, input: Crash, _ctx: &Context) -> Result<(), Failure> {
        input.unwind()
    }
}

/// The service with its default limits. Its factory is ready at once. It may crash as often as a bench can ask without
/// waiting in between: a crash right after an answer may overtake the word that the service was well.
pub(crate) fn bench() -> Service<Bench> {
    Service::new(BENCH, || async { Ok::<_, Infallible>(Bench) })
        .command::<Ask>(|ask| ask)
        .command::<AskNested>(|ask| ask)
        .command::<Crash>(|crash| crash)
        .panic_budget(restless())
}

fn restless() -> Budget {
    let budget = Budget::panics().backoff(Backoff::NONE);
    budget.window(1_000_000, Duration::from_secs(1))
}

/// Starts a node with that service.
pub(crate) async fn start() -> Node {
    Node::builder().service(bench()).start().await.expect("the node starts")
}

/// Calls with the address resolved each time.
#[derive(Clone, Debug)]
pub(crate) struct ByAddress(pub(crate) Client);

impl Caller for ByAddress {
    async fn call(&mut self) {
        self.0.call(Ask::default()).await.expect("an answer");
    }
}

/// Calls with the address resolved once.
#[derive(Clone, Debug)]
pub(crate) struct ByHandle(pub(crate) Handle<Ask>);

impl ByHandle {
    /// Resolves it.
    pub(crate) fn of(node: &Node) -> Self {
        ByHandle(node.client().handle().expect("the node serves it"))
    }
}

impl Caller for ByHandle {
    async fn call(&mut self) {
        self.0.call(Ask::default()).await.expect("an answer");
    }
}

/// Crashes the service, and calls it again.
#[derive(Clone, Debug)]
pub(crate) struct Crasher(pub(crate) Client);

impl Caller for Crasher {
    async fn call(&mut self) {
        self.0.call(Crash).await.expect_err("it crashed");
        self.0.call(Ask::default()).await.expect("the next incarnation answers");
    }
}
