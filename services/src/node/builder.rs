//! Putting a node together. Everything that can be checked without I/O is checked before anything starts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use roadshow_actors::Clock;
use roadshow_bridges::memory::{MemoryBridgeSettings, MemoryConnector};
use roadshow_bridges::{Connector, Connectors, EventBridge, MemoryBus, MemoryEventBridge};

use super::{Node, assemble};
use crate::component::Component;
use crate::config::{Resolved, Settings};
use crate::contract::ServiceContract;
use crate::error::Error;
use crate::service::AnyService;

/// Where a node's event bridge comes from.
#[derive(Debug)]
pub(super) enum BridgeSource {
    /// From the URL of the settings, through the connectors.
    Settings,
    /// Given.
    Ready(Arc<dyn EventBridge>),
}

/// A node to be started. Methods return the builder, to be chained.
#[must_use = "a builder starts nothing until it is told to"]
pub struct NodeBuilder {
    pub(super) settings: Option<Resolved>,
    pub(super) services: Vec<Arc<dyn AnyService>>,
    pub(super) components: Vec<Arc<dyn Component>>,
    pub(super) connectors: Connectors,
    pub(super) bridge: BridgeSource,
    pub(super) clock: Option<Clock>,
    pub(super) node_id: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) codec_always: Option<bool>,
    pub(super) strict_contracts: Option<bool>,
    pub(super) shutdown_budget: Option<Duration>,
}

impl Default for NodeBuilder {
    fn default() -> Self {
        NodeBuilder {
            settings: None,
            services: Vec::new(),
            components: Vec::new(),
            connectors: Connectors::new().with(MemoryConnector::default()),
            bridge: BridgeSource::Settings,
            clock: None,
            node_id: None,
            namespace: None,
            codec_always: None,
            strict_contracts: None,
            shutdown_budget: None,
        }
    }
}

impl fmt::Debug for NodeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeBuilder")
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

impl NodeBuilder {
    /// Takes configuration, in place of the defaults. What the other methods set overrides it.
    pub fn settings(mut self, settings: Resolved) -> Self {
        self.settings = Some(settings);
        self
    }

    /// Adds a service.
    pub fn service(self, service: impl AnyService) -> Self {
        self.any_service(Arc::new(service))
    }

    /// Adds a service that is shared already.
    pub fn any_service(mut self, service: Arc<dyn AnyService>) -> Self {
        self.services.push(service);
        self
    }

    /// Adds a component, such as the gateway. Components start before everything else and close last.
    pub fn component(mut self, component: impl Component) -> Self {
        self.components.push(Arc::new(component));
        self
    }

    /// Adds an adapter for bridge URLs. `memory:` is known already.
    pub fn connector(mut self, connector: impl Connector) -> Self {
        self.connectors = self.connectors.with(connector);
        self
    }

    /// Uses these adapters for bridge URLs, in place of those that it knows.
    pub fn with_connectors(mut self, connectors: Connectors) -> Self {
        self.connectors = connectors;
        self
    }

    /// Uses an event bridge that is connected already, in place of the one that the settings name.
    pub fn event_bridge(mut self, bridge: Arc<dyn EventBridge>) -> Self {
        self.bridge = BridgeSource::Ready(bridge);
        self
    }

    /// Joins a memory bus, through which nodes of one process reach each other.
    pub fn memory_bus(self, bus: &MemoryBus) -> Self {
        self.event_bridge(Arc::new(MemoryEventBridge::new(
            bus.clone(),
            MemoryBridgeSettings::default(),
        )))
    }

    /// Sets the node's id: a token.
    pub fn node_id(mut self, id: impl Into<String>) -> Self {
        self.node_id = Some(id.into());
        self
    }

    /// Sets the namespace: a token.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Takes time from another clock than the processor's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Encodes and decodes every call and event, local ones too, as if they crossed a wire.
    pub fn codec_always(mut self, always: bool) -> Self {
        self.codec_always = Some(always);
        self
    }

    /// Refuses calls that a service does not declare.
    pub fn strict_contracts(mut self, strict: bool) -> Self {
        self.strict_contracts = Some(strict);
        self
    }

    /// Sets how long a shutdown may take.
    pub fn shutdown_budget(mut self, budget: Duration) -> Self {
        self.shutdown_budget = Some(budget);
        self
    }

