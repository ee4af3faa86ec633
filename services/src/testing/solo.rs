//! One service's state with a context, and nothing else around it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use roadshow_actors::metrics::{MetricsSettings, NodeMetrics};
use roadshow_actors::{
    CallContext, Clock, CommandEndpoint, Endpoint, EndpointSpec, HEARTBEAT, Ids, Incarnation, Life, Limits, NodeCore,
    NodeSpec, Outcome, Phase, Request, Run, Served, ServiceCore, accepting, root_identity,
};
use roadshow_bridges::{Address, Failure, Identity, IncarnationId, Namespace, ServiceId};

use super::Recorder;
use crate::client::CallOptions;
use crate::command::{Command, CommandHandler};
use crate::context::Context;
use crate::dispatch::CommandRoute;
use crate::event::{Event, EventHandler};
use crate::stream::{Stream, StreamHandler, StreamInput, StreamReader, StreamRoute};

const SOLO: ServiceId = ServiceId::new("solo", 1);
/// How many items the handler of a stream may be ahead of its test.
const WINDOW: usize = 64;
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
            incarnation: IncarnationId::from_u64(1),
            namespace: Namespace::default(),
            codec_always: false,
            call_timeout: std::time::Duration::from_secs(30),
            reply_allow: Vec::new(),
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
        let service = self.open_service(C::ADDRESS.service());
        let run = move |input: C, _call: CallContext| -> Answered<C::Reply> { ready(answer(input)).boxed() };
        let endpoint = self.endpoint(&service, C::ADDRESS.command(), Box::new(run));
        self.serve(
            service,
            Arc::new(CommandRoute {
                address: C::ADDRESS,
                endpoint,
                idempotent: false,
            }),
        );
        self
    }

    /// Answers streams of `R` that a handler opens: with these items, or with a failure.
    #[must_use]
    pub fn answer_stream<R: Stream>(
        self,
        answer: impl Fn(R) -> Result<Vec<R::Item>, Failure> + Send + Sync + 'static,
    ) -> Self {
        let service = self.open_service(R::ADDRESS.service());
        let run = move |opening: StreamInput<R, R::Item>, _call: CallContext| -> Answered<()> {
            let StreamInput { input, items, accept } = opening;
            let answer = answer(input);
            let feed = async move {
                for item in answer? {
                    items.send(item).await?;
                }
                Ok(())
            };
            accepting(accept, feed).boxed()
        };
        let endpoint = self.endpoint(&service, R::ADDRESS.command(), Box::new(run));
        self.serve(service, Arc::new(stream_route(R::ADDRESS, endpoint)));
        self
    }

    /// A service that runs already, on nothing.
    fn open_service(&self, id: ServiceId) -> Arc<ServiceCore> {
        let service = ServiceCore::new(id, Arc::clone(&self.node), None);
        let incarnation = Incarnation::new(1, Arc::clone(&service), Box::new(()));
        service.gate().open(incarnation);
        service
    }

    fn endpoint<In, Out>(
        &self,
        service: &Arc<ServiceCore>,
        name: &'static str,
        run: Run<In, Out>,
    ) -> Endpoint<In, Out> {
        Endpoint::new(EndpointSpec {
            name,
            service: Arc::clone(service),
            limits: Limits::default(),
            rate: None,
            metrics: self.node.metrics().endpoint("solo", 1, name),
            run,
            key_of: None,
        })
    }

    fn serve(&self, service: Arc<ServiceCore>, endpoint: Arc<dyn CommandEndpoint>) {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        match served.iter_mut().find(|served| served.service.id() == service.id()) {
            Some(served) => served.commands.push(endpoint),
            None => served.push(Served {
                service,
                commands: vec![endpoint],
            }),
        }
        self.node
            .change_routes(|routes| served.iter().for_each(|served| routes.serve(served.clone())));
    }

    /// Runs the handler of a stream, as long as the reader takes what it sends. It runs beside the test: a panic in it ends
    /// the stream with `internal`.
    ///
    /// # Errors
    /// What the handler answered before it had sent or waited for anything.
    pub async fn open<R: Stream>(&self, input: R) -> Result<StreamReader<R::Item>, Failure>
    where
        S: StreamHandler<R>,
    {
        let service = self.open_service(SOLO);
        let state = Arc::clone(&self.state);
        let run = move |opening: StreamInput<R, R::Item>, call: CallContext| -> Answered<()> {
            let (state, ctx) = (Arc::clone(&state), Context::new(call));
            let StreamInput { input, items, accept } = opening;
            async move { accepting(accept, state.open(input, items, &ctx)).await }.boxed()
        };
        let route = stream_route(R::ADDRESS, self.endpoint(&service, R::ADDRESS.command(), Box::new(run)));
        let reader = route.open(input, Request::outside(self.identity())).await?;
        Ok(StreamReader::typed(R::ADDRESS, reader))
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
        let identity = self.identity();
        let service = ServiceCore::new(SOLO, Arc::clone(&self.node), None);
        let incarnation = Incarnation::new(1, service, Box::new(()));
        let deadline = self.node.clock().now() + self.options.timeout.unwrap_or(DEADLINE);
        Context::new(CallContext::new(incarnation, identity, deadline, 0))
    }

    fn identity(&self) -> Identity {
        let mut identity = root_identity(&self.node);
        self.options.apply(&mut identity);
        identity
    }
}

/// What a closure that plays a service makes.
type Answered<T> = BoxFuture<'static, Result<T, Failure>>;

fn stream_route<In, T>(address: Address, endpoint: Endpoint<StreamInput<In, T>, ()>) -> StreamRoute<In, T> {
    StreamRoute {
        address,
        life: Life {
            window: WINDOW,
            max_duration: None,
            heartbeat: HEARTBEAT,
        },
        endpoint,
    }
}
