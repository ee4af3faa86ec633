//! The supervision tree of a node, in the order in which it starts.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use roadshow_actors::metrics::{MetricsSettings, NodeMetrics};
use roadshow_actors::{
    AnySubscriber, BridgeActor, BridgeArguments, Clock, ExchangeActor, Ids, NodeCore, NodeSpec, Router, RouterMessage,
    Served,
};
use roadshow_bridges::{Access, Capability, ConnectContext, Connectors, EventBridge, IncarnationId, Namespace, NodeId};
use roadshow_supervision::{
    Backoff, Budget, ChildSpec, Event, InitialStart, Observer, OnGiveUp, StartContext, StartError, Supervisor,
    SupervisorSpec, Tree,
};

use super::builder::{BridgeSource, NodeBuilder};
use super::observer::{Chronicle, SERVICES_GROUP};
use super::{Inner, Node, NodeLimits, NodeView, ServiceEntry};
use crate::component::component_child;
use crate::config::{Resolved, Settings};
use crate::contract::SubscriptionContract;
use crate::error::Error;
use crate::service::{BuildContext, Built};

/// Starts a node. What fails on the way stops again whatever was started.
pub(super) async fn launch(builder: NodeBuilder, resolved: Resolved) -> Result<Node, Error> {
    let settings = resolved.settings().clone();
    let access = settings.bridge.access(&settings.event_bridge);
    let access = access.map_err(|(name, why)| {
        Error::definition(vec![format!("cannot use {name} from {}: {why}", resolved.origin(name))])
    })?;
    let core = core_of(&builder, &settings)?;
    let context = BuildContext {
        node: Arc::clone(&core),
        settings: Arc::new(resolved),
        strict_contracts: builder.strict_contracts.unwrap_or(settings.strict_contracts),
    };
    let built: Vec<Built> = builder.services.iter().map(|service| service.build(&context)).collect();
    let view = view_of(&builder, &context, &built);
    let children = rows(builder, &settings, access, &view, built);
    let chronicle = Arc::clone(&view.0.chronicle);
    let observer: Arc<dyn Observer> = Arc::new(move |event: &Event| chronicle.event(event));
    let spec = SupervisorSpec::new("node").initial(InitialStart::Fail).label("node");
    let tree = view.0.tree.clone();
    let root = Supervisor::spawn(spec, children, None, tree, observer)
        .await
        .map_err(|error| {
            view.0.end_calls();
            view.0.core.close();
            Error::start(&error)
        })?;
    view.0
        .root
        .set(root)
        .map_err(|_again| ())
        .expect("the root is set once");
    Ok(Node { view, ended: false })
}

/// What all handles to the node will share.
fn view_of(builder: &NodeBuilder, context: &BuildContext, built: &[Built]) -> NodeView {
    let (core, settings) = (&context.node, context.settings.settings());
    let (chronicle, changes) = Chronicle::new(core.metrics().clone());
    chronicle.attend(built.iter().map(|built| Arc::clone(&built.served.service)).collect());
    let services = builder.services.iter().zip(built);
    NodeView(Arc::new(Inner {
        core: Arc::clone(core),
        tree: Tree::new(),
        root: OnceLock::new(),
        services: services
            .map(|(service, built)| entry(&**service, built, context.strict_contracts))
            .collect(),
        chronicle,
        changes,
        locations: Mutex::default(),
        limits: NodeLimits {
            timeout_max: settings.call.max_timeout,
            payload_max: settings.payload_limit,
            shutdown_budget: builder.shutdown_budget.unwrap_or(settings.shutdown_budget),
        },
    }))
}

/// The children of the root, in the order in which they start.
fn rows(
    builder: NodeBuilder,
    settings: &Settings,
    access: Access,
    view: &NodeView,
    built: Vec<Built>,
) -> Vec<ChildSpec> {
    let core = &view.0.core;
    let components = builder.components.iter();
    let mut children: Vec<ChildSpec> = components
        .map(|component| component_child(Arc::clone(component), view.clone()))
        .collect();
    children.push(bridges(BridgePlan {
        node: Arc::clone(core),
        source: builder.bridge,
        connectors: builder.connectors,
        url: settings.event_bridge.expose().to_owned(),
        access,
        start_deadline: settings.start_deadline,
        subscriptions: view.subscriptions(),
    }));
    children.push(router(core, built.iter().map(|built| built.served.clone()).collect()));
    children.push(patient_group("links", vec![exchange(core, settings.start_deadline)]));
    let services = built.into_iter().map(|built| built.child).collect();
    children.push(group(SERVICES_GROUP, services));
    children
}

fn core_of(builder: &NodeBuilder, settings: &Settings) -> Result<Arc<NodeCore>, Error> {
    let wrong = |what: &str, error: &dyn std::fmt::Display| Error::definition(vec![format!("{what}: {error}")]);
    let node_id: NodeId = match &builder.node_id {
        Some(id) => id.parse().map_err(|error| wrong("node id", &error))?,
        None => settings.node_id.clone(),
    };
    let namespace: Namespace = match &builder.namespace {
        Some(namespace) => namespace.parse().map_err(|error| wrong("namespace", &error))?,
        None => settings.namespace.clone(),
    };
    let clock = builder.clock.clone().unwrap_or_else(Clock::tsc);
    let mut metrics = MetricsSettings::default();
    metrics.info = vec![("node", node_id.to_string()), ("namespace", namespace.to_string())];
    Ok(NodeCore::new(NodeSpec {
        incarnation: incarnation(&clock),
        clock,
        ids: Ids::random(),
        metrics: NodeMetrics::new(metrics),
        runtime: tokio::runtime::Handle::current(),
        node_id,
        namespace,
        codec_always: builder.codec_always.unwrap_or(settings.codec_always),
        call_timeout: settings.call.default_timeout,
        reply_allow: settings.reply_allow.clone(),
    }))
}

