//! The baseline of restarts: a ractor supervisor that spawns a new worker when it hears that the old one has failed.

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use tokio::sync::watch;

use super::contender::{Caller, Contender};
use super::error::Error;
use super::mailbox::answered;
use super::messages::{Ask, Crash, Reply};

type Workers = watch::Sender<Option<ActorRef<Message>>>;

/// What a worker is sent.
#[derive(Debug)]
pub(super) enum Message {
    /// To be answered.
    Ask(Ask, RpcReplyPort<Reply>),
    /// To panic.
    Crash(Crash),
}

/// Answers, or panics.
#[derive(Debug)]
struct Worker;

impl Actor for Worker {
    type Msg = Message;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Message>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<Message>, message: Message, (): &mut ()) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Ask(ask, port) => port.send(ask.answer())?,
            Message::Crash(crash) => crash.unwind(),
        }
        Ok(())
    }
}

/// Keeps one worker.
#[derive(Debug)]
struct Supervisor;

async fn spawn(supervisor: &ActorRef<()>, workers: &Workers) -> Result<(), ActorProcessingErr> {
    let (worker, _ended) = Actor::spawn_linked(None, Worker, (), supervisor.get_cell()).await?;
    workers.send_replace(Some(worker));
    Ok(())
}

impl Actor for Supervisor {
    type Msg = ();
    type State = Workers;
    type Arguments = Workers;

    async fn pre_start(&self, myself: ActorRef<()>, workers: Workers) -> Result<Workers, ActorProcessingErr> {
        spawn(&myself, &workers).await?;
        Ok(workers)
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        workers: &mut Workers,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(..) = event {
            spawn(&myself, workers).await?;
        }
        Ok(())
    }
}

/// A supervisor, and its worker of the moment.
#[derive(Clone, Debug)]
pub(super) struct Respawn {
    supervisor: ActorRef<()>,
    workers: watch::Receiver<Option<ActorRef<Message>>>,
}

impl Respawn {
    /// A supervisor with one worker.
    pub(super) async fn start() -> Result<Self, Error> {
        let (sender, workers) = watch::channel(None);
        let (supervisor, _ended) = Actor::spawn(None, Supervisor, sender)
            .await
            .map_err(|cause| Error::new("starting a ractor supervisor", cause))?;
        Ok(Respawn { supervisor, workers })
    }

    fn worker(&mut self) -> Result<ActorRef<Message>, Error> {
        let worker = self.workers.borrow_and_update().clone();
        worker.ok_or_else(|| Error::new("finding a ractor worker", "there is none"))
    }
}

impl Contender for Respawn {
    type Caller = Self;

    fn caller(&self) -> Self {
        self.clone()
    }

    async fn stop(self) {
        self.supervisor.stop(None);
    }
}

impl Caller for Respawn {
    async fn call(&mut self) -> Result<(), Error> {
        let crashed = self.worker()?.cast(Message::Crash(Crash));
        crashed.map_err(|cause| Error::new("crashing a ractor worker", cause))?;
        let respawned = self.workers.changed().await;
        respawned.map_err(|cause| Error::new("waiting for a ractor worker", cause))?;
        let reply = self
            .worker()?
            .call(|port| Message::Ask(Ask::default(), port), None)
            .await;
        answered(reply)
    }
}
