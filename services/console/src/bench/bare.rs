//! The baseline over a broker: its own client library doing the same work, through the adapter's bare client.

use std::sync::Arc;

use roadshow_bridges::{BareAct, BareMessage, BareRun};

use super::contender::{Caller, Contender};
use super::error::Error;
use super::flow::Flow;
use super::remote::Remote;

/// A client library at work.
#[derive(Debug)]
pub(super) struct Bare<C>(C);

/// Asks the responder.
#[derive(Clone, Debug)]
pub(super) struct BareAsker(Arc<dyn BareRun>);

/// Tells the subscribers.
#[derive(Clone, Debug)]
pub(super) struct BareTeller {
    run: Arc<dyn BareRun>,
    flow: Flow,
}

impl Bare<BareAsker> {
    /// A requester and a responder on a connection each.
    pub(super) async fn asking(remote: &Remote, message: BareMessage) -> Result<Self, Error> {
        prepared(remote, BareAct::Request, message)
            .await
            .map(|run| Bare(BareAsker(run)))
    }
}

impl Bare<BareTeller> {
    /// A publisher and its subscribers: one durable, or so many plain ones.
    pub(super) async fn telling(remote: &Remote, act: BareAct, message: BareMessage) -> Result<Self, Error> {
        let run = prepared(remote, act, message).await?;
        let subscribers = match act {
            BareAct::Event { subscribers } => subscribers,
            _ => 1,
        };
        let counted = Arc::clone(&run);
        let flow = Flow::new(subscribers, move || counted.received());
        Ok(Bare(BareTeller { run, flow }))
    }
}

async fn prepared(remote: &Remote, act: BareAct, message: BareMessage) -> Result<Arc<dyn BareRun>, Error> {
    let failed = |cause| Error::new("preparing the bare client", cause);
    let connector = remote.system.connector().map_err(failed)?;
    let context = remote.system.context();
    let client = connector
        .bare_client(remote.system.url(), &context)
        .await
        .map_err(failed)?;
    client.prepare(act, message).await.map(Arc::from).map_err(failed)
}

async fn once(run: &dyn BareRun) -> Result<(), Error> {
    run.once()
        .await
        .map_err(|cause| Error::new("asking the bare client", cause))
}

impl Caller for BareAsker {
    const BATCH: u64 = 1;

    async fn call(&mut self) -> Result<(), Error> {
        once(&*self.0).await
    }
}

impl Caller for BareTeller {
    const BATCH: u64 = 1;

    /// Events have no one to answer them: how long they take is asked one at a time.
    fn callers_when_timed(_in_flight: u32) -> u32 {
        1
    }

    async fn call(&mut self) -> Result<(), Error> {
        self.flow.room().await?;
        once(&*self.run).await
    }

    async fn timed(&mut self) -> Result<u64, Error> {
        let begun = std::time::Instant::now();
        self.call().await?;
        self.flow.arrived_now().await?;
        Ok(super::contender::nanoseconds(begun.elapsed()))
    }

    async fn settled(self) -> Result<(), Error> {
        self.flow.arrived().await
    }
}

impl<C: Caller> Contender for Bare<C> {
    type Caller = C;

    fn caller(&self) -> C {
        self.0.clone()
    }
}
