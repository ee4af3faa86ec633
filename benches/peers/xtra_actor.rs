//! xtra's `send`, which waits for the answer, on a mailbox of 64, as kameo's.

use xtra::{Actor, Address, Context, Handler, Mailbox};

use crate::stage::messages::{Ask, Reply};
use crate::stage::pace::Caller;

pub(crate) struct Worker;

impl Actor for Worker {
    type Stop = ();

    async fn stopped(self) {}
}

impl Handler<Ask> for Worker {
    type Return = Reply;

    async fn handle(&mut self, ask: Ask, _ctx: &mut Context<Self>) -> Reply {
        ask.answer()
    }
}

/// Asks one worker.
#[derive(Clone)]
pub(crate) struct Asker(Address<Worker>);

impl Asker {
    /// Starts a worker to ask. Inside a runtime only.
    pub(crate) async fn start() -> Self {
        Asker(xtra::spawn_tokio(Worker, Mailbox::bounded(64)))
    }
}

impl Caller for Asker {
    async fn call(&mut self) {
        self.0.send(Ask::default()).await.expect("an answer");
    }
}
