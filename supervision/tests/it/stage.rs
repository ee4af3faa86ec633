//! What the cases play on: workers that end on request, starts that follow a script, and a log of events to wait on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use roadshow_supervision::{
    Backoff, Budget, ChildSpec, Event, EventKind, Panicked, Restart, Shutdown, StartContext, StartError, Supervisor,
    SupervisorRef, SupervisorSpec, Tree, Unrecoverable,
};
use tokio::sync::watch;

/// How long anything may take before a case fails, in paused time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// What a worker is told to do.
pub(crate) enum Order {
    End,
    Fail,
    ReportPanic,
    Panic,
    CannotRecover,
    Hang,
    Unlink,
    Nap(Duration),
}

pub(crate) struct Worker;

impl Actor for Worker {
    type Msg = Order;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<Order>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, myself: ActorRef<Order>, order: Order, (): &mut ()) -> Result<(), ActorProcessingErr> {
        match order {
            Order::End => myself.stop(None),
            Order::Fail => return Err("broken".into()),
            Order::ReportPanic => return Err(Panicked("boom".into()).into()),
            Order::Panic => panic!("the actor itself panicked"),
            Order::CannotRecover => return Err(Unrecoverable("key refused".into()).into()),
            Order::Hang => std::future::pending::<()>().await,
            Order::Unlink => {
                let parent = myself.try_get_supervisor().expect("a worker has a supervisor");
                myself.unlink(parent);
            }
            // allow-sleep: the worker is busy for a time, which the case is about
            Order::Nap(duration) => tokio::time::sleep(duration).await,
        }
        Ok(())
    }
}

/// How one start goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    Ready,
    Fail,
    Panic,
    Hang,
    /// Spawns its actor, then hangs.
    SpawnAndHang,
    /// The same, past the supervisor's own way of spawning.
    SpawnAsideAndHang,
    Slow(Duration),
    Ignore,
    CannotRecover,
    /// The actor has ended before the start answers.
    EndBeforeAnswer,
    /// The actor is linked to nobody.
    Unlinked,
}

/// The starts of one child: as scripted, then all ready.
#[derive(Clone, Debug)]
pub(crate) struct Script(Arc<ScriptState>);

#[derive(Debug)]
struct ScriptState {
    starts: Mutex<VecDeque<Start>>,
    forever: Option<Start>,
    begun: watch::Sender<u64>,
    cells: Mutex<Vec<ActorCell>>,
}

impl Script {
    pub(crate) fn new(starts: impl IntoIterator<Item = Start>) -> Self {
        Self::with(starts, None)
    }

    pub(crate) fn ready() -> Self {
        Self::with([], None)
    }

    /// A few starts, then always the same.
    pub(crate) fn then_always(starts: impl IntoIterator<Item = Start>, forever: Start) -> Self {
        Self::with(starts, Some(forever))
    }

    fn with(starts: impl IntoIterator<Item = Start>, forever: Option<Start>) -> Self {
        let starts = Mutex::new(starts.into_iter().collect());
        Self(Arc::new(ScriptState {
            starts,
            forever,
            begun: watch::Sender::new(0),
            cells: Mutex::default(),
        }))
    }

    pub(crate) fn child(&self, id: &str) -> ChildSpec {
        let script = self.clone();
        ChildSpec::worker(id, move |context| script.clone().play(context))
    }

    /// How many starts have begun.
    pub(crate) fn begun(&self) -> u64 {
        *self.0.begun.borrow()
    }

    /// Waits until `count` starts have begun.
    pub(crate) async fn until_begun(&self, count: u64) {
        let mut begun = self.0.begun.subscribe();
        let wait = begun.wait_for(|begun| *begun >= count);
        tokio::time::timeout(PATIENCE, wait)
            .await
            .expect("the start begins")
            .expect("the script is alive");
    }

