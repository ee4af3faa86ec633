//! ractor's `call`, without a timeout, with its default features.

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::stage::messages::{Ask, Reply};
use crate::stage::pace::Caller;

/// What the worker is sent.
#[derive(Debug)]
pub(crate) struct Message(Ask, RpcReplyPort<Reply>);

#[derive(Debug)]
struct Worker;

impl Actor for Worker {
    type Msg = Message;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Message>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        Message(ask, port): Message,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        port.send(ask.answer())?;
        Ok(())
    }
}

/// Asks one worker.
#[derive(Clone, Debug)]
pub(crate) struct Asker(ActorRef<Message>);

impl Asker {
    /// Starts a worker to ask.
    pub(crate) async fn start() -> Self {
        let (worker, _ended) = Actor::spawn(None, Worker, ()).await.expect("the worker starts");
        Asker(worker)
    }
}

impl Caller for Asker {
    async fn call(&mut self) {
        let reply = self.0.call(|port| Message(Ask::default(), port), None).await;
        reply.expect("the worker lives").unwrap();
    }
}
