//! One service's state with a context, and nothing else around it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roadshow_actors::metrics::{MetricsSettings, NodeMetrics};
use roadshow_actors::{
    CallContext, Clock, Endpoint, EndpointSpec, Ids, Incarnation, Limits, NodeCore, NodeSpec, Outcome, Phase, Served,
    ServiceCore, root_identity,
};
use roadshow_bridges::{Failure, Namespace, ServiceId};

use super::Recorder;
use crate::client::CallOptions;
use crate::command::{Command, CommandHandler};
use crate::context::Context;
use crate::dispatch::CommandRoute;
use crate::event::{Event, EventHandler};

const SOLO: ServiceId = ServiceId::new("solo", 1);
/// The time budget of a handler under test.
const DEADLINE: Duration = Duration::from_secs(30);

/// Runs the handlers of one state, without admission, guards or restarts. Other services are answered by closures, and
/// what is emitted is recorded. A panic in a handler is a panic in the test.
#[derive(Debug)]
pub struct Solo<S> {
    state: Arc<S>,
    node: Arc<NodeCore>,
    recorder: Recorder,
    options: CallOptions,
    served: Mutex<Vec<Served>>,
}

impl<S: Send + Sync + 'static> Solo<S> {
    /// A state on its own. Must be called on a tokio runtime.
    #[must_use]
    pub fn new(state: S) -> Self {
        let node = NodeCore::new(NodeSpec {
            clock: Clock::tokio(),
            ids: Ids::random(),
            metrics: NodeMetrics::new(MetricsSettings::default()),
            runtime: tokio::runtime::Handle::current(),
            node_id: "solo".parse().expect("a token"),
            namespace: Namespace::default(),
            codec_always: false,
        });
        node.enter_phase(Phase::Running);
        let recorder = Recorder::default();
        node.set_event_bridge(Some(recorder.bridge()));
        Solo {
            state: Arc::new(state),
            node,
            recorder,
            options: CallOptions::default(),
            served: Mutex::default(),
        }
    }

    /// Handles calls on somebody's behalf, with a key or in a trace.
    #[must_use]
    pub fn with(mut self, options: CallOptions) -> Self {
        self.options = options;
        self
    }

    /// Answers calls that a handler makes to `C`.
    #[must_use]
    pub fn answer<C: Command>(self, answer: impl Fn(C) -> Result<C::Reply, Failure> + Send + Sync + 'static) -> Self {
        let service = ServiceCore::new(C::ADDRESS.service(), Arc::clone(&self.node), None);
        service
            .gate()
            .open(Incarnation::new(1, Arc::clone(&service), Box::new(())));
        let endpoint = Endpoint::new(EndpointSpec {
            name: C::ADDRESS.command(),
            service: Arc::clone(&service),
            limits: Limits::default(),
            rate: None,
            metrics: self.node.metrics().endpoint("solo", 1, C::ADDRESS.command()),
            run: Box::new(move |input: C, _call| Box::pin(std::future::ready(answer(input)))),
            key_of: None,
        });
        let command = Arc::new(CommandRoute {
            address: C::ADDRESS,
            endpoint,
        });
        {
            let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
            match served
                .iter_mut()
                .find(|served| served.service.id() == C::ADDRESS.service())
            {
                Some(served) => served.commands.push(command),
                None => served.push(Served {
                    service,
                    commands: vec![command],
                }),
            }
            self.node
                .change_routes(|routes| served.iter().for_each(|served| routes.serve(served.clone())));
        }
        self
    }

    /// Runs the handler of a command.
    ///
    /// # Errors
    /// What the handler answered.
    pub async fn call<C: Command>(&self, input: C) -> Result<C::Reply, Failure>
    where
        S: CommandHandler<C>,
    {
        let ctx = self.context();
        self.state.handle(input, &ctx).await
    }

    /// Runs the handler of an event.
    pub async fn receive<E: Event>(&self, event: E) -> Outcome
    where
        S: EventHandler<E>,
    {
        let ctx = self.context();
        self.state.receive(&event, &ctx).await
    }

    /// The events of one type that were emitted so far.
    #[must_use]
    pub fn emitted<E: Event>(&self) -> Vec<Arc<E>> {
        self.recorder
            .events::<E>()
            .into_iter()
            .map(|(event, _identity)| event)
            .collect()
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &S {
        &self.state
    }

    fn context(&self) -> Context {
        let mut identity = root_identity(&self.node);
        self.options.apply(&mut identity);
        let service = ServiceCore::new(SOLO, Arc::clone(&self.node), None);
        let incarnation = Incarnation::new(1, service, Box::new(()));
        let deadline = self.node.clock().now() + self.options.timeout.unwrap_or(DEADLINE);
        Context::new(CallContext::new(incarnation, identity, deadline, 0))
    }
}
