//! A ractor supervisor that spawns a new worker when it hears that the old one has failed.

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use tokio::sync::watch;

use crate::stage::messages::{Ask, Crash, Reply};
use crate::stage::pace::Caller;

type Workers = watch::Sender<Option<ActorRef<Message>>>;

/// What a worker is sent.
#[derive(Debug)]
pub(crate) enum Message {
    /// To be answered.
    Ask(Ask, RpcReplyPort<Reply>),
    /// To panic.
    Crash(Crash),
}

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

/// Crashes a worker, and asks the next.
#[derive(Clone, Debug)]
pub(crate) struct Crasher(watch::Receiver<Option<ActorRef<Message>>>);

impl Crasher {
    /// Starts a supervisor with one worker.
    pub(crate) async fn start() -> Self {
        let (sender, workers) = watch::channel(None);
        let (_supervisor, _ended) = Actor::spawn(None, Supervisor, sender)
            .await
            .expect("the supervisor starts");
        Crasher(workers)
    }

    fn worker(&mut self) -> ActorRef<Message> {
        let worker = self.0.borrow_and_update().clone();
        worker.expect("the supervisor has one worker")
    }
}

impl Caller for Crasher {
    async fn call(&mut self) {
        self.worker().cast(Message::Crash(Crash)).expect("the worker lives");
        self.0.changed().await.expect("the supervisor lives");
        let reply = self
            .worker()
            .call(|port| Message::Ask(Ask::default(), port), None)
            .await;
        reply.expect("the worker lives").unwrap();
    }
}