    /// Starts the node and waits until it serves.
    ///
    /// # Errors
    /// What is wrong with the definitions; or what could not be started, or was given up on while starting, with the
    /// whole chain of causes. Everything that was started is stopped by then.
    pub async fn start(self) -> Result<Node, Error> {
        let node = Box::pin(self.launch()).await?;
        match node.ready().await {
            Ok(()) => Ok(node),
            Err(error) => {
                node.abort_start();
                Err(error)
            }
        }
    }

    /// Starts the node without waiting for its services: [`Node::ready`] does that.
    ///
    /// Calls wait for the services that are not up yet. The node stays in [`Phase::Starting`](crate::Phase), and its
    /// readiness says so, until somebody has waited for `ready`.
    ///
    /// # Errors
    /// What is wrong with the definitions, and what cannot wait: settings, credentials, taken ports.
    pub async fn launch(mut self) -> Result<Node, Error> {
        let resolved = match self.settings.take() {
            Some(resolved) => resolved,
            None => Settings::resolve(None, std::iter::empty(), &[], None)
                .map_err(|errors| Error::definition(errors.iter().map(ToString::to_string).collect()))?,
        };
        check_names(&self.services, &resolved)?;
        self.services = chosen(&self.services, &resolved);
        check(&self.services)?;
        assemble::launch(self, resolved).await
    }

    /// The services that would run under these settings, as documents and checks see them. Starts nothing.
    ///
    /// # Errors
    /// What is wrong with the definitions.
    pub fn contracts(&self, settings: &Resolved) -> Result<Vec<ServiceContract>, Error> {
        check_names(&self.services, settings)?;
        let chosen: Vec<Arc<dyn AnyService>> = chosen(&self.services, settings);
        check(&chosen)?;
        Ok(chosen.iter().map(|service| service.contract()).collect())
    }

    /// The adapters for bridge URLs.
    #[must_use]
    pub fn connectors(&self) -> &Connectors {
        &self.connectors
    }
}

/// Refuses settings that name services which are not there.
fn check_names(services: &[Arc<dyn AnyService>], settings: &Resolved) -> Result<(), Error> {
    let known: Vec<&str> = services.iter().map(|service| service.id().name()).collect();
    settings
        .check_services(&known)
        .map_err(|errors| Error::definition(errors.iter().map(ToString::to_string).collect()))
}

/// The services that the settings name; all, where they name none.
fn chosen(services: &[Arc<dyn AnyService>], settings: &Resolved) -> Vec<Arc<dyn AnyService>> {
    let names = &settings.settings().services;
    let is_chosen = |service: &&Arc<dyn AnyService>| {
        names.is_empty() || names.iter().any(|name| name.as_str() == service.id().name())
    };
    services.iter().filter(is_chosen).cloned().collect()
}

/// Finds what contradicts itself in the definitions: all of it, not only the first.
fn check(services: &[Arc<dyn AnyService>]) -> Result<(), Error> {
    let mut problems = Vec::new();
    let mut seen = BTreeMap::new();
    let mut routes = BTreeMap::new();
    for service in services {
        let id = service.id();
        if seen.insert(id.to_string(), ()).is_some() {
            problems.push(format!("service {id} is declared twice"));
        }
        problems.extend(service.problems());
        let commands = service.commands().into_iter().map(|c| ("command", c.address, c.http));
        let streams = service.streams().into_iter().map(|s| ("stream", s.address, s.http));
        for (kind, address, http) in commands.chain(streams) {
            if address.service() != id {
                problems.push(format!(
                    "service {id} answers {address}, which belongs to another service"
                ));
            }
            if seen.insert(address.to_string(), ()).is_some() {
                problems.push(format!("{kind} {address} is declared twice"));
            }
            if let Some(http) = &http {
                let route = format!("{} /api/v{}{}", http.method, id.version(), http.path);
                if let Some(other) = routes.insert(route.clone(), address) {
                    problems.push(format!("{address} and {other} have the same route {route}"));
                }
            }
        }
        for subscription in service.subscriptions() {
            if seen.insert(subscription.name.clone(), ()).is_some() {
                let event = subscription.event;
                problems.push(format!(
                    "service {id} subscribes to {event} twice under one name: give one a name of its own"
                ));
            }
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::definition(problems))
    }
}
