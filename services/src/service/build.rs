//! From a declared service to its endpoints and its part of the supervision tree.

use std::sync::Arc;

use futures_util::FutureExt;
use roadshow_actors::{
    AnySubscriber, CallContext, CommandEndpoint, Endpoint, EndpointSpec, Incarnation, Intake, IntakeActor, NodeCore,
    Outcome, RateLimit, Served, ServiceActor, ServiceArguments, ServiceCore, Subscriber, SubscriberSpec,
    SubscriptionActor,
};
use roadshow_bridges::{Envelope, Executed, Failure, ServiceId, Subscription, codec};
use roadshow_supervision::{
    ChildSpec, GiveUp, InitialStart, OnGiveUp, StartContext, StartError, Strategy, Supervisor, SupervisorSpec,
};

use super::command_options::CommandOptions;
use super::subscription_options::SubscriptionOptions;
use super::{Factory, Service};
use crate::command::{Command, CommandHandler};
use crate::config::Resolved;
use crate::context::Context;
use crate::contract::{CommandContract, SubscriptionContract};
use crate::dispatch::CommandRoute;
use crate::event::{Event, EventHandler, outcome_of};
use crate::guard::Guards;
use crate::setup::Setup;

/// What a service is built into.
#[derive(Clone, Debug)]
pub struct BuildContext {
    pub(crate) node: Arc<NodeCore>,
    pub(crate) settings: Arc<Resolved>,
    pub(crate) strict_contracts: bool,
}

/// A service that is built: its routes, its subscriptions, and the child that starts it.
#[derive(Debug)]
pub struct Built {
    pub(crate) served: Served,
    pub(crate) subscribers: Vec<Arc<dyn AnySubscriber>>,
    /// What takes its commands from others, if it has any.
    pub(crate) intake: Option<Arc<Intake>>,
    pub(crate) child: ChildSpec,
    pub(crate) optional: bool,
}

/// The id of a service's own worker among its supervisor's children.
pub(crate) const STATE_CHILD: &str = "state";

/// A command of a service with state `S`, whatever its type.
pub(super) trait CommandPart<S>: Send + Sync {
    fn contract(&self) -> CommandContract;
    fn problems(&self) -> Vec<String>;
    fn endpoint(&self, service: &Arc<ServiceCore>) -> Arc<dyn CommandEndpoint>;
}

/// A subscription of a service with state `S`, whatever its event.
pub(super) trait SubscriptionPart<S>: Send + Sync {
    fn contract(&self, service: ServiceId) -> SubscriptionContract;
    fn problems(&self, service: ServiceId) -> Vec<String>;
    fn subscriber(&self, service: &Arc<ServiceCore>) -> Arc<dyn AnySubscriber>;
}

impl<S, C> CommandPart<S> for CommandOptions<C>
where
    S: CommandHandler<C>,
    C: Command,
{
    fn contract(&self) -> CommandContract {
        CommandContract {
            address: C::ADDRESS,
            limits: self.limits,
            http: self.http_route(),
            idempotent: self.idempotent,
            rate_limited: !self.rates.is_empty(),
            notes: self.notes.clone(),
            input: |schemas| schemas.subschema_for::<C>(),
            reply: |schemas| schemas.subschema_for::<C::Reply>(),
        }
    }

    fn problems(&self) -> Vec<String> {
        let closed = self.closed.then(|| {
            let address = C::ADDRESS;
            format!("command {address} has a concurrency of 0: nobody could ever call it")
        });
        let broken = self.broken_examples.iter().map(|error| {
            let address = C::ADDRESS;
            format!("an example of command {address} cannot be written as JSON: {error}")
        });
        closed.into_iter().chain(broken).collect()
    }

    fn endpoint(&self, service: &Arc<ServiceCore>) -> Arc<dyn CommandEndpoint> {
        let id = service.id();
        let (validate, before, after) = (self.validate, self.before.clone(), self.after.clone());
        let plain = validate.is_none() && before.is_empty() && after.is_empty();
        let run = move |input: C, call: CallContext| {
            if plain {
                let ctx = Context::new(call);
                return async move { state_of::<S>(&ctx).handle(input, &ctx).await.map_err(executed) }.boxed();
            }
            let (before, after) = (before.clone(), after.clone());
            async move { run_guarded::<S, C>(input, Context::new(call), validate, &before, &after).await }.boxed()
        };
        let endpoint = Endpoint::new(EndpointSpec {
            name: C::ADDRESS.command(),
            service: Arc::clone(service),
            limits: self.limits,
            rate: self
                .rate_limits(service.node().clock())
                .map(|limits| Box::new(limits) as Box<dyn RateLimit>),
            metrics: service
                .node()
                .metrics()
                .endpoint(id.name(), id.version(), C::ADDRESS.command()),
            run: Box::new(run),
            key_of: self.key_of(),
        });
        endpoint.show_load();
        Arc::new(CommandRoute {
            address: C::ADDRESS,
            endpoint,
            idempotent: self.idempotent,
        })
    }
}

