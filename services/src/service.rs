//! A service as its author declares it: a factory for its state, and what it answers, takes and calls.

mod build;
mod command_options;
mod stream_options;
mod stream_part;
mod subscription_options;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use roadshow_bridges::{Address, ServiceId};
use roadshow_supervision::Budget;

pub(crate) use build::{BuildContext, Built};
pub(crate) use build::{INTAKE_CHILD, STATE_CHILD, subscription_child_id};
pub use command_options::CommandOptions;
pub use stream_options::StreamOptions;
pub use subscription_options::SubscriptionOptions;

use crate::command::{Command, CommandHandler};
use crate::contract::{CommandContract, EventContract, ServiceContract, StreamContract, SubscriptionContract};
use crate::event::{Event, EventHandler};
use crate::setup::Setup;
use crate::stream::{Stream, StreamHandler};

/// Why a factory could not make a service's state; any error will do.
pub type FactoryError = Box<dyn std::error::Error + Send + Sync>;

type Factory<S> = Arc<dyn Fn(Setup) -> BoxFuture<'static, Result<S, FactoryError>> + Send + Sync>;

/// A service: its name, the factory of its state, and its handlers.
///
/// The state is made by the factory at every start and restart; handlers share it. State that must survive a crash
/// belongs into a store.
#[must_use = "a service runs only once it is given to a node"]
pub struct Service<S> {
    id: ServiceId,
    factory: Factory<S>,
    commands: Vec<Box<dyn build::CommandPart<S>>>,
    streams: Vec<Box<dyn stream_part::StreamPart<S>>>,
    subscriptions: Vec<Box<dyn build::SubscriptionPart<S>>>,
    calls: Vec<Address>,
    emits: Vec<EventContract>,
    optional: bool,
    panics: Budget,
    exits: Budget,
    start_deadline: Option<Duration>,
}

impl<S> fmt::Debug for Service<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("id", &self.id)
            .field("optional", &self.optional)
            .finish_non_exhaustive()
    }
}

impl<S: Send + Sync + 'static> Service<S> {
    /// A service whose state `factory` makes.
    pub fn new<F, T, E>(id: ServiceId, factory: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Result<S, E>> + Send + 'static,
        E: Into<FactoryError>,
    {
        Service::with_setup(id, move |_setup| factory())
    }

    /// As [`Service::new`], with a factory that reads settings or makes metrics.
    pub fn with_setup<F, T, E>(id: ServiceId, factory: F) -> Self
    where
        F: Fn(Setup) -> T + Send + Sync + 'static,
        T: Future<Output = Result<S, E>> + Send + 'static,
        E: Into<FactoryError>,
    {
        Service {
            id,
            factory: Arc::new(move |setup| {
                let state = factory(setup);
                async move { state.await.map_err(Into::into) }.boxed()
            }),
            commands: Vec::new(),
            streams: Vec::new(),
            subscriptions: Vec::new(),
            calls: Vec::new(),
            emits: Vec::new(),
            optional: false,
            panics: Budget::panics(),
            exits: Budget::exits(),
            start_deadline: None,
        }
    }

    /// Answers the command `C`.
    pub fn command<C: Command>(mut self, options: impl FnOnce(CommandOptions<C>) -> CommandOptions<C>) -> Self
    where
        S: CommandHandler<C>,
    {
        self.commands.push(Box::new(options(CommandOptions::default())));
        self
    }

    /// Feeds the stream `R`.
    pub fn stream<R: Stream>(mut self, options: impl FnOnce(StreamOptions<R>) -> StreamOptions<R>) -> Self
    where
        S: StreamHandler<R>,
    {
        self.streams.push(Box::new(options(StreamOptions::default())));
        self
    }

    /// Takes the event `E`.
    pub fn subscribe<E: Event>(mut self, options: impl FnOnce(SubscriptionOptions<E>) -> SubscriptionOptions<E>) -> Self
    where
        S: EventHandler<E>,
    {
        self.subscriptions
            .push(Box::new(options(SubscriptionOptions::default())));
        self
    }

    /// Declares that handlers of this service call `C`. With `strict_contracts` nothing else may be called.
    pub fn calls<C: Command>(mut self) -> Self {
        self.calls.push(C::ADDRESS);
        self
    }

    /// Declares that handlers of this service open the stream `R`, as [`Service::calls`] does for commands.
    pub fn opens<R: Stream>(mut self) -> Self {
        self.calls.push(R::ADDRESS);
        self
    }

    /// Declares, for documents, that handlers of this service emit `E`.
    pub fn emits<E: Event>(mut self) -> Self {
        self.emits.push(EventContract {
            name: E::NAME,
            schema: |schemas| schemas.subschema_for::<E>(),
        });
        self
    }

    /// Lets the node go on without this service when its supervisor gives up on it.
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// How often handlers may panic before the service is given up on. Default 200 in 10 s, the first restart at once.
    pub fn panic_budget(mut self, budget: Budget) -> Self {
        self.panics = budget;
        self
    }

    /// How often starts and other things may fail before the service is given up on. Default 5 in 30 s or 10 in a row.
    pub fn exit_budget(mut self, budget: Budget) -> Self {
        self.exits = budget;
        self
    }

    /// How long one run of the factory may take. Default: the setting `start_deadline`, 30 s.
    pub fn start_deadline(mut self, deadline: Duration) -> Self {
        self.start_deadline = Some(deadline);
        self
    }
}