/// A number that this node's name never had before: the time, and random bits for nodes that start in the same instant.
fn incarnation(clock: &Clock) -> IncarnationId {
    IncarnationId::from_u64((clock.unix_ms() << 12) | u64::from(rand::random::<u16>() >> 4))
}

fn entry(service: &dyn crate::service::AnyService, built: &Built, strict_contracts: bool) -> ServiceEntry {
    let commands = built.served.commands.iter().map(|endpoint| Arc::clone(endpoint.core()));
    let subscribers = built
        .subscribers
        .iter()
        .map(|subscriber: &Arc<dyn AnySubscriber>| Arc::clone(subscriber.core()));
    ServiceEntry {
        core: Arc::clone(&built.served.service),
        endpoints: commands.chain(subscribers).collect(),
        subscribers: built.subscribers.clone(),
        intake: built.intake.clone(),
        optional: built.optional,
        contract: service.contract(),
        calls: if strict_contracts {
            service.calls().to_vec()
        } else {
            Vec::new()
        },
    }
}

/// A supervisor of the second row: one_for_one, and what it gives up on, the root gives up on.
fn group(name: &'static str, children: Vec<ChildSpec>) -> ChildSpec {
    row(
        SupervisorSpec::new(name).initial(InitialStart::Fail).label(name),
        children,
    )
}

/// As [`group`], for what needs a broker that may be away when the node starts: it is tried again until it is back. What
/// waiting does not help, such as refused credentials, ends the node at once.
fn patient_group(name: &'static str, children: Vec<ChildSpec>) -> ChildSpec {
    let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5)).jitter(true);
    let exits = Budget::new(u32::MAX, Duration::from_secs(1)).backoff(backoff);
    let spec = SupervisorSpec::new(name).initial(InitialStart::Retry).exits(exits);
    row(spec.label(name), children)
}

fn row(spec: SupervisorSpec, children: Vec<ChildSpec>) -> ChildSpec {
    let name = spec.label;
    ChildSpec::supervisor(name, move |parent: StartContext| {
        let (spec, children) = (spec.clone(), children.clone());
        async move {
            let (tree, observer) = (parent.tree.clone(), Arc::clone(&parent.observer));
            Ok(Supervisor::spawn(spec, children, Some(parent), tree, observer)
                .await?
                .cell())
        }
    })
    .on_give_up(OnGiveUp::Escalate)
    .label(name)
}

/// What the event bridge of a node is made from.
struct BridgePlan {
    node: Arc<NodeCore>,
    source: BridgeSource,
    connectors: Connectors,
    url: String,
    access: Access,
    start_deadline: Duration,
    subscriptions: Vec<SubscriptionContract>,
}

fn bridges(plan: BridgePlan) -> ChildSpec {
    let start_deadline = plan.start_deadline;
    let plan = Arc::new(plan);
    let event = ChildSpec::worker("event", move |start: StartContext| {
        let plan = Arc::clone(&plan);
        async move {
            let bridge = plan.connect().await?;
            plan.check(&bridge.capability())?;
            let arguments = BridgeArguments {
                node: Arc::clone(&plan.node),
                bridge,
            };
            Ok(start.spawn(BridgeActor, arguments).await?.get_cell())
        }
    })
    .start_deadline(start_deadline)
    .label("bridge");
    patient_group("bridges", vec![event])
}

impl BridgePlan {
    async fn connect(&self) -> Result<Arc<dyn EventBridge>, StartError> {
        if let BridgeSource::Ready(bridge) = &self.source {
            return Ok(Arc::clone(bridge));
        }
        let node = self.node.node_id().parse().map_err(StartError::new)?;
        let context = ConnectContext::new(self.node.namespace().clone(), node, self.node.incarnation());
        let context = context.access(self.access.clone());
        self.connectors
            .event_bridge(&self.url, &context)
            .await
            .map_err(|error| {
                let config = error.kind() == roadshow_bridges::ErrorKind::Config;
                let text = error.to_string();
                if config {
                    StartError::unrecoverable(text)
                } else {
                    StartError::new(error)
                }
            })
    }

    /// Refuses, before anything subscribes, what the bridge cannot keep: all of it, not only the first.
    fn check(&self, capability: &Capability) -> Result<(), StartError> {
        let subscriptions = self.subscriptions.iter();
        let problems: Vec<String> = subscriptions.flat_map(|one| one.lacking(capability)).collect();
        if problems.is_empty() {
            return Ok(());
        }
        Err(StartError::unrecoverable(problems.join("; ")))
    }
}

/// Calls to whoever listens, and what they are answered.
fn exchange(node: &Arc<NodeCore>, start_deadline: Duration) -> ChildSpec {
    let node = Arc::clone(node);
    ChildSpec::worker("exchange", move |start: StartContext| {
        let node = Arc::clone(&node);
        async move { Ok(start.spawn(ExchangeActor, node).await?.get_cell()) }
    })
    .start_deadline(start_deadline)
    .label("exchange")
}

fn router(node: &Arc<NodeCore>, served: Vec<Served>) -> ChildSpec {
    let node = Arc::clone(node);
    ChildSpec::worker("router", move |start: StartContext| {
        let (node, served) = (Arc::clone(&node), served.clone());
        async move {
            let router = start.spawn(Router::new(node), ()).await?;
            for served in served {
                router
                    .send_message(RouterMessage::Serve(served))
                    .map_err(StartError::new)?;
            }
            Ok(router.get_cell())
        }
    })
    .label("router")
}