    /// The actor spawned last.
    pub(crate) fn cell(&self) -> ActorCell {
        self.0
            .cells
            .lock()
            .expect("no start panics here")
            .last()
            .expect("an actor was spawned")
            .clone()
    }

    /// Every actor ever spawned.
    pub(crate) fn cells(&self) -> Vec<ActorCell> {
        self.0.cells.lock().expect("no start panics here").clone()
    }

    pub(crate) fn tell(&self, order: Order) {
        self.cell()
            .send_message(order)
            .map_err(drop)
            .expect("the worker is alive");
    }

    async fn play(self, context: StartContext) -> Result<ActorCell, StartError> {
        let next = self.0.starts.lock().expect("no start panics here").pop_front();
        let start = next.or(self.0.forever).unwrap_or(Start::Ready);
        self.0.begun.send_modify(|begun| *begun += 1);
        match start {
            Start::Ready => {}
            Start::Fail => return Err(StartError::new("no database")),
            Start::Panic => panic!("factory panicked"),
            Start::Hang => std::future::pending().await,
            // allow-sleep: the start takes a time, which the case is about
            Start::Slow(duration) => tokio::time::sleep(duration).await,
            Start::Ignore => return Err(StartError::ignore()),
            Start::CannotRecover => return Err(StartError::unrecoverable("password refused")),
            Start::SpawnAndHang | Start::EndBeforeAnswer => {
                let actor = context.spawn(Worker, ()).await?;
                self.keep(actor.get_cell());
                if matches!(start, Start::SpawnAndHang) {
                    std::future::pending::<()>().await;
                }
                actor
                    .send_message(Order::Fail)
                    .map_err(drop)
                    .expect("the worker is alive");
                actor.wait(None).await.expect("no deadline was set");
                return Ok(actor.get_cell());
            }
            Start::SpawnAsideAndHang => {
                let (actor, _task) = Actor::spawn_linked(None, Worker, (), context.supervisor.clone()).await?;
                self.keep(actor.get_cell());
                std::future::pending::<()>().await;
            }
            Start::Unlinked => {
                let (actor, _task) = Actor::spawn(None, Worker, ()).await?;
                self.keep(actor.get_cell());
                return Ok(actor.get_cell());
            }
        }
        let actor = context.spawn(Worker, ()).await?;
        self.keep(actor.get_cell());
        Ok(actor.get_cell())
    }

    fn keep(&self, cell: ActorCell) {
        self.0.cells.lock().expect("no start panics here").push(cell);
    }
}

/// An observer that keeps every event, as a line and as it is.
#[derive(Clone, Debug)]
pub(crate) struct Log(Arc<watch::Sender<Vec<Event>>>);

impl Log {
    fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Vec::new())))
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.0.borrow().clone()
    }

    /// Every event as text, such as `restarting a#1 after 0 ms by panic`.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.borrow().iter().map(line).collect()
    }

    /// How often a line beginning with `text` has been written.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(text)).count()
    }

    /// Waits until a line beginning with `text` has been written.
    pub(crate) async fn until(&self, text: &str) {
        self.until_count(text, 1).await;
    }

    pub(crate) async fn until_count(&self, text: &str, count: usize) {
        let mut log = self.0.subscribe();
        let wait = log.wait_for(|events| events.iter().filter(|event| line(event).starts_with(text)).count() >= count);
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("waited in vain for {count} times {text:?} in {:#?}", self.lines());
        }
    }

    pub(crate) fn delays(&self) -> Vec<Duration> {
        let delay = |event: &Event| match event.kind {
            EventKind::Restarting { delay, .. } => Some(delay),
            _ => None,
        };
        self.0.borrow().iter().filter_map(delay).collect()
    }
}