/// A service of any state, as a node takes it.
pub trait AnyService: Send + Sync + fmt::Debug + 'static {
    /// Name and version.
    fn id(&self) -> ServiceId;
    /// Whether the node goes on without it.
    fn is_optional(&self) -> bool;
    /// What it answers.
    fn commands(&self) -> Vec<CommandContract>;
    /// What it streams.
    fn streams(&self) -> Vec<StreamContract> {
        Vec::new()
    }
    /// What it takes.
    fn subscriptions(&self) -> Vec<SubscriptionContract>;
    /// What it calls.
    fn calls(&self) -> &[Address];
    /// All of it as data, for documents and checks.
    fn contract(&self) -> ServiceContract;
    /// What contradicts itself in its declaration, one sentence each; a node with a problem does not start.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }
    /// Builds its endpoints and its part of the tree. For the runtime.
    #[doc(hidden)]
    fn build(&self, context: &BuildContext) -> Built;
}

impl<S: Send + Sync + 'static> AnyService for Service<S> {
    fn id(&self) -> ServiceId {
        self.id
    }

    fn is_optional(&self) -> bool {
        self.optional
    }

    fn commands(&self) -> Vec<CommandContract> {
        self.commands.iter().map(|command| command.contract()).collect()
    }

    fn streams(&self) -> Vec<StreamContract> {
        self.streams.iter().map(|stream| stream.contract()).collect()
    }

    fn subscriptions(&self) -> Vec<SubscriptionContract> {
        self.subscriptions
            .iter()
            .map(|subscription| subscription.contract(self.id))
            .collect()
    }

    fn calls(&self) -> &[Address] {
        &self.calls
    }

    fn contract(&self) -> ServiceContract {
        ServiceContract {
            id: self.id,
            optional: self.optional,
            commands: AnyService::commands(self),
            streams: AnyService::streams(self),
            subscriptions: AnyService::subscriptions(self),
            calls: self.calls.clone(),
            emits: self.emits.clone(),
            panics: self.panics.clone(),
            exits: self.exits.clone(),
            start_deadline: self.start_deadline,
        }
    }

    fn problems(&self) -> Vec<String> {
        let commands = self.commands.iter().flat_map(|command| command.problems());
        let streams = self.streams.iter().flat_map(|stream| stream.problems());
        let subscriptions = self.subscriptions.iter().flat_map(|part| part.problems(self.id));
        commands.chain(streams).chain(subscriptions).collect()
    }

    fn build(&self, context: &BuildContext) -> Built {
        build::build(self, context)
    }
}