/// Validate, before guards, handler, after guards.
async fn run_guarded<S: CommandHandler<C>, C: Command>(
    input: C,
    ctx: Context,
    validate: Option<super::command_options::ValidateFn<C>>,
    before: &Guards<C>,
    after: &Guards<C::Reply>,
) -> Result<C::Reply, Failure> {
    if let Some(validate) = validate {
        validate(&input).map_err(not_executed)?;
    }
    before.check(&input, &ctx).await.map_err(not_executed)?;
    let reply = state_of::<S>(&ctx).handle(input, &ctx).await.map_err(executed)?;
    after.check(&reply, &ctx).await.map_err(executed)?;
    Ok(reply)
}

/// The node that ran the handler stamps every failure it returns, whatever nested call it came from.
pub(super) fn executed(failure: Failure) -> Failure {
    failure.with_executed(Executed::Yes)
}

pub(super) fn not_executed(failure: Failure) -> Failure {
    failure.with_executed(Executed::No)
}

pub(super) fn state_of<S: 'static>(ctx: &Context) -> &S {
    let incarnation = ctx.call_context().incarnation();
    incarnation
        .state::<S>()
        .expect("a service's endpoints run on the state that its own factory made")
}

impl<S, E> SubscriptionPart<S> for SubscriptionOptions<E>
where
    S: EventHandler<E>,
    E: Event,
{
    fn contract(&self, service: ServiceId) -> SubscriptionContract {
        SubscriptionContract {
            name: self.group(service),
            event: E::NAME,
            durable: self.durable.is_some(),
            every_instance: self.every_instance,
            attempts: self.retry.attempts(),
            window: self.limits.concurrency,
            retry: self.retry,
            deadline: self.limits.deadline,
            abandon_after: self.limits.abandon_after,
            schema: |schemas| schemas.subschema_for::<E>(),
        }
    }

    fn problems(&self, service: ServiceId) -> Vec<String> {
        SubscriptionOptions::problems(self, service)
    }

    fn subscriber(&self, service: &Arc<ServiceCore>) -> Arc<dyn AnySubscriber> {
        let id = service.id();
        let (validate, before) = (self.validate, self.before.clone());
        let run = move |event: Arc<E>, call: CallContext| {
            let (ctx, before) = (Context::new(call), before.clone());
            async move {
                if let Some(Err(broken)) = validate.map(|validate| validate(&event)) {
                    return Ok(Outcome::dead_letter(broken.to_string()));
                }
                if let Err(failure) = before.check(&event, &ctx).await {
                    return Ok(outcome_of(Err(failure)));
                }
                Ok(state_of::<S>(&ctx).receive(&event, &ctx).await)
            }
            .boxed()
        };
        let key_of = self
            .key_of
            .map(|key_of| Box::new(move |event: &Arc<E>| key_of(event)) as roadshow_actors::KeyOf<Arc<E>>);
        let endpoint: Endpoint<Arc<E>, Outcome> = Endpoint::new(EndpointSpec {
            name: self.name(),
            service: Arc::clone(service),
            limits: self.limits,
            rate: None,
            metrics: service.node().metrics().endpoint(id.name(), id.version(), self.name()),
            run: Box::new(run),
            key_of,
        });
        endpoint.show_load();
        let subject = service.node().namespace().event_subject(E::NAME);
        let window = usize::try_from(self.limits.concurrency.get()).unwrap_or(usize::MAX);
        let subscription = match (self.durable.is_some(), self.every_instance) {
            (_, true) => Subscription::new(subject),
            (true, false) => Subscription::new(subject).durable(self.group(id)),
            (false, false) => Subscription::new(subject).group(self.group(id)),
        };
        Subscriber::new(SubscriberSpec {
            endpoint,
            read: read_event::<E>,
            retry: self.retry,
            subscription: subscription.window(window),
        })
    }
}

/// The event itself where it never left the process, decoded otherwise.
fn read_event<E: Event>(envelope: &Envelope) -> Result<Arc<E>, Failure> {
    if let Some(event) = envelope.payload.downcast::<E>() {
        return Ok(event);
    }
    let bytes = envelope.payload.to_bytes()?;
    let event = codec::decode::<E>(&envelope.content_type, &bytes)?;
    Ok(Arc::new(event))
}

