//! actix' `send`. Its actors live on threads of their own: the worker on an arbiter, its callers on the system's thread,
//! which makes two threads, as the other contenders have two workers.

use std::time::Duration;

use actix::{Actor, Addr, Arbiter, Context, Handler, Message, SystemRunner};

use crate::stage::messages::{Ask, Reply};
use crate::stage::pace::{Caller, time};

struct Question(Ask);

impl Message for Question {
    type Result = Answer;
}

/// actix wants a type of ours to say how it is delivered.
pub(crate) struct Answer(Reply);

impl<A, M> actix::dev::MessageResponse<A, M> for Answer
where
    A: Actor,
    M: Message<Result = Answer>,
{
    fn handle(self, _: &mut A::Context, sender: Option<actix::dev::OneshotSender<Answer>>) {
        if let Some(sender) = sender {
            // A caller that has gone needs no answer.
            let _ = sender.send(self);
        }
    }
}

pub(crate) struct Worker;

impl Actor for Worker {
    type Context = Context<Self>;
}

impl Handler<Question> for Worker {
    type Result = Answer;

    fn handle(&mut self, Question(ask): Question, _ctx: &mut Context<Self>) -> Answer {
        Answer(ask.answer())
    }
}

/// Asks one worker.
#[derive(Clone)]
struct Asker(Addr<Worker>);

impl Caller for Asker {
    async fn call(&mut self) {
        let answer = self.0.send(Question(Ask::default())).await.expect("an answer");
        std::hint::black_box(answer.0);
    }
}

/// A system, and a worker on its arbiter.
pub(crate) struct Stage {
    runner: SystemRunner,
    asker: Asker,
    arbiter: Arbiter,
}

impl Stage {
    /// Starts both.
    pub(crate) fn start() -> Self {
        let runner = actix::System::new();
        let (arbiter, asker) = runner.block_on(async {
            let arbiter = Arbiter::new();
            let worker = Worker::start_in_arbiter(&arbiter.handle(), |_| Worker);
            (arbiter, Asker(worker))
        });
        Stage { runner, asker, arbiter }
    }

    /// How long `calls` calls take that `in_flight` callers share.
    pub(crate) fn time(&self, in_flight: u64, calls: u64) -> Duration {
        self.runner.block_on(time(self.asker.clone(), in_flight, calls))
    }

    /// Ends the arbiter's thread.
    pub(crate) fn stop(self) {
        self.arbiter.stop();
        self.arbiter.join().expect("the worker did not panic");
    }
}
