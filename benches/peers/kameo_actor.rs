//! kameo's `ask`, on a mailbox of its default capacity.

use kameo::Actor;
use kameo::actor::{ActorRef, Spawn};
use kameo::message::{Context, Message};

use crate::stage::messages::{Ask, Reply};
use crate::stage::pace::Caller;

#[derive(Actor)]
pub(crate) struct Worker;

impl Message<Ask> for Worker {
    type Reply = Reply;

    async fn handle(&mut self, ask: Ask, _ctx: &mut Context<Self, Reply>) -> Reply {
        ask.answer()
    }
}

/// Asks one worker.
#[derive(Clone, Debug)]
pub(crate) struct Asker(ActorRef<Worker>);

impl Asker {
    /// Starts a worker to ask. Inside a runtime only.
    pub(crate) async fn start() -> Self {
        Asker(Worker::spawn(Worker))
    }
}

impl Caller for Asker {
    async fn call(&mut self) {
        self.0.ask(Ask::default()).await.expect("an answer");
    }
}