fn line(event: &Event) -> String {
    let who = format!("{}#{}", event.child, event.incarnation);
    match &event.kind {
        EventKind::Started { .. } => format!("started {who}"),
        EventKind::Exited(exit) => format!("exited {who} {exit}"),
        EventKind::Restarting { delay, budget } => {
            format!("restarting {who} after {} ms by {budget}", delay.as_millis())
        }
        EventKind::GaveUp(exit) => format!("gave up {who} {exit}"),
        EventKind::Stopped(outcome) => format!("stopped {who} {outcome:?}"),
        other => format!("{other:?} {who}"),
    }
}

/// A tree to start supervisors in, and the log of what happens in it.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) tree: Tree,
    pub(crate) log: Log,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self {
            tree: Tree::new(),
            log: Log::new(),
        }
    }

    pub(crate) async fn try_open(
        &self,
        spec: SupervisorSpec,
        children: Vec<ChildSpec>,
    ) -> Result<SupervisorRef, StartError> {
        self.open_below(None, spec, children).await
    }

    pub(crate) async fn open(&self, spec: SupervisorSpec, children: Vec<ChildSpec>) -> SupervisorRef {
        self.try_open(spec, children).await.expect("the supervisor starts")
    }

    pub(crate) async fn open_below(
        &self,
        parent: Option<StartContext>,
        spec: SupervisorSpec,
        children: Vec<ChildSpec>,
    ) -> Result<SupervisorRef, StartError> {
        let log = self.log.clone();
        let observer = Arc::new(move |event: &Event| log.0.send_modify(|events| events.push(event.clone())));
        Supervisor::spawn(spec, children, parent, self.tree.clone(), observer).await
    }

    /// A child that is a supervisor with the children that `children` makes, anew at every start. The handle to its
    /// latest life is kept in `latest`.
    pub(crate) fn supervisor(
        &self,
        spec: &SupervisorSpec,
        latest: &Latest,
        children: impl Fn() -> Vec<ChildSpec> + Send + Sync + 'static,
    ) -> ChildSpec {
        let (stage, spec, latest) = (self.clone(), spec.clone(), latest.clone());
        ChildSpec::supervisor(spec.id.clone(), move |context| {
            let (stage, spec, latest, children) = (stage.clone(), spec.clone(), latest.clone(), children());
            async move {
                let supervisor = stage.open_below(Some(context), spec, children).await?;
                let cell = supervisor.cell();
                *latest.0.lock().expect("nobody panics here") = Some(supervisor);
                Ok(cell)
            }
        })
    }

    /// Where a node of the tree is; the path is below the root.
    pub(crate) fn state(&self, path: &str) -> String {
        self.tree
            .snapshot()
            .find(path)
            .expect("the node is in the tree")
            .state
            .to_string()
    }
}

/// The latest life of a nested supervisor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latest(Arc<Mutex<Option<SupervisorRef>>>);

impl Latest {
    pub(crate) fn get(&self) -> SupervisorRef {
        self.0
            .lock()
            .expect("nobody panics here")
            .clone()
            .expect("the supervisor was started")
    }
}

/// A root whose budgets restart at once, `intensity` times in 5 s.
pub(crate) fn root(intensity: u32) -> SupervisorSpec {
    let budget = Budget::new(intensity, secs(5)).backoff(Backoff::NONE);
    SupervisorSpec::new("root").panics(budget.clone()).exits(budget)
}

/// Three permanent children `a`, `b`, `c`.
pub(crate) fn trio() -> ([Script; 3], Vec<ChildSpec>) {
    trio_of(
        [Script::ready(), Script::ready(), Script::ready()],
        [Restart::Permanent; 3],
    )
}

pub(crate) fn trio_of(scripts: [Script; 3], restart: [Restart; 3]) -> ([Script; 3], Vec<ChildSpec>) {
    let named = scripts.iter().zip(["a", "b", "c"]).zip(restart);
    let children = named
        .map(|((script, id), restart)| script.child(id).restart(restart))
        .collect();
    (scripts, children)
}

/// A child that takes at most a second to stop.
pub(crate) fn quick(child: ChildSpec) -> ChildSpec {
    child.shutdown(Shutdown::After(secs(1)))
}
