//! The baseline of events: a tokio channel of shared values, and a task that takes them. No actor library tells anyone
//! faster than the channel under its mailbox.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::contender::{Caller, Contender};
use super::error::Error;
use super::events::{Taken, WAITING_MAX};
use super::messages::Told;

/// A channel and the task that takes from it.
#[derive(Debug)]
pub(super) struct Channel {
    sender: Sender,
    _taker: JoinSet<()>,
}

impl Channel {
    /// A channel with one taker.
    pub(super) async fn start() -> Result<Self, Error> {
        let taken = Taken::new();
        let (sender, mut receiver) = mpsc::channel::<Arc<Told>>(WAITING_MAX);
        let mut taker = JoinSet::new();
        let by = Arc::clone(&taken);
        taker.spawn(async move {
            while let Some(told) = receiver.recv().await {
                by.take(&told);
            }
        });
        Ok(Channel {
            sender: Sender { sender, taken },
            _taker: taker,
        })
    }
}

impl Contender for Channel {
    type Caller = Sender;

    fn caller(&self) -> Sender {
        self.sender.clone()
    }
}

/// Sends events.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    sender: mpsc::Sender<Arc<Told>>,
    taken: Arc<Taken>,
}

impl Sender {
    async fn send(&self, event: Told) -> Result<(), Error> {
        let sent = self.sender.send(Arc::new(event)).await;
        sent.map_err(|cause| Error::new("sending through a channel", cause))
    }
}

impl Caller for Sender {
    async fn call(&mut self) -> Result<(), Error> {
        self.send(Told::default()).await
    }

    async fn timed(&mut self) -> Result<u64, Error> {
        self.send(self.taken.stamp()).await?;
        Ok(self.taken.latency().await)
    }

    async fn settled(mut self) -> Result<(), Error> {
        self.timed().await.map(drop)
    }
}
