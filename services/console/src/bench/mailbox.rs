//! The baseline of calls: one ractor actor and its `call`, without a timeout, with ractor's default features.
//!
//! This crate asks for those features although the runtime does without them: cargo builds a library once for all who
//! use it, and a baseline that its users do not get would be none.

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::contender::{Caller, Contender};
use super::error::Error;
use super::messages::{Ask, Reply};

/// What the actor is sent.
#[derive(Debug)]
pub(super) enum Message {
    /// To be answered at once.
    Ask(Ask, RpcReplyPort<Reply>),
    /// To be answered after one yield to the scheduler.
    AskYielding(Ask, RpcReplyPort<Reply>),
}

/// Answers one message after the other.
#[derive(Debug)]
struct Serial;

impl Actor for Serial {
    type Msg = Message;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Message>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<Message>, message: Message, (): &mut ()) -> Result<(), ActorProcessingErr> {
        let (ask, port) = match message {
            Message::Ask(ask, port) => (ask, port),
            Message::AskYielding(ask, port) => {
                tokio::task::yield_now().await;
                (ask, port)
            }
        };
        port.send(ask.answer())?;
        Ok(())
    }
}

/// An actor and how it is called.
#[derive(Clone, Debug)]
pub(super) struct Mailbox {
    actor: ActorRef<Message>,
    message: fn(Ask, RpcReplyPort<Reply>) -> Message,
}

impl Mailbox {
    /// An actor that answers at once.
    pub(super) async fn ready() -> Result<Self, Error> {
        Mailbox::start(Message::Ask).await
    }

    /// An actor that yields once before it answers.
    pub(super) async fn waiting() -> Result<Self, Error> {
        Mailbox::start(Message::AskYielding).await
    }

    async fn start(message: fn(Ask, RpcReplyPort<Reply>) -> Message) -> Result<Self, Error> {
        let (actor, _ended) = Actor::spawn(None, Serial, ())
            .await
            .map_err(|cause| Error::new("starting a ractor actor", cause))?;
        Ok(Mailbox { actor, message })
    }
}

impl Contender for Mailbox {
    type Caller = Self;

    fn caller(&self) -> Self {
        self.clone()
    }

    async fn stop(self) {
        self.actor.stop(None);
    }
}

impl Caller for Mailbox {
    async fn call(&mut self) -> Result<(), Error> {
        let message = self.message;
        answered(self.actor.call(|port| message(Ask::default(), port), None).await)
    }
}

/// Keeps the optimiser from leaving out the reply.
pub(super) fn answered<E: std::fmt::Display>(reply: Result<ractor::rpc::CallResult<Reply>, E>) -> Result<(), Error> {
    match reply {
        Ok(ractor::rpc::CallResult::Success(reply)) => {
            std::hint::black_box(reply);
            Ok(())
        }
        Ok(_) => Err(Error::new("calling a ractor actor", "no reply came")),
        Err(cause) => Err(Error::new("calling a ractor actor", cause)),
    }
}
