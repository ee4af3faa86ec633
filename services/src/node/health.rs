//! Whether a node serves: one line for each part.

use std::collections::BTreeMap;

use roadshow_actors::{GateState, Phase};
use serde::Serialize;

use super::{Inner, ServiceEntry};
use crate::service::{STATE_CHILD, subscription_child_id};

/// How one part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PartState {
    /// It serves.
    Ready,
    /// It is starting, restarting or reconnecting.
    NotReady,
    /// It was given up on.
    Failed,
    /// The node is shutting down.
    Draining,
}

/// One part of a node.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Part {
    /// Its name: `node`, `event bridge`, `service user.1`, `call user.1.create_user`.
    pub name: String,
    /// How it is.
    pub state: PartState,
    /// Whether the node is ready without it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// What keeps it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether a node serves, and what keeps it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Readiness {
    /// Whether callers should be sent here.
    pub ready: bool,
    /// Every part.
    pub parts: Vec<Part>,
}

impl ServiceEntry {
    /// Whether the node's start need not wait for it any longer.
    pub(super) fn is_settled(&self) -> bool {
        match self.state() {
            PartState::Ready => true,
            PartState::Failed => self.optional,
            _ => false,
        }
    }

    /// Ready means that there is state to run calls on, and that the bridge has confirmed every subscription.
    fn state(&self) -> PartState {
        match self.core.gate().state() {
            GateState::Open if self.unconfirmed().next().is_none() => PartState::Ready,
            GateState::Open | GateState::Shut => PartState::NotReady,
            GateState::Failed => PartState::Failed,
            GateState::Stopped => PartState::Draining,
        }
    }

    /// The subscriptions that take nothing yet.
    fn unconfirmed(&self) -> impl Iterator<Item = &str> {
        let waiting = self.subscribers.iter().filter(|subscriber| !subscriber.is_subscribed());
        waiting.map(|subscriber| subscriber.core().name())
    }
}

impl Inner {
    pub(super) fn readiness(&self) -> Readiness {
        let mut parts = vec![self.node_part(), self.bridge_part()];
        parts.extend(self.services.iter().map(|service| self.service_part(service)));
        parts.extend(self.unanswered_calls());
        let ready = parts
            .iter()
            .all(|part| part.state == PartState::Ready || (part.optional && part.state == PartState::Failed));
        Readiness { ready, parts }
    }

    fn node_part(&self) -> Part {
        let (state, reason) = match self.core.phase() {
            Phase::Starting => (PartState::NotReady, Some("starting".to_owned())),
            Phase::Running => (PartState::Ready, None),
            Phase::Draining | Phase::Stopped => (PartState::Draining, Some("shutting down".to_owned())),
        };
        Part {
            name: "node".to_owned(),
            state,
            optional: false,
            reason,
        }
    }

    fn bridge_part(&self) -> Part {
        let (state, reason) = match self.core.event_bridge() {
            Err(failure) => (PartState::NotReady, Some(failure.message.into_owned())),
            Ok(bridge) => match bridge.health() {
                health if health.is_ready() => (PartState::Ready, None),
                health => (PartState::NotReady, Some(health.to_string())),
            },
        };
        Part {
            name: "event bridge".to_owned(),
            state,
            optional: false,
            reason,
        }
    }

    fn service_part(&self, service: &ServiceEntry) -> Part {
        let id = service.core.id().to_string();
        let state = match service.state() {
            // It takes nothing any more because the node does not.
            PartState::NotReady if self.core.phase() >= Phase::Draining => PartState::Draining,
            state => state,
        };
        let reason = match state {
            PartState::NotReady | PartState::Failed => self.why_not(&id, service),
            _ => None,
        };
        Part {
            name: format!("service {id}"),
            state,
            optional: service.optional,
            reason,
        }
    }

    /// One part for each call that a service declares and nobody answers, where contracts are strict.
    fn unanswered_calls(&self) -> Vec<Part> {
        let routes = self.core.routes();
        let callers = self
            .services
            .iter()
            .filter(|service| service.state() != PartState::Failed);
        let mut parts = BTreeMap::new();
        for caller in callers {
            for address in &caller.calls {
                if let Err(failure) = routes.resolve(address.key()) {
                    let reason = format!("{} declares that it calls it: {}", caller.core.id(), failure.message);
                    parts.entry(format!("call {address}")).or_insert(reason);
                }
            }
        }
        let part = |(name, reason)| Part {
            name,
            state: PartState::NotReady,
            optional: false,
            reason: Some(reason),
        };
        parts.into_iter().map(part).collect()
    }

    /// What keeps a service: its last failure, where it is in its start, or a subscription without confirmation.
    fn why_not(&self, id: &str, service: &ServiceEntry) -> Option<String> {
        let tree = self.tree.snapshot();
        let node = tree.find(&format!("services/{id}"))?;
        let mut kept: Vec<_> = service
            .unconfirmed()
            .filter_map(|name| node.child(&subscription_child_id(name)))
            .collect();
        if service.core.gate().state() != GateState::Open {
            kept.insert(0, node.child(STATE_CHILD)?);
        }
        let first = kept.first()?;
        Some(match first.last_failure.as_ref().or(node.last_failure.as_ref()) {
            Some(failure) => format!("{} is {}: {failure}", first.id, first.state),
            None => format!("{} is {}", first.id, first.state),
        })
    }
}