pub(super) fn build<S: Send + Sync + 'static>(service: &Service<S>, context: &BuildContext) -> Built {
    let may_call = context.strict_contracts.then(|| service.calls.clone());
    let core = ServiceCore::new(service.id, Arc::clone(&context.node), may_call);
    let commands = service.commands.iter().map(|command| command.endpoint(&core));
    let streams = service.streams.iter().map(|stream| stream.endpoint(&core));
    let commands: Vec<_> = commands.chain(streams).collect();
    let intake = (!commands.is_empty()).then(|| Intake::new(Arc::clone(&core), commands.clone()));
    let subscribers: Vec<_> = service
        .subscriptions
        .iter()
        .map(|part| part.subscriber(&core))
        .collect();
    let mut children = vec![state_child(service, &core, &context.settings)];
    children.extend(subscribers.iter().map(subscription_child));
    children.extend(intake.as_ref().map(intake_child));
    let spec = SupervisorSpec::new(core.id().to_string())
        .strategy(Strategy::OneForOne)
        .panics(service.panics.clone())
        .exits(service.exits.clone())
        .initial(InitialStart::Retry)
        .give_up(if service.optional {
            GiveUp::Stay
        } else {
            GiveUp::Escalate
        })
        .label("service");
    Built {
        served: Served {
            service: core,
            commands,
        },
        subscribers,
        intake,
        child: service_child(spec, children),
        optional: service.optional,
    }
}

/// The supervisor of one service. It starts at once; what it supervises starts behind the shut gate.
fn service_child(spec: SupervisorSpec, children: Vec<ChildSpec>) -> ChildSpec {
    let id = Arc::clone(&spec.id);
    ChildSpec::supervisor(id, move |parent: StartContext| {
        let (spec, children) = (spec.clone(), children.clone());
        async move {
            let (tree, observer) = (parent.tree.clone(), Arc::clone(&parent.observer));
            let supervisor = Supervisor::spawn(spec, children, Some(parent), tree, observer).await?;
            Ok(supervisor.cell())
        }
    })
    .on_give_up(OnGiveUp::Escalate)
    .label("service")
}

/// The worker that stands for the service's state: every start of it runs the factory.
fn state_child<S: Send + Sync + 'static>(
    service: &Service<S>,
    core: &Arc<ServiceCore>,
    settings: &Arc<Resolved>,
) -> ChildSpec {
    let (factory, core, settings) = (Arc::clone(&service.factory), Arc::clone(core), Arc::clone(settings));
    let start_deadline = service.start_deadline.unwrap_or(settings.settings().start_deadline);
    ChildSpec::worker(STATE_CHILD, move |start: StartContext| {
        let setup = Setup {
            service: core.id(),
            incarnation: start.incarnation,
            node: Arc::clone(core.node()),
            settings: Arc::clone(&settings),
        };
        start_state(Arc::clone(&factory), setup, Arc::clone(&core), start)
    })
    .start_deadline(start_deadline)
    .label("state")
}

async fn start_state<S: Send + Sync + 'static>(
    factory: Factory<S>,
    setup: Setup,
    core: Arc<ServiceCore>,
    start: StartContext,
) -> Result<ractor::ActorCell, StartError> {
    let number = start.incarnation;
    let state = factory(setup)
        .await
        .map_err(|error| StartError::new(error).context(format!("the factory of {} failed", core.id())))?;
    let incarnation = Incarnation::new(number, core, Box::new(state));
    let this_start = start.clone();
    let on_healthy = Box::new(move || this_start.healthy());
    let actor = start
        .spawn(
            ServiceActor,
            ServiceArguments {
                incarnation,
                on_healthy,
            },
        )
        .await?;
    Ok(actor.get_cell())
}

/// The id of the worker that takes a service's commands from others.
pub(crate) const INTAKE_CHILD: &str = "commands";

fn intake_child(intake: &Arc<Intake>) -> ChildSpec {
    let intake = Arc::clone(intake);
    ChildSpec::worker(INTAKE_CHILD, move |start: StartContext| {
        let intake = Arc::clone(&intake);
        async move {
            let actor = start.spawn(IntakeActor, intake).await?;
            Ok(actor.get_cell())
        }
    })
    .label("intake")
}

/// The id of a subscription's worker among its supervisor's children.
pub(crate) fn subscription_child_id(name: &str) -> String {
    format!("on {name}")
}

fn subscription_child(subscriber: &Arc<dyn AnySubscriber>) -> ChildSpec {
    let subscriber = Arc::clone(subscriber);
    ChildSpec::worker(
        subscription_child_id(subscriber.core().name()),
        move |start: StartContext| {
            let subscriber = Arc::clone(&subscriber);
            async move {
                let actor = start.spawn(SubscriptionActor, subscriber).await?;
                Ok(actor.get_cell())
            }
        },
    )
    .label("subscription")
}
